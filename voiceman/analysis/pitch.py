"""Fundamental frequency by Boersma's autocorrelation method, vectorised over frames.

Source: P. Boersma (1993), "Accurate short-term analysis of the fundamental frequency and the
harmonics-to-noise ratio of a sampled sound", IFA Proceedings 17, 97-110; the same as Praat's
"To Pitch (ac)", whose default settings these are.
"""

from dataclasses import dataclass
from functools import lru_cache

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
CEILING_HZ = 600.0
PERIODS_PER_WINDOW = 3.0  # enough for pitch; harmonicity wants 6 (Boersma 1993, section 3)
TIME_STEP_S = PERIODS_PER_WINDOW / FLOOR_HZ / 4  # 10 ms: four frames per window
MAX_CANDIDATES = 15  # the unvoiced one included
SILENCE_THRESHOLD = 0.03  # of the utterance's peak
VOICING_THRESHOLD = 0.45
OCTAVE_COST = 0.01  # per octave, in favour of high frequencies
OCTAVE_JUMP_COST = 0.35  # per octave between frames 10 ms apart
VOICED_UNVOICED_COST = 0.14

_PERIOD = int(SAMPLE_RATE_HZ / FLOOR_HZ)  # 213 samples of the longest period
_HALF_PERIOD = _PERIOD // 2 + 1
_HALF_WINDOW = int(PERIODS_PER_WINDOW * SAMPLE_RATE_HZ / FLOOR_HZ) // 2 - 1  # 319
WINDOW_SAMPLES = 2 * _HALF_WINDOW
_MAX_LAG = int(WINDOW_SAMPLES / PERIODS_PER_WINDOW) + 1  # 213
_LAGS = _MAX_LAG + REACH + 1  # interpolation looks further
_FFT = 1024  # a power of two of at least 638 + 284 samples: lags do not wrap around


@dataclass(frozen=True)
class PitchTrack:
    """The pitch of one utterance, a frame every 10 ms.

    Attributes:
        times_s: [t] centres of the frames, from the start of the waveform.
        f0_hz: [t] fundamental frequency, 75 to 600; NaN in unvoiced frames.
        step_s: from frame to frame.
    """

    times_s: Floats
    f0_hz: Floats
    step_s: float = TIME_STEP_S

    @property
    def voiced(self) -> npt.NDArray[np.bool_]:
        """[t] frames that have a pitch."""
        return np.isfinite(self.f0_hz)


def track_pitch(waveform: Waveform) -> PitchTrack:
    """Follow the fundamental frequency through one utterance.

    Args:
        waveform: [n] float32 at 16 kHz. Under 640 samples (40 ms, three of the longest
            periods) there is no frame.
    """
    times_s = frame_times_s(len(waveform), PERIODS_PER_WINDOW / FLOOR_HZ, TIME_STEP_S)
    centres = sample_after(times_s)
    peak = _peak(waveform)
    if len(centres) == 0 or peak == 0.0:
        return PitchTrack(times_s, np.full(len(centres), np.nan))
    frames = _windowed_frames(waveform, centres)
    middle = frames[:, _HALF_WINDOW - _HALF_PERIOD : _HALF_WINDOW + _HALF_PERIOD]
    loudness = np.minimum(1.0, np.abs(middle).max(axis=1) / peak)
    frequencies, strengths = _candidates(_autocorrelation(frames) / _window_autocorrelation())
    chosen = _best_path(frequencies, _path_scores(frequencies, strengths, loudness))
    f0_hz = np.take_along_axis(frequencies, chosen[:, np.newaxis], axis=1)[:, 0]
    return PitchTrack(times_s, np.where(f0_hz > 0, f0_hz, np.nan))


def _peak(waveform: Waveform) -> float:
    return float(np.abs(waveform - waveform.mean()).max()) if len(waveform) else 0.0


def _windowed_frames(waveform: Waveform, centres: npt.NDArray[np.int64]) -> Float32s:
    """[t, 638] frames less their local mean (over two longest periods), times the window.

    Half of each frame lies before its centre, given as the sample after it.
    """
    frames = sliding_window_view(waveform, WINDOW_SAMPLES)[centres - _HALF_WINDOW]
    local = frames[:, _HALF_WINDOW - _PERIOD : _HALF_WINDOW + _PERIOD]
    return (frames - local.mean(axis=1, keepdims=True)) * _window()


@lru_cache
def _window() -> Float32s:
    """The Hanning window, [638]."""
    phase = 2 * np.pi * np.arange(1, WINDOW_SAMPLES + 1) / (WINDOW_SAMPLES + 1)
    return (0.5 - 0.5 * np.cos(phase)).astype(np.float32)


