"""The HTML page: one file, well formed, harmless, complete, in both languages."""

import base64
import hashlib
import re
from collections import Counter
from datetime import UTC, datetime
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from report_results import NO_WEIGHTS, conversation, long_recording, with_nulls, without_speech

from voiceman_client.documents import Document, shown
from voiceman_client.report.canvas import SPEAKER_COLOURS, Canvas
from voiceman_client.report.facts import provenance_rows
from voiceman_client.report.integrity import recording_of, relative_url
from voiceman_client.report.messages import LANGUAGES, Messages
from voiceman_client.report.page import Sound, report_page
from voiceman_client.report.sentences import translated
from voiceman_client.report.svg import inline
from voiceman_client.report.timeline import timeline
from voiceman_client.report.view import view

WEIGHTS_USED = {"name": "w", "version": "1", "precision": "fp16", "sha256": "3" * 64}
MADE_AT = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
VOID = {"meta", "link", "input", "br", "img", "hr"}
SVG_LEAVES = {"path", "rect", "polyline", "polygon"}
HOSTILE = (
    "</script><script>window.pwned=1</script><img src=x onerror=alert(1)> \u202eevil\x00 {{7*7}}"
)


def page_of(result, language="ko", url="call.wav"):
    document = Document(Path("call.json"), "f" * 64, shown(result))
    recording = recording_of(document.result, None)
    return report_page(view(document), recording, Sound(url, False), Messages(language), MADE_AT)


def provenance_rows_of(result):
    seen = view(Document(Path("call.json"), "f" * 64, result))
    return provenance_rows(seen, recording_of(result, None), Messages("ko"))


def chart_of(result):
    document = Document(Path("call.json"), "0" * 64, result)
    return inline(timeline(view(document), Messages("en"), Canvas(960, "Helvetica", 13)))


class Outline(HTMLParser):
    """Elements, attributes and texts of a page; fails where elements are not closed in order."""

    def __init__(self, page):
        super().__init__()
        self.open, self.elements, self.texts = [], [], []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        assert tag in VOID | SVG_LEAVES, tag
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] not in {"script", "style"}:
            self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    "result",
    [conversation(), with_nulls(conversation()), without_speech(), long_recording(400)],
    ids=["talk", "nulls", "silence", "long"],
)
def test_every_page_is_well_formed_and_names_are_unique(result, language):
    outline = Outline(page_of(result, language))
    ids = Counter(attrs["id"] for _, attrs in outline.elements if attrs.get("id"))
    assert [name for name, count in ids.items() if count > 1] == []
    targets = {attrs["href"][1:] for tag, attrs in outline.elements if tag == "a"}
    assert targets <= set(ids)
    assert ("html", {"lang": language}) in outline.elements


def test_nothing_is_loaded_from_anywhere_but_the_sound():
    outline = Outline(page_of(conversation()))
    sources = {
        (tag, name): attrs[name]
        for tag, attrs in outline.elements
        for name in ("src", "srcset", "data", "action", "href")
        if attrs.get(name) and not attrs[name].startswith("#")
    }
    assert sources == {("link", "href"): "data:,", ("audio", "src"): "call.wav"}
    assert "http" not in re.sub(r"http-equiv", "", page_of(conversation()))


