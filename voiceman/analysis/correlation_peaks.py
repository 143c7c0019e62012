"""Maxima of sampled correlation functions, between the samples.

A correlation of sampled sound is band-limited, so it is known between the lags as well: a sine
cardinal under a raised cosine gives it there (P. Boersma 1993, "Accurate short-term analysis of
the fundamental frequency and the harmonics-to-noise ratio of a sampled sound", IFA Proceedings
17, 97-110, section 2). Without it the pitch of high voices and every harmonicity above 10 dB
would be those of the lag grid.
"""

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

Float32s = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

REACH = 70  # lags on either side of a peak that take part, as in Praat
_GRID_PER_LAG = 8
_SPAN_LAGS = 0.75  # a maximum lies less than half a lag from the largest sample, noise aside


def local_maxima(correlation: Float32s, above: float) -> tuple[Indices, Indices]:
    """Rows and columns of the samples that are local maxima, row by row.

    Args:
        correlation: [t, k]; the first and the last column are only neighbours.
        above: what a maximum must exceed.
    """
    before, here, after = correlation[:, :-2], correlation[:, 1:-1], correlation[:, 2:]
    rows, columns = np.nonzero((here > above) & (here > before) & (here >= after))
    return rows, columns + 1


def refine(correlation: Float32s, rows: Indices, columns: Indices) -> tuple[Floats, Floats]:
    """Position and height of maxima, interpolated.

    Args:
        correlation: [t, k], with REACH columns around every maximum.
        rows: [p] of the maxima.
        columns: [p] of the maxima.

    Returns:
        fractional column and height of each, both [p]. Heights above 1, which short windows
        cause, are reflected: 1 / height.
    """
    around = sliding_window_view(correlation, 2 * REACH + 1, axis=1)[rows, columns - REACH]
    fine = around @ _interpolator()
    best = np.clip(fine.argmax(axis=1), 1, fine.shape[1] - 2)
    each = np.arange(len(best))
    left, top, right = (fine[each, best + step].astype(np.float64) for step in (-1, 0, 1))
    slope, bend = 0.5 * (right - left), np.maximum(2 * top - left - right, 1e-12)
    shift = np.clip(slope / bend, -1, 1)
    height = top + 0.5 * slope * shift
    position = columns + (best + shift) / _GRID_PER_LAG - _SPAN_LAGS
    return position, np.where(height > 1, 1 / height, height)


@lru_cache
def _interpolator() -> Float32s:
    """[141, 13] weights of the samples around a peak for each point of the fine grid."""
    points = np.arange(-_SPAN_LAGS, _SPAN_LAGS + 1e-9, 1 / _GRID_PER_LAG)
    apart = points[np.newaxis] - np.arange(-REACH, REACH + 1)[:, np.newaxis]
    window = 0.5 + 0.5 * np.cos(np.pi * np.clip(apart / (REACH + 1), -1, 1))
    return (np.sinc(apart) * window).astype(np.float32)
