"""Medians and median absolute deviations of all rows but each one itself."""

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ranks = npt.NDArray[np.signedinteger[Any]]


def median_of_others(values: Floats) -> tuple[Floats, Floats]:
    """Median and median absolute deviation of all rows but each one itself.

    Leaving one out moves a median to one of three places: the row lies below the middle, in it,
    or above. So three sorts do what would else take one for each row.

    Args:
        values: [n, f], NaN where there is no number; such rows have no answer there.

    Returns:
        [n, f] both, NaN where fewer than one other row has a number.
    """
    medians = _others_median(values)
    deviations = np.full_like(values, np.nan)
    # Every distinct median, column by column: the lowest, the highest, and what lies between.
    low, high = _extremes(medians)
    between = np.where((medians > low) & (medians < high), medians, np.nan)
    for place in (low, high, _extremes(between)[0]):
        around = _others_median(np.abs(values - place))
        deviations = np.where(medians == place, around, deviations)
    return medians, deviations


def _extremes(values: Floats) -> tuple[Floats, Floats]:
    """Smallest and largest number of every column, NaN without any."""
    known = np.isfinite(values)
    low = np.where(known, values, np.inf).min(axis=0)
    high = np.where(known, values, -np.inf).max(axis=0)
    none = ~known.any(axis=0)
    return np.where(none, np.nan, low), np.where(none, np.nan, high)


def _others_median(values: Floats) -> Floats:
    """[n, f] median of each column without the row itself; NaN where there is none."""
    ordered = np.sort(values, axis=0)  # NaN come last
    ranks: Ranks = np.argsort(np.argsort(values, axis=0), axis=0)
    count = np.isfinite(values).sum(axis=0) - 1  # the others, where the row has a number
    halves = [_without(ordered, ranks, place) for place in ((count - 1) // 2, count // 2)]
    medians = (halves[0] + halves[1]) / 2
    return np.where(np.isfinite(values) & (count > 0), medians, np.nan)


def _without(ordered: Floats, ranks: Ranks, place: Ranks) -> Floats:
    """What stands at a place of each sorted column once the row itself is taken out."""
    kept = np.maximum(place, 0)
    kept = np.minimum(kept + (ranks <= kept), len(ordered) - 1)
    return ordered[kept, np.arange(ordered.shape[1])]
