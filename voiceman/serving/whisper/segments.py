"""From the tokens of one decode to segments, and where to listen again.

Source: the seeking loop of openai/whisper `transcribe.py`. A window ends where a pause begins,
so only what lies inside it is decoded again; nothing that was generated and will not be
decoded again is thrown away. Beyond that rule, where it is known where people speak, a decode
that fell silent before they did is taken up again (`_unheard_from`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from voiceman.analysis.coverage import Intervals, total_s, union

TIMESTAMP_STEP_S = 0.02
MIN_CONTINUATION_S = 1.0  # a shorter rest holds no words, and Whisper invents some for it
MIN_ADVANCE_S = 1.0  # every further decode must move on by this much, so that it ends
# Detected speech behind the last segment that is worth another decode: a word or two. Less is
# breath, laughter, or the tail that voice activity detection leaves behind a word. Uncalibrated.
MIN_UNHEARD_S = 1.0
# Decoding on begins this much before speech, whose onset is quiet; the client's windows keep the
# same margin. The ends of segments err by as much. Uncalibrated.
LEAD_S = 0.2


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


def split_segments(
    tokens: Sequence[int],
    first_timestamp: int,
    duration: float,
    speech: Intervals | None = None,
    *,
    further: bool = False,
) -> Split:
    """Cut generated tokens (without end of text) at pairs of timestamps.

    Args:
        tokens: text and timestamps.
        first_timestamp: the token of 0.00 s.
        duration: seconds of sound that this decode could hear.
        speech: detected speech in that sound, seconds from its start; None: not known, and
            the rule is openai's alone.
        further: this is not the first decode of its window. When it says nothing, the window
            ends here: Whisper has had its second chance at what is left.

    Returns:
        A split whose `resume_s`, if any, is at least MIN_ADVANCE_S and less than `duration`.
    """
    split = _split_at_pairs(tokens, first_timestamp, duration)
    has_text = any(token < first_timestamp for token in tokens)
    if split.resume_s is not None or speech is None or (further and not has_text):
        return split
    resume = _unheard_from(split.spans[-1].end if has_text else 0.0, speech, duration)
    return split if resume is None else Split(split.spans, resume, resume)


def _unheard_from(heard_s: float, speech: Intervals, duration: float) -> float | None:
    """Where to decode on when speech goes on after the text has ended; None: it does not.

    Decoding on begins at the next speech, not where the text ended: that silence is what made
    Whisper stop, and text invented under leading silence is its best-known fault. Where
    openai's rule resumes, its own place stands, because Whisper had begun a segment there.

    Args:
        heard_s: end of the last segment, 0 without text.
        speech: detected speech, seconds.
        duration: seconds of sound.
    """
    reached = max(heard_s, MIN_ADVANCE_S)
    rest = tuple(
        (start, end)
        for start, end in union(speech, reached + LEAD_S, duration)
        if end - start >= LEAD_S  # shorter: the tail of the last word
    )
    if total_s(rest) < MIN_UNHEARD_S:
        return None
    # On the grid of the encoder's frames, so that the attention of all decodes fits together.
    return round((rest[0][0] - LEAD_S) / TIMESTAMP_STEP_S) * TIMESTAMP_STEP_S


def _split_at_pairs(tokens: Sequence[int], first_timestamp: int, duration: float) -> Split:
    """The rule of openai/whisper."""
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
