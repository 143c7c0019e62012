"""Results hold everything found, in times of the recording, and are valid by their schema."""

import json
from dataclasses import replace
from importlib.resources import files

import jsonschema
import numpy as np
import pytest

from voiceman.audio import SAMPLE_RATE_HZ
from voiceman_client.completeness import untold
from voiceman_client.decode import Recording, Source
from voiceman_client.plain_text import to_txt
from voiceman_client.result import Heard, Made, assemble
from voiceman_client.windows import Span
from voiceman_client.writers import to_json, to_srt, to_vtt

SCORE = {"value": None, "coverage": 0.0, "components": [], "evidence": []}
WEIGHTS = {"name": "whisper-base", "version": "1", "precision": "fp32", "sha256": "2" * 64}
MADE = Made("0.1.0", {"language": "auto"}, {"name": "triton", "version": "2.51"}, {"whisper": "1"})


def recording(seconds=70.0, channels=(None,), flags=()):
    source = Source("call.m4a", "0" * 64, 9, "mov", "aac", 8000, len(channels), "PyAV")
    waveform = np.zeros(round(seconds * SAMPLE_RATE_HZ), np.int16)
    return Recording(source, (waveform,) * len(channels), channels, flags, "1" * 64)


def word(text, start, end):
    return {"word": text, "start": start, "end": end, "score": 0.9}


def utterance(start, end, text):
    return {
        "start": start,
        "end": end,
        "overlap": 0.0,
        "text": text,
        "words": [],
        "findings": [],
        "emotion_dimensional": None,
        "emotion_categorical": None,
        "voice_features": {"f0_mean_hz": 120.0, "pause_total_s": None},
        "f0_contour": {"start": start, "step": 0.02, "f0_hz": [120.0, None, 118.5]},
        "score": SCORE,
        "unavailable": {"emotion_dimensional": "no weights"},
    }


def heard(start_s, end_s, segments, utterances, *, language="en", channel=None, flags=()):
    evidence = {
        "schema": "voiceman.evidence/1",
        "language": language,
        "language_probability": 0.99,
        "duration": end_s - start_s,
        "no_speech_probability": 0.01,
        "compression_ratio": 1.2,
        "aligner": "cross_attention",
        "segments": segments,
        "utterances": utterances,
        "speech": 4.0,
        "speech_with_text": 0.75,
        "flags": list(flags),
        "unavailable": {},
        "notes": {"score": "no verdict"},
        "models": {"whisper": WEIGHTS},
        "score": SCORE,
    }
    span = Span(round(start_s * SAMPLE_RATE_HZ), round(end_s * SAMPLE_RATE_HZ))
    embeddings = np.zeros((len(utterances), 192), np.float32)
    return Heard(span, channel, evidence, json.dumps(evidence), embeddings)


def segment(start, end, text, words):
    times = {"start": start, "end": end, "aligner": "whisper-cross-attention"}
    return {**times, "text": text, "avg_logprob": -0.2, "words": words}


def assessment(score=SCORE):
    item = {"feature": "f0_mean_hz", "value": 9.0, "baseline": 8.0, "z": 2.5, "contribution": 0.1}
    return {
        "stress": {"value": 0.1, "reason": "beside 9 others", "contributions": [item]},
        "cross_validation": {
            "agreement": 0.5,
            "reason": "compared: stress",
            "sentiment": 0.0,
            "intensity": 0.6,
            "menace": None,
            "comparisons": [{"reading": "stress", "claimed": 0.6, "heard": 0.1, "weight": 0.5}],
            "discrepancies": [{"name": "calm_words_high_arousal", "detail": "arousal 0.90"}],
        },
        "score": score,
    }


def summary(*speakers):
    return {
        "schema": "voiceman.summary/1",
        "utterance_speakers": list(speakers),
        "utterance_assessments": [assessment() for _ in speakers],
        "speakers": [
            {
                "id": speaker,
                "utterances": 1,
                "speech": 1.0,
                "channel": None,
                "voice_features": {},
                "score": SCORE,
            }
            for speaker in sorted(set(speakers))
        ],
        "speaker_turns": [
            {"start": 1.0, "end": 2.5, "speaker": name, "overlap": 0.5, "channel": None}
            for name in sorted(set(speakers))
        ],
        "speech": 8.0,
        "speech_with_text": 0.75,
        "score": SCORE,
        "unavailable": {},
    }


