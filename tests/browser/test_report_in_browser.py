"""Reports in a real Chromium, opened from a disk: heard, filtered, reached by keys, printed."""

import json
import wave
from io import BytesIO

import numpy as np
import pytest
from click.testing import CliRunner
from pypdf import PdfReader
from report_results import conversation, long_recording, with_nulls, without_speech

from voiceman_client.cli import main

RATE_HZ = 8000
DESKTOP, PHONE = (1280, 900), (390, 844)
HOSTILE = "</script><script>window.pwned=1</script><img src=x onerror=window.pwned=1>"
# WCAG 2.1, 1.4.3: every text against the colour behind it.
LOW_CONTRAST = """() => {
  const parse = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.length < 4 || colour[3] > 0.5) return colour;
    }
    return [255, 255, 255];
  };
  const low = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !element.checkVisibility() || element.closest("script,style")) continue;
    const style = getComputedStyle(element);
    const ink = parse(element.closest("svg") ? style.fill : style.color);
    const [a, b] = [light(ink), light(behind(element))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) low.push(element.outerHTML.slice(0, 120));
  }
  return low;
}"""
NAMELESS = """() => {
  const named = "button,input,a,summary,meter,[role=region],[role=img]";
  return [...document.querySelectorAll(named)]
    .filter((e) => !(e.labels?.length || e.ariaLabel || e.textContent.trim()))
    .map((e) => e.outerHTML);
}"""


def write_sound(path, seconds):
    time_s = np.arange(RATE_HZ * seconds) / RATE_HZ
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes((4000 * np.sin(2 * np.pi * 440 * time_s)).astype("<i2").tobytes())


@pytest.fixture
def written(tmp_path):
    """Writes the page of a result, with its sound beside it."""

    def write(result, *options):
        sound = tmp_path / "통화 #1.wav"
        if not sound.exists():
            write_sound(sound, 23)
        result["provenance"]["source"]["file"] = str(sound)
        path = tmp_path / "call.json"
        path.write_text(json.dumps(result), encoding="utf-8")
        done = CliRunner().invoke(
            main, ["report", str(path), "-o", str(tmp_path), "--format", "html", *options]
        )
        assert done.exit_code == 0, done.stderr
        return path.with_suffix(".html")

    return write


@pytest.fixture
def opened(browser):
    """Opens a page and fails at the end if it complained or asked for anything but files."""
    complaints = []
    contexts = []

    def open_page(path, size=DESKTOP):
        context = browser.new_context(viewport={"width": size[0], "height": size[1]})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request",
            lambda request: (
                complaints.append(request.url)
                if not request.url.startswith(("file:", "data:"))
                else None
            ),
        )
        page.goto(path.as_uri())
        return page

    open_page.complaints = complaints
    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def visible_lines(page):
    return page.evaluate("document.querySelectorAll('.line:not([hidden])').length")


def eventually(page, expression):
    """Wait until it is true; the page's policy forbids playwright's own way to wait."""
    for _ in range(100):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"never true: {expression}")


def test_a_click_on_a_line_plays_it_and_stops_at_its_end(written, opened):
    page = opened(written(conversation()))
    page.locator("#u2 .text").click()
    eventually(page, "!audio.paused && audio.currentTime > 4.5")
    assert page.evaluate("audio.currentTime") < 6
    assert page.locator("#u2").get_attribute("aria-current") == "true"
    assert "너희 집" in page.locator("#now").text_content()
    page.evaluate("audio.currentTime = 8.1")
    eventually(page, "audio.paused")
    assert page.evaluate("audio.currentTime") < 9
    assert not page.locator("#playhead").is_hidden()


def test_playing_on_follows_the_lines(written, opened):
    page = opened(written(conversation()))
    page.locator("#play-on").check()
    page.locator("#u1 .time").click()
    eventually(page, "!audio.paused")
    page.evaluate("audio.currentTime = 8.7")
    page.wait_for_selector("#u3.playing")
    assert not page.evaluate("audio.paused")


def test_keys_reach_and_hear_lines(written, opened):
    page = opened(written(conversation()))
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.locator("#u1 .time").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    assert page.evaluate("document.activeElement.closest('.line').id") == "u2"
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("Enter")
    eventually(page, "!audio.paused && audio.currentTime >= 4.5")


def test_filters_by_speaker_category_text_and_overlap(written, opened):
    page = opened(written(conversation()))
    assert visible_lines(page) == 5
    page.locator("[name=speaker]").first.uncheck()
    assert visible_lines(page) == 2
    assert page.locator("#shown").text_content() == "발화 2 / 5개"
    page.get_by_label("공갈 (1)").check()
    assert visible_lines(page) == 1
    page.get_by_role("button", name="모두 보기").click()
    eventually(page, "document.getElementById('shown').textContent === '발화 5 / 5개'")
    page.get_by_label("글에서 찾기").fill("경찰")
    assert visible_lines(page) == 1
    page.get_by_label("글에서 찾기").fill("")
    page.get_by_label("말이 겹친 발화만").check()
    assert page.locator(".line:visible").get_attribute("id") == "u3"


