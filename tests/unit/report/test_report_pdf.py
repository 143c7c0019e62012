"""The PDF: its text can be read and found, on numbered pages, whatever the result holds."""

from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pypdfium2
import pytest
from pypdf import PdfReader
from report_results import NO_WEIGHTS, conversation, long_recording, with_nulls, without_speech

from voiceman.errors import ConfigurationError
from voiceman_client.documents import Document, shown
from voiceman_client.report import fonts
from voiceman_client.report.integrity import recording_of
from voiceman_client.report.messages import LANGUAGES, Messages
from voiceman_client.report.pdf import report_pdf
from voiceman_client.report.view import view

MADE_AT = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def pdf_of(result, report_fonts, language="ko"):
    document = Document(Path("call.json"), "f" * 64, shown(result))
    recording = recording_of(document.result, None)
    return report_pdf(view(document), recording, report_fonts, Messages(language), MADE_AT)


def text_of(content):
    pages = [page.extract_text() for page in PdfReader(BytesIO(content)).pages]
    return pages, " ".join(" ".join(pages).split())


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    "result",
    [conversation(), with_nulls(conversation()), without_speech(), long_recording(310)],
    ids=["talk", "nulls", "silence", "long"],
)
def test_the_first_page_says_what_the_score_is_not(result, language, report_fonts):
    pages, text = text_of(pdf_of(result, report_fonts, language))
    messages = Messages(language)
    assert messages("disclaimer_title") in pages[0]
    assert messages("disclaimer")[:30] in " ".join(pages[0].split())
    for number, page in enumerate(pages, start=1):
        assert messages("page", number=number, total=len(pages)) in page
        assert messages("disclaimer_short") in page
    assert messages("provenance") in pages[-1]
    assert "f" * 40 in text


def test_korean_can_be_read_and_found(report_fonts):
    _, text = text_of(pdf_of(conversation(), report_fonts))
    assert "너희 집 어딘지 다 알고 있어" in text
    assert "[협박]" in text
    assert "[협박, 언급]" in text
    assert "겹친 말 0.2 s" in text
    assert "□" not in text


def test_everything_that_is_null_shows_its_reason(report_fonts):
    _, text = text_of(pdf_of(with_nulls(conversation()), report_fonts, "en"))
    assert NO_WEIGHTS in text
    for what in ("speech", "coverage", "language", "stress", "overlap", "anger"):
        assert f"reason of {what}" in text


def test_what_no_font_has_is_counted_and_a_huge_word_runs_over_pages(report_fonts):
    result = conversation()
    result["utterances"][0]["text"] = "가나다" * 3_400
    result["utterances"][1] |= {"text": "</para><b>&amp; مرحبا \U0001f600 𒀀𒀀 \x00", "findings": []}
    pages, text = text_of(pdf_of(result, report_fonts, "en"))
    assert len(pages) > 4
    assert "</para><b>&amp;" in text
    assert "characters that the fonts lack are shown as □" in text


def test_texts_longer_than_a_page_are_split_wherever_they_stand(report_fonts):
    long = "</b><font size=900>" + "가x" * 2_000
    result = conversation()
    result["provenance"]["source"]["file"] = f"/evidence/{long}"
    result["utterances"][0]["speaker"] = result["speakers"][0]["id"] = long
    result["unavailable"] = {long: long}
    result["flags"][0] |= {"kind": long, "detail": long}
    result["score"]["components"][0] |= {"name": long, "reason": long}
    result["score"]["evidence"][0]["detail"] = long
    pages, text = text_of(pdf_of(result, report_fonts))
    assert len(pages) > 10
    assert text.count("</b><font size=900>") > 5


def test_the_outline_and_the_properties_name_the_document(report_fonts):
    reader = PdfReader(BytesIO(pdf_of(conversation(), report_fonts)))
    titles = [entry.title for entry in reader.outline if not isinstance(entry, list)]
    assert titles == [
        "통화 1.wav",
        *("요약", "시간대별 흐름", "점수의 구성", "발화록"),
        *("조심해서 볼 대목", "계산하지 못한 것", "출처와 무결성"),
    ]
    assert reader.metadata.title == "음성 분석 보고서: 통화 1.wav"


def test_pages_are_drawn_inside_their_margins(report_fonts):
    for page in pypdfium2.PdfDocument(pdf_of(conversation(), report_fonts)):
        picture = page.render(scale=1).to_pil().convert("L")
        width, height = picture.size
        assert picture.getextrema()[0] < 80  # something is there
        for edge in ((0, 0, 30, height), (width - 30, 0, width, height)):
            assert picture.crop(edge).getextrema() == (255, 255)


def test_a_file_that_is_no_font_is_named(tmp_path):
    path = tmp_path / "x.ttf"
    path.write_bytes(b"nothing")
    with pytest.raises(ConfigurationError, match=r"x\.ttf: not a TrueType font"):
        fonts.load(path)


def test_without_any_font_the_message_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("VOICEMAN_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(fonts, "_FOLDERS", (str(tmp_path),))
    with pytest.raises(ConfigurationError, match="voiceman-export fetch korean-font"):
        fonts.load()
