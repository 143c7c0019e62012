"""Intensity contours, and what follows from them: syllable nuclei and pauses.

Intensity is in dB re 2e-5 Pa with full scale taken for 1 Pa, as in Praat's "To Intensity"
(94 dB is full scale). No recording says how loud the speech was in the room, so levels compare
within one recording only.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view
from scipy.signal import find_peaks
from scipy.special import i0

from voiceman.analysis.pitch import PitchTrack
from voiceman.audio import SAMPLE_RATE_HZ, Waveform

Floats = npt.NDArray[np.float64]

REFERENCE_PA = 2e-5
LEVEL_FLOOR_HZ = 100.0  # Praat's default: an effective window of 32 ms
NUCLEI_FLOOR_HZ = 50.0  # de Jong & Wempe: 64 ms, so that single periods leave no ripple
SILENCE_BELOW_MAXIMUM_DB = 25.0  # de Jong & Wempe, below the 99th percentile
NUCLEUS_DIP_DB = 2.0  # de Jong & Wempe, for unfiltered recordings
MIN_PAUSE_S = 0.3  # de Jong & Wempe
MIN_SOUNDING_S = 0.1

_NO_SOUND_DB = -300.0  # Praat's value for digital silence


@dataclass(frozen=True)
class IntensityContour:
    """Intensity over time.

    Attributes:
        times_s: [t] centres of the frames, from the start of the waveform.
        levels_db: [t] dB re 2e-5; -300 in digital silence.
    """

    times_s: Floats
    levels_db: Floats

    @property
    def step_s(self) -> float:
        """Seconds from frame to frame; 0 with fewer than two frames."""
        return float(self.times_s[1] - self.times_s[0]) if len(self.times_s) > 1 else 0.0


@dataclass(frozen=True)
class Sounding:
    """What the intensity contour says about the flow of speech.

    Attributes:
        nuclei_s: [k] times of the syllable nuclei.
        pauses_s: [p, 2] start and end of the pauses between sounding parts.
        sounding_s: length of all sounding parts together.
    """

    nuclei_s: Floats
    pauses_s: Floats
    sounding_s: float


def intensity_contour(waveform: Waveform, floor_hz: float = LEVEL_FLOOR_HZ) -> IntensityContour:
    """Intensity under a Gaussian-like window, as Praat's "To Intensity" with mean subtraction.

    Args:
        waveform: [n] float32 at 16 kHz; a waveform shorter than the window has no frames.
        floor_hz: the lowest pitch that leaves no ripple; the window is 6.4 of its periods
            long (3.2 effectively), the step 0.8 of one.
    """
    half = int(3.2 / floor_hz * SAMPLE_RATE_HZ)
    step = int(0.8 / floor_hz * SAMPLE_RATE_HZ)
    n, width = len(waveform), 2 * half + 1
    if n < width:
        return IntensityContour(np.zeros(0), np.zeros(0))
    count = (n - width) // step + 1
    starts = (n - width - (count - 1) * step) // 2 + step * np.arange(count)
    frames = sliding_window_view(waveform, width)[starts]
    frames = frames - frames.mean(axis=1, keepdims=True)
    power = (frames * frames) @ _window(half)
    with np.errstate(divide="ignore"):
        levels_db = 10 * np.log10(power.astype(np.float64) / REFERENCE_PA**2)
    return IntensityContour((starts + half) / SAMPLE_RATE_HZ, np.maximum(levels_db, _NO_SOUND_DB))


@lru_cache
def _window(half: int) -> npt.NDArray[np.float32]:
    """Praat's Kaiser window (side lobes below -190 dB), [2 half + 1], of sum 1."""
    inside = np.maximum(0.0, 1 - (np.arange(-half, half + 1) / half) ** 2)
    window = i0((2 * np.pi**2 + 0.5) * np.sqrt(inside))
    return (window / window.sum()).astype(np.float32)


def mean_level_db(contour: IntensityContour) -> float:
    """Mean by energy, as Praat's "Get mean: energy"; NaN without any sound."""
    loud = contour.levels_db[contour.levels_db > _NO_SOUND_DB]
    if len(loud) == 0:
        return float("nan")
    return float(10 * np.log10(np.sum(10 ** (loud / 10)) / len(contour.levels_db)))


def level_sd_db(contour: IntensityContour) -> float:
    """Standard deviation of the levels of all frames that hold sound; NaN without any."""
    loud = contour.levels_db[contour.levels_db > _NO_SOUND_DB]
    return float(loud.std()) if len(loud) else float("nan")


def sounding_parts(contour: IntensityContour, pitch: PitchTrack) -> Sounding:
    """Syllable nuclei and pauses after de Jong & Wempe.

    Source: N.H. de Jong and T. Wempe (2009), "Praat script to detect syllable nuclei and
    measure speech rate automatically", Behavior Research Methods 41, 385-390. A nucleus is a
    voiced peak of the contour less than 25 dB below its 99th percentile, with a dip of 2 dB
    to its neighbours. Their script asks for the dip on one side, which loses the last
    syllable of a recording; here both sides count and the edges are taken for dips.

    Args:
        contour: intensity with `NUCLEI_FLOOR_HZ`.
        pitch: of the same waveform.
    """
    levels = contour.levels_db
    if len(levels) == 0 or levels.max() <= _NO_SOUND_DB:
        return Sounding(np.zeros(0), np.zeros((0, 2)), 0.0)
    loudest = float(np.quantile(levels, 0.99))
    threshold = max(loudest - SILENCE_BELOW_MAXIMUM_DB, float(levels.min()))
    edged = np.pad(levels, 1, constant_values=_NO_SOUND_DB)
    peaks = find_peaks(edged, height=threshold, prominence=NUCLEUS_DIP_DB)[0] - 1
    nuclei_s = contour.times_s[peaks]
    parts = _loud_parts(contour, levels >= threshold)
    pauses_s = np.stack([parts[:-1, 1], parts[1:, 0]], axis=1)
    return Sounding(
        nuclei_s[_is_voiced(nuclei_s, pitch)],
        pauses_s,
        float((parts[:, 1] - parts[:, 0]).sum()),
    )


def _loud_parts(contour: IntensityContour, loud: npt.NDArray[np.bool_]) -> Floats:
    """[k, 2] sounding parts: short silences are bridged first, then short sounds dropped."""
    edges = np.flatnonzero(np.diff(np.pad(loud, 1).astype(np.int8)))
    half_step_s = contour.step_s / 2
    starts_s = contour.times_s[edges[::2]] - half_step_s
    ends_s = contour.times_s[edges[1::2] - 1] + half_step_s
    apart = starts_s[1:] - ends_s[:-1] >= MIN_PAUSE_S
    parts = np.stack(
        [starts_s[np.append(True, apart)], ends_s[np.append(apart, True)]],
        axis=1,
    )
    return parts[parts[:, 1] - parts[:, 0] >= MIN_SOUNDING_S]


def _is_voiced(times_s: Floats, pitch: PitchTrack) -> npt.NDArray[np.bool_]:
    """Whether the nearest pitch frame to each time is voiced."""
    if len(pitch.times_s) == 0:
        return np.zeros(len(times_s), np.bool_)
    step_s = pitch.times_s[1] - pitch.times_s[0] if len(pitch.times_s) > 1 else 1.0
    nearest = np.rint((times_s - pitch.times_s[0]) / step_s).astype(np.int64)
    return pitch.voiced[np.clip(nearest, 0, len(pitch.times_s) - 1)]
