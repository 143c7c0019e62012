"""Steady noise out of a recording by spectral gating.

Every band of a short-time spectrum is turned down where it holds little more than that band's
noise floor (spectral subtraction, Boll 1979; over-subtraction and a floor, Berouti et al. 1979).
The floor is a low quantile of the band's power over half a minute, so that it follows changes and
needs no passage without speech. Speech models are trained on noise: this serves listening first.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from voiceman.audio import SAMPLE_RATE_HZ, Int16Waveform

_OVERLAP = 4  # frames over every sample; the squared Hann windows then add up to 1.5


@dataclass(frozen=True)
class Denoising:
    """How noise is gated; all values are uncalibrated.

    Attributes:
        method: name of the method.
        frame_s: length of a spectrum; a quarter of it lies between two.
        floor_span_s: over which the noise floor is taken.
        floor_quantile: of a band's power; the mean power of its noise follows from it.
        oversubtraction: times the floor is subtracted.
        max_attenuation_db: a band is turned down by no more than this.
    """

    method: str = "spectral gating"
    frame_s: float = 0.032
    floor_span_s: float = 30.0
    floor_quantile: float = 0.2
    oversubtraction: float = 2.0
    max_attenuation_db: float = 12.0


DENOISING = Denoising()


def denoise(waveform: Int16Waveform, how: Denoising = DENOISING) -> Int16Waveform:
    """A waveform [n] with its steady noise turned down; as long as before, and in step with it."""
    size = round(how.frame_s * SAMPLE_RATE_HZ)
    hop = size // _OVERLAP
    window = np.sqrt(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)).astype(np.float32)
    whole = np.pad(waveform, (size, 2 * size))
    frames = sliding_window_view(whole, size)[::hop]
    cleaned = np.empty(len(frames) * hop, np.int16)
    tail = np.zeros(size - hop, np.float32)  # what earlier frames add to the next samples
    for part in _spans(len(frames), round(how.floor_span_s * SAMPLE_RATE_HZ / hop)):
        spectrum = np.fft.rfft(frames[part] * window, axis=1)
        spectrum *= _gains(np.square(np.abs(spectrum)), how)
        sound = np.fft.irfft(spectrum, size, axis=1).astype(np.float32) * window
        count = len(sound)
        summed = np.zeros((count + _OVERLAP - 1, hop), np.float32)
        summed[: _OVERLAP - 1] += tail.reshape(-1, hop)
        for quarter in range(_OVERLAP):
            summed[quarter : quarter + count] += sound[:, quarter * hop : (quarter + 1) * hop]
        done, tail = summed[:count].ravel(), summed[count:].ravel()
        where = slice(part.start * hop, part.start * hop + len(done))
        cleaned[where] = np.clip(np.rint(done / (_OVERLAP / 2)), -32768, 32767)
    return cleaned[size : size + len(waveform)]


def _gains(power: npt.NDArray[np.float64], how: Denoising) -> npt.NDArray[np.float64]:
    """Factor [t, f] of each band of each frame."""
    floor = np.quantile(power, how.floor_quantile, axis=0, keepdims=True)
    floor /= -np.log(1.0 - how.floor_quantile)  # the power of noise is exponentially distributed
    share = how.oversubtraction * floor / np.maximum(power, np.finfo(np.float32).tiny)
    gain = np.sqrt(np.maximum(0.0, 1.0 - share))
    # The mean with both neighbours in time keeps single bands from ringing ("musical noise").
    gain[1:-1] = (gain[:-2] + gain[1:-1] + gain[2:]) / 3
    return np.maximum(gain, 10 ** (-how.max_attenuation_db / 20))


def _spans(length: int, most: int) -> Iterator[slice]:
    return (slice(start, min(start + most, length)) for start in range(0, length, most))
