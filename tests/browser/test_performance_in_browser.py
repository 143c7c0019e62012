"""The performance report in a real Chromium: it fits, it can be read, and it loads nothing."""

import json
from datetime import UTC, datetime

import pytest
from test_report_in_browser import DESKTOP, LOW_CONTRAST, NAMELESS, PHONE

from voiceman.errors import RecordingUnreadableError
from voiceman_client.report.page import performance_page
from voiceman_client.run_report import performance
from voiceman_client.submit import Outcome, Progress
from voiceman_client.telemetry import Telemetry
from voiceman_client.vitals import Observed, Readings


@pytest.fixture
def page_file(tmp_path):
    now_s = 0.0
    telemetry = Telemetry(2, lambda: now_s)
    recordings = [tmp_path / "통화녹음_아주_긴_이름_2026년_11월_21일.m4a", tmp_path / "b.wav"]
    for path in recordings:
        telemetry.step(Progress(path, planned_s=600.0))
        for second in range(60):
            now_s += 1
            telemetry.step(Progress(path, done_s=10.0))
            telemetry.sample(Readings(12, 16, 0, 3, 60.0 + second / 4, 0.8, 0.5, 400_000_000))
    telemetry.ended(Outcome(recordings[0], {"language": "ko"}, None), None)
    error = RecordingUnreadableError(f"{recordings[1]}: damaged; ask for the original")
    telemetry.ended(Outcome(recordings[1], None, None), error)
    warming = {"time": "2026-11-21T10:00:00Z", "before": "normal", "after": "cooling"}
    heat = {"transitions": [warming | {"reason": "81 °C", "temperature_celsius": 81.0}]}
    found = performance(telemetry.course(), Observed(heat))
    file = tmp_path / "performance.html"
    file.write_text(performance_page(json.loads(json.dumps(found)), "ko", datetime.now(UTC)))
    return file


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_page_fits_and_everybody_can_read_it(browser, page_file, size):
    context = browser.new_context(viewport={"width": size[0], "height": size[1]})
    page, said = context.new_page(), []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: said.append(request.url))
    page.goto(page_file.as_uri())
    assert said == [page_file.as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate(LOW_CONTRAST) == []
    assert page.evaluate(NAMELESS) == []
    assert page.locator(".chart svg polyline").count() == 7
    context.close()