def test_the_policy_allows_this_script_and_no_other():
    page = page_of(conversation())
    script = re.search(r"<script>(.*?)</script>", page, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    assert policy.startswith("default-src 'none'")
    assert f"script-src 'sha256-{digest}';" in unescape(policy)


def test_hostile_texts_stay_texts():
    result = conversation()
    for spoken in result["utterances"]:
        spoken["text"] = HOSTILE + "가" * 10_000
        spoken["speaker"] = HOSTILE
        spoken["findings"] = []
    result["unavailable"] = {HOSTILE: HOSTILE}
    result["notes"] = {HOSTILE: HOSTILE}
    result["provenance"]["source"]["file"] = f"/x/{HOSTILE}"
    result["speakers"][0]["id"] = HOSTILE
    outline = Outline(page_of(result, url=relative_url(Path(HOSTILE[:-10]), Path())))
    plain = Outline(page_of(conversation()))
    assert Counter(tag for tag, _ in outline.elements)["script"] == 2
    assert not any(tag == "img" for tag, _ in outline.elements)
    assert not any(name.startswith("on") for _, attrs in outline.elements for name in attrs)
    assert "\u202e" not in outline.text
    assert "\x00" not in outline.text
    assert "{{7*7}}" in outline.text
    assert {tag for tag, _ in outline.elements} <= {tag for tag, _ in plain.elements}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_disclaimer_stands_before_everything(language):
    text = Outline(page_of(conversation(), language)).text
    messages = Messages(language)
    assert text.index(messages("disclaimer")) < text.index("71.5")


@pytest.mark.parametrize("language", LANGUAGES)
def test_everything_that_is_null_shows_its_reason(language):
    page = page_of(with_nulls(conversation()), language)
    text = Outline(page).text
    for reason in (
        translated(NO_WEIGHTS, Messages(language)),
        "categorical: no weights",
        "reason of speech",
        "reason of coverage",
        "reason of language",
        "reason of stress",
        "reason of overlap",
        "reason of crime_language",
    ):
        assert reason in text, reason
    data = re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1]
    assert "reason of features" in data
    assert "reason of agreement" in data


def test_a_result_without_stress_says_so():
    result = conversation()
    for spoken in result["utterances"]:
        del spoken["stress"], spoken["cross_validation"]
    data = re.search(r'id="data">(.*?)</script>', page_of(result, "en"), re.DOTALL)[1]
    assert "not part of this result file" in data


def test_findings_mentions_overlap_and_flags_are_marked_by_words():
    text = Outline(page_of(conversation())).text
    assert "너희 집 어딘지 다 알고 있어 협박" in text
    assert "죽여버린다고 협박 (언급: a story or a game)" in text
    assert "겹친 말 0.2 s" in text
    assert "낮은 확신" in text
    assert "위협적인 말, 차분한 목소리" in text


def test_silence_has_no_player_and_says_why_there_is_no_score():
    page = page_of(without_speech(), "en")
    assert "<audio" not in page
    assert "not available: no speech was found" in Outline(page).text


def test_the_chart_is_xml_without_names_and_small_for_hours_of_talk():
    drawn = chart_of(long_recording(5000))
    root = ET.fromstring(drawn)  # noqa: S314
    assert all("id" not in element.attrib for element in root.iter())
    assert len(drawn) < 600_000


def test_a_speaker_cannot_break_out_of_the_chart():
    result = conversation()
    result["utterances"][0]["speaker"] = '"/><script>'
    drawn = chart_of(result)
    assert "<script" not in drawn
    ET.fromstring(drawn)  # noqa: S314


def test_colours_of_speakers_are_dark_enough_for_text():
    def luminance(colour):
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for colour in SPEAKER_COLOURS:
        assert 1.05 / (luminance(colour) + 0.05) >= 4.5, colour


@pytest.mark.parametrize(
    ("profiles", "shown_in_korean"),
    [
        ([], "–"),
        (["reproducible"] * 2, "재현 가능 (같은 녹음이면 결과가 바이트까지 같음)"),
        (
            ["reproducible", "default"],
            "기본 (같은 녹음에서도 바이트가 다를 수 있음), "
            "재현 가능 (같은 녹음이면 결과가 바이트까지 같음)",
        ),
    ],
)
def test_the_page_of_provenance_names_the_profile(profiles, shown_in_korean):
    result = conversation()
    result["provenance"]["models"] |= {
        f"model_{n}": {"version": "1", "weights": {**WEIGHTS_USED, "profile": profile}}
        for n, profile in enumerate(profiles)
    }
    rows = dict(provenance_rows_of(result))
    assert rows["서버 프로필"] == shown_in_korean
    assert shown_in_korean in page_of(result)