@pytest.fixture
def conversation():
    words = [word("Hello", 0.5, 1.0), word("there.", 1.0, 1.5), word("Yes?", 2.0, 2.5)]
    first = heard(
        10.0,
        20.0,
        [segment(0.5, 2.5, " Hello there. Yes?", words)],
        [utterance(0.5, 1.5, "Hello there."), utterance(2.0, 2.5, "Yes?")],
        flags=[{"kind": "repetition", "start": 0.5, "end": 1.0, "detail": "x"}],
    )
    second = heard(
        40.0,
        60.0,
        [segment(1.0, 9.0, " Bien <sûr> & oui.", [word("Bien", 1.0, 2.0)])],
        [utterance(1.0, 9.0, "Bien <sûr> & oui.")],
        language="fr",
    )
    return assemble(recording(), [first, second], summary("A", "B", "A"), MADE)


def schema():
    return json.loads(files("voiceman_client").joinpath("result.schema.json").read_text())


def test_contours_are_in_times_of_the_recording(conversation):
    starts = [found["f0_contour"]["start"] for found in conversation["utterances"]]
    assert starts == [10.5, 12.0, 41.0]


def test_documents_are_valid_by_the_schema(conversation):
    jsonschema.Draft202012Validator(schema()).validate(json.loads(to_json(conversation)))


def test_the_schema_refuses_numbers_without_meaning(conversation):
    conversation["segments"][0]["words"][0]["score"] = 1.5
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema()).validate(conversation)


def test_times_are_of_the_recording(conversation):
    assert [(s["start"], s["end"]) for s in conversation["segments"]] == [
        (10.5, 12.5),
        (41.0, 49.0),
    ]
    assert conversation["word_segments"][2]["start"] == 12.0
    assert conversation["utterances"][1]["start"] == 12.0
    assert conversation["flags"][0]["start"] == 10.5
    assert conversation["windows"][1]["end"] == 60.0


def test_speakers_of_words_and_segments_are_those_of_the_utterances(conversation):
    assert [u["speaker"] for u in conversation["utterances"]] == ["A", "B", "A"]
    assert [w["speaker"] for w in conversation["word_segments"]] == ["A", "A", "B", "A"]
    assert [s["speaker"] for s in conversation["segments"]] == ["A", "A"]


def test_utterances_and_windows_bear_the_scores_of_the_whole_recording():
    item = {"start": 40.0, "end": 41.0, "component": "anger", "points": 30.0, "detail": "loud"}
    scores = [SCORE, SCORE | {"value": 30.0, "evidence": [item]}, SCORE | {"value": 12.0}]
    windows = [heard(0, 9, [], [utterance(0, 1, "a")]), heard(40, 50, [], [])]
    windows[1].evidence["utterances"] = [utterance(0, 1, "b"), utterance(2, 3, "c")]
    whole = summary("A", "B", "A") | {"utterance_assessments": [assessment(s) for s in scores]}
    result = assemble(recording(), windows, whole, MADE)
    jsonschema.Draft202012Validator(schema()).validate(result)
    assert [u["score"]["value"] for u in result["utterances"]] == [None, 30.0, 12.0]
    assert [w["score"]["value"] for w in result["windows"]] == [None, 30.0]
    assert result["utterances"][1]["stress"] == assessment()["stress"]
    assert result["utterances"][1]["cross_validation"] == assessment()["cross_validation"]


def test_the_language_is_the_one_spoken_longest(conversation):
    assert conversation["language"] == "fr"


def test_which_share_of_the_speech_has_text_is_said_for_windows_and_recording(conversation):
    assert (conversation["speech"], conversation["speech_with_text"]) == (8.0, 0.75)
    shares = [(w["speech"], w["speech_with_text"]) for w in conversation["windows"]]
    assert shares == [(4.0, 0.75), (4.0, 0.75)]


def test_whoever_runs_the_command_hears_what_is_missing(conversation):
    assert untold(conversation) == ""
    starts = (12.0, 20.06, 41.0, 50.0, 55.0)
    conversation["flags"] += [
        {"kind": "speech_without_words", "start": start, "end": start + 1.5, "detail": "x"}
        for start in starts
    ]
    assert untold(conversation) == (
        "75 % of 8.0 s of speech has text; "
        "none at 12.0 to 13.5 s, 20.1 to 21.6 s, 41.0 to 42.5 s and 2 more"
    )
    conversation["speech_with_text"] = 0.9999
    assert untold(conversation).startswith("99 % of")  # never rounded up to all


def test_provenance_holds_versions_and_hashes(conversation):
    provenance = conversation["provenance"]
    assert provenance["models"] == {"whisper": {"version": "1", "weights": WEIGHTS}}
    assert provenance["source"]["sha256"] == "0" * 64
    assert conversation["notes"] == {"score": "no verdict"}


