"""A job's folder that is renamed, mounted elsewhere, or reached another way is the same job."""

import json
import shutil
import sqlite3
from contextlib import closing

import pytest
from run_folders import command, fail_long_windows, findings

from voiceman_client.layout import SUMMARY_NAME
from voiceman_client.ledger import LEDGER_NAME, Ledger


@pytest.fixture
def job(recordings, tmp_path):
    folder = tmp_path / "case"
    (folder / "incoming").mkdir(parents=True)
    for path in recordings:
        shutil.copy(path, folder / "incoming")
    return folder


def results(job):
    return sorted(path.name for path in (job / "completed").glob("*_forensic.json"))


THREE = ["0_forensic.json", "1_forensic.json", "2_forensic.json"]


def asked_again(server, job, *others):
    """How many windows another submit asks for, but for the silence."""
    server.windows.clear()
    done = command("submit", "--job", job, *others)
    assert done.exit_code == 0, done.output
    return len(server.windows) - 1


def test_what_is_done_stays_done_when_the_folder_is_renamed(server, job):
    assert asked_again(server, job) == 4
    moved = job.rename(job.with_name("renamed"))
    assert asked_again(server, moved) == 0
    assert results(moved) == THREE
    summary = json.loads((moved / SUMMARY_NAME).read_text())
    assert [entry["file"] for entry in summary["recordings"]] == [
        str(moved / f"incoming/{n}.wav") for n in range(3)
    ]
    assert findings(moved) == {}


def test_what_was_answered_is_not_asked_again_in_a_folder_that_was_renamed(server, job):
    fail_long_windows(server)
    assert command("submit", "--job", job).exit_code == 1
    moved = job.rename(job.with_name("renamed"))
    server.fail_for = lambda inputs: None
    server.windows.clear()
    done = command("retry", moved)
    assert done.exit_code == 0, done.output
    assert len(server.windows) == 2  # the silence, and the window that had failed
    assert results(moved) == THREE


def test_a_ledger_that_knows_absolute_paths_is_taken_up(server, job):
    assert asked_again(server, job) == 4
    with closing(sqlite3.connect(job / LEDGER_NAME)) as database:
        database.execute("UPDATE recordings SET path = ? || path", (f"{job}/",))
        database.execute("UPDATE names SET path = ? || path", (f"{job}/",))
        database.commit()
    assert asked_again(server, job) == 0
    moved = job.rename(job.with_name("renamed"))
    assert asked_again(server, moved) == 0
    assert results(moved) == THREE


@pytest.mark.parametrize("way", ["a link", "a path with .."])
def test_the_way_to_the_folder_does_not_matter(server, job, tmp_path, way, monkeypatch):
    assert asked_again(server, job) == 4
    other = tmp_path / "link"
    other.symlink_to(job)
    if way == "a path with ..":
        (tmp_path / "deeper").mkdir()
        monkeypatch.chdir(tmp_path / "deeper")
        other = "../case"
    assert asked_again(server, other) == 0
    assert asked_again(server, other, *sorted((job / "incoming").glob("*.wav"))) == 0
    assert results(job) == THREE
    assert len(list((job / "incoming").iterdir())) == 3


def test_recordings_outside_are_known_by_their_path(tmp_path):
    (tmp_path / "job").mkdir()
    with Ledger(tmp_path / "job" / LEDGER_NAME) as ledger:
        assert ledger.known_as(tmp_path / "call.wav") == str(tmp_path / "call.wav")
        assert ledger.known_as(tmp_path / "jobs/call.wav") == str(tmp_path / "jobs/call.wav")
        assert ledger.known_as(tmp_path / "job/incoming/call.wav") == "incoming/call.wav"
        ledger.expect([tmp_path / "call.wav"], "made")
