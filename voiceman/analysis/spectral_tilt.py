"""Spectral tilt: how much weaker high frequencies are than low ones."""

import numpy as np
import scipy.fft

from voiceman.audio import SAMPLE_RATE_HZ, Waveform

SPLIT_HZ = 1000.0
TOP_HZ = 4000.0  # also what a telephone passes


def spectral_tilt_db(waveform: Waveform) -> float:
    """Level of 1 to 4 kHz less that of 0 to 1 kHz, dB; NaN without any sound in either.

    Both are means of the power density over the whole waveform, as in Praat's "To Ltas" with
    "Get slope: 0, 1000, 1000, 4000, energy". The mean of the waveform, which is no sound, is left
    out; Praat leaves it in.

    Args:
        waveform: [n] float32 at 16 kHz.
    """
    spectrum = np.asarray(scipy.fft.rfft(waveform - waveform.mean()))
    power = (spectrum.real**2 + spectrum.imag**2).astype(np.float64)
    split, top = (round(edge_hz / SAMPLE_RATE_HZ * len(waveform)) for edge_hz in (SPLIT_HZ, TOP_HZ))
    low, high = float(power[:split].mean()), float(power[split:top].mean())
    return float(10 * np.log10(high / low)) if low > 0 and high > 0 else float("nan")
