"""Weights are replaced as a whole, only when they changed, and never lost to a failure."""

from pathlib import Path

import pytest

from voiceman.errors import WeightsError
from voiceman.manifest import read_manifest
from voiceman_export.weights_folder import Source, export_weights

SOURCE = Source("ecapa", "1.0", "MIT", "a test")


def writer(content: str):
    def write(folder: Path) -> str:
        (folder / "model.bin").write_text(content)
        return "fp32"

    return write


def refuse(folder: Path) -> str:
    raise AssertionError("nothing has changed")


def fail(folder: Path) -> str:
    (folder / "model.bin").write_text("half")
    raise WeightsError("the checkpoint is damaged")


def test_the_same_source_is_written_once(repository):
    first = export_weights(repository, "whisper", SOURCE, writer("one"))
    again = export_weights(repository, "whisper", SOURCE, refuse)
    assert (first.written, again.written) == (True, False)
    assert read_manifest(first.folder).licence == "MIT"


@pytest.mark.parametrize("change", ["version", "revision", "force", "file"])
def test_whatever_changed_is_written_again(repository, change):
    folder = export_weights(repository, "whisper", SOURCE, writer("one")).folder
    if change == "file":
        (folder / "model.bin").write_text("altered")
    source = Source("ecapa", "2.0" if change == "version" else "1.0", "MIT", "a test")
    export = export_weights(
        repository,
        "whisper",
        source,
        writer("two"),
        revision=2 if change == "revision" else 1,
        force=change == "force",
    )
    assert export.written
    assert (folder / "model.bin").read_text() == "two"


def test_a_failure_leaves_the_old_weights(repository):
    folder = export_weights(repository, "whisper", SOURCE, writer("one")).folder
    with pytest.raises(WeightsError, match="damaged"):
        export_weights(repository, "whisper", SOURCE, fail, force=True)
    assert (folder / "model.bin").read_text() == "one"
    assert [path.name for path in folder.parent.iterdir()] == ["weights"]


def test_the_server_may_be_another_user(repository):
    folder = export_weights(repository, "whisper", SOURCE, writer("one")).folder
    assert folder.stat().st_mode & 0o777 == 0o755
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o644}


def test_a_folder_that_is_no_repository_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="--model-repository"):
        export_weights(tmp_path, "whisper", SOURCE, writer("one"))
