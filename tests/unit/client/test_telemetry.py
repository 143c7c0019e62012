"""What is collected of a run: how far it is, how fast, when it ends, and a bounded curve."""

import json
from pathlib import Path

import pytest

from voiceman.errors import RecordingUnreadableError
from voiceman_client.curve import Curve
from voiceman_client.entries import State
from voiceman_client.processing import Progress
from voiceman_client.submit import Outcome
from voiceman_client.telemetry import Telemetry
from voiceman_client.vitals import Active, Readings, Vitals, in_a_line

A, B, C = Path("/가/통화.m4a"), Path("/b.wav"), Path("/c.wav")
RESULT = {"language": "ko"}


class Clock:
    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def telemetry(clock):
    return Telemetry(3, clock, lambda: 1.8e9 + clock.now_s)


def test_unknown_recordings_are_as_long_as_those_decoded(telemetry, clock):
    telemetry.step(Progress(A))
    assert telemetry.vitals().left_s is None
    telemetry.step(Progress(A, planned_s=600.0))
    clock.now_s += 10
    telemetry.step(Progress(A, done_s=60.0))
    vitals = telemetry.vitals()
    assert vitals.audio_expected_s == pytest.approx(1800)
    assert vitals.rtfx == pytest.approx(6.0)
    assert vitals.left_s == pytest.approx(1740 / 6)
    assert vitals.active == (Active("/가/통화.m4a", 600.0, 60.0),)
    assert in_a_line(vitals) == "0 of 3 recordings, 1:00 of audio, 6.0 x real time, 4:50 left"


def test_failed_and_recalled_recordings_are_no_work(telemetry, clock):
    telemetry.step(Progress(A, planned_s=600.0))
    telemetry.step(Progress(A, done_s=60.0))
    telemetry.ended(Outcome(A, None, None), RecordingUnreadableError("/가/통화.m4a: damaged"))
    telemetry.ended(Outcome(B, None, None), None)
    telemetry.step(Progress(C, planned_s=100.0))
    telemetry.step(Progress(C, done_s=99.9))
    telemetry.ended(Outcome(C, RESULT, None), None)
    vitals = telemetry.vitals()
    assert (vitals.finished, vitals.failed, vitals.recalled, vitals.active) == (3, 1, 1, ())
    assert vitals.audio_done_s == vitals.audio_expected_s == pytest.approx(160.0)
    assert (vitals.share, vitals.left_s) == (1.0, None)
    assert vitals.errors == ("/가/통화.m4a: damaged",)
    assert [account.state for account in telemetry.course().accounts] == [
        "failed",
        "recalled",
        "completed",
    ]


def test_the_end_is_foreseen_from_the_last_minutes(telemetry, clock):
    """An earlier run's answers come at once; they say nothing of how fast the rest is."""
    telemetry.step(Progress(A, planned_s=10_000.0))
    telemetry.step(Progress(A, done_s=5000.0))
    for _ in range(600):
        clock.now_s += 1
        telemetry.step(Progress(A, done_s=2.0))
        telemetry.sample(Readings())
    vitals = telemetry.vitals()
    assert vitals.rtfx > 10
    assert vitals.recent_rtfx == pytest.approx(2.0, rel=0.02)
    assert vitals.left_s == pytest.approx((30_000 - 6200) / 2, rel=0.02)


def test_every_recording_has_its_time_and_memory(telemetry, clock):
    telemetry.sample(Readings(process_bytes=100, gpu_memory_bytes=1))
    telemetry.step(Progress(A))
    clock.now_s += 7
    telemetry.step(Progress(A, planned_s=70.0))
    telemetry.sample(Readings(process_bytes=300, gpu_memory_bytes=3))
    telemetry.ended(Outcome(A, RESULT, None), None)
    (account,) = telemetry.course().accounts
    assert (account.audio_s, account.seconds) == (70.0, 7.0)
    assert (account.memory_start_bytes, account.memory_end_bytes) == (100, 300)
    assert (account.gpu_memory_start_bytes, account.gpu_memory_end_bytes) == (1, 3)


def test_a_curve_of_days_stays_small_and_keeps_its_peaks():
    curve = Curve(most=100, span_s=2.0)
    for second in range(200_000):
        hot = {"temperature_celsius": 86.0 if second == 123_456 else 60.0, "in_flight": 4.0}
        curve.add(float(second), 8.0 * second, hot)
    points = curve.points()
    assert 50 <= len(points) <= 100
    assert max(point.values["temperature_celsius"] for point in points) == 86.0
    assert {point.values["in_flight"] for point in points} == {4.0}
    assert all(point.rtfx == pytest.approx(8.0) for point in points[1:])
    times = [point.at_s for point in points]
    assert times == sorted(times)
    assert times[-1] == pytest.approx(200_000, abs=curve.span_s)


def test_a_machine_that_slept_leaves_a_gap_and_no_points():
    curve = Curve(most=10, span_s=1.0)
    curve.add(0.0, 0.0, {})
    curve.add(1e6, 5.0, {})
    assert len(curve.points()) == 2


def test_vitals_survive_their_file(telemetry):
    telemetry.step(Progress(A, planned_s=60.0))
    vitals = telemetry.sample(
        Readings(in_flight=3, temperature_celsius=71.5, heat="cooling"), {State.STT: 1}
    )
    text = vitals.to_json()
    assert "\n" not in text
    assert json.loads(text)["left_s"] is None
    assert Vitals.from_json(text) == vitals


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '{"rtfx": 1}', b"\xff"])
def test_other_files_are_no_vitals(text):
    with pytest.raises(ValueError):
        Vitals.from_json(text)
