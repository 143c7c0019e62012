import json
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from voiceman.analysis import window_evidence as we
from voiceman.analysis.pattern_tables import DATA_FOLDER
from voiceman.analysis.scoring_tables import load_scoring
from voiceman.contracts import VOICE_FEATURE_NAMES
from voiceman.errors import InvalidRequestError, WeightsError
from voiceman.evidence import Evidence, ModelWeights, Utterance
from voiceman.manifest import Manifest, newest_weights, weights_in_use
from voiceman.status import Status

TABLES = load_scoring(DATA_FOLDER.parent)
NO_WEIGHTS = Status(unavailable="no weights").to_json()
FINE = Status(weights="some 1", note="English only").to_json()


def transcript(text: str, language: str = "ko", start: float = 0.0) -> str:
    words = [
        {"word": word, "start": start + i, "end": start + i + 0.5, "score": 0.9}
        for i, word in enumerate(text.split())
    ]
    segment = {"start": 0, "end": 30, "text": text, "avg_logprob": -0.2, "words": words}
    segment["aligner"] = "cross-attention"
    return json.dumps(
        {
            "language": language,
            "language_probability": 0.99,
            "duration": 30.0,
            "no_speech_probability": 0.01,
            "compression_ratio": 1.1,
            "segments": [segment],
            "flags": [{"kind": "repetition", "start": 0, "end": 1, "detail": ""}],
            "aligner": "cross-attention",
        }
    )


def found(
    text: str,
    utterances: list[tuple[float, float]],
    emotions: float = math.nan,
    features: float = 1.0,
    status: str = NO_WEIGHTS,
    *,
    turns: Sequence[tuple[float, float]] | None = ((0, 30),),
) -> we.WindowFindings:
    rows = len(utterances)

    def numbers(columns: int, value: float) -> np.ndarray:
        return np.full((rows, columns), value, np.float32)

    return we.WindowFindings(
        we.read_transcript(text),
        np.array(utterances, np.float32).reshape(-1, 2),
        None if turns is None else np.array(turns, np.float32).reshape(-1, 2),
        we.emotion_dimensional(numbers(3, emotions), status),
        we.emotion_categorical(numbers(4, emotions), status),
        we.speaker_embedding(FINE),
        we.voice_features(numbers(len(VOICE_FEATURE_NAMES), features), FINE),
        np.zeros((0, 3), np.float32),
    )


def gathered(findings: we.WindowFindings) -> Evidence:
    """Through JSON and back, as it travels; a NaN would raise."""
    return json.loads(we.to_json(we.gather(findings, TABLES, {})))


def test_a_threat_is_found_in_its_utterance():
    evidence = gathered(
        found(transcript("여보세요 네 누구세요 너 진짜 죽여버릴 거야"), [(0, 3), (3, 9)])
    )
    first, second = evidence["utterances"]
    assert (first["text"], second["text"]) == ("여보세요 네 누구세요", "너 진짜 죽여버릴 거야")
    assert first["findings"] == []
    (hit,) = second["findings"]
    assert (hit["category"], hit["weight"]) == ("threat", 1.0)
    assert second["text"][hit["start"] : hit["end"]] == hit["text"] == "죽여버릴 거야"
    assert first["score"]["value"] == 0
    assert second["score"]["value"] > 75
    assert evidence["score"] == second["score"]


def test_the_document_has_the_fields_of_its_type():
    evidence = gathered(found(transcript("안녕하세요"), [(0, 2)]))
    assert set(evidence) == set(Evidence.__annotations__)
    optional = {"speaker", "channel", "stress", "cross_validation"}
    assert set(evidence["utterances"][0]) == set(Utterance.__annotations__) - optional
    assert evidence["schema"] == "voiceman.evidence/1"
    assert evidence["flags"][0]["kind"] == "repetition"
    assert "no verdict and no proof" in evidence["notes"]["score"]


def test_missing_models_are_null_with_their_reason():
    evidence = gathered(found(transcript("안녕하세요"), [(0, 2)]))
    utterance = evidence["utterances"][0]
    assert evidence["unavailable"] == {
        "emotion_dimensional": "no weights",
        "emotion_categorical": "no weights",
    }
    assert utterance["emotion_dimensional"] is None
    assert utterance["emotion_categorical"] is None
    assert utterance["unavailable"] == evidence["unavailable"]
    assert utterance["voice_features"]["f0_mean_hz"] == 1.0
    assert utterance["score"]["coverage"] < 0.6


