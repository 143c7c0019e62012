"""The performance report at the end of a run: complete, logged, and never in the way."""

import json
import logging
import sys
from pathlib import Path

import pytest
from media import tone, write_sound
from run_folders import command, findings

from voiceman.errors import RecordingUnreadableError
from voiceman_client import job, observer, run_report
from voiceman_client.chain import read_chain
from voiceman_client.processing import Progress
from voiceman_client.report.case import json_files
from voiceman_client.run_log import LOG_NAME
from voiceman_client.run_report import PERFORMANCE_SCHEMA, Observed, leak_statement, performance
from voiceman_client.submit import Outcome
from voiceman_client.telemetry import Telemetry
from voiceman_client.vitals import Readings
from voiceman_client.vitals_file import VITALS_NAME

GROWN = {"mb_per_hour": 12.34, "noise_mb": 3.0, "beyond_noise": True}
STEADY = {"mb_per_hour": 1.0, "noise_mb": 3.0, "beyond_noise": False}


def read(folder):
    return json.loads((folder / "performance.json").read_text(encoding="utf-8"))


def events(folder):
    return [line.event for line in read_chain((folder / LOG_NAME).read_bytes()).lines]


def test_a_run_leaves_its_report_and_the_log_knows_it(results, recordings):
    found = read(results)
    assert found["schema"] == PERFORMANCE_SCHEMA
    totals = found["totals"]
    assert (totals["recordings"], totals["completed"], totals["failed"]) == (3, 3, 0)
    assert totals["audio_s"] == pytest.approx(45, abs=0.1)
    assert totals["windows"] == 4
    assert totals["max_memory_bytes"] >= totals["memory_start_bytes"] > 0
    assert {one["file"] for one in found["recordings"]} == set(map(str, recordings))
    assert all(one["seconds"] > 0 and one["memory_end_bytes"] for one in found["recordings"])
    assert "<svg" in (results / "performance.html").read_text(encoding="utf-8")
    assert events(results)[-2:] == ["performance_written", "run_finished"]
    assert findings(results) == {}
    (results / "performance.html").write_text("another")
    assert findings(results).keys() == {"performance.html"}


def test_the_file_for_watchers_is_there_during_the_run_and_not_after(
    server, recordings, tmp_path, monkeypatch
):
    folder, seen = tmp_path / "results", []
    answer = server.forensic

    async def look(inputs):
        seen.append((folder / VITALS_NAME).exists())
        return await answer(inputs)

    monkeypatch.setattr(server, "forensic", look)
    assert command("submit", *recordings, "-o", folder).exit_code == 0
    assert len(seen) >= 4
    assert all(seen)
    assert not list(folder.glob(".*"))


def test_failures_are_in_the_report_with_what_to_do(server, recordings, tmp_path):
    recordings[0].write_text("no sound")
    folder = tmp_path / "results"
    done = command("submit", *recordings, tmp_path / "*.ogg", "-o", folder)
    assert done.exit_code == 1
    failures = {one["file"]: one for one in read(folder)["failures"]}
    assert failures.keys() == {"", str(recordings[0])}
    assert failures[str(recordings[0])]["error"] == "RecordingUnreadableError"
    assert failures[str(recordings[0])]["why"].startswith(f"{recordings[0]}: ")
    assert read(folder)["totals"]["failed"] == 2


def test_a_case_report_takes_it_for_no_result(results):
    assert [path.name for path in json_files(results)] == ["0.json", "1.json", "2.json"]


def test_a_second_run_replaces_the_report(results, recordings):
    assert command("submit", *recordings, "-o", results).exit_code == 0
    assert read(results)["totals"]["recalled"] == 3
    assert read(results)["totals"]["audio_s"] == 0
    assert findings(results) == {}


def test_no_recording_takes_the_name_of_the_report(server, tmp_path):
    recording = write_sound(tmp_path / "Performance.wav", tone(5))
    folder = tmp_path / "results"
    assert command("submit", recording, "-o", folder).exit_code == 0
    (result,) = folder.glob("Performance-*.json")
    assert json.loads(result.read_text())["provenance"]["source"]["file"] == str(recording)
    assert read(folder)["schema"] == PERFORMANCE_SCHEMA


@pytest.fixture(params=["performance", "write_whole", "_page"])
def broken(request, monkeypatch):
    """A part of the report that fails in a way that nobody foresaw."""

    def fail(*_):
        raise ZeroDivisionError("bug")

    monkeypatch.setattr(run_report, request.param, fail)


@pytest.mark.usefixtures("server", "broken")
def test_whatever_fails_in_the_report_the_run_does_not(recordings, tmp_path, caplog):
    folder = tmp_path / "results"
    assert command("submit", *recordings, "-o", folder).exit_code == 0
    assert "the performance report is not complete" in caplog.text
    assert events(folder)[-1] == "run_finished"
    assert findings(folder) == {}


def test_without_the_extra_there_is_json_alone(server, recordings, tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "voiceman_client.report.page", None)
    folder = tmp_path / "results"
    assert command("submit", *recordings, "-o", folder).exit_code == 0
    assert read(folder)["totals"]["completed"] == 3
    assert not (folder / "performance.html").exists()
    assert "pip install 'voiceman[report]'" in caplog.text
    assert findings(folder) == {}


def test_a_look_that_fails_does_not_end_the_run(server, recordings, tmp_path, monkeypatch, caplog):
    def fail():
        raise OSError("gone")

    monkeypatch.setattr(
        job, "Observer", lambda *a, **k: observer.Observer(*a, **k | {"read": fail, "beat_s": 0.01})
    )
    with caplog.at_level(logging.ERROR):
        assert command("submit", *recordings, "-o", tmp_path / "results").exit_code == 0
    assert caplog.text.count("the run cannot be shown") == 1


def test_heat_and_memory_come_from_who_watched_them():
    telemetry = Telemetry(1)
    path = Path("/a.wav")
    telemetry.step(Progress(path, planned_s=60.0))
    for celsius in (60.0, 70.0):
        telemetry.sample(Readings(temperature_celsius=celsius, in_flight=4, gpu_utilisation=0.5))
    telemetry.ended(Outcome(path, None, None), RecordingUnreadableError("/a.wav: damaged"))
    alone = performance(telemetry.course())
    totals = alone["totals"]
    assert (totals["max_temperature_celsius"], totals["mean_temperature_celsius"]) == (70.0, 65.0)
    assert (totals["mean_in_flight"], totals["mean_gpu_utilisation"]) == (4.0, 0.5)
    assert alone["heat"] is None
    assert max(alone["curve"]["columns"]["temperature_celsius"]) == 70.0
    heat = {"max_celsius": 81.0, "mean_celsius": 60.0, "mean_utilisation": 0.9, "transitions": []}
    watched = performance(telemetry.course(), Observed(heat, {"process": GROWN}))
    assert watched["totals"]["max_temperature_celsius"] == 81.0
    assert watched["totals"]["mean_gpu_utilisation"] == 0.9
    assert watched["leak"] == "grew beyond noise: process by 12.3 MB an hour (noise 3.0 MB)"
    json.dumps(watched, allow_nan=False)


def test_leaks_are_told_in_words():
    assert leak_statement({}) == "too few recordings to tell whether memory grows"
    assert leak_statement({"process": STEADY}) == "no memory grew beyond noise"
