"""A recording from its windows: options, places in time, added up scores."""

import json

import numpy as np
import pytest

from voiceman.analysis.recording_options import parse_recording_options
from voiceman.analysis.summary import summarise
from voiceman.errors import InvalidRequestError
from voiceman.evidence import Component, Evidence, Score, Utterance

ALICE, BOB = np.eye(192, dtype=np.float32)[:2]


def component(name: str, value: float | None, weight: float) -> Component:
    return {"name": name, "value": value, "weight": weight, "reason": f"why {name}"}


def utterance(start, end, components=(), f0=None, score=None) -> Utterance:
    known = sum(part["weight"] for part in components if part["value"] is not None)
    total = sum(part["weight"] for part in components) or 1.0
    rated: Score = {
        "value": score,
        "coverage": known / total,
        "components": list(components),
        "evidence": [],
    }
    return {
        "start": start,
        "end": end,
        "overlap": None,
        "text": "",
        "words": [],
        "findings": [],
        "emotion_dimensional": None,
        "emotion_categorical": None,
        "voice_features": None if f0 is None else {"f0_mean_hz": f0, "pause_count": None},
        "f0_contour": None,
        "score": rated,
        "unavailable": {},
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
    return summarise(windows, rows, parse_recording_options(json.dumps(options)))


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
    grave = [component("words", 1.0, 3.0), component("voice", None, 1.0)]
    calm = [component("words", 0.0, 3.0), component("voice", 0.5, 1.0)]
    said = [utterance(0, 3, calm, score=5.0), utterance(4, 5, grave, score=90.0)]
    found = summary([window(*said)], [ALICE, ALICE], window_starts=[60])["score"]
    assert found["value"] == 90.0
    words, voice = found["components"]
    assert words["value"] == 1.0
    assert "utterance at 64.0 s; mean 0.25 over 2 of 2 utterances" in words["reason"]
    assert voice["value"] is None
    assert "mean 0.50 over 1 of 2 utterances" in voice["reason"]
    assert found["coverage"] == pytest.approx((3 * 1.0 + 1 * 0.75) / 4)


def test_a_component_that_was_never_available_keeps_its_reason_and_no_value():
    found = summary([window(utterance(0, 4, [component("voice", None, 1.0)]))], [ALICE])["score"]
    assert found["value"] is None
    assert found["coverage"] == 0.0
    assert found["components"] == [component("voice", None, 1.0)]


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
