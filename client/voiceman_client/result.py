"""The result of one recording: a superset of WhisperX's JSON.

`segments`, `word_segments` and `language` are WhisperX's; everything else stands beside them.
`result.schema.json` in this package describes the document.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NotRequired, TypedDict, TypeVar

import numpy as np
import numpy.typing as npt

from voiceman.analysis.recording_score import highest
from voiceman.evidence import (
    RESULT_SCHEMA,
    Assessment,
    Evidence,
    Flag,
    ModelWeights,
    Score,
    Segment,
    Speaker,
    SpeakerTurn,
    Summary,
    Utterance,
    Word,
)
from voiceman_client.decode import Recording
from voiceman_client.decoded import Decoded
from voiceman_client.voices import NOTE, Voice, recognise
from voiceman_client.windows import Span

_DIGITS = 3  # milliseconds
_Timed = TypeVar("_Timed", Utterance, Segment, Word, Flag)


class SpokenWord(Word):
    """A word, and who says it where that is known."""

    speaker: NotRequired[str]


class ResultSegment(TypedDict):
    """A segment in times of the recording."""

    start: float
    end: float
    text: str
    avg_logprob: float
    words: list[SpokenWord]
    aligner: str
    speaker: NotRequired[str]
    channel: NotRequired[int]


class ResultWindow(TypedDict):
    """What was found about a window as a whole."""

    start: float
    end: float
    channel: int | None
    language: str
    language_probability: float | None
    no_speech_probability: float
    compression_ratio: float
    aligner: str
    speech: float | None
    speech_with_text: float | None
    score: Score
    unavailable: dict[str, str]


class UsedModel(TypedDict):
    """A model: its version in the server's repository, and its weights if it has any.

    `config_sha256` is that of its configuration, see `voiceman_client.status`; it is not there
    where the server does not show it.
    """

    version: str
    config_sha256: NotRequired[str]
    weights: NotRequired[ModelWeights]


class Provenance(TypedDict):
    """What the result was made of and with."""

    source: dict[str, Any]
    duration: float
    pcm_sha256: str
    channels: list[int | None]
    preparation: NotRequired[dict[str, Any] | None]
    voiceman: str
    options: dict[str, Any]
    server: dict[str, str]
    models: dict[str, UsedModel]


class Result(TypedDict):
    """The result of one recording."""

    schema: str
    language: str | None
    segments: list[ResultSegment]
    word_segments: list[SpokenWord]
    utterances: list[Utterance]
    speakers: list[Speaker]
    speaker_turns: list[SpeakerTurn]
    speech: float | None
    speech_with_text: float | None
    score: Score
    windows: list[ResultWindow]
    flags: list[Flag]
    unavailable: dict[str, str]
    notes: dict[str, str]
    provenance: Provenance


@dataclass(frozen=True)
class Heard:
    """The server's answer about one window of one channel.

    Attributes:
        span: the window in the channel.
        channel: number of the channel in the file, None for a mixdown.
        evidence: the EVIDENCE tensor, parsed; times in the window.
        evidence_text: the same as the server sent it.
        embeddings: [u, 192] SPEAKER_EMBEDDING of the window's utterances.
    """

    span: Span
    channel: int | None
    evidence: Evidence
    evidence_text: str
    embeddings: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Made:
    """What a result was made with, the same for all recordings of a run.

    Attributes:
        voiceman: version of the client.
        options: as the caller gave them, and the SHA-256 of the files they name.
        server: name and version of the server.
        models: version of each model in the server's repository.
        configurations: SHA-256 of each model's configuration, where the server shows it.
    """

    voiceman: str
    options: Mapping[str, Any]
    server: Mapping[str, str]
    models: Mapping[str, str]
    configurations: Mapping[str, str] = field(default_factory=dict[str, str])


def assemble(
    recording: Recording | Decoded,
    heard: Sequence[Heard],
    summary: Summary | None,
    made: Made,
    voices: Mapping[str, Voice] | None = None,
    *,
    weights: Mapping[str, ModelWeights] | None = None,
) -> Result:
    """Put the answers about the windows of a recording together.

    Args:
        recording: the decoded file; its samples are not looked at.
        heard: the answers in the order in which `recording_summary` saw them.
        summary: the answer of `recording_summary`; None when there was no window.
        made: for the provenance.
        voices: enrolled ones to compare the speakers with; None: nobody is compared.
        weights: by model, of those that found the windows.
    """
    joined = _join(heard, summary)
    segments = sorted(joined.segments, key=_when)
    flags = [*recording.flags, *joined.flags]
    if not heard:
        flags.append(
            Flag(kind="no_speech", start=0.0, end=round(recording.duration_s, _DIGITS), detail="")
        )
    return Result(
        schema=RESULT_SCHEMA,
        language=_language(heard),
        segments=segments,
        word_segments=sorted((word for s in segments for word in s["words"]), key=_when),
        utterances=sorted(joined.utterances, key=_when),
        speakers=_speakers(heard, summary, voices) if summary else [],
        speaker_turns=summary["speaker_turns"] if summary else [],
        speech=summary["speech"] if summary else 0.0,
        speech_with_text=summary["speech_with_text"] if summary else None,
        score=summary["score"]
        if summary
        else Score(value=None, coverage=0.0, components=[], evidence=[]),
        windows=sorted(joined.windows, key=_when),
        flags=sorted(flags, key=_when),
        unavailable=summary["unavailable"] if summary else {"recording": "no speech was found"},
        notes=_notes(heard) if voices is None else _notes(heard) | {"voices": NOTE},
        provenance=_provenance(
            recording,
            made,
            _models(made, [*(item.evidence for item in heard), summary], weights or {}),
        ),
    )


@dataclass(frozen=True)
class _Joined:
    """What all windows say, in times of the recording; window by window."""

    windows: list[ResultWindow] = field(default_factory=list[ResultWindow])
    utterances: list[Utterance] = field(default_factory=list[Utterance])
    segments: list[ResultSegment] = field(default_factory=list[ResultSegment])
    flags: list[Flag] = field(default_factory=list[Flag])


def _join(heard: Sequence[Heard], summary: Summary | None) -> _Joined:
    speakers = iter(summary["utterance_speakers"] if summary else ())
    assessments = iter(summary["utterance_assessments"] if summary else ())
    joined = _Joined()
    for item in heard:
        evidence = item.evidence
        spoken = [
            _utterance(found, item, next(speakers), next(assessments))
            for found in evidence["utterances"]
        ]
        joined.utterances.extend(spoken)
        joined.windows.append(_window(item, spoken))
        joined.segments.extend(_segment(found, item, spoken) for found in evidence["segments"])
        joined.flags.extend(_shifted(flag, item.span) for flag in evidence["flags"])
    return joined


def _provenance(
    recording: Recording | Decoded, made: Made, models: dict[str, UsedModel]
) -> Provenance:
    return Provenance(
        source={"file": recording.source.path, **_without_path(recording)},
        duration=round(recording.duration_s, _DIGITS),
        pcm_sha256=recording.pcm_sha256,
        channels=list(recording.channels),
        preparation=recording.preparation and asdict(recording.preparation),
        voiceman=made.voiceman,
        options=dict(made.options),
        server=dict(made.server),
        models=models,
    )


def _speakers(
    heard: Sequence[Heard], summary: Summary, voices: Mapping[str, Voice] | None
) -> list[Speaker]:
    """The speakers, each beside the enrolled voice that is most like his."""
    if voices is None:
        return summary["speakers"]
    spans = [(u["start"], u["end"]) for item in heard for u in item.evidence["utterances"]]
    seconds = np.diff(np.array(spans).reshape(-1, 2), axis=1)[:, 0]
    embeddings = np.concatenate([item.embeddings for item in heard])
    known = recognise(voices, summary["utterance_speakers"], embeddings, seconds)
    compared: list[Speaker] = []
    for speaker in summary["speakers"]:
        copied = speaker.copy()
        copied["voice"] = known.get(speaker["id"])
        compared.append(copied)
    return compared


def _notes(heard: Sequence[Heard]) -> dict[str, str]:
    return {name: note for item in heard for name, note in item.evidence["notes"].items()}


def _models(
    made: Made, answers: Sequence[Evidence | Summary | None], found: Mapping[str, ModelWeights]
) -> dict[str, UsedModel]:
    """All models of the server, with the weights that the answers rest on."""
    models = {name: UsedModel(version=version) for name, version in made.models.items()}
    for name, digest in made.configurations.items():
        models[name]["config_sha256"] = digest
    for named in (*(answer.get("models", {}) for answer in answers if answer), found):
        for name, weights in named.items():
            # "word_alignment/ko" is one of the weights of word_alignment.
            version = made.models.get(name.partition("/")[0], "")
            models.setdefault(name, UsedModel(version=version))["weights"] = weights
    return models


def _when(item: Mapping[str, Any]) -> tuple[float, float]:
    return item["start"], item["end"]


def _without_path(recording: Recording | Decoded) -> dict[str, Any]:
    return {name: value for name, value in asdict(recording.source).items() if name != "path"}


def _shifted(item: _Timed, span: Span) -> _Timed:
    """A copy of a document with `start` and `end` in times of the recording."""
    copied = item.copy()
    copied["start"] = round(item["start"] + span.start_s, _DIGITS)
    copied["end"] = round(item["end"] + span.start_s, _DIGITS)
    return copied


def _utterance(found: Utterance, item: Heard, speaker: str, assessment: Assessment) -> Utterance:
    """The utterance in times of the recording, with what only the whole recording tells."""
    utterance = _shifted(found, item.span)
    utterance["speaker"] = speaker
    utterance["stress"] = assessment["stress"]
    utterance["cross_validation"] = assessment["cross_validation"]
    utterance["score"] = assessment["score"]
    utterance["words"] = [_shifted(word, item.span) for word in found["words"]]
    if found["f0_contour"] is not None:
        contour = found["f0_contour"].copy()
        contour["start"] = round(contour["start"] + item.span.start_s, _DIGITS)
        utterance["f0_contour"] = contour
    if item.channel is not None:
        utterance["channel"] = item.channel
    return utterance


def _segment(found: Segment, item: Heard, utterances: Sequence[Utterance]) -> ResultSegment:
    """The segment with the speakers of its window's utterances, as WhisperX assigns them."""
    shifted = _shifted(found, item.span)
    segment = ResultSegment(
        start=shifted["start"],
        end=shifted["end"],
        text=found["text"],
        avg_logprob=found["avg_logprob"],
        words=[SpokenWord(**_shifted(word, item.span)) for word in found["words"]],
        aligner=found["aligner"],
    )
    for spoken in (segment, *segment["words"]):
        speaker = _speaker_of(spoken["start"], spoken["end"], utterances)
        if speaker is not None:
            spoken["speaker"] = speaker
    if item.channel is not None:
        segment["channel"] = item.channel
    return segment


