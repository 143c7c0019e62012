"""Joins what all models found in one window into its evidence document."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from voiceman.analysis.coverage import detected_speech, measure, why_unknown
from voiceman.analysis.crime_language import find
from voiceman.analysis.crime_patterns import Tables
from voiceman.analysis.f0_contour import contour_of
from voiceman.analysis.finding_times import join_words, locate
from voiceman.analysis.overlap import covered_s, find_overlaps
from voiceman.analysis.recording_score import highest
from voiceman.analysis.scoring import Observed, score_utterance
from voiceman.analysis.scoring_tables import ScoringTables
from voiceman.analysis.utterances import assign_words, check_turns, words_of
from voiceman.contracts import EMOTION_CATEGORIES, EMOTION_DIMENSIONS, VOICE_FEATURE_NAMES
from voiceman.errors import InvalidRequestError
from voiceman.evidence import (
    DISCLAIMER,
    EVIDENCE_SCHEMA,
    AlignedTranscript,
    Evidence,
    Finding,
    ModelWeights,
    Utterance,
    Word,
)
from voiceman.status import Status

Float32s = npt.NDArray[np.float32]

_NO_NUMBER = "the model gave no number for this utterance"
_DIGITS = 4


@dataclass(frozen=True)
class ModelAnswer:
    """The numbers of one model for all utterances of a window, and its status.

    Attributes:
        model: name of the Triton model.
        values: [u, k], NaN where a number is missing; None for a model whose numbers are not
            part of the evidence.
        names: the k columns.
        status: why numbers are missing.
    """

    model: str
    values: Float32s | None
    names: tuple[str, ...]
    status: Status


@dataclass(frozen=True)
class WindowFindings:
    """Everything that the models found in one window.

    Attributes:
        transcript: None: nothing was transcribed (an empty tensor).
        utterances: [u, 2] start and end, seconds.
        turns: TURNS [t, 2] as they came with the window; None: they did not.
        f0_contour: F0_CONTOUR [f, 3].
    """

    transcript: AlignedTranscript | None
    utterances: Float32s
    turns: Float32s | None
    emotion_dimensional: ModelAnswer
    emotion_categorical: ModelAnswer
    speaker_embedding: ModelAnswer
    voice_features: ModelAnswer
    f0_contour: Float32s

    @property
    def answers(self) -> tuple[ModelAnswer, ...]:
        """The answers of all voice models."""
        return (
            self.emotion_dimensional,
            self.emotion_categorical,
            self.speaker_embedding,
            self.voice_features,
        )


def read_transcript(text: str) -> AlignedTranscript | None:
    """Parse an ALIGNED_TRANSCRIPT tensor; None for the empty text of a warm-up."""
    return json.loads(text) if text else None


def emotion_dimensional(values: Float32s, status: str) -> ModelAnswer:
    """The answer in AROUSAL_DOMINANCE_VALENCE and its status tensor."""
    return ModelAnswer("emotion_dimensional", values, EMOTION_DIMENSIONS, Status.from_json(status))


def emotion_categorical(values: Float32s, status: str) -> ModelAnswer:
    """The answer in EMOTION_PROBABILITIES and its status tensor."""
    return ModelAnswer("emotion_categorical", values, EMOTION_CATEGORIES, Status.from_json(status))


def speaker_embedding(status: str) -> ModelAnswer:
    """The status of the speaker embeddings, which travel beside the evidence."""
    return ModelAnswer("speaker_embedding", None, (), Status.from_json(status))


def voice_features(values: Float32s, status: str) -> ModelAnswer:
    """The answer in VOICE_FEATURES and its status tensor."""
    return ModelAnswer("voice_features", values, VOICE_FEATURE_NAMES, Status.from_json(status))


def _as_computed(
    models: Mapping[str, ModelWeights], transcript: AlignedTranscript
) -> dict[str, ModelWeights]:
    """The weights with the precision that Whisper computed in, and those of the aligner."""
    computed_in, named = transcript.get("computed_in"), dict(models)
    if computed_in and "whisper" in named:
        named["whisper"] = {**named["whisper"], "computed_in": computed_in}
    if weights := transcript.get("aligner_weights"):
        named[f"word_alignment/{transcript['language']}"] = weights
    return named


def gather(
    found: WindowFindings, tables: ScoringTables, models: Mapping[str, ModelWeights]
) -> Evidence:
    """The evidence of one window.

    Args:
        found: what the models found.
        tables: weights and patterns.
        models: the weights that took part, by model.

    Raises:
        InvalidRequestError: a tensor has not one row per utterance, or a turn is no number.
    """
    _check_rows(found)
    transcript = found.transcript or _nothing_said()
    said = words_of(transcript["segments"])
    words = assign_words(said, found.utterances)
    utterances = [
        _utterance(found, index, spoken, transcript["language"], tables)
        for index, spoken in enumerate(words)
    ]
    unavailable = {a.model: a.status.unavailable for a in found.answers if a.status.unavailable}
    speech = detected_speech(found.turns, transcript["duration"])
    coverage = None if speech is None else measure(speech, said, transcript["duration"])
    speech_s = round(coverage.speech_s, _DIGITS) if coverage else None
    with_text = coverage.with_text if coverage else None
    unavailable |= why_unknown(speech_s, with_text)
    notes = {a.model: a.status.note for a in found.answers if a.status.note}
    return Evidence(
        schema=EVIDENCE_SCHEMA,
        language=transcript["language"],
        language_probability=transcript["language_probability"],
        duration=transcript["duration"],
        no_speech_probability=transcript["no_speech_probability"],
        compression_ratio=transcript["compression_ratio"],
        aligner=transcript["aligner"],
        segments=transcript["segments"],
        utterances=utterances,
        speech=speech_s,
        speech_with_text=with_text,
        flags=[*transcript["flags"], *(coverage.flags() if coverage else ())],
        unavailable=unavailable,
        notes=notes | {"score": DISCLAIMER},
        models=_as_computed(models, transcript),
        score=highest([utterance["score"] for utterance in utterances]),
    )


def to_json(evidence: Evidence) -> str:
    """As the text of an EVIDENCE tensor; a NaN in it is an error, never a number."""
    return json.dumps(evidence, ensure_ascii=False, allow_nan=False)


def _check_rows(found: WindowFindings) -> None:
    for answer in found.answers:
        if answer.values is not None and len(answer.values) != len(found.utterances):
            raise InvalidRequestError(
                f"scoring: {answer.model} sent {len(answer.values)} rows for "
                f"{len(found.utterances)} utterances; send one row per utterance"
            )


def _nothing_said() -> AlignedTranscript:
    return AlignedTranscript(
        language="",
        language_probability=None,
        duration=0.0,
        no_speech_probability=1.0,
        compression_ratio=0.0,
        segments=[],
        flags=[],
        aligner="",
    )


def _overlap(found: WindowFindings, index: int) -> float | None:
    """How many seconds of an utterance several people talk at once; None: nobody knows."""
    if found.turns is None:
        return None
    check_turns(found.turns)
    start, end = covered_s(find_overlaps(found.turns), np.nan_to_num(found.utterances[index]))
    return round(float(end - start), _DIGITS)


def _utterance(
    found: WindowFindings,
    index: int,
    words: Sequence[Word],
    language: str,
    tables: ScoringTables,
) -> Utterance:
    start, end = (round(float(edge), _DIGITS) for edge in np.nan_to_num(found.utterances[index]))
    text = join_words(words, language)
    unavailable = _reasons(found, index)
    findings = None
    if reason := _why_unread(text, language, tables.patterns):
        unavailable["crime_language"] = reason
    else:
        findings = find_crimes(text, language, tables.patterns)
    dimensional = _complete(found.emotion_dimensional, index)
    categorical = _complete(found.emotion_categorical, index)
    observed = Observed(
        start,
        end,
        findings,
        locate(findings or (), words, language, (start, end)),
        dimensional,
        categorical,
        None,
        unavailable,
    )
    return Utterance(
        start=start,
        end=end,
        overlap=_overlap(found, index),
        text=text,
        words=list(words),
        findings=findings or [],
        emotion_dimensional=dimensional,
        emotion_categorical=categorical,
        voice_features=_partial(found.voice_features, index),
        f0_contour=contour_of(found.f0_contour, index),
        score=score_utterance(observed, tables.weights),
        unavailable=unavailable,
    )


def _why_unread(text: str, language: str, patterns: Tables) -> str:
    """Why no patterns were applied to an utterance; empty: they were."""
    if not text:
        return "no words in this utterance"
    if language not in patterns:
        return f"no patterns for the language {language!r}; there are {', '.join(sorted(patterns))}"
    return ""


def find_crimes(text: str, language: str, patterns: Tables) -> list[Finding]:
    """The hits of the patterns as they stand in the evidence."""
    return [
        Finding(
            category=hit.category,
            pattern_id=hit.pattern_id,
            start=hit.start,
            end=hit.end,
            text=text[hit.start : hit.end],
            severity=hit.severity,
            weight=hit.weight,
            context=hit.context,
        )
        for hit in find(text, language, patterns)
    ]


def _reasons(found: WindowFindings, index: int) -> dict[str, str]:
    """Why models have no or an incomplete answer for one utterance, by model."""
    reasons: dict[str, str] = {}
    for answer in found.answers:
        said = answer.status.unavailable or answer.status.utterances.get(index, "")
        silent = answer.values is not None and not np.isfinite(answer.values[index]).all()
        if said or silent:
            reasons[answer.model] = said or _NO_NUMBER
    return reasons


def _complete(answer: ModelAnswer, index: int) -> dict[str, float] | None:
    """The model's numbers by name; None unless all are there."""
    if answer.values is None or not np.isfinite(answer.values[index]).all():
        return None
    return {
        name: round(float(value), _DIGITS)
        for name, value in zip(answer.names, answer.values[index], strict=True)
    }


def _partial(answer: ModelAnswer, index: int) -> dict[str, float | None] | None:
    """The model's numbers by name, None for single missing ones; None if all are missing."""
    if answer.values is None or not np.isfinite(answer.values[index]).any():
        return None
    return {
        name: round(float(value), _DIGITS) if np.isfinite(value) else None
        for name, value in zip(answer.names, answer.values[index], strict=True)
    }
