"""The page about a run: well formed, harmless, complete, in both languages."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from test_report_page import HOSTILE, Outline

from voiceman.errors import RecordingUnreadableError
from voiceman_client.report.messages import LANGUAGES, Messages
from voiceman_client.report.page import performance_page
from voiceman_client.report.run_curves import run_charts
from voiceman_client.report.run_facts import MOST_RECORDINGS
from voiceman_client.run_report import performance
from voiceman_client.submit import Outcome, Progress
from voiceman_client.telemetry import Telemetry
from voiceman_client.vitals import Observed, Readings

MADE_AT = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
READINGS = Readings(12, 16, 3, 4, 71.0, 0.83, 0.61, 512_000_000)
WARMING = {
    "time": "2026-11-21T10:00:00.000Z",
    "before": "normal",
    "after": "cooling",
    "reason": "81 °C, above 80",
    "temperature_celsius": 81.0,
}
GROWN = {"mb_per_hour": 12.34, "noise_mb": 3.0, "beyond_noise": True}


def run(names, readings=READINGS, watched=True):
    now_s = 0.0
    telemetry = Telemetry(len(names), lambda: now_s, lambda: 1.8e9 + now_s)
    for number, name in enumerate(names):
        path = Path(name)
        telemetry.step(Progress(path))
        telemetry.step(Progress(path, planned_s=60.0))
        now_s += 10 + number
        telemetry.step(Progress(path, done_s=60.0))
        telemetry.sample(readings)
        error = RecordingUnreadableError(f"{name}: damaged; ask for the original")
        telemetry.ended(Outcome(path, None, None), error if number == 0 else None)
    heat = {"max_celsius": 81.0, "transitions": [WARMING]} if watched else None
    return performance(telemetry.course(), Observed(heat, {"process": GROWN} if watched else {}))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_is_well_formed_and_says_everything(language):
    page = performance_page(run(["/가/통화.m4a", "/b.wav"]), language, MADE_AT)
    outline, messages = Outline(page), Messages(language)
    ids = [attrs["id"] for _, attrs in outline.elements if attrs.get("id")]
    assert len(ids) == len(set(ids))
    targets = {attrs["href"][1:] for tag, attrs in outline.elements if tag == "a"}
    assert targets <= set(ids)
    assert ("html", {"lang": language}) in outline.elements
    for part in (
        *("/가/통화.m4a", "/b.wav", "damaged; ask for the original", "81 °C, above 80"),
        *("83 %", "512 MB", "12.3 MB", messages.name("heat", "cooling")),
        *(messages("run_throughput"), messages("run_temperature"), messages("run_in_flight")),
    ):
        assert part in outline.text, part
    assert page.count("<svg") == 7
    assert messages("disclaimer") not in outline.text


def test_every_chart_has_a_text_for_those_who_do_not_see_it():
    outline = Outline(performance_page(run(["/a.wav", "/b.wav"]), "en", MADE_AT))
    labels = [attrs["aria-label"] for _, attrs in outline.elements if attrs.get("role") == "img"]
    assert len(labels) == 7
    assert "GPU temperature: 71 °C / 71 °C / 71 °C" in labels


def test_nothing_is_loaded_and_hostile_names_stay_names():
    page = performance_page(run([HOSTILE, f"/x/{HOSTILE}"]), "en", MADE_AT)
    outline = Outline(page)
    assert sum(tag == "script" for tag, _ in outline.elements) == 1
    assert not any(tag == "img" for tag, _ in outline.elements)
    assert "http" not in page.replace("http-equiv", "")
    assert "\u202e" not in page
    assert "nan" not in re.sub(r"[^ ]nan|nan[^ ]", "", page.lower())


def test_a_run_of_which_little_is_known_has_a_page_as_well():
    bare = Outline(performance_page(run(["/a.wav"], Readings(), watched=False), "en", MADE_AT))
    assert "too few recordings to tell" in bare.text
    empty = Outline(performance_page(performance(Telemetry(0).course()), "ko", MADE_AT))
    assert Messages("ko")("run_curves_none") in empty.text


def test_a_long_run_has_a_page_of_bounded_size():
    many = run([f"/{n}.wav" for n in range(MOST_RECORDINGS + 50)])
    page = performance_page(many, "en", MADE_AT)
    assert "50 more are in performance.json alone" in page
    assert f"/{MOST_RECORDINGS + 49}.wav" in page  # the slowest
    (throughput, *_) = run_charts(many, Messages("en"))
    assert len(throughput.points) <= 240