def _speaker_of(start: float, end: float, utterances: Sequence[Utterance]) -> str | None:
    """Who speaks for most of the time from start to end; None when nobody does."""
    seconds: dict[str, float] = defaultdict(float)
    for utterance in utterances:
        overlap_s = min(end, utterance["end"]) - max(start, utterance["start"])
        if overlap_s >= 0 and "speaker" in utterance:
            seconds[utterance["speaker"]] += overlap_s
    return max(sorted(seconds), key=seconds.__getitem__, default=None)


def _window(item: Heard, utterances: Sequence[Utterance]) -> ResultWindow:
    evidence = item.evidence
    return ResultWindow(
        start=round(item.span.start_s, _DIGITS),
        end=round(item.span.end_s, _DIGITS),
        channel=item.channel,
        language=evidence["language"],
        language_probability=evidence["language_probability"],
        no_speech_probability=evidence["no_speech_probability"],
        compression_ratio=evidence["compression_ratio"],
        aligner=evidence["aligner"],
        speech=evidence["speech"],
        speech_with_text=evidence["speech_with_text"],
        score=highest([utterance["score"] for utterance in utterances]),
        unavailable=evidence["unavailable"],
    )


def _language(heard: Sequence[Heard]) -> str | None:
    """The language with most seconds of segments; None without any."""
    seconds: dict[str, float] = defaultdict(float)
    for item in heard:
        for segment in item.evidence["segments"]:
            seconds[item.evidence["language"]] += segment["end"] - segment["start"]
    return max(sorted(seconds), key=seconds.__getitem__, default=None)
