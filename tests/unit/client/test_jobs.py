"""Runs that are looked at, ended, taken up and cleaned, and folders laid out as a job."""

import json
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
from media import tone, write_sound
from run_folders import SHORT_S, command, elsewhere, findings
from test_result import MADE

from voiceman.errors import DeadlineExceededError, LedgerError, ServerUnreachableError
from voiceman_client.chain import read_chain
from voiceman_client.client import Client
from voiceman_client.entries import State
from voiceman_client.inputs import printable, unprinted
from voiceman_client.layout import SUMMARY_NAME
from voiceman_client.ledger import LEDGER_FILES, LEDGER_NAME, Ledger
from voiceman_client.run_log import LOG_NAME, RunLog, is_in_use
from voiceman_client.stopping import Stop, heeding_signals


def states(folder):
    with Ledger(folder / LEDGER_NAME, read_only=True) as ledger:
        return {Path(entry.path).name: entry.state for entry in ledger.entries()}


def shown(folder):
    done = command("status", folder, "--format", "json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.fixture
def recordings(tmp_path):
    folder = tmp_path / "recordings"
    folder.mkdir()
    return [write_sound(folder / f"{n}.wav", tone(seconds)) for n, seconds in enumerate((5, 33, 5))]


@pytest.fixture
def half_done(server, recordings, output):
    """A run of which one recording failed, after one of its two windows was answered."""
    server.fail_for = lambda inputs: (
        DeadlineExceededError("too late")
        if len(inputs["WAVEFORM"]) < SHORT_S * 16_000 and inputs["WAVEFORM"].any()
        else None
    )
    done = command("submit", *recordings, "-o", output, "--language", "ko", "--in-flight", 1)
    assert done.exit_code == 1
    server.fail_for = lambda inputs: None
    return output


def test_status_counts_and_names_every_recording(half_done):
    said = shown(half_done)
    assert said["running"] is False
    assert said["counts"] == dict.fromkeys(State, 0) | {"COMPLETED": 2, "FAILED": 1}
    by_name = {Path(entry["path"]).name: entry for entry in said["recordings"]}
    failed = by_name["1.wav"]
    assert (failed["state"], failed["attempts"], failed["error"]) == (
        "FAILED",
        1,
        "DeadlineExceededError",
    )
    assert "too late" in failed["why"]
    assert (failed["windows_answered"], failed["windows"]) == (1, 2)
    table = command("status", half_done).stdout
    assert table.startswith("no run is going on\n0 PENDING, ")
    (line,) = (line for line in table.splitlines() if line.startswith("FAILED"))
    assert line.split()[1:4] == ["1/2", "1", "33"]
    assert line.endswith("window 29.8 to 33.0 s: too late")


def test_status_changes_nothing_and_needs_a_ledger(half_done, tmp_path):
    before = {path.name: path.read_bytes() for path in half_done.iterdir()}
    assert command("status", half_done).exit_code == 0
    assert {path.name: path.read_bytes() for path in half_done.iterdir()} == before
    done = command("status", tmp_path)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "ledger.sqlite3: not there" in done.stderr


def test_retry_asks_for_the_same_and_sends_no_answered_window_again(server, half_done):
    server.windows.clear()
    done = command("retry", half_done)
    assert done.exit_code == 0, done.output
    assert done.stdout == f"{half_done / '1.json'}\n"
    assert [window["LANGUAGE"] for window in server.windows] == ["ko", "ko"]  # one is the silence
    assert states(half_done) == dict.fromkeys(("0.wav", "1.wav", "2.wav"), State.COMPLETED)
    assert findings(half_done) == {}
    again = command("retry", half_done)
    assert again.exit_code == 0
    assert "every recording is completed" in again.stderr


def test_retry_goes_on_with_what_was_asked_for_last(server, half_done, recordings, monkeypatch):
    """Also where everything was completed before, with other options."""
    assert command("retry", half_done).exit_code == 0
    monkeypatch.setattr(Client, "_made", lambda *_: replace(MADE, options={"language": "en"}))
    server.fail_for = lambda inputs: (
        ServerUnreachableError("gone") if inputs["WAVEFORM"].any() else None
    )
    done = command("submit", *recordings, "-o", half_done, "--language", "en")
    assert done.exit_code == 3
    server.fail_for = lambda inputs: None
    again = command("retry", half_done)
    assert again.exit_code == 0
    assert len(again.stdout.splitlines()) == len(recordings)


def test_retry_finds_files_of_options_from_another_folder(
    server, recordings, tmp_path, monkeypatch
):
    (tmp_path / "mine.toml").write_text('language = "ko"\n')
    monkeypatch.chdir(tmp_path)
    recordings[0].write_text("no sound")
    done = command("submit", recordings[0], "--patterns", "mine.toml", "-o", "results")
    assert done.exit_code == 1
    write_sound(recordings[0], tone(5))
    monkeypatch.chdir("/")
    assert command("retry", tmp_path / "results").exit_code == 0


def test_retry_says_when_it_does_not_know_what_was_asked_for(half_done):
    with Ledger(half_done / LEDGER_NAME) as ledger:
        ledger.state_fact({"order": '{"server": "x", "layout": "spiral"}'})
    done = command("retry", half_done)
    assert done.exit_code == 1
    assert "submit them again" in done.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_a_run_gracefully(server, recordings, output, while_running, *, number, code):
    usual = signal.getsignal(number)
    started_s = time.monotonic()
    done, _ = while_running(
        lambda: os.kill(os.getpid(), number), "submit", *recordings, "-o", output
    )
    assert time.monotonic() - started_s < 20
    assert done.exit_code == code
    assert f"{number.name}: " in done.stderr
    assert "submit again to go on" in done.stderr
    assert signal.getsignal(number) == usual
    assert findings(output) == {}
    lines = read_chain((output / LOG_NAME).read_bytes()).lines
    assert [line.event for line in lines[-4:]] == [
        *("run_stopped", "summary_written", "performance_written", "run_finished")
    ]
    assert lines[-4].facts == {"why": number.name}
    assert "seal: " in done.stderr
    with Ledger(output / LEDGER_NAME, read_only=True) as ledger:
        kept = sum(ledger.answered().values())
        assert ledger.counts()[State.CANCELLED] == 0
    assert kept == 1  # the first answer was about silence, for the weights
    server.windows.clear()
    again = command("submit", *recordings, "-o", output)
    assert again.exit_code == 0, again.output
    assert len(server.windows) - 1 + kept == 4
    assert findings(output) == {}


def test_an_ignored_signal_stays_ignored():
    usual = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with heeding_signals(Stop()):
            assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, usual)


