"""Whether memory grows over a run by more than noise.

Readings at equal points, the ends of recordings, are compared: the work in between is alike, so
what grows from one to the next was not given back.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

WARM_UP_SHARE = 0.25  # of the readings: allocators and caches grow to what work needs
MIN_READINGS = 10  # after the warm-up: the normal approximation holds from here (Kendall 1975)
SIGNIFICANCE = 0.01
MIN_GROWTH_SDS = 3.0  # readings depend on the ones before; the test takes them as independent
_MAX_READINGS = 1000  # half a million pairs; of more, every second, third, ... is used
_SD_PER_MAD = 1.4826  # of a normal distribution
_MB, _HOUR_S = 1e6, 3600.0

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Growth:
    """How a memory went over a run.

    Attributes:
        mb_per_hour: Theil-Sen slope, the median of the slopes of all pairs of readings (Sen,
            "Estimates of the regression coefficient based on Kendall's tau", 1968).
        p_value: one-sided, of readings without any trend that rise as often as these (Mann,
            "Nonparametric tests against trend", 1945; with the correction for ties).
        noise_mb: robust standard deviation of the readings around the slope.
        readings: that it rests on, the warm-up left out.
        beyond_noise: p below 1 %, and the growth from first to last more than 3 times the
            noise.
    """

    mb_per_hour: float
    p_value: float
    noise_mb: float
    readings: int
    beyond_noise: bool


def growth(times_s: Sequence[float], used_bytes: Sequence[int]) -> Growth | None:
    """The trend of readings over time.

    Args:
        times_s: of the readings, ascending.
        used_bytes: the readings.

    Returns:
        None for fewer than 10 readings after the warm-up, or no time between them.
    """
    first = math.ceil(len(times_s) * WARM_UP_SHARE)
    step = max(1, math.ceil((len(times_s) - first) / _MAX_READINGS))
    times = np.asarray(times_s, np.float64)[first::step]
    used = np.asarray(used_bytes, np.float64)[first::step]
    if len(times) < MIN_READINGS or times[0] == times[-1]:
        return None
    earlier, later = np.triu_indices(len(times), k=1)
    apart_s = times[later] - times[earlier]
    rises = used[later] - used[earlier]
    slope = float(np.median(rises[apart_s > 0] / apart_s[apart_s > 0]))
    around = used - slope * times
    noise = _SD_PER_MAD * float(np.median(np.abs(around - np.median(around))))
    p_value = _mann_kendall(used, int(np.sign(rises).sum()))
    grown = slope * (times[-1] - times[0])
    return Growth(
        mb_per_hour=slope * _HOUR_S / _MB,
        p_value=p_value,
        noise_mb=noise / _MB,
        readings=len(times),
        beyond_noise=p_value < SIGNIFICANCE and bool(grown > MIN_GROWTH_SDS * noise),
    )


def _mann_kendall(values: Floats, score: int) -> float:
    """One-sided p of the score (rising pairs less falling ones) where there is no trend."""
    n = len(values)
    ties = np.unique(values, return_counts=True)[1].astype(np.float64)
    groups = np.concatenate([ties, [n]])
    variances = groups * (groups - 1) * (2 * groups + 5) / 18
    variance = float(variances[-1] - variances[:-1].sum())
    if variance <= 0:  # all are equal
        return 1.0
    z = (score - np.sign(score)) / math.sqrt(variance)
    return 0.5 * math.erfc(z / math.sqrt(2))