@lru_cache
def _window_autocorrelation() -> Float32s:
    return _autocorrelation(_window()[np.newaxis])


def _autocorrelation(frames: Float32s) -> Float32s:
    """[t, 70 + 1 + 284] autocorrelation at lags from -70, 1 at lag 0 (0 in frames of silence)."""
    spectrum = np.asarray(scipy.fft.rfft(frames, _FFT, axis=1))  # single precision, unlike numpy
    power = spectrum.real**2 + spectrum.imag**2
    correlation = np.asarray(scipy.fft.irfft(power, _FFT, axis=1))[:, : _LAGS + 1]
    correlation /= np.maximum(correlation[:, :1], np.finfo(np.float32).tiny)
    return np.concatenate([correlation[:, REACH:0:-1], correlation], axis=1)


def _candidates(correlation: Float32s) -> tuple[Floats, Floats]:
    """The strongest peaks of every frame.

    Returns:
        frequencies (Hz; 0 in the first column, the unvoiced candidate, and where there are
        fewer peaks) and strengths, both [t, 15].
    """
    searched = correlation[:, REACH + 1 : REACH + _MAX_LAG + 2]
    rows, columns = local_maxima(searched, 0.5 * VOICING_THRESHOLD)
    positions, strength = refine(correlation, rows, columns + REACH + 1)
    frequency = SAMPLE_RATE_HZ / (positions - REACH)
    ranks = _ranks_within_rows(rows, strength - OCTAVE_COST * np.log2(FLOOR_HZ / frequency))
    kept = (ranks < MAX_CANDIDATES - 1) & (frequency < CEILING_HZ)
    frequencies = np.zeros((len(correlation), MAX_CANDIDATES))
    strengths = np.zeros((len(correlation), MAX_CANDIDATES))
    frequencies[rows[kept], ranks[kept] + 1] = frequency[kept]
    strengths[rows[kept], ranks[kept] + 1] = strength[kept]
    return frequencies, strengths


def _ranks_within_rows(rows: npt.NDArray[np.int64], values: Floats) -> npt.NDArray[np.int64]:
    """Rank of every value among those of its row, 0 the largest; `rows` are sorted."""
    order = np.lexsort((-values, rows))
    first = np.searchsorted(rows, rows)  # where each value's row starts in the sorted order
    ranks = np.empty(len(rows), np.int64)
    ranks[order] = np.arange(len(rows)) - first
    return ranks


def _path_scores(frequencies: Floats, strengths: Floats, loudness: Float32s) -> Floats:
    """[t, 15] local score of each candidate (Boersma 1993, equations 23 and 26)."""
    silence = SILENCE_THRESHOLD / (1 + VOICING_THRESHOLD)
    unvoiced = VOICING_THRESHOLD + np.maximum(0.0, 2 - loudness / silence)
    voiced = frequencies > 0
    octaves = np.log2(CEILING_HZ / np.where(voiced, frequencies, CEILING_HZ))
    scores = np.where(voiced, strengths - OCTAVE_COST * octaves, -np.inf)
    scores[:, 0] = unvoiced
    return scores


def _best_path(frequencies: Floats, scores: Floats) -> npt.NDArray[np.int64]:
    """[t] the candidates of the cheapest path (Viterbi; Boersma 1993, equation 27)."""
    used = int((frequencies > 0).any(axis=0).nonzero()[0].max(initial=0)) + 1
    frequencies, scores = frequencies[:, :used], scores[:, :used]
    voiced = frequencies > 0
    octaves = np.log2(np.where(voiced, frequencies, 1.0))
    # [t - 1, to, from]
    jumps = OCTAVE_JUMP_COST * np.abs(octaves[1:, :, np.newaxis] - octaves[:-1, np.newaxis, :])
    changes = voiced[1:, :, np.newaxis] != voiced[:-1, np.newaxis, :]
    costs = np.where(changes, VOICED_UNVOICED_COST, jumps)
    best = scores[0]
    sources = np.zeros(scores.shape, np.int64)
    for frame in range(1, len(scores)):
        arrivals = best - costs[frame - 1]
        sources[frame] = arrivals.argmax(axis=1)
        best = arrivals.max(axis=1) + scores[frame]
    path = np.empty(len(scores), np.int64)
    path[-1] = best.argmax()
    for frame in range(len(scores) - 1, 0, -1):
        path[frame - 1] = sources[frame, path[frame]]
    return path