def test_cancel_ends_the_run_of_another_process(server, recordings, output, while_running):
    def look_and_cancel():
        looked = elsewhere("status", output, "--format", "json")
        return looked, elsewhere("cancel", output)

    done, (looked, cancelled) = while_running(look_and_cancel, "submit", *recordings, "-o", output)
    assert json.loads(looked.stdout)["running"] is True
    assert cancelled.returncode == 0, cancelled.stderr
    assert done.exit_code == 1
    assert "cancelled: " in done.stderr
    assert set(states(output).values()) <= {State.CANCELLED, State.COMPLETED}
    assert shown(output)["counts"]["CANCELLED"] >= 2
    assert findings(output) == {}
    assert command("retry", output).exit_code == 0
    assert set(states(output).values()) == {State.COMPLETED}


def test_cancel_without_a_run_takes_back_what_is_left(half_done, recordings):
    with Ledger(half_done / LEDGER_NAME) as ledger:
        ledger.advance(recordings[0], State.STT)
    done = command("cancel", half_done)
    assert done.exit_code == 0
    assert "1 recordings are cancelled" in done.stderr
    assert states(half_done)["0.wav"] == State.CANCELLED
    assert command("submit", *recordings, "-o", half_done).exit_code == 0  # meant for the other run
    assert set(states(half_done).values()) == {State.COMPLETED}


def test_cancel_says_when_the_run_does_not_end(half_done):
    with RunLog(half_done):
        done = command("cancel", half_done, "--timeout", "0.1")
    assert done.exit_code == 1
    assert "did not end in 0.1 s" in done.stderr


def test_clean_keeps_what_is_not_done(server, half_done):
    (half_done / ".voiceman-abc").write_text("half")
    done = command("clean", half_done)
    assert done.exit_code == 0
    assert "2 answers are forgotten, 1 unfinished files are removed" in done.stderr
    assert shown(half_done)["counts"]["FAILED"] == 1
    assert findings(half_done) == {}
    server.windows.clear()
    assert command("retry", half_done).exit_code == 0
    assert len(server.windows) == 2  # the silence and the one that was not answered


