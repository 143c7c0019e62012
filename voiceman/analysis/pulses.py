"""Glottal pulses: one instant per period of the voice.

The same as Praat's "To PointProcess (cc)": in every voiced stretch the first pulse is the highest
or lowest sample near its middle; from there each period is matched with its neighbour by
cross-correlation, up to both ends of the stretch (Praat's manual, "Sound & Pitch: To
PointProcess (cc)"). Each pulse depends on the one before, so this is the one analysis that walks.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from voiceman.analysis.pitch import PitchTrack
from voiceman.audio import SAMPLE_RATE_HZ, Waveform

Floats = npt.NDArray[np.float64]

# A period may be this much shorter or longer than the pitch says.
SHORTEST_PERIOD, LONGEST_PERIOD = 0.8, 1.25
MIN_CORRELATION, MIN_PEAK = 0.3, 0.01  # inside a voiced stretch; peaks are shares of the highest
EDGE_CORRELATION, EDGE_PEAK = 0.7, 0.023333  # for the last pulse, beyond its end

_PAD = 800  # samples; a match reaches less than 3 periods of 75 Hz beyond an end
_TINY = 1e-300


@dataclass(frozen=True)
class _Sound:
    """One waveform, prepared for matching. Places are sample numbers, with fractions.

    Attributes:
        n: how many samples it has.
        padded: [800 + n + 800] the samples between zeros.
        magnitudes: [800 + n + 800] of these.
        energies: [800 + n + 801] sum of the squares before each of these.
        peak: the largest magnitude.
    """

    n: int
    padded: Floats
    magnitudes: Floats
    energies: Floats
    peak: float


@dataclass(frozen=True)
class _Match:
    """The best match of one period: where, how well, and how loud it is there."""

    place: float
    correlation: float
    peak: float


def find_pulses(waveform: Waveform, pitch: PitchTrack) -> Floats:
    """Instants of the glottal pulses.

    Args:
        waveform: [n] float32 at 16 kHz.
        pitch: of the same waveform.

    Returns:
        [p] seconds from the start of the waveform, ascending.
    """
    if not pitch.voiced.any():
        return np.zeros(0)
    padded = np.pad(waveform.astype(np.float64), _PAD)
    energies = np.concatenate([[0.0], np.cumsum(padded * padded)])
    magnitudes = np.abs(padded)
    sound = _Sound(len(waveform), padded, magnitudes, energies, float(magnitudes.max()))
    period_at = _periods(pitch)
    places: list[float] = []
    filled = -math.inf  # the last pulse of the stretch before: none is set twice
    for first, last in _voiced_stretches(pitch, sound.n):
        middle = (first + last) / 2
        period = period_at(middle)
        seed = _extremum(waveform, middle - period / 2, middle + period / 2)
        back = [
            place
            for place, period in _walk(sound, period_at, seed, first, -1)
            if place - filled > SHORTEST_PERIOD * period
        ]
        forth = [place for place, _ in _walk(sound, period_at, seed, last, +1)]
        places += [*back, seed, *forth]
        filled = forth[-1] if forth else filled
    return (np.sort(places) + 0.5) / SAMPLE_RATE_HZ


def _voiced_stretches(pitch: PitchTrack, n: int) -> Iterator[tuple[float, float]]:
    """Places of both ends of every run of voiced frames; a frame is one time step long."""
    edges = np.flatnonzero(np.diff(np.pad(pitch.voiced, 1).astype(np.int8)))
    times_s: list[float] = pitch.times_s.tolist()
    half = pitch.step_s / 2
    for first, after in zip(edges[::2], edges[1::2], strict=True):
        start = (times_s[first] - half) * SAMPLE_RATE_HZ - 0.5
        end = (times_s[after - 1] + half) * SAMPLE_RATE_HZ - 0.5
        yield max(start, -0.5), min(end, n - 0.5)


def _periods(pitch: PitchTrack) -> Callable[[float], float]:
    """The period (samples) at a place, interpolated between voiced frames; NaN: unvoiced."""
    f0_hz: list[float] = pitch.f0_hz.tolist()
    step = pitch.step_s * SAMPLE_RATE_HZ
    origin = float(pitch.times_s[0]) * SAMPLE_RATE_HZ - 0.5
    last = len(f0_hz) - 1

    def period_at(place: float) -> float:
        frame = (place - origin) / step
        left = math.floor(frame)
        near, far = (left, left + 1) if frame - left < 0.5 else (left + 1, left)
        if not 0 <= near <= last:
            return math.nan
        f0 = f0_hz[near]
        if 0 <= far <= last and not math.isnan(f0_hz[far]):
            f0 += abs(frame - near) * (f0_hz[far] - f0)
        return SAMPLE_RATE_HZ / f0

    return period_at


def _extremum(samples: Waveform, first: float, last: float) -> float:
    """Place of the largest magnitude between two places, by a parabola through its samples."""
    start, end = max(math.floor(first), 0), min(math.ceil(last), len(samples) - 1)
    part = samples[start : end + 1]
    low, high = int(part.argmin()), int(part.argmax())
    best = low if abs(part[low]) > abs(part[high]) else high
    if part[low] == part[high]:
        return (start + end) / 2
    if best in (0, len(part) - 1):
        return float(start + best)
    left, top, right = part[best - 1 : best + 2].tolist()
    return start + best + 0.5 * (right - left) / (2 * top - left - right)


def _walk(
    sound: _Sound,
    period_at: Callable[[float], float],
    place: float,
    end: float,
    direction: int,
) -> Iterator[tuple[float, float]]:
    """The pulses from a place to one end of its stretch, each with the period it came from.

    Args:
        sound: where they are looked for.
        period_at: the period at a place, samples.
        place: the pulse to start from, which is not repeated.
        end: of the voiced stretch.
        direction: +1 towards the end of the waveform, -1 towards its start.
    """
    while not math.isnan(period := period_at(place)):
        match = _best_match(sound, place, period, direction)
        place = match.place if match else place + direction * period
        beyond = (place - end) * direction > 0
        least, quietest = (EDGE_CORRELATION, EDGE_PEAK) if beyond else (MIN_CORRELATION, MIN_PEAK)
        if (
            match
            and match.correlation > least
            and (match.peak > quietest * sound.peak or (match.peak == 0 and not beyond))
        ):
            yield place, period
        if beyond:
            return


def _best_match(sound: _Sound, place: float, period: float, direction: int) -> _Match | None:
    """Where the period around a place comes again; None: nowhere."""
    near, far = sorted((direction * SHORTEST_PERIOD, direction * LONGEST_PERIOD))
    here = math.floor(place - period / 2 + 0.5)
    width = math.floor(place + period / 2 + 0.5) - here + 1
    first = math.floor(place + near * period - period / 2)
    last = math.ceil(place + far * period - period / 2)
    heights = _correlations(sound, here, width, first, last)
    best = int(heights[1:-1].argmax()) + 1
    if heights[best] < heights[best + 1]:  # the last lag is highest: a lesser maximum, if any
        inner = heights[1:-1]
        peaks = np.flatnonzero((inner >= heights[:-2]) & (inner >= heights[2:])) + 1
        if len(peaks) == 0:
            return None
        best = int(peaks[heights[peaks].argmax()])
    left, top, right = heights[best - 1 : best + 2].tolist()
    slope, bend = 0.5 * (right - left), 2 * top - left - right
    shift = slope / bend if bend else 0.0
    start = first + best - 2
    peak = float(sound.magnitudes[start + 1 + _PAD : start + 1 + width + _PAD].max())
    return _Match(place + (start + shift - here), top + 0.5 * slope * shift, peak)


def _correlations(sound: _Sound, here: int, width: int, first: int, last: int) -> Floats:
    """[2 + lags] correlation of `width` samples from `here` with those from `first` to `last`.

    Two zeros lead, as in Praat: so the first lag has a neighbour, and that has one, too. Samples
    whose partner lies outside of the waveform take no part.
    """
    parts = sound.padded[first + _PAD : last + width + _PAD]
    heights = np.zeros(last - first + 3)
    heights[2:] = np.correlate(parts, sound.padded[here + _PAD : here + width + _PAD], "valid")
    energies, low, high = sound.energies, first + _PAD, last + 1 + _PAD
    theirs = energies[low + width : high + width] - energies[low:high]
    ours = energies[here + width + _PAD] - energies[here + _PAD]
    if first < 0 or last + width > sound.n:
        starts = np.arange(first, last + 1)
        inside = np.clip(starts + width, 0, sound.n) - starts, np.clip(starts, 0, sound.n) - starts
        ours = energies[here + inside[0] + _PAD] - energies[here + inside[1] + _PAD]
    heights[2:] /= np.sqrt(np.maximum(ours * theirs, _TINY))
    return heights
