"""Jitter and shimmer: how much periods and amplitudes of the voice differ from their neighbours.

The same as Praat's "Get jitter" and "Get shimmer" with its default limits: a period lasts 0.1 to
20 ms, neighbouring periods differ by a factor of at most 1.3, neighbouring amplitudes by at most
1.6. Whatever breaks a limit takes no part (Praat's manual, "Voice 2. Jitter" and "Voice 3.
Shimmer"). All are shares: 0.01 is 1 %.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from voiceman.audio import SAMPLE_RATE_HZ, Waveform

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

SHORTEST_PERIOD_S, LONGEST_PERIOD_S = 0.0001, 0.02
MAX_PERIOD_FACTOR = 1.3
MAX_AMPLITUDE_FACTOR = 1.6
AMPLITUDE_REACH = 0.2  # of the period before and after a pulse: half its Hann window


@dataclass(frozen=True)
class Jitter:
    """Mean differences between periods, over the mean period; NaN: too few periods in a row.

    Attributes:
        local: of neighbours.
        rap: of a period from the mean of the three around it.
        ppq5: of a period from the mean of the five around it.
    """

    local: float
    rap: float
    ppq5: float


@dataclass(frozen=True)
class Shimmer:
    """Mean differences between amplitudes, over the mean; NaN: too few periods in a row.

    Attributes:
        local: of neighbours.
        apq3: of an amplitude from the mean of the three around it.
        apq11: of an amplitude from the mean of the eleven around it.
    """

    local: float
    apq3: float
    apq11: float


def jitter(pulses_s: Floats) -> Jitter:
    """Jitter of a sequence of glottal pulses.

    Args:
        pulses_s: [p] instants, ascending, seconds.
    """
    periods_s = np.diff(pulses_s)
    fits = _lasts_a_period(periods_s)
    linked = fits[1:] & fits[:-1] & (_factors(periods_s) <= MAX_PERIOD_FACTOR)
    mean_s = _mean(periods_s[_is_period(periods_s, fits)])
    return Jitter(
        _local(periods_s, linked) / mean_s,
        _from_mean_around(periods_s, linked, 3) / mean_s,
        _from_mean_around(periods_s, linked, 5) / mean_s,
    )


def shimmer(waveform: Waveform, pulses_s: Floats) -> Shimmer:
    """Shimmer of one utterance.

    Args:
        waveform: [n] float32 at 16 kHz.
        pulses_s: [p] instants of its glottal pulses, ascending, seconds.
    """
    times_s, amplitudes = _amplitudes(waveform, pulses_s)
    linked = _lasts_a_period(np.diff(times_s)) & (_factors(amplitudes) <= MAX_AMPLITUDE_FACTOR)
    mean = _mean(amplitudes[:-1])  # Praat leaves the last one out
    return Shimmer(
        _local(amplitudes, linked) / mean,
        _from_mean_around(amplitudes, linked, 3) / mean,
        _from_mean_around(amplitudes, linked, 11) / mean,
    )


def _amplitudes(waveform: Waveform, pulses_s: Floats) -> tuple[Floats, Floats]:
    """Times and amplitudes [k] of the pulses between two periods that follow each other.

    An amplitude is the root mean square under a Hann window that reaches a fifth of a period to
    either side of its pulse.
    """
    periods_s = np.diff(pulses_s)
    fits = _lasts_a_period(periods_s)
    regular = fits[1:] & fits[:-1] & (_factors(periods_s) <= MAX_PERIOD_FACTOR)
    places = pulses_s[1:-1][regular] * SAMPLE_RATE_HZ - 0.5
    before = periods_s[:-1][regular] * AMPLITUDE_REACH * SAMPLE_RATE_HZ
    after = periods_s[1:][regular] * AMPLITUDE_REACH * SAMPLE_RATE_HZ
    reach = int(max(before.max(initial=0.0), after.max(initial=0.0))) + 1
    around = np.floor(places).astype(np.int64)[:, np.newaxis] + np.arange(-reach, reach + 2)
    apart = around - places[:, np.newaxis]
    phases = apart / np.where(apart < 0, before[:, np.newaxis], after[:, np.newaxis])
    window = np.where(np.abs(phases) <= 1, 0.5 + 0.5 * np.cos(np.pi * phases), 0.0)
    window[(around < 0) | (around >= len(waveform))] = 0.0
    samples = waveform[np.clip(around, 0, len(waveform) - 1)]
    power = ((samples * window) ** 2).sum(axis=1) / (window**2).sum(axis=1)
    heard = power > 0
    return pulses_s[1:-1][regular][heard], np.sqrt(power[heard])


def _lasts_a_period(intervals_s: Floats) -> Flags:
    return (intervals_s >= SHORTEST_PERIOD_S) & (intervals_s <= LONGEST_PERIOD_S)


def _is_period(intervals_s: Floats, fits: Flags) -> Flags:
    """Whether each interval counts for the mean period: it resembles a neighbour, or has none."""
    jumps = np.pad(_factors(intervals_s) > MAX_PERIOD_FACTOR, 1, constant_values=False)
    return fits & ~(jumps[:-1] & jumps[1:])


def _factors(values: Floats) -> Floats:
    """[k - 1] by which neighbours differ, 1 or more."""
    return np.maximum(values[1:], values[:-1]) / np.minimum(values[1:], values[:-1])


def _local(values: Floats, linked: Flags) -> float:
    """Mean difference of neighbours that are linked."""
    return _mean(np.abs(np.diff(values))[linked])


def _from_mean_around(values: Floats, linked: Flags, width: int) -> float:
    """Mean distance of a value from the mean of the `width` around it, all of them linked."""
    if len(values) < width:
        return np.nan
    means = sliding_window_view(values, width).mean(axis=1)
    whole = sliding_window_view(linked, width - 1).all(axis=1)
    return _mean(np.abs(values[width // 2 :][: len(means)] - means)[whole])


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else np.nan
