"""Which of the detected speech has text, so that nothing that was said is dropped in silence.

Measured against words, not segments: a segment may claim half a minute for one sentence, and
what is missing would hide inside it. Pauses that voice activity detection bridges count as
speech without words, so that the share of a complete text may stay below 1. Two voices at once
are speech once, and one voice's words cover both: that the other's words are missing there
cannot be seen this way.

Intervals are tuples of (start_s, end_s), sorted, disjoint and none empty.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from voiceman.analysis.utterances import MIN_WORDLESS_S, Spans, check_turns
from voiceman.evidence import Evidence, Flag, Word

# Around every word: word times from cross-attention err by 0.1 to 0.2 s, and speech is detected
# from breath to breath. Uncalibrated.
WORD_MARGIN_S = 0.2
# Nobody takes longer over a word. Where words are missing, alignment stretches their neighbours
# over the sound that is left; what lies between counts as speech without words. Uncalibrated.
MAX_WORD_S = 2.0

SHARE = "speech_with_text"  # its name in `unavailable`

Interval = tuple[float, float]
Intervals = tuple[Interval, ...]


def union(spans: Iterable[Interval], start_s: float, end_s: float) -> Intervals:
    """What spans, in any order, cover between two times; touching ones are joined."""
    joined: list[Interval] = []
    for start, end in sorted((max(start, start_s), min(end, end_s)) for start, end in spans):
        if end <= start:
            continue
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return tuple(joined)


def total_s(intervals: Intervals) -> float:
    """Their length, seconds."""
    return sum(end - start for start, end in intervals)


def without(intervals: Intervals, holes: Intervals) -> Intervals:
    """What of intervals no hole covers."""
    left: list[Interval] = []
    for first, end in intervals:
        start = first
        for hole_start, hole_end in holes:
            if start < min(hole_start, end):
                left.append((start, min(hole_start, end)))
            start = max(start, hole_end)
        if start < end:
            left.append((start, end))
    return tuple(left)


def detected_speech(turns: Spans | None, duration: float) -> Intervals | None:
    """Where anybody speaks in a window: the union of its speaker turns.

    Args:
        turns: TURNS [t, 2], start and end in seconds, in any order, may overlap and reach over
            the window; None: nobody looked for speech, which is not the same as none found.
        duration: of the window, seconds.

    Raises:
        InvalidRequestError: a turn is not a number.
    """
    if turns is None:
        return None
    check_turns(turns)
    spans: list[list[float]] = turns.astype(np.float64).tolist()
    return union(((start, end) for start, end in spans), 0.0, duration)


@dataclass(frozen=True)
class Coverage:
    """How much of the detected speech has text.

    Attributes:
        speech_s: detected speech, seconds.
        wordless: the parts of it that no word reaches.
    """

    speech_s: float
    wordless: Intervals

    @property
    def with_text(self) -> float | None:
        """Share of the detected speech that has text, 0 to 1; None: no speech was detected."""
        if self.speech_s <= 0.0:
            return None
        return round(max(0.0, 1.0 - total_s(self.wordless) / self.speech_s), 4)

    def flags(self) -> list[Flag]:
        """A flag "speech_without_words" for every part of at least MIN_WORDLESS_S."""
        return [
            Flag(
                kind="speech_without_words",
                start=round(start, 3),
                end=round(end, 3),
                detail=f"{end - start:.1f} s of detected speech have no text",
            )
            for start, end in self.wordless
            if end - start >= MIN_WORDLESS_S
        ]


def measure(speech: Intervals, words: Sequence[Word], duration: float) -> Coverage:
    """Hold the words of a window against its speech.

    Args:
        speech: from `detected_speech`.
        words: with their times in the window, in any order.
        duration: of the window, seconds.
    """
    reach = union((span for word in words for span in _reach(word)), 0.0, duration)
    return Coverage(total_s(speech), without(speech, reach))


def add_up(windows: Sequence[Evidence]) -> tuple[float | None, float | None]:
    """`speech` and `speech_with_text` of a recording; None where any window does not know."""
    known = [(w["speech"], w["speech_with_text"]) for w in windows if w["speech"] is not None]
    if len(known) < len(windows):
        return None, None
    speech_s = sum(speech for speech, _ in known)
    with_text_s = sum(speech * (share or 0.0) for speech, share in known)
    return round(speech_s, 3), round(with_text_s / speech_s, 4) if speech_s > 0.0 else None


def why_unknown(speech_s: float | None, with_text: float | None) -> dict[str, str]:
    """The reason for `unavailable` where `speech_with_text` is None; empty where it is not."""
    if speech_s is None:
        return {SHARE: "where people speak is not known: no TURNS were sent"}
    return {SHARE: "no speech was detected"} if with_text is None else {}


def _reach(word: Word) -> tuple[Interval, Interval]:
    """Where a word counts as heard: one stretch around it, or two at the ends of a long one."""
    start, end = word["start"], word["end"]
    half_s = min(end - start, MAX_WORD_S) / 2
    return (
        (start - WORD_MARGIN_S, start + half_s + WORD_MARGIN_S),
        (end - half_s - WORD_MARGIN_S, end + WORD_MARGIN_S),
    )