def test_available_models_raise_the_coverage_and_leave_their_notes():
    evidence = gathered(found(transcript("안녕하세요"), [(0, 2)], emotions=0.75, status=FINE))
    utterance = evidence["utterances"][0]
    assert utterance["emotion_dimensional"] == {
        "arousal": 0.75,
        "dominance": 0.75,
        "valence": 0.75,
    }
    assert utterance["unavailable"] == evidence["unavailable"] == {}
    assert evidence["notes"]["emotion_dimensional"] == "English only"
    assert utterance["score"]["coverage"] > 0.8


def test_single_missing_numbers_are_null_beside_the_others():
    findings = found(transcript("네"), [(0, 2), (2, 4)])
    assert findings.voice_features.values is not None
    findings.voice_features.values[0, 0] = math.nan
    findings.voice_features.values[1] = math.nan
    first, second = gathered(findings)["utterances"]
    assert first["voice_features"]["f0_mean_hz"] is None
    assert first["voice_features"]["f0_sd_hz"] == 1.0
    assert second["voice_features"] is None
    assert "no number" in second["unavailable"]["voice_features"]


def test_reasons_for_single_utterances_reach_them():
    findings = found(transcript("네"), [(0, 2), (2, 4)], emotions=0.5, status=FINE)
    status = Status(weights="some 1", utterances={1: "too short"})
    assert findings.emotion_dimensional.values is not None
    findings.emotion_dimensional.values[1] = math.nan
    answer = we.emotion_dimensional(findings.emotion_dimensional.values, status.to_json())
    object.__setattr__(findings, "emotion_dimensional", answer)
    first, second = gathered(findings)["utterances"]
    assert "emotion_dimensional" not in first["unavailable"]
    assert second["unavailable"]["emotion_dimensional"] == "too short"
    arousal = next(c for c in second["score"]["components"] if c["name"] == "arousal")
    assert (arousal["value"], arousal["reason"]) == (None, "too short")


@pytest.mark.parametrize(
    ("text", "language", "reason"),
    [("", "ko", "no words"), ("こんにちは", "ja", "no patterns for the language 'ja'")],
)
def test_what_was_not_read_is_not_called_clean(text, language, reason):
    evidence = gathered(found(transcript(text, language), [(0, 2)]))
    utterance = evidence["utterances"][0]
    assert reason in utterance["unavailable"]["crime_language"]
    assert utterance["score"]["value"] is None
    assert evidence["score"]["value"] is None


def test_languages_without_spaces_are_joined_without():
    evidence = gathered(found(transcript("こ ん に ち は", "ja"), [(0, 9)]))
    assert evidence["utterances"][0]["text"] == "こんにちは"


def test_an_empty_request_gives_empty_evidence():
    empty = we.WindowFindings(
        we.read_transcript(""),
        np.zeros((1, 2), np.float32),
        np.zeros((1, 2), np.float32),
        we.emotion_dimensional(np.zeros((1, 3), np.float32), ""),
        we.emotion_categorical(np.zeros((1, 4), np.float32), ""),
        we.speaker_embedding(""),
        we.voice_features(np.zeros((1, len(VOICE_FEATURE_NAMES)), np.float32), ""),
        np.zeros((1, 3), np.float32),
    )
    evidence = gathered(empty)
    assert evidence["segments"] == []
    assert evidence["utterances"][0]["unavailable"]["speaker_embedding"] == "no status was sent"


@pytest.mark.parametrize("count", [0, 1, 40])
def test_any_number_of_utterances(count):
    evidence = gathered(found(transcript("네"), [(0.5 * i, 0.5 * i + 0.5) for i in range(count)]))
    assert len(evidence["utterances"]) == count
    if count == 0:
        assert evidence["score"] == {
            "value": None,
            "coverage": 0.0,
            "components": [],
            "evidence": [],
        }


def test_speech_without_words_is_flagged_and_measured():
    said = transcript("여보세요 네 누구세요")  # words at 0 to 0.5, 1 to 1.5 and 2 to 2.5 s
    evidence = gathered(found(said, [(0, 3)], turns=[(0, 2.5), (10, 14), (12, 15)]))
    assert evidence["speech"] == 7.5
    assert evidence["speech_with_text"] == pytest.approx(1 - (2 * 0.1 + 5) / 7.5, abs=1e-4)
    kinds = [(flag["kind"], flag["start"], flag["end"]) for flag in evidence["flags"]]
    assert kinds == [("repetition", 0, 1), ("speech_without_words", 10, 15)]
    assert evidence["flags"][1]["detail"] == "5.0 s of detected speech have no text"


