"""Where several people talk at once."""

from typing import Any

import numpy as np
import numpy.typing as npt

Spans = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.floating[Any]]


def find_overlaps(turns: Numbers) -> Spans:
    """What two or more turns cover.

    Args:
        turns: [t, 2] start and end in seconds, in any order; rows that end before they start
            are ignored.

    Returns:
        [k, 2] start and end in seconds, sorted and disjoint.
    """
    valid = turns[turns[:, 1] > turns[:, 0]].astype(np.float64)
    times = valid.reshape(-1)
    steps = np.tile([1, -1], len(valid))
    order = np.lexsort((steps, times))  # a turn ends before one that starts then
    together = np.cumsum(steps[order]) >= 2
    changes = np.flatnonzero(np.diff(together, prepend=False))
    return times[order][changes].reshape(-1, 2)


def covered_s(spans: Spans, times: Numbers) -> npt.NDArray[np.float64]:
    """How many seconds of the spans lie before each time.

    Args:
        spans: [k, 2] start and end in seconds, sorted and disjoint.
        times: seconds, any shape.

    Returns:
        Seconds, in the shape of `times`; a difference of two is what lies between them.
    """
    if not len(spans):
        return np.zeros(np.shape(times))
    lengths = np.cumsum(spans[:, 1] - spans[:, 0])
    before = np.stack([np.concatenate([[0.0], lengths[:-1]]), lengths], axis=1)
    return np.interp(times, spans.reshape(-1), before.reshape(-1))
