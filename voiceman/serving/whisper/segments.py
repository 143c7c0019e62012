"""From the tokens of one decode to segments, and where to listen again.

Source: the seeking loop of openai/whisper `transcribe.py`. A window ends where a pause begins,
so only what lies inside it is decoded again; nothing that was generated and will not be
decoded again is thrown away.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

TIMESTAMP_STEP_S = 0.02
MIN_CONTINUATION_S = 1.0  # a shorter rest holds no words, and Whisper invents some for it
MIN_ADVANCE_S = 1.0  # every further decode must move on by this much, so that it ends


@dataclass(frozen=True)
class TokenSpan:
    """A segment: times in seconds from the start of the decode, tokens [first, last)."""

    start: float
    end: float
    first: int
    last: int


@dataclass(frozen=True)
class Split:
    """The segments of one decode.

    Attributes:
        spans: at least one, in order.
        reach_s: up to where the text of this decode goes, from its start.
        resume_s: where the sound must be decoded on, from the start of this decode; None:
            the decode covers the window.
    """

    spans: tuple[TokenSpan, ...]
    reach_s: float
    resume_s: float | None = None


def whole(tokens: Sequence[int], duration: float) -> Split:
    """All tokens as one segment over the whole duration: a decode without timestamps."""
    return Split((TokenSpan(0.0, duration, 0, len(tokens)),), duration)


def split_segments(tokens: Sequence[int], first_timestamp: int, duration: float) -> Split:
    """Cut generated tokens (without end of text) at pairs of timestamps.

    Args:
        tokens: text and timestamps.
        first_timestamp: the token of 0.00 s.
        duration: seconds of sound that this decode could hear.
    """
    is_timestamp = [token >= first_timestamp for token in tokens]
    pairs = [
        index for index in range(1, len(tokens)) if is_timestamp[index - 1] and is_timestamp[index]
    ]

    def seconds(index: int) -> float:
        return min((tokens[index] - first_timestamp) * TIMESTAMP_STEP_S, duration)

    if not pairs:
        return Split((_single(tokens, is_timestamp, first_timestamp, duration),), duration)
    # A single timestamp at the end says that no speech follows it.
    complete = is_timestamp[-2:] == [False, True]
    bounds = [0, *pairs, *([len(tokens)] if complete else [])]
    spans = tuple(
        TokenSpan(seconds(first), seconds(last - 1), first, last)
        for first, last in pairwise(bounds)
    )
    if complete:
        return Split(spans, duration)
    resume = seconds(bounds[-1] - 1)
    if duration - resume >= MIN_CONTINUATION_S and resume >= MIN_ADVANCE_S:
        return Split(spans, resume, resume)
    if all(is_timestamp[bounds[-1] :]):
        return Split(spans, duration)
    rest = TokenSpan(resume, duration, bounds[-1], len(tokens))
    return Split((*spans, rest), duration)


def _single(
    tokens: Sequence[int], is_timestamp: Sequence[bool], first_timestamp: int, duration: float
) -> TokenSpan:
    """Everything as one segment; a closing timestamp, if there is one, is its end."""
    stamps = [token for token, stamp in zip(tokens, is_timestamp, strict=True) if stamp]
    start = (tokens[0] - first_timestamp) * TIMESTAMP_STEP_S if stamps and is_timestamp[0] else 0.0
    end = duration
    if len(stamps) > 1 or (stamps and not is_timestamp[0]):
        end = (stamps[-1] - first_timestamp) * TIMESTAMP_STEP_S
    end = min(end, duration)
    return TokenSpan(min(start, end), end, 0, len(tokens))