def test_clean_waits_for_no_run(half_done):
    with RunLog(half_done):
        assert is_in_use(half_done)
        done = command("clean", half_done)
    assert done.exit_code == 1
    assert "another run writes into this folder" in done.stderr
    assert not is_in_use(half_done)


def test_clean_all_removes_the_ledger_alone(server, half_done, recordings):
    assert command("clean", half_done, "--all").exit_code == 0
    left = {path.name for path in half_done.iterdir()}
    assert not left & set(LEDGER_FILES)
    assert {"0.json", "2.json", LOG_NAME, SUMMARY_NAME} <= left
    assert command("submit", *recordings, "-o", half_done).exit_code == 0
    assert {path.name for path in half_done.glob("*.json")} == {
        *("0.json", "1.json", "2.json", "performance.json", SUMMARY_NAME)
    }


def test_the_summary_says_what_became_of_a_job(half_done, recordings):
    summary = json.loads((half_done / SUMMARY_NAME).read_text())
    assert summary["counts"]["COMPLETED"] == 2
    assert (summary["layout"], summary["formats"]) == ("flat", ["json"])
    assert summary["options"]["language"] == "ko"
    assert summary["last_run"]["ended"] >= summary["last_run"]["started"]
    done, failed, _ = summary["recordings"]
    assert (done["file"], done["id"], done["state"]) == (str(recordings[0]), "0", "COMPLETED")
    assert done["outputs"] == {"json": "0.json"}
    assert (failed["state"], failed["outputs"]) == ("FAILED", {})
    assert "too late" in failed["why"]


def test_a_recording_of_the_name_of_the_summary_keeps_clear_of_it(server, tmp_path, output):
    path = write_sound(tmp_path / "Job_Summary.wav", tone(5))
    done = command("submit", path, "-o", output)
    assert done.stdout.startswith(str(output / "Job_Summary-"))
    assert "counts" in json.loads((output / SUMMARY_NAME).read_text())


@pytest.mark.parametrize("name", [".vitals", ".voiceman-call"])
def test_results_of_recordings_with_names_of_working_files_stay(server, tmp_path, output, name):
    recordings = [write_sound(tmp_path / f"{stem}.wav", tone(5)) for stem in (name, "other")]
    done = [command("submit", recording, "-o", output) for recording in recordings]
    for recording, run in zip(recordings, done, strict=True):
        result = json.loads(Path(run.stdout.strip()).read_text())
        assert result["provenance"]["source"]["file"] == str(recording)
    assert findings(output) == {}


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--job", "{}", "-o", "{}", "a.wav"), "not both"),
        ((), "PATH"),
    ],
)
def test_what_contradicts_itself_is_wrong_usage(tmp_path, arguments, named):
    done = command("submit", *(part.format(tmp_path / "job") for part in arguments))
    assert done.exit_code == 2
    assert named in done.stderr


@pytest.mark.parametrize("arguments", [("empty", "-o", "results"), ("--job", ".")])
def test_a_folder_without_recordings_is_wrong_usage_and_begins_nothing(
    tmp_path, monkeypatch, arguments
):
    monkeypatch.chdir(tmp_path)
    for folder in ("empty", "incoming"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "notes.txt").touch()
    done = command("submit", *arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"Error: no recordings in {arguments[0] if 'empty' in arguments else '.'}" in done.stderr
    assert "1 files are left out, no recordings by their names: " in done.stderr
    assert not (tmp_path / "results").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "incoming"]


def test_paths_that_are_not_utf_8_can_be_retried(tmp_path):
    name = os.fsdecode("통화.wav".encode("cp949"))
    (tmp_path / name).touch()
    (tmp_path / r"a\xc5.wav").touch()
    assert unprinted(printable(tmp_path / name)) == tmp_path / name
    assert unprinted(str(tmp_path / r"a\xc5.wav")) == tmp_path / r"a\xc5.wav"
    assert unprinted(str(tmp_path / "new.wav")) == tmp_path / "new.wav"


def test_a_ledger_that_cannot_be_read_is_named(half_done):
    (half_done / LEDGER_NAME).write_bytes(b"no database")
    for name in ("status", "retry", "cancel", "clean"):
        done = command(name, half_done)
        assert done.exit_code == 1, name
        assert "damaged" in done.stderr
    assert LedgerError.__name__ not in done.stderr