def test_a_passage_and_the_chart_lead_to_their_lines_even_when_these_are_filtered_out(
    written, opened
):
    page = opened(written(conversation()))
    page.get_by_label("글에서 찾기").fill("nothing like it")
    assert visible_lines(page) == 0
    page.locator("a.jump").first.click()
    page.wait_for_selector("#u2:visible")
    assert page.evaluate("document.activeElement.closest('.line').id") == "u2"
    chart = page.locator("#chart")
    box = chart.bounding_box()
    left = float(chart.get_attribute("data-left"))
    chart.click(position={"x": box["width"] * (left + (1 - left) * 17 / 23), "y": 60})
    assert page.evaluate("document.activeElement.closest('.line').id") == "u5"
    eventually(page, "!audio.paused && audio.currentTime >= 16.5")


def test_details_are_tables_with_reasons(written, opened):
    page = opened(written(with_nulls(conversation()), "--lang", "en"))
    page.locator("#u1 summary").click()
    page.wait_for_selector("#u1 details th")
    text = page.locator("#u1 details").inner_text()
    for reason in ("reason of features", "reason of stress", "categorical: no weights"):
        assert reason in text
    assert page.locator("#u1 details th[scope=col]").count() >= 4


def test_a_recording_that_is_gone_is_told_and_an_embedded_one_plays(written, opened, tmp_path):
    embedded = written(conversation(), "--embed-audio").rename(tmp_path / "embedded.html")
    path = written(conversation())
    (tmp_path / "통화 #1.wav").unlink()
    page = opened(path)
    page.wait_for_selector("#unplayable:visible")
    opened.complaints.clear()  # Chromium names the missing file
    page = opened(embedded)
    page.locator("#u2 .time").click()
    eventually(page, "!audio.paused && audio.currentTime > 4.5")


def test_hostile_texts_run_nothing_and_the_network_is_shut(written, opened):
    result = conversation()
    for spoken in result["utterances"]:
        spoken |= {"text": HOSTILE + "가" * 10_000, "findings": [], "speaker": HOSTILE}
    result["notes"] = {HOSTILE: HOSTILE}
    page = opened(written(result), PHONE)
    page.locator("#u1 summary").click()
    assert page.evaluate("window.pwned") is None
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    blocked = page.evaluate(
        "fetch('https://example.org/').then(() => 'sent', (error) => error.message)"
    )
    assert blocked == "Failed to fetch"
    assert all("Content Security Policy" in text for text in opened.complaints)
    opened.complaints.clear()


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("made", [conversation, without_speech], ids=["talk", "silence"])
def test_everything_has_a_name_contrast_and_room(made, size, written, opened):
    page = opened(written(made()), size)
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    assert page.evaluate(LOW_CONTRAST) == []
    assert page.evaluate(NAMELESS) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]


def test_print_shows_all_lines_and_nothing_to_click(written, opened):
    page = opened(written(conversation(), "--lang", "en"))
    reader = PdfReader(BytesIO(page.pdf(prefer_css_page_size=True)))
    text = " ".join(" ".join(part.extract_text() for part in reader.pages).split())
    assert "No verdict and no proof" in reader.pages[0].extract_text()
    assert text.count("SPEAKER_00") >= 4
    page.emulate_media(media="print")
    for selector in (".player", "#filters", ".contents", ".line summary"):
        assert page.locator(selector).first.is_hidden(), selector


def test_five_thousand_lines_are_filtered_and_opened(written, opened):
    page = opened(written(long_recording(5000)))
    page.locator("[name=text]").fill("영상 다 뿌릴")
    found = visible_lines(page)
    assert 0 < found < 500
    page.locator("[type=reset]").click()
    page.locator("#u4999 summary").scroll_into_view_if_needed()
    page.locator("#u4999 summary").click()
    page.wait_for_selector("#u4999 table")


def test_a_case_leads_to_its_reports(written, opened, tmp_path):
    written(conversation())
    done = CliRunner().invoke(
        main, ["report", "--case", str(tmp_path), "-o", str(tmp_path), "--format", "html"]
    )
    page = opened(tmp_path / "case-report.html")
    assert done.exit_code == 0
    assert page.evaluate(LOW_CONTRAST) == []
    page.get_by_role("link", name="html").click()
    page.wait_for_selector("#transcript")
    assert page.title() == "통화 #1.wav"
