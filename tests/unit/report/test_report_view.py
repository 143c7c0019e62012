"""What a report shows is what the result says."""

from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_results import conversation, finding, long_recording, with_nulls, without_speech

from voiceman_client.documents import Document
from voiceman_client.report.highlights import pieces
from voiceman_client.report.page import line_at
from voiceman_client.report.view import Reading, common_reasons, overlaps, view

SCHEMA = Path(__file__).parents[3] / "client/voiceman_client/result.schema.json"


def seen(result):
    return view(Document(Path("call.json"), "0" * 64, result))


@pytest.mark.parametrize(
    "result", [conversation(), with_nulls(conversation()), without_speech(), long_recording(50)]
)
def test_the_results_of_these_tests_are_valid(result):
    import json  # noqa: PLC0415

    jsonschema.validate(result, json.loads(SCHEMA.read_text(encoding="utf-8")))


def hits(length):
    edge = st.integers(-2, length + 2)
    return st.lists(st.tuples(edge, edge), max_size=6)


@given(st.text(max_size=30).flatmap(lambda text: st.tuples(st.just(text), hits(len(text)))))
def test_pieces_joined_are_the_text_and_know_their_findings(drawn):
    text, spans = drawn
    findings = [{"start": min(span), "end": max(span), "weight": 1.0} for span in spans]
    cut = pieces(text, findings)
    assert "".join(piece.text for piece in cut) == text
    place = 0
    for piece in cut:
        for found in findings:
            inside = found["start"] <= place and place + len(piece.text) <= found["end"]
            assert (found in piece.findings) == inside
        place += len(piece.text)


spans = st.tuples(st.integers(0, 50), st.integers(1, 20)).map(lambda x: (x[0], x[0] + x[1]))


@given(st.lists(spans, max_size=8))
def test_overlaps_are_where_two_or_more_speak(turns):
    found = overlaps([{"start": float(a), "end": float(b)} for a, b in turns])
    for tenth in range(0, 720, 5):
        second = tenth / 10 + 0.05
        speaking = sum(a <= second < b for a, b in turns)
        assert any(a <= second < b for a, b in found) == (speaking >= 2)


def test_findings_and_mentions_are_counted_apart():
    counted = {
        item.category: (item.findings, item.mentions) for item in seen(conversation()).categories
    }
    assert counted == {"threat": (1, 1), "extortion": (1, 0)}


def test_a_line_knows_its_flags_and_speakers_come_as_they_first_speak():
    shown = seen(conversation())
    assert [line.flags for line in shown.lines] == [[], [], ["low_confidence"], [], []]
    assert shown.speakers == ["SPEAKER_00", "SPEAKER_01"]


def test_reasons_that_differ_in_numbers_alone_are_counted_as_one():
    missing = [Reading(None, f"{seconds / 10} s long, 1 s are needed") for seconds in range(500)]
    assert common_reasons([Reading(None, "no pitch"), *missing, Reading(0.5, "measured")]) == [
        ("0.0 s long, 1 s are needed", 500),
        ("no pitch", 1),
    ]


def test_a_time_leads_to_the_line_of_its_speaker():
    result = conversation()
    result["utterances"][1]["start"] = result["utterances"][0]["start"]
    shown = seen(result)
    assert line_at(shown, 1.0, "SPEAKER_01").speaker == "SPEAKER_01"
    assert line_at(shown, 1.0, "SPEAKER_00").speaker == "SPEAKER_00"
    assert line_at(shown, 15.0).number == 4
    assert line_at(shown, 0.0) is None
    assert line_at(seen(without_speech()), 1.0) is None


def test_overlapping_findings_of_two_categories_are_both_named():
    text = "돈 안 보내면 죽여버린다"
    both = [
        finding(text, "extortion", "돈 안 보내면 죽여버린다", 1.0),
        finding(text, "threat", "죽여버린다", 1.0),
    ]
    last = pieces(text, both)[-1]
    assert [found["category"] for found in last.findings] == ["extortion", "threat"]
