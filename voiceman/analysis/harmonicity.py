"""Harmonics-to-noise ratio by forward cross-correlation, vectorised over frames.

The same as Praat's "To Harmonicity (cc)" with its default settings and "Get mean": how well one
period of 13 ms resembles the sound a pitch period later. Source of the ratio: P. Boersma (1993),
IFA Proceedings 17, 97-110, equation 4: 10 log10 (r / (1 - r)) with the highest correlation r.
"""

import numpy as np
import numpy.typing as npt
import scipy.fft
from numpy.lib.stride_tricks import sliding_window_view

from voiceman.analysis.correlation_peaks import REACH, local_maxima, refine
from voiceman.analysis.frames import frame_times_s, sample_after
from voiceman.audio import SAMPLE_RATE_HZ, Waveform

Float32s = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

FLOOR_HZ = 75.0
TIME_STEP_S = 0.01
SILENCE_THRESHOLD = 0.1  # of the utterance's peak
MAX_HNR_DB = 150.0  # Praat's value for a correlation of 1

_PERIOD = int(SAMPLE_RATE_HZ / FLOOR_HZ)  # 213 samples of the longest period
_HALF_WINDOW = _PERIOD // 2 - 1  # 105
_WINDOW = 2 * _HALF_WINDOW  # 210
_SPAN_S = 1 / FLOOR_HZ + 1 / FLOOR_HZ  # the window, and a longest period after it
_LAGS = _WINDOW + REACH  # 210 are searched; interpolation looks further
_FFT = 512  # at least 210 + 280 samples: lags do not wrap around


def hnr_frames_db(waveform: Waveform) -> Floats:
    """Harmonics-to-noise ratio of every 10 ms frame that sounds, dB.

    Args:
        waveform: [n] float32 at 16 kHz. Under 427 samples (26.7 ms) there is no frame.

    Returns:
        [t] up to 150; frames quieter than a tenth of the peak, and a bit more where their
        correlation is low, are left out.
    """
    times_s = frame_times_s(len(waveform), _SPAN_S, TIME_STEP_S)
    if len(times_s) == 0:
        return np.zeros(0)
    middles = sample_after(times_s)
    means = sliding_window_view(waveform, 2 * _PERIOD)[middles - _PERIOD].mean(axis=1)
    correlation = _cross_correlation(waveform, sample_after(times_s - 0.5 * _SPAN_S) - 1, means)
    rows, columns = local_maxima(correlation[:, REACH + 1 : REACH + _WINDOW + 1], above=0.0)
    _, heights = refine(correlation, rows, columns + REACH + 1)
    strengths = np.zeros(len(times_s))
    np.maximum.at(strengths, rows, heights)
    heard = strengths > np.maximum(0.0, 2 - _loudness(waveform, middles, means) / SILENCE_THRESHOLD)
    ratio = strengths[heard] / np.maximum(1 - strengths[heard], 10 ** (-MAX_HNR_DB / 10))
    return np.minimum(10 * np.log10(ratio), MAX_HNR_DB)


def _cross_correlation(
    waveform: Waveform, starts: npt.NDArray[np.int64], means: Float32s
) -> Float32s:
    """[t, 70 + 1 + 280] correlation of each window with what follows it.

    Columns are lags from -70 (mirrored) to 280. Each is normalised by the energies of both its
    windows; beyond the end of the waveform they are silent.
    """
    length = _WINDOW + _LAGS
    padded = np.pad(waveform, (0, length))
    first = np.maximum(starts, 0)
    sound = sliding_window_view(padded, length)[first] - means[:, np.newaxis]
    late = np.flatnonzero(first + length > len(waveform))
    sound[late] *= first[late, np.newaxis] + np.arange(length) < len(waveform)
    after = np.asarray(scipy.fft.rfft(sound, _FFT, axis=1))
    window = np.asarray(scipy.fft.rfft(sound[:, :_WINDOW], _FFT, axis=1))
    products = np.asarray(scipy.fft.irfft(np.conj(window) * after, _FFT, axis=1))[:, : _LAGS + 1]
    energy = np.zeros((len(sound), length + 1))
    np.cumsum(sound * sound, axis=1, dtype=np.float64, out=energy[:, 1:])
    energies = (energy[:, _WINDOW:] - energy[:, : _LAGS + 1]).astype(np.float32)
    norms = np.sqrt(energies[:, :1] * energies)
    right = products / np.maximum(norms, np.finfo(np.float32).tiny)
    return np.concatenate([right[:, REACH:0:-1], right], axis=1).astype(np.float32)


def _loudness(waveform: Waveform, middles: npt.NDArray[np.int64], means: Float32s) -> Floats:
    """[t] peak around each centre, as a share of the waveform's."""
    near = sliding_window_view(waveform, _WINDOW)[middles - _HALF_WINDOW] - means[:, np.newaxis]
    peak = max(float(np.abs(waveform - waveform.mean()).max()), float(np.finfo(np.float32).tiny))
    return np.minimum(1.0, np.abs(near).max(axis=1) / peak).astype(np.float64)
