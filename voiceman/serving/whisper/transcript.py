"""From finished decodes to the evidence of a window: segments, words, confidence, flags."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from voiceman.audio import Waveform
from voiceman.evidence import Flag, Transcript, WhisperSegment, WhisperWord
from voiceman.options import WindowOptions
from voiceman.serving.whisper.alignment import Matrix
from voiceman.serving.whisper.checkpoint import Checkpoint
from voiceman.serving.whisper.fallback import Attempt, compression_ratio
from voiceman.serving.whisper.segments import TokenSpan
from voiceman.serving.whisper.words import group_words

# -72 dB of full scale, 8 steps of INT16: below it there is nothing that anybody could have said.
SILENCE_PEAK = 2.0**-12


@dataclass(frozen=True)
class Decode:
    """The decode that was kept for a window, or for the rest of it.

    Attributes:
        offset_s: where its sound begins in the window. end_s: up to where its text reaches.
        said: what was kept. attempts: how many decodes there were to choose from.
        spans: its segments; times from `offset_s`.
        complete: nothing is missing at its end: it was finished, or is decoded on.
        attention: rows of its text tokens (and one for end of text) by the frames from
            `offset_s` to `end_s`.
    """

    offset_s: float
    end_s: float
    said: Attempt
    attempts: int
    spans: tuple[TokenSpan, ...]
    complete: bool
    attention: Matrix


@dataclass(frozen=True)
class Language:
    """The language of a window; probability is None where the caller gave it."""

    code: str
    probability: float | None


def make_transcript(
    decodes: Sequence[Decode],
    language: Language,
    duration: float,
    checkpoint: Checkpoint,
    options: WindowOptions,
) -> Transcript:
    """The TRANSCRIPT of a window from its decodes, in order.

    Args:
        decodes: at least one.
        language: given or detected.
        duration: of the window in seconds.
        checkpoint: whose tokens they are.
        options: whose thresholds decide what is flagged.
    """
    segments: list[WhisperSegment] = []
    flags: list[Flag] = []
    row = 0
    for decode in decodes:
        found = [_segment(decode, span, row, checkpoint, language.code) for span in decode.spans]
        segments += [segment for segment in found if segment["text"]]
        flags += _flags(decode, options)
        row += len(decode.attention)
    return {
        "language": language.code,
        "language_probability": language.probability,
        "duration": duration,
        "no_speech_probability": decodes[0].said.no_speech_probability,
        "compression_ratio": compression_ratio(" ".join(s["text"] for s in segments)),
        "segments": segments,
        "flags": flags,
    }


def _segment(
    decode: Decode, span: TokenSpan, first_row: int, checkpoint: Checkpoint, language: str
) -> WhisperSegment:
    said, tokenizer = decode.said, checkpoint.tokenizer
    is_text = [token < checkpoint.special.end_of_text for token in said.tokens]
    text_indices = [index for index in range(span.first, span.last) if is_text[index]]
    tokens = [said.tokens[index] for index in text_indices]
    probabilities = np.exp([said.logprobs[index] for index in text_indices])
    row = first_row + sum(is_text[: span.first])
    words = group_words(tokens, tokenizer.decode, language)
    return {
        "start": round(decode.offset_s + span.start, 3),
        "end": round(decode.offset_s + span.end, 3),
        "text": tokenizer.decode(tokens).strip(),
        "avg_logprob": float(np.mean(said.logprobs[span.first : span.last] or (0.0,))),
        "words": [
            WhisperWord(
                word=word.text,
                row_start=row + word.first,
                row_end=row + word.last,
                score=float(np.mean(probabilities[word.first : word.last])),
            )
            for word in words
        ],
    }


def flag_silence(transcript: Transcript, waveform: Waveform) -> None:
    """Flag text that was written under silence, where Whisper likes to invent some."""
    peak = float(np.abs(waveform).max())
    if transcript["segments"] and peak < SILENCE_PEAK:
        transcript["flags"].append(
            Flag(
                kind="no_speech",
                start=0.0,
                end=round(transcript["duration"], 3),
                detail=f"the window is silent, its peak is {peak:.1e} of full scale",
            )
        )


def _flags(decode: Decode, options: WindowOptions) -> list[Flag]:
    """What a reader must know before trusting this decode."""
    said = decode.said
    ratio, average, silence = said.compression_ratio, said.avg_logprob, said.no_speech_probability
    unsure = average < options.min_avg_logprob
    found: list[tuple[str, str]] = []
    if ratio > options.max_compression_ratio:
        found.append(("repetition_loop", f"compression ratio {ratio:.2f}"))
    if said.text and unsure:
        found.append(("low_confidence", f"average log-probability {average:.2f}"))
    if unsure and silence > options.no_speech_threshold:
        found.append(("no_speech", f"probability of no speech {silence:.2f}"))
    if said.temperature > 0:
        detail = f"drawn at temperature {said.temperature:g}, best of {decode.attempts} decodes"
        found.append(("decoded_again", detail))
    if not decode.complete:
        found.append(("length_limit", f"{len(said.tokens)} tokens were not enough"))
    return [
        Flag(kind=kind, start=round(decode.offset_s, 3), end=round(decode.end_s, 3), detail=detail)
        for kind, detail in found
    ]