@pytest.mark.parametrize(
    ("turns", "speech", "reason"), [(None, None, "no TURNS"), ([], 0.0, "no speech was detected")]
)
def test_what_share_has_text_is_null_with_its_reason(turns, speech, reason):
    evidence = gathered(found(transcript("네"), [(0, 2)], turns=turns))
    assert (evidence["speech"], evidence["speech_with_text"]) == (speech, None)
    assert reason in evidence["unavailable"]["speech_with_text"]


def test_rows_must_match_the_utterances():
    findings = found(transcript("네"), [(0, 1), (1, 2)])
    object.__setattr__(findings, "utterances", np.zeros((3, 2), np.float32))
    with pytest.raises(InvalidRequestError, match="emotion_dimensional sent 2 rows for 3"):
        gathered(findings)


@settings(max_examples=50, deadline=None)
@given(
    st.text(max_size=80),
    arrays.arrays(np.float32, (3, 2), elements=st.floats(width=32)),
    arrays.arrays(np.float32, (3, 3), elements=st.floats(width=32)),
    arrays.arrays(np.float32, (3, len(VOICE_FEATURE_NAMES)), elements=st.floats(width=32)),
    arrays.arrays(np.float32, (4, 3), elements=st.floats(width=32)),
)
def test_no_number_of_any_kind_breaks_the_json(text, spans, emotions, features, contour):
    findings = we.WindowFindings(
        we.read_transcript(transcript(text)),
        spans,
        None,
        we.emotion_dimensional(emotions, FINE),
        we.emotion_categorical(np.full((3, 4), np.nan, np.float32), FINE),
        we.speaker_embedding(FINE),
        we.voice_features(features, FINE),
        contour,
    )
    evidence = gathered(findings)
    assert len(evidence["utterances"]) == 3
    assert sum(len(utterance["words"]) for utterance in evidence["utterances"]) == len(text.split())


def test_the_weights_that_took_part_are_named(tmp_path):
    for version in (1, 2):
        folder = tmp_path / "whisper" / str(version) / "weights"
        folder.mkdir(parents=True)
        manifest = Manifest("whisper", "base", str(version), "MIT", "", "fp16", {"a": "0" * 64})
        manifest.write(folder)
    (tmp_path / "emotion_dimensional" / "1").mkdir(parents=True)
    models = weights_in_use(tmp_path)
    assert models == {
        "whisper": ModelWeights(
            name="base",
            version="2",
            precision="fp16",
            sha256=manifest.sha256,
            profile="default",
        )
    }
    evidence = we.gather(found(transcript("네"), [(0, 1)]), TABLES, models)
    assert evidence["models"] == models


def test_the_precision_that_whisper_computed_in_stands_beside_its_weights():
    weights = {"name": "some", "version": "1", "precision": "fp16", "sha256": "0" * 64}
    heard = json.dumps({**json.loads(transcript("네")), "computed_in": "int8"})
    evidence = we.gather(found(heard, [(0, 1)]), TABLES, {"whisper": weights})
    assert evidence["models"] == {"whisper": {**weights, "computed_in": "int8"}}


def test_overlapped_speech_is_marked_in_the_utterances():
    turns = [(0, 5), (3, 10), (4, 4.5)]
    evidence = gathered(found(transcript(""), [(0, 4), (4, 10), (12, 13)], turns=turns))
    assert [u["overlap"] for u in evidence["utterances"]] == [1.0, 1.0, 0.0]


def test_overlap_is_null_where_nobody_looked_for_turns():
    evidence = gathered(found(transcript(""), [(0, 4)], turns=None))
    assert evidence["utterances"][0]["overlap"] is None


def test_the_weights_that_set_the_word_times_are_named_with_their_language():
    weights = {"name": "some", "version": "1", "precision": "fp32", "sha256": "0" * 64}
    heard = json.dumps({**json.loads(transcript("네")), "aligner_weights": weights})
    evidence = we.gather(found(heard, [(0, 1)]), TABLES, {})
    assert evidence["models"] == {"word_alignment/ko": weights}


def test_the_newest_weights_of_another_model_are_found(tmp_path):
    with pytest.raises(WeightsError, match="scoring: no weights; run voiceman-export scoring"):
        newest_weights(tmp_path, "scoring")
    for version in (9, 10):
        folder = tmp_path / "scoring" / str(version) / "weights"
        folder.mkdir(parents=True)
        Manifest("scoring", "scoring", "1", "MIT", "", "none", {"a": "0" * 64}).write(folder)
    assert newest_weights(tmp_path, "scoring") == folder
