"""From finished decodes to the evidence of a window: segments, words, confidence, flags."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tokenizers import Tokenizer

from voiceman.audio import Waveform
from voiceman.evidence import Flag, Transcript, WhisperSegment, WhisperWord
from voiceman.serving.whisper.alignment import Matrix
from voiceman.serving.whisper.segments import TokenSpan
from voiceman.serving.whisper.words import group_words

# Thresholds of openai/whisper `transcribe.py`. There they make it decode again or drop a
# passage; here they flag it, and the text stays.
MAX_COMPRESSION_RATIO = 2.4
MIN_AVG_LOGPROB = -1.0
MIN_NO_SPEECH_PROBABILITY = 0.6
# -72 dB of full scale, 8 steps of INT16: below it there is nothing that anybody could have said.
SILENCE_PEAK = 2.0**-12


@dataclass(frozen=True)
class Decode:
    """One decode of a window, or of the rest of it.

    Attributes:
        offset_s: where its sound begins in the window. end_s: up to where its text reaches.
        tokens: all that was generated, without end of text.
        logprobs: of `tokens`, and of end of text where it was reached.
        spans: its segments; times from `offset_s`.
        complete: nothing is missing at its end: it was finished, or is decoded on.
        attention: rows of its text tokens (and one for end of text) by the frames from
            `offset_s` to `end_s`.
    """

    offset_s: float
    end_s: float
    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]
    spans: tuple[TokenSpan, ...]
    no_speech_probability: float
    complete: bool
    attention: Matrix

    @property
    def avg_logprob(self) -> float:
        """Mean log-probability per generated token, end of text included."""
        return float(np.mean(self.logprobs)) if self.logprobs else 0.0


@dataclass(frozen=True)
class Language:
    """The language of a window; probability is None where the caller gave it."""

    code: str
    probability: float | None


def compression_ratio(text: str) -> float:
    """Bytes of UTF-8 text over bytes after zlib: high when text repeats itself; 0 for none."""
    encoded = text.encode()
    return len(encoded) / len(zlib.compress(encoded)) if encoded else 0.0


def make_transcript(
    decodes: Sequence[Decode],
    language: Language,
    duration: float,
    tokenizer: Tokenizer,
    end_of_text: int,
) -> Transcript:
    """The TRANSCRIPT of a window from its decodes, in order.

    Args:
        decodes: at least one.
        language: given or detected.
        duration: of the window in seconds.
        tokenizer: of the checkpoint.
        end_of_text: tokens below it are text.
    """
    segments: list[WhisperSegment] = []
    flags: list[Flag] = []
    row = 0
    for decode in decodes:
        found = [
            _segment(decode, span, row, tokenizer, language=language.code, end_of_text=end_of_text)
            for span in decode.spans
        ]
        segments += [segment for segment in found if segment["text"]]
        flags += _flags(decode, " ".join(segment["text"] for segment in found))
        row += len(decode.attention)
    return {
        "language": language.code,
        "language_probability": language.probability,
        "duration": duration,
        "no_speech_probability": decodes[0].no_speech_probability,
        "compression_ratio": compression_ratio(" ".join(s["text"] for s in segments)),
        "segments": segments,
        "flags": flags,
    }


def _segment(
    decode: Decode,
    span: TokenSpan,
    first_row: int,
    tokenizer: Tokenizer,
    *,
    language: str,
    end_of_text: int,
) -> WhisperSegment:
    is_text = [token < end_of_text for token in decode.tokens]
    text_indices = [index for index in range(span.first, span.last) if is_text[index]]
    tokens = [decode.tokens[index] for index in text_indices]
    probabilities = np.exp([decode.logprobs[index] for index in text_indices])
    row = first_row + sum(is_text[: span.first])
    words = group_words(tokens, tokenizer.decode, language)
    return {
        "start": round(decode.offset_s + span.start, 3),
        "end": round(decode.offset_s + span.end, 3),
        "text": tokenizer.decode(tokens).strip(),
        "avg_logprob": float(np.mean(decode.logprobs[span.first : span.last] or (0.0,))),
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


def _flags(decode: Decode, text: str) -> list[Flag]:
    """What a reader must know before trusting this decode."""
    ratio, average = compression_ratio(text), decode.avg_logprob
    unsure = average < MIN_AVG_LOGPROB
    found: list[tuple[str, str]] = []
    if ratio > MAX_COMPRESSION_RATIO:
        found.append(("repetition_loop", f"compression ratio {ratio:.2f}"))
    if text and unsure:
        found.append(("low_confidence", f"average log-probability {average:.2f}"))
    if unsure and decode.no_speech_probability > MIN_NO_SPEECH_PROBABILITY:
        found.append(("no_speech", f"probability of no speech {decode.no_speech_probability:.2f}"))
    if not decode.complete:
        found.append(("length_limit", f"{len(decode.tokens)} tokens were not enough"))
    return [
        Flag(kind=kind, start=round(decode.offset_s, 3), end=round(decode.end_s, 3), detail=detail)
        for kind, detail in found
    ]
