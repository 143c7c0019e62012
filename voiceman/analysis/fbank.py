"""The spectral front end of ECAPA-TDNN: mean-normalised log mel filter banks.

The same numbers as speechbrain's `Fbank` (80 mels, 25 ms Hamming windows every 10 ms, no
padding of the FFT) followed by `InputNormalization(norm_type="sentence", std_norm=False)`,
as spkrec-ecapa-voxceleb was trained (Ravanelli et al., SpeechBrain, arXiv 2106.04624).
"""

from functools import cache

import numpy as np
import numpy.typing as npt

from voiceman.audio import SAMPLE_RATE_HZ, Waveform

Features = npt.NDArray[np.float32]

MEL_COUNT = 80
FFT_SIZE = 400  # 25 ms
HOP_SAMPLES = 160  # 10 ms
_FREQUENCY_COUNT = FFT_SIZE // 2 + 1
_POWER_FLOOR = 1e-10
_RANGE_DB = 80.0  # below the loudest value of the utterance, everything is equally quiet


def log_mel_features(waveform: Waveform) -> Features:
    """Log mel energies of one utterance, each mel band with mean zero.

    Args:
        waveform: float32 [n] in [-1, 1), 16 kHz, n of 1 or more.

    Returns:
        float32 [1 + n // 160, 80] in dB, relative to each band's mean over the utterance.
    """
    padded = np.pad(waveform.astype(np.float32), FFT_SIZE // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, FFT_SIZE)[::HOP_SAMPLES]
    spectrum = np.fft.rfft(frames * _hamming(), axis=1)
    power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
    level_db = 10.0 * np.log10(np.maximum(power @ _mel_filters(), _POWER_FLOOR))
    level_db = np.maximum(level_db, level_db.max() - _RANGE_DB)
    return (level_db - level_db.mean(axis=0)).astype(np.float32)


@cache
def _hamming() -> npt.NDArray[np.float32]:
    """Periodic Hamming window [400], as torch makes it."""
    phase = 2.0 * np.pi * np.arange(FFT_SIZE) / FFT_SIZE
    return (0.54 - 0.46 * np.cos(phase)).astype(np.float32)


@cache
def _mel_filters() -> npt.NDArray[np.float32]:
    """Triangular filters [201, 80] on the HTK mel scale, 0 to 8 kHz.

    Both flanks are as wide as the distance to the lower neighbour, as speechbrain has it;
    textbook filters are wider on the upper side.
    """
    highest_mel = 2595.0 * np.log10(1.0 + SAMPLE_RATE_HZ / 2 / 700.0)
    edges_hz = 700.0 * (10.0 ** (np.linspace(0.0, highest_mel, MEL_COUNT + 2) / 2595.0) - 1.0)
    widths_hz, centres_hz = np.diff(edges_hz)[:-1], edges_hz[1:-1]
    frequencies_hz = np.linspace(0.0, SAMPLE_RATE_HZ / 2, _FREQUENCY_COUNT)
    slopes = (frequencies_hz[:, np.newaxis] - centres_hz) / widths_hz
    return np.maximum(0.0, 1.0 - np.abs(slopes)).astype(np.float32)
