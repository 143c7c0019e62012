"""One recording from its windows: speakers, their voices, and the scores added up."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from voiceman.analysis.assessment import assess
from voiceman.analysis.coverage import SHARE, add_up, why_unknown
from voiceman.analysis.recording_options import RecordingOptions
from voiceman.analysis.recording_score import Scored, score_many
from voiceman.analysis.scoring_tables import AssessmentTables
from voiceman.analysis.speaker_turns import name_turns
from voiceman.analysis.speakers import UNKNOWN, Floats, Speech, label_speakers
from voiceman.contracts import VOICE_FEATURE_NAMES
from voiceman.errors import InvalidRequestError
from voiceman.evidence import (
    SUMMARY_SCHEMA,
    Assessment,
    Evidence,
    EvidenceItem,
    Speaker,
    Summary,
    Utterance,
)

_DIGITS = 3  # milliseconds


@dataclass(frozen=True)
class _Spoken:
    """An utterance with its place in the recording."""

    utterance: Utterance
    language: str
    start: float
    end: float
    channel: int | None

    @property
    def duration(self) -> float:
        return max(self.end - self.start, 0.0)


def summarise(
    windows: Sequence[Evidence | None],
    embeddings: Floats,
    options: RecordingOptions,
    tables: AssessmentTables,
) -> Summary:
    """Sum up a recording.

    Args:
        windows: EVIDENCE of every window in order; None: the window has none.
        embeddings: [u, 192] SPEAKER_EMBEDDING of all windows' utterances in their order.
        options: see `voiceman.analysis.recording_options`.
        tables: weights, thresholds and lexicons.

    Raises:
        InvalidRequestError: the numbers of windows, starts, channels or embeddings differ.
    """
    heard = [window for window in windows if window]
    spoken = _place(windows, options)
    # Warm-up sends a row although nobody spoke.
    speech = _speech(spoken, embeddings if heard else embeddings[:0])
    labels = label_speakers(speech, options.count)
    assessments = assess(
        [item.utterance for item in spoken],
        [item.language for item in spoken],
        list(zip(labels, speech.channels, strict=True)),
        tables,
    )
    scored = [
        _scored(item, name, assessment)
        for item, name, assessment in zip(spoken, labels, assessments, strict=True)
    ]
    speech_s, with_text = add_up(heard)
    return Summary(
        schema=SUMMARY_SCHEMA,
        utterance_speakers=labels,
        utterance_assessments=[
            _in_recording(assessment, item)
            for assessment, item in zip(assessments, scored, strict=True)
        ],
        speakers=_speakers(spoken, labels, scored),
        speaker_turns=name_turns(options.turns or (), speech, labels),
        speech=speech_s,
        speech_with_text=with_text,
        score=score_many(scored),
        unavailable=_unavailable(heard, speech.embeddings, options)
        | why_unknown(speech_s, with_text),
    )


def _speech(spoken: Sequence[_Spoken], embeddings: Floats) -> Speech:
    """The utterances with their voices. Raises InvalidRequestError: not one row for each."""
    if len(embeddings) != len(spoken):
        raise InvalidRequestError(
            f"SPEAKER_EMBEDDING: {len(embeddings)} rows, but WINDOW_EVIDENCE has "
            f"{len(spoken)} utterances; send one row for each, in their order"
        )
    spans = np.array([(item.start, item.end) for item in spoken]).reshape(-1, 2)
    return Speech(embeddings, spans, [item.channel for item in spoken])


def _unavailable(
    heard: Sequence[Evidence], embeddings: Floats, options: RecordingOptions
) -> dict[str, str]:
    """What could not be computed for the recording, and why."""
    unavailable: dict[str, str] = {}
    for window in heard:
        unavailable |= window["unavailable"]
    unavailable.pop(SHARE, None)  # a window without speech is no reason for the recording
    missing = int((~np.isfinite(embeddings).all(axis=1)).sum())
    if missing:
        unavailable["speaker_embedding"] = (
            f"{missing} of {len(embeddings)} utterances have none; they bear the speaker of the "
            "nearest utterance in time"
        )
    if options.turns is None:
        unavailable["speaker_turns"] = "no turns came with the request"
    return unavailable


def _place(windows: Sequence[Evidence | None], options: RecordingOptions) -> list[_Spoken]:
    """All utterances, in times of the recording."""
    durations = [window["duration"] if window else 0.0 for window in windows]
    starts = options.window_starts or tuple(accumulate(durations[:-1], initial=0.0))
    channels = options.channels or (None,) * len(windows)
    for name, values in (("window_starts", starts), ("channels", channels)):
        if len(values) != len(windows):
            raise InvalidRequestError(
                f"RECORDING_OPTIONS: {name} has {len(values)} items for {len(windows)} windows"
            )
    return [
        _Spoken(
            utterance,
            window["language"] if window else "",
            start + utterance["start"],
            start + utterance["end"],
            channel,
        )
        for window, start, channel in zip(windows, starts, channels, strict=True)
        for utterance in (window["utterances"] if window else ())
    ]


def _scored(item: _Spoken, speaker: str, assessment: Assessment) -> Scored:
    """The score of an utterance with its evidence in times of the recording."""
    score = assessment["score"].copy()
    score["evidence"] = [_shifted(part, item) for part in score["evidence"]]
    return Scored(speaker, item.start, item.duration, score)


def _shifted(part: EvidenceItem, item: _Spoken) -> EvidenceItem:
    shift_s = item.start - item.utterance["start"]
    shifted = part.copy()
    shifted["start"] = round(part["start"] + shift_s, _DIGITS)
    shifted["end"] = round(part["end"] + shift_s, _DIGITS)
    return shifted


def _in_recording(assessment: Assessment, scored: Scored) -> Assessment:
    copied = assessment.copy()
    copied["score"] = scored.score
    return copied


def _speakers(
    spoken: Sequence[_Spoken], labels: Sequence[str], scored: Sequence[Scored]
) -> list[Speaker]:
    """Every speaker, those first who got their names first, the unknown last."""
    return [
        _speaker(
            name,
            [item for item, label in zip(spoken, labels, strict=True) if label == name],
            [item for item in scored if item.speaker == name],
        )
        for name in sorted(set(labels), key=lambda name: (name == UNKNOWN, len(name), name))
    ]


def _speaker(name: str, spoken: Sequence[_Spoken], scored: Sequence[Scored]) -> Speaker:
    channels = {item.channel for item in spoken}
    return Speaker(
        id=name,
        utterances=len(spoken),
        speech=round(sum(item.duration for item in spoken), 3),
        channel=channels.pop() if len(channels) == 1 else None,
        voice_features={feature: _mean(spoken, feature) for feature in VOICE_FEATURE_NAMES},
        score=score_many(scored),
    )


def _mean(spoken: Sequence[_Spoken], feature: str) -> float | None:
    """Mean of a voice feature over utterances, weighted by duration; None: nowhere measured."""
    measured = [
        (item.duration, value)
        for item in spoken
        if (value := (item.utterance["voice_features"] or {}).get(feature)) is not None
    ]
    total = sum(duration for duration, _ in measured)
    return sum(duration * value for duration, value in measured) / total if total else None
