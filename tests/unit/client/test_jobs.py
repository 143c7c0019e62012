"""Runs that are looked at, ended, taken up and cleaned, and folders laid out as a job."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from media import tone, write_sound
from run_folders import command, findings

from voiceman.errors import DeadlineExceededError, LedgerError
from voiceman_client import incoming
from voiceman_client.chain import read_chain
from voiceman_client.inputs import printable, unprinted
from voiceman_client.layout import SUMMARY_NAME
from voiceman_client.ledger import LEDGER_FILES, LEDGER_NAME, Ledger, State
from voiceman_client.run_log import LOG_NAME, RunLog, is_in_use
from voiceman_client.stopping import Stop, heeding_signals

LONG_S, SHORT_S = 29.0, 4.0  # of the windows of one recording, one is longer, one is shorter


def states(folder):
    with Ledger(folder / LEDGER_NAME, read_only=True) as ledger:
        return {Path(entry.path).name: entry.state for entry in ledger.entries()}


def shown(folder):
    done = command("status", folder, "--format", "json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def fail_long_windows(server):
    server.fail_for = lambda inputs: (
        DeadlineExceededError("too late") if len(inputs["WAVEFORM"]) > LONG_S * 16_000 else None
    )


def elsewhere(*arguments):
    """A command in a process of its own."""
    code = "from voiceman_client.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
    )


@pytest.fixture
def recordings(tmp_path):
    folder = tmp_path / "recordings"
    folder.mkdir()
    return [write_sound(folder / f"{n}.wav", tone(seconds)) for n, seconds in enumerate((5, 33, 5))]


@pytest.fixture
def output(tmp_path):
    return tmp_path / "results"


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


@pytest.fixture
def while_running(server):
    """Calls something once a run has got two answers and waits for the others."""
    answer = server.forensic
    answered = []
    enough = threading.Event()

    async def two_only(inputs):
        if len(answered) < 2:
            answered.append(inputs)
            return await answer(inputs)
        enough.set()
        server.hold_until = 1000
        return await answer(inputs)

    server.forensic = two_only

    def run(call, *arguments):
        results = []
        ended = threading.Event()

        def wait():
            assert enough.wait(30)
            time.sleep(0.3)  # until the second answer is filed
            results.append(call())
            ended.set()

        calling = threading.Thread(target=wait)
        calling.start()
        done = command(*arguments)
        calling.join(30)
        server.forensic = answer
        server.hold_until = 0
        return done, results[0]

    return run


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


def files(folder):
    return {
        os.path.relpath(path, folder)
        for path in folder.rglob("*")
        if not path.is_dir() and path.name not in LEDGER_FILES
    }


@pytest.mark.usefixtures("korean_font")
def test_a_job_has_a_folder_for_every_state(server, recordings, tmp_path):
    job = tmp_path / "case-7"
    fail_long_windows(server)
    done = command("submit", *recordings, "--job", job, "--format", "json,srt")
    assert done.exit_code == 1
    completed = {
        f"completed/{name}{end}"
        for name in "02"
        for end in ("_forensic.json", "_transcript.json", "_report.pdf", ".srt")
    }
    assert files(job) == {
        *completed,
        *(f"incoming/{number}.wav" for number in range(3)),
        *("failed/1_error.json", SUMMARY_NAME, LOG_NAME),
        *("performance.json", "performance.html"),
    }
    assert list((job / "processing").iterdir()) == []
    assert str(job / "completed/0_forensic.json") in done.stdout
    error = json.loads((job / "failed/1_error.json").read_text())
    assert (error["file"], error["type"]) == (str(recordings[1]), "DeadlineExceededError")
    transcript = json.loads((job / "completed/0_transcript.json").read_text())
    result = json.loads((job / "completed/0_forensic.json").read_text())
    assert transcript == {
        name: result[name] for name in ("language", "segments", "word_segments", "provenance")
    }
    assert result["provenance"]["source"]["file"] == str(recordings[0])
    assert (job / "completed/0_report.pdf").read_bytes().startswith(b"%PDF-")
    assert findings(job) == {}


def test_a_job_is_verified_to_the_last_file(server, recordings, tmp_path):
    job = tmp_path / "job"
    assert command("submit", *recordings, "--job", job).exit_code == 0
    (job / "completed/0_report.pdf").write_bytes(b"%PDF-another")
    (job / "completed/1_transcript.json").unlink()
    (job / "completed/note.txt").touch()
    (job / "incoming/new.wav").touch()  # waits for the next run
    found = findings(job)
    assert found.keys() == {
        *("completed/0_report.pdf", "completed/1_transcript.json", "completed/note.txt")
    }


def test_what_failed_in_a_job_leaves_failed_when_it_is_retried(server, recordings, tmp_path):
    job = tmp_path / "job"
    fail_long_windows(server)
    assert command("submit", *recordings, "--job", job).exit_code == 1
    server.fail_for = lambda inputs: None
    assert command("retry", job).exit_code == 0
    assert list((job / "failed").iterdir()) == []
    assert (job / "completed/1_forensic.json").exists()
    assert findings(job) == {}
    server.windows.clear()
    assert command("submit", "--job", job).exit_code == 0  # all of incoming/, nothing left to do
    assert len(server.windows) == 1  # the silence


def test_without_paths_a_job_takes_what_is_incoming(server, recordings, tmp_path):
    job = tmp_path / "job"
    (job / "incoming/deeper").mkdir(parents=True)
    recordings[0].rename(job / "incoming/deeper/there.wav")
    (job / "incoming/link.wav").symlink_to(recordings[1])
    (job / "incoming/gone.wav").symlink_to(tmp_path / "gone.wav")
    done = command("submit", "--job", job)
    assert done.exit_code == 1
    assert f"gone.wav: leads to {tmp_path / 'gone.wav'}, and nothing is there" in done.stderr
    named = {path.name for path in (job / "completed").glob("*_forensic.json")}
    assert named == {"there_forensic.json", "1_forensic.json"}
    assert not list((job / "failed").glob("*")) if (job / "failed").exists() else True
    empty = command("submit", "--job", tmp_path / "empty")
    assert empty.exit_code == 1
    assert "put recordings into it" in empty.stderr


def test_links_never_stand_for_two_recordings(tmp_path):
    job = tmp_path / "job"
    paths = [tmp_path / folder / "call.wav" for folder in "ab"]
    for path in paths:
        path.parent.mkdir()
        path.touch()
    incoming.take_in(paths, job)
    incoming.take_in([*paths, tmp_path / "no.wav"], job)
    links = list((job / "incoming").iterdir())
    assert {link.readlink() for link in links} == set(paths)
    assert len(links) == 2
    recordings, errors = incoming.waiting(job)
    assert (set(recordings), errors) == (set(paths), [])
    incoming.take_in([job / "incoming/call.wav"], job)
    assert len(list((job / "incoming").iterdir())) == 2


def test_names_stay_as_they_were_when_others_come(server, tmp_path, output):
    for folder in "ab":
        (tmp_path / folder).mkdir()
    first, second = (write_sound(tmp_path / f"{folder}/call.wav", tone(5)) for folder in "ab")
    assert command("submit", first, "-o", output).exit_code == 0
    server.windows.clear()
    done = command("submit", first, second, "-o", output)
    assert str(output / "call.json") in done.stdout.splitlines()
    assert len(server.windows) == 2  # the silence, and the recording that is new


def test_a_recording_shows_in_processing_while_it_is_worked_on(
    server, recordings, tmp_path, while_running
):
    job = tmp_path / "job"

    def look():
        found = {path.name: path.readlink() for path in (job / "processing").iterdir()}
        elsewhere("cancel", job)
        return found

    _, found = while_running(look, "submit", *recordings, "--job", job)
    assert found
    assert set(found.values()) <= set(recordings)
    assert list((job / "processing").iterdir()) == []


def test_a_job_goes_on_without_pdf_and_says_so_once(server, recordings, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "voiceman_client.report.making", None)
    job = tmp_path / "job"
    done = command("submit", *recordings, "--job", job)
    assert done.exit_code == 0
    assert done.stderr.count("no PDF of any result") == 1
    assert not list((job / "completed").glob("*.pdf"))
    assert findings(job) == {}


def test_a_case_report_reads_a_job(server, recordings, tmp_path):
    job, reports = tmp_path / "job", tmp_path / "reports"
    fail_long_windows(server)
    assert command("submit", *recordings, "--job", job).exit_code == 1
    done = command("report", "--case", job, "--format", "html", "-o", reports)
    assert done.exit_code == 0, done.output
    page = (reports / "case-report.html").read_text()
    assert page.count("too late") == 1  # the log says it and failed/1_error.json
    assert SUMMARY_NAME not in page
    assert {path.name for path in reports.iterdir()} == {
        *("0_forensic.html", "2_forensic.html", "case-report.html")
    }


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
