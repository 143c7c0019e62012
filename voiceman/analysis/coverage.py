"""Which of the detected speech has text: sets of intervals, and what is left of them.

Intervals are tuples of (start_s, end_s), sorted, disjoint and none empty.
"""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from voiceman.errors import InvalidRequestError

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


def detected_speech(turns: npt.NDArray[np.float32] | None, duration: float) -> Intervals | None:
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
    if not np.isfinite(turns).all():
        raise InvalidRequestError("TURNS: a start or end is not a finite number; send seconds")
    spans: list[list[float]] = turns.astype(np.float64).tolist()
    return union(((start, end) for start, end in spans), 0.0, duration)
