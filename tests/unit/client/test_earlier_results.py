"""A folder never shows a result that is no longer true of its recording as if it were."""

from dataclasses import replace

import pytest
from media import tone, write_sound
from run_folders import command, fail_long_windows, findings
from test_result import MADE

from voiceman_client.chain import read_chain
from voiceman_client.client import Client
from voiceman_client.run_log import LOG_NAME, RunLog

ALL = "json,srt,vtt,txt"


def names(folder):
    return {path.name for path in folder.iterdir() if path.stem in {"0", "1"}}


def removed(folder):
    lines = read_chain((folder / LOG_NAME).read_bytes()).lines
    return {line.facts["name"] for line in lines if line.event == "file_removed"}


@pytest.fixture
def one(recordings):
    return recordings[0]


def change(recording):
    write_sound(recording, tone(6))


def ask_otherwise(monkeypatch):
    """What a run does with other options, which the stand-in for the server does not know."""
    made = replace(MADE, options={"language": "ko"})
    monkeypatch.setattr(Client, "_made", lambda *_: made)


def submit(recording, output, *options):
    return command("submit", recording, "-o", output, *options)


@pytest.mark.parametrize("what", ["recording", "options"])
@pytest.mark.usefixtures("server")
def test_formats_that_are_not_written_again_go(one, output, what, monkeypatch):
    assert submit(one, output, "--format", ALL).exit_code == 0
    if what == "recording":
        change(one)
    else:
        ask_otherwise(monkeypatch)
    assert submit(one, output).exit_code == 0
    assert names(output) == {"0.json"}
    assert removed(output) == {"0.srt", "0.vtt", "0.txt"}
    assert findings(output) == {}


@pytest.mark.usefixtures("server")
def test_files_of_the_same_result_stay(one, output):
    assert submit(one, output, "--format", ALL).exit_code == 0
    (output / "0.json").unlink()
    assert submit(one, output).exit_code == 0
    assert names(output) == {"0.json", "0.srt", "0.vtt", "0.txt"}
    assert findings(output) == {}


@pytest.mark.parametrize("folder", ["-o", "--job"])
@pytest.mark.usefixtures("server")
def test_the_result_of_a_recording_that_broke_goes(one, output, folder):
    assert command("submit", one, folder, output, "--format", ALL).exit_code == 0
    one.write_bytes(b"no sound" * 100)
    assert command("submit", one, folder, output, "--format", ALL).exit_code == 1
    places = [output, output / "completed"]
    assert not [path for place in places for path in place.glob("0*") if path.is_file()]
    assert {name.rpartition(".")[2] for name in removed(output)} >= {"json", "srt", "vtt", "txt"}
    assert findings(output) == {}


def test_a_recording_that_fails_as_it_was_keeps_its_result_and_the_log_says_so(
    server, recordings, output, monkeypatch
):
    two = recordings[1]
    assert submit(two, output, "--format", "json,srt").exit_code == 0
    ask_otherwise(monkeypatch)
    fail_long_windows(server)
    assert submit(two, output, "--format", "json,srt").exit_code == 1
    assert names(output) == {"1.json", "1.srt"}
    lines = read_chain((output / LOG_NAME).read_bytes()).lines
    (failed,) = [line for line in lines if line.event == "recording_failed"]
    assert set(failed.facts["earlier_result"]) == {"1.json", "1.srt"}
    assert findings(output) == {}


@pytest.mark.usefixtures("server")
def test_a_recording_that_is_not_there_keeps_its_result(one, output, tmp_path):
    assert submit(one, output).exit_code == 0
    one.rename(tmp_path / "unmounted")
    assert submit(one, output).exit_code == 1
    assert names(output) == {"0.json"}
    assert findings(output) == {}


@pytest.mark.usefixtures("server")
def test_what_somebody_else_wrote_or_changed_is_never_removed(one, output):
    assert submit(one, output, "--format", "json,srt").exit_code == 0
    (output / "0.srt").write_text("corrected by hand")
    (output / "0.vtt").write_text("made by hand")
    change(one)
    assert submit(one, output).exit_code == 0
    assert names(output) == {"0.json", "0.srt", "0.vtt"}
    assert removed(output) == set()
    assert findings(output).keys() == {"0.srt", "0.vtt"}


@pytest.mark.usefixtures("server")
def test_what_a_crash_left_of_another_result_goes_with_the_next_run(one, output, monkeypatch):
    assert submit(one, output, "--format", "json,srt").exit_code == 0
    change(one)
    remove = RunLog.remove
    monkeypatch.setattr(RunLog, "remove", lambda *_: None)
    assert submit(one, output).exit_code == 0
    monkeypatch.setattr(RunLog, "remove", remove)
    (output / "0.json").unlink()  # not done any more
    assert submit(one, output).exit_code == 0
    assert names(output) == {"0.json"}
