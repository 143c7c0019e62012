"""A recording from its windows: options, places in time, added up scores."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voiceman.analysis.pattern_tables import DATA_FOLDER
from voiceman.analysis.recording_options import parse_recording_options
from voiceman.analysis.scoring_tables import load_assessment
from voiceman.analysis.summary import summarise
from voiceman.errors import InvalidRequestError
from voiceman.evidence import Evidence, Finding, Utterance

TABLES = load_assessment(DATA_FOLDER.parent)
ALICE, BOB = np.eye(192, dtype=np.float32)[:2]


def finding(severity: float, start: int = 0, end: int = 4) -> Finding:
    return {
        "category": "threat",
        "pattern_id": "en-threat-kill",
        "start": start,
        "end": end,
        "text": "grave",
        "severity": severity,
        "weight": 1.0,
        "context": "said directly",
    }


def utterance(start, end, severity=None, f0=None, arousal=None) -> Utterance:
    """Findings of a severity (0: none), or nothing read where it is None."""
    words = [
        {"word": word, "start": start + i, "end": start + i + 0.5, "score": 0.9}
        for i, word in enumerate(["grave", "words"])
    ]
    return {
        "start": start,
        "end": end,
        "overlap": None,
        "text": "grave words",
        "words": words,
        "findings": [finding(severity)] if severity else [],
        "emotion_dimensional": None
        if arousal is None
        else {"arousal": arousal, "dominance": 0.5, "valence": 0.5},
        "emotion_categorical": None,
        "voice_features": None if f0 is None else {"f0_mean_hz": f0, "pause_count": None},
        "f0_contour": None,
        "score": {"value": None, "coverage": 0.0, "components": [], "evidence": []},
        "unavailable": {"crime_language": "no patterns"} if severity is None else {},
    }


def window(*utterances: Utterance, duration: float = 30.0, **unavailable: str) -> Evidence:
    return {
        "schema": "voiceman.evidence/1",
        "language": "ko",
        "language_probability": 0.9,
        "duration": duration,
        "no_speech_probability": 0.0,
        "compression_ratio": 1.0,
        "aligner": "",
        "segments": [],
        "utterances": list(utterances),
        "speech": None,
        "speech_with_text": None,
        "flags": [],
        "unavailable": unavailable,
        "notes": {},
        "models": {},
        "score": {"value": None, "coverage": 0.0, "components": [], "evidence": []},
    }


def summary(windows, embeddings, **options):
    rows = np.array(embeddings, np.float32).reshape(-1, 192)
    found = summarise(windows, rows, parse_recording_options(json.dumps(options)), TABLES)
    return json.loads(json.dumps(found, allow_nan=False))


def test_speakers_are_summed_up_over_windows():
    windows = [window(utterance(0, 4, f0=100.0), utterance(5, 8)), window(utterance(0, 12, f0=140))]
    found = summary(windows, [ALICE, BOB, ALICE], window_starts=[0, 60])
    assert found["utterance_speakers"] == ["SPEAKER_00", "SPEAKER_01", "SPEAKER_00"]
    alice, bob = found["speakers"]
    assert (alice["utterances"], alice["speech"]) == (2, 16.0)
    assert alice["voice_features"]["f0_mean_hz"] == pytest.approx(130.0)
    assert bob["voice_features"]["f0_mean_hz"] is None
    assert alice["voice_features"]["pause_count"] is None


def test_labels_follow_time_not_the_order_of_the_windows():
    windows = [window(utterance(0, 4)), window(utterance(0, 4))]
    found = summary(windows, [ALICE, BOB], window_starts=[60, 0])
    assert found["utterance_speakers"] == ["SPEAKER_01", "SPEAKER_00"]


def test_channels_are_named_with_their_speakers():
    windows = [window(utterance(0, 4)), window(utterance(1, 4))]
    found = summary(windows, [ALICE, ALICE], window_starts=[0, 0], channels=[0, 1])
    assert [(s["id"], s["channel"]) for s in found["speakers"]] == [
        ("SPEAKER_00", 0),
        ("SPEAKER_01", 1),
    ]


def test_a_recording_is_as_notable_as_its_most_notable_utterance():
    said = [utterance(0, 3, 0.0, arousal=0.7), utterance(4, 5, 1.0)]
    found = summary([window(*said)], [ALICE, ALICE], window_starts=[60])
    score = found["score"]
    assert score["value"] == 85.0 == found["utterance_assessments"][1]["score"]["value"]
    parts = {part["name"]: part for part in score["components"]}
    assert parts["crime_language"]["value"] == 1.0
    assert (
        "utterance at 64.0 s; mean 0.25 over 2 of 2 utterances"
        in (parts["crime_language"]["reason"])
    )
    assert parts["arousal"]["value"] is None
    assert "mean 0.50 over 1 of 2 utterances" in parts["arousal"]["reason"]
    assert score["coverage"] == pytest.approx((3 * 1.15 + 1 * 0.85) / (4 * 1.55), abs=1e-4)
    assert found["speakers"][0]["score"] == score


def test_evidence_is_in_times_of_the_recording_and_names_its_speaker():
    windows = [window(utterance(0, 3, 0.0, arousal=0.9)), window(utterance(1, 5, 0.9))]
    found = summary(windows, [ALICE, BOB], window_starts=[0, 60])
    grave, aroused = found["score"]["evidence"]
    assert (grave["start"], grave["end"], grave["speaker"]) == (61.0, 61.5, "SPEAKER_01")
    assert (aroused["component"], aroused["start"], aroused["end"]) == ("arousal", 0.0, 3.0)
    assert grave["points"] > aroused["points"] == 15.0
    assert [item["speaker"] for item in found["speakers"][0]["score"]["evidence"]] == ["SPEAKER_00"]
    own = found["utterance_assessments"][1]["score"]["evidence"]
    assert [(item["start"], item["points"]) for item in own] == [(61.0, grave["points"])]


def test_a_recording_shows_its_first_evidence_only():
    said = [utterance(i, i + 1, 0.3 + 0.01 * i) for i in range(25)]
    evidence = summary([window(*said)], [ALICE] * 25)["score"]["evidence"]
    assert len(evidence) == 20
    assert [item["start"] for item in evidence] == list(range(24, 4, -1))


def test_stress_is_measured_against_the_same_speaker_in_all_windows():
    calm = [utterance(3 * i, 3 * i + 3, 0.0, f0=100.0 + i % 3) for i in range(9)]
    high = utterance(0, 3, 0.0, f0=180.0)
    windows = [window(*calm), window(high, utterance(4, 7, 0.0, f0=180.0))]
    found = summary(windows, [*[ALICE] * 9, ALICE, BOB])["utterance_assessments"]
    assert [part["stress"]["value"] for part in found[:9]] == [0.0] * 9
    own, strange = found[9:]
    assert own["stress"]["value"] == 0.4
    assert own["stress"]["contributions"][0]["baseline"] == 101.0
    assert own["score"]["components"][-1]["value"] == 0.4
    assert strange["stress"]["value"] is None
    assert "no baseline: 0 other utterances" in strange["stress"]["reason"]
    assert own["cross_validation"]["discrepancies"] == []


def test_nothing_known_keeps_its_reasons_and_has_no_value():
    found = summary([window(utterance(0, 4))], [ALICE])["score"]
    assert found["value"] is None
    assert found["coverage"] == 0.0
    assert found["components"][0]["reason"] == "no patterns"


def test_what_is_missing_is_said():
    found = summary(
        [window(utterance(0, 4), utterance(4, 4.2), emotion_categorical="no weights")],
        [ALICE, np.full(192, np.nan)],
    )
    assert found["unavailable"]["emotion_categorical"] == "no weights"
    assert found["unavailable"]["speaker_embedding"].startswith("1 of 2 utterances")
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize(
    ("windows", "speech", "share"),
    [
        ([(10.0, 1.0), (30.0, 0.5)], 40.0, 0.625),  # by seconds, not by windows
        ([(10.0, 0.9), (0.0, None)], 10.0, 0.9),  # a window without speech is no reason
        ([(0.0, None)], 0.0, None),
        ([(10.0, 1.0), (None, None)], None, None),  # half an answer would be a made-up one
    ],
)
def test_the_share_of_speech_that_has_text_is_summed_up(windows, speech, share):
    documents = [
        window(speech_with_text="why") | {"speech": speech_s, "speech_with_text": part}
        for speech_s, part in windows
    ]
    found = summary(documents, [])
    assert (found["speech"], found["speech_with_text"]) == (speech, share)
    assert ("speech_with_text" in found["unavailable"]) == (share is None)


def test_nothing_said_and_warm_up():
    assert summary([None], [np.zeros(192)])["speakers"] == []
    assert summary([window()], [])["score"]["value"] is None
    assert parse_recording_options("").window_starts is None


def test_turns_of_the_whole_recording_bear_the_speakers_names():
    windows = [window(utterance(0, 4), utterance(4, 8)), window(utterance(0, 12))]
    turns = [[0, 5, 0, None], [4, 8, 1, None], [60, 72, 2, None]]
    found = summary(windows, [ALICE, BOB, ALICE], window_starts=[0, 60], turns=turns)
    assert [(t["start"], t["end"], t["speaker"], t["overlap"]) for t in found["speaker_turns"]] == [
        (0, 5, "SPEAKER_00", 1),
        (4, 8, "SPEAKER_01", 1),
        (60, 72, "SPEAKER_00", 0),
    ]
    assert "speaker_turns" not in found["unavailable"]


def test_without_turns_nobody_knows_who_speaks_when():
    found = summary([window(utterance(0, 4))], [ALICE])
    assert found["speaker_turns"] == []
    assert "turns" in found["unavailable"]["speaker_turns"]


def test_a_window_without_evidence_is_skipped():
    found = summary([window(utterance(0, 4)), None, window(utterance(0, 4))], [ALICE, BOB])
    assert found["utterance_speakers"] == ["SPEAKER_00", "SPEAKER_01"]


def test_embeddings_must_match_the_utterances():
    with pytest.raises(InvalidRequestError, match=r"1 rows.*2 utterances"):
        summary([window(utterance(0, 1), utterance(1, 2))], [ALICE])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"speaker": 2}, "unknown option 'speaker'"),
        ({"speakers": 0}, "speakers is 0"),
        ({"speakers": True}, "speakers is True"),
        ({"min_speakers": 3, "max_speakers": 2}, "more than max_speakers"),
        ({"window_starts": 1}, "expected a list"),
        ({"window_starts": ["0"]}, "window_starts holds '0'"),
        ({"window_starts": [float("nan")]}, "window_starts holds nan"),
        ({"window_starts": [0.0, 1.0]}, "2 items for 1 windows"),
        ({"channels": [0, 1]}, "2 items for 1 windows"),
        ({"turns": 1}, "turns is 1, expected a list"),
        ({"turns": [[0, 1, 0]]}, r"turns hold \[0, 1, 0\]"),
        ({"turns": [[1, 0, 0, None]]}, r"turns hold \[1, 0, 0, None\]"),
        ({"turns": [[0, float("inf"), 0, None]]}, "turns hold"),
        ({"turns": [[0, 1, 0, "left"]]}, "turns hold"),
    ],
)
def test_wrong_options_are_refused_by_name(options, message):
    with pytest.raises(InvalidRequestError, match=message):
        summary([window(utterance(0, 1))], [ALICE], **options)


severities = st.one_of(st.none(), st.floats(0, 1))
arousals = st.one_of(st.none(), st.floats(0, 1))
spoken = st.lists(st.tuples(severities, arousals), min_size=1, max_size=6)


@settings(max_examples=40, deadline=None)
@given(spoken, st.randoms())
def test_the_order_of_windows_changes_no_score(parts, random):
    windows = [window(utterance(0, 2, severity, arousal=a)) for severity, a in parts]
    starts = [30.0 * index for index in range(len(windows))]
    order = random.sample(range(len(windows)), len(windows))
    first = summary(windows, [ALICE] * len(windows), window_starts=starts)["score"]
    second = summary(
        [windows[index] for index in order],
        [ALICE] * len(windows),
        window_starts=[starts[index] for index in order],
    )["score"]
    assert first["value"] == second["value"]
    assert first["evidence"] == second["evidence"]
    assert first["coverage"] == pytest.approx(second["coverage"], abs=1e-4)


@settings(max_examples=40, deadline=None)
@given(spoken, severities, arousals)
def test_another_utterance_never_lowers_the_score_and_all_are_bounded(parts, severity, arousal):
    said = [utterance(3 * n, 3 * n + 2, s, arousal=a) for n, (s, a) in enumerate(parts)]
    more = [*said, utterance(90, 92, severity, arousal=arousal)]
    before, after = (summary([window(*u)], [ALICE] * len(u))["score"] for u in (said, more))
    assert (after["value"] or 0) >= (before["value"] or 0)
    for score in (before, after):
        assert score["value"] is None or 0 <= score["value"] <= 100
        assert 0 <= score["coverage"] <= 1
        points = [item["points"] for item in score["evidence"]]
        assert points == sorted(points, reverse=True)
        assert max(points, default=0) <= (score["value"] or 0) + 0.06