def test_provenance_names_configurations_and_who_found_the_windows():
    made = replace(MADE, models={"whisper": "1", "voice_activity": "2", "recording_summary": "3"})
    made = replace(made, configurations={"whisper": "a" * 64})
    found = {"voice_activity": WEIGHTS}
    silent = assemble(recording(5.0), [], None, made, weights=found)
    assert silent["provenance"]["models"] == {
        "whisper": {"version": "1", "config_sha256": "a" * 64},
        "voice_activity": {"version": "2", "weights": WEIGHTS},
        "recording_summary": {"version": "3"},
    }
    jsonschema.Draft202012Validator(schema()).validate(silent)
    summed = {**summary(), "models": {"recording_summary": WEIGHTS}}
    spoken = assemble(recording(5.0), [heard(0, 5, [], [])], summed, made, weights=found)
    assert spoken["provenance"]["models"]["recording_summary"]["weights"] == WEIGHTS


def test_weights_of_every_language_stand_in_the_provenance():
    windows = [heard(0, 9, [], [], language="ko"), heard(9, 19, [], [], language="en")]
    for window in windows:
        name = f"word_alignment/{window.evidence['language']}"
        window.evidence["models"] = {name: {**WEIGHTS, "name": name}}
    made = replace(MADE, models={"word_alignment": "3"})
    models = assemble(recording(20.0), windows, summary(), made)["provenance"]["models"]
    assert list(models) == ["word_alignment", "word_alignment/ko", "word_alignment/en"]
    assert {model["version"] for model in models.values()} == {"3"}
    assert models["word_alignment/ko"]["weights"]["name"] == "word_alignment/ko"


def test_no_speech_is_a_result():
    result = assemble(recording(5.0), [], None, MADE)
    jsonschema.Draft202012Validator(schema()).validate(result)
    assert result["segments"] == []
    assert (result["speech"], result["speech_with_text"]) == (0.0, None)
    assert result["language"] is None
    assert [flag["kind"] for flag in result["flags"]] == ["no_speech"]
    assert to_srt(result) == ""


def test_channels_keep_their_numbers_and_are_merged_by_time():
    sides = [
        heard(0, 9, [segment(4, 5, "left", [])], [utterance(4, 5, "left")], channel=0),
        heard(0, 9, [segment(1, 2, "right", [])], [utterance(1, 2, "right")], channel=1),
    ]
    result = assemble(recording(9.0, (0, 1)), sides, summary("A", "B"), MADE)
    assert [(s["text"], s["channel"], s["speaker"]) for s in result["segments"]] == [
        ("right", 1, "B"),
        ("left", 0, "A"),
    ]


def test_subtitles_change_with_the_speaker(conversation):
    assert to_srt(conversation) == (
        "1\n00:00:10,500 --> 00:00:11,500\n[A] Hello there.\n\n"
        "2\n00:00:12,000 --> 00:00:12,500\n[B] Yes?\n\n"
        "3\n00:00:41,000 --> 00:00:42,000\n[A] Bien <sûr> & oui.\n\n"
    )
    assert "<v A>Bien &lt;sûr&gt; &amp; oui." in to_vtt(conversation)


def test_text_has_a_line_per_passage(conversation):
    assert to_txt(conversation).splitlines() == [
        "[00:00:10.500] A: Hello there. [! repetition]",
        "[00:00:12.000] B: Yes?",
        "[00:00:41.000] A: Bien <sûr> & oui.",
    ]


def test_long_segments_become_several_subtitles():
    words = [word(f"word{n}", n, n + 0.9) for n in range(30)]
    text = " ".join(w["word"] for w in words)
    window = heard(0, 30, [segment(0, 30, text, words)], [utterance(0, 30, text)])
    result = assemble(recording(30.0), [window], summary("A"), MADE)
    cues = [block.split("\n")[2] for block in to_srt(result).strip().split("\n\n")]
    assert " ".join(cue.removeprefix("[A] ") for cue in cues) == text
    assert max(map(len, cues)) <= 84 + len("[A] ")
    assert len(cues) > 3


def test_text_without_spaces_stays_as_it_was():
    words = [word("今日", 0, 1), word("は", 1, 1.2), word("いい", 3, 4), word("天気", 4, 5)]
    window = heard(
        0,
        9,
        [segment(0, 5, "今日は、いい天気。", words)],
        [utterance(0, 1.2, "今日は"), utterance(3, 5, "いい天気")],
        language="ja",
    )
    result = assemble(recording(9.0), [window], summary("A", "B"), MADE)
    assert to_txt(result).splitlines() == [
        "[00:00:00.000] A: 今日は、",
        "[00:00:03.000] B: いい天気。",
    ]
