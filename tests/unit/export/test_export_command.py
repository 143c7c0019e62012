"""The command: data on standard output, one line for a failure, exit codes that tell."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from voiceman.cache import cache_dir
from voiceman.manifest import read_manifest
from voiceman_export import cli, sources
from voiceman_export.catalogue import catalogue
from voiceman_export.models import MODELS, Model
from voiceman_export.registries import ProgramMissingError

ROOT = Path(__file__).parents[3]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli.main, [str(argument) for argument in arguments])


@pytest.fixture
def without_npm(monkeypatch, tmp_path):
    def fetch(name: str) -> Path:
        if name == "korean-calls":
            raise ProgramMissingError("npm is not installed")
        return tmp_path / name

    monkeypatch.setattr(cli, "fetch_asset", fetch)


def test_fetch_prints_name_and_folder(without_npm, tmp_path):
    result = run("fetch", "ecapa", "telephone-call")
    names = ("ecapa", "telephone-call")
    assert result.stdout.splitlines() == [f"{name}\t{tmp_path / name}" for name in names]


def test_what_needs_npm_is_skipped_unless_it_is_asked_for(without_npm):
    everything = run("fetch")
    assert everything.exit_code == 0
    assert "korean-calls" not in everything.stdout
    assert "librivox" in everything.stdout
    alone = run("fetch", "korean-calls")
    assert alone.exit_code == 1
    assert alone.stderr == "Error: npm is not installed\n"


def test_scoring_lands_with_its_hashes(repository):
    result = run("scoring", "--model-repository", repository)
    assert result.stdout.startswith("scoring\tscoring\texported\t")
    manifest = read_manifest(repository / "scoring" / "1" / "weights")
    assert "scoring.toml" in manifest.files
    assert any(name.startswith("patterns/") for name in manifest.files)
    assert "\tunchanged\t" in run("scoring", "--model-repository", repository).stdout


def test_check_fails_on_an_altered_file(repository):
    run("scoring", "--model-repository", repository)
    assert run("check", "scoring", "--model-repository", repository).exit_code == 0
    path = repository / "scoring" / "1" / "weights" / "scoring.toml"
    path.write_text(path.read_text() + "\n# heavier\n")
    result = run("check", "scoring", "--model-repository", repository)
    assert result.exit_code == 1
    assert "scoring.toml" in result.stderr


@pytest.mark.parametrize("name", ["emotion-dimensional", "emotion-categorical"])
def test_a_model_without_public_weights_asks_for_a_checkpoint(name, repository):
    result = run(name, "--model-repository", repository)
    assert result.exit_code == 1
    assert "no weights in the catalogue: give --checkpoint" in result.stderr


def test_an_unknown_checkpoint_is_answered_with_the_known(repository):
    result = run("whisper", "--checkpoint", "whisper-huge", "--model-repository", repository)
    assert result.exit_code == 1
    assert "whisper-base" in result.stderr


def test_the_cache_folder_is_configurable(monkeypatch, tmp_path):
    monkeypatch.setenv("VOICEMAN_CACHE_DIR", str(tmp_path))
    assert cache_dir() == tmp_path


def test_all_keeps_the_users_own_weights_and_renews_the_catalogues(
    repository, tmp_path, monkeypatch
):
    """Every model here is written as the bytes of its checkpoint."""
    asset = tmp_path / "asset"
    asset.write_text("the catalogue's")
    monkeypatch.setattr(sources, "fetch", lambda name: asset)
    monkeypatch.setattr(
        Model,
        "writer",
        lambda self, language: (
            lambda found, folder: shutil.copy(found.path, folder / "weights") and "fp32"
        ),
    )
    # Only its origin tells this file from the asset of the same name.
    own = tmp_path / "whisper-base"
    own.write_text("the user's")
    run("whisper", "--checkpoint", own, "--model-repository", repository)
    folder = repository / "whisper" / "1" / "weights"

    def export_all(*options: object) -> dict[str, str]:
        result = run("all", "--model-repository", repository, *options)
        assert result.exit_code == 0
        return {line.split("\t")[0]: line.split("\t")[2] for line in result.stdout.splitlines()}

    assert export_all() == {
        "whisper": "kept",
        "speaker_embedding": "exported",
        "voice_activity": "exported",
        "scoring": "exported",
    }
    assert (folder / "weights").read_text() == "the user's"
    assert export_all("--whisper", own)["whisper"] == "unchanged"
    assert set(export_all("--force").values()) == {"exported"}
    assert (folder / "weights").read_text() == "the catalogue's"

    replace(read_manifest(folder), version="an older one").write(folder)
    assert export_all()["whisper"] == "exported"
    run("whisper", "--checkpoint", own, "--model-repository", repository)
    (folder / "weights").unlink()
    assert export_all()["whisper"] == "exported"


def test_help_of_fetch_tells_version_licence_and_origin_of_every_asset():
    lines = run("fetch", "--help").stdout.splitlines()
    for asset in catalogue().values():
        (line,) = [line for line in lines if line.split()[:1] == [asset.name]]
        assert all(package.version in line for package in asset.packages)
        assert asset.licence in line
        assert asset.origin in line


@pytest.mark.weights
def test_every_exported_model_answers_as_its_source():
    result = run("check", "--format", "json", "--model-repository", ROOT / "model_repository")
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row for row in rows if not row["passed"]] == []
    with_weights = {name for name, model in MODELS.items() if model.default}
    assert {row["model"] for row in rows} >= with_weights | {"scoring"}
