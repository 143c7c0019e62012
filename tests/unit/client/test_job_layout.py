"""Where the files of a job lie, and under which names."""

import json
import os
import sys

import pytest
from media import tone, write_sound
from run_folders import command, elsewhere, fail_long_windows, findings

from voiceman_client import incoming
from voiceman_client.layout import SUMMARY_NAME
from voiceman_client.ledger import LEDGER_FILES
from voiceman_client.run_log import LOG_NAME


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
    assert empty.exit_code == 2
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
    found = incoming.waiting(job)
    assert (set(found.recordings), found.errors) == (set(paths), [])
    incoming.take_in([job / "incoming/call.wav"], job)
    assert len(list((job / "incoming").iterdir())) == 2


def test_a_link_that_is_relative_leads_to_the_same_recording(tmp_path):
    (tmp_path / "calls").mkdir()
    recording = tmp_path / "calls/a.wav"
    recording.touch()
    (tmp_path / "job/incoming").mkdir(parents=True)
    (tmp_path / "job/incoming/a.wav").symlink_to("../../calls/a.wav")
    found = incoming.waiting(tmp_path / "job")
    assert (found.recordings, found.errors) == ([recording], [])
    incoming.take_in([recording], tmp_path / "job")
    assert len(list((tmp_path / "job/incoming").iterdir())) == 1


def test_long_names_that_are_equal_get_links_of_their_own(tmp_path):
    paths = [tmp_path / folder / f"{'통' * 83}.wav" for folder in "ab"]
    for path in paths:
        path.parent.mkdir()
        path.touch()
    incoming.take_in(paths, tmp_path / "job")
    links = (tmp_path / "job/incoming").iterdir()
    assert {link.readlink() for link in links} == set(paths)


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


@pytest.mark.parametrize("folder", ["-o", "--job"])
@pytest.mark.parametrize("content", ["sound", "no sound"])
def test_a_run_over_names_that_are_not_utf_8_ends_like_any_other(server, tmp_path, folder, content):
    recording = tmp_path / os.fsdecode("통화.wav".encode("cp949"))
    write_sound(recording, tone(5))
    if content == "no sound":
        recording.write_bytes(b"no sound" * 100)
    done = command("submit", recording, folder, tmp_path / "out")
    assert done.exit_code == (content == "no sound"), done.exception
    assert "seal" in done.stderr
    assert findings(tmp_path / "out") == {}
    summary = json.loads((tmp_path / "out" / SUMMARY_NAME).read_text())
    assert [entry["id"] for entry in summary["recordings"]] == [recording.stem]
    assert (tmp_path / "out" / "performance.json").exists()
