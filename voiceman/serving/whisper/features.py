"""Log-mel spectrogram of a window, as Whisper was trained on it.

Source: Radford et al. 2022, "Robust Speech Recognition via Large-Scale Weak Supervision",
section 2.2, and openai/whisper `audio.py`: 25 ms Hann frames every 10 ms, Slaney mel filters,
log10 clamped to 8 below the window's maximum, scaled to about -1 to 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from voiceman.audio import MAX_WINDOW_SAMPLES, SAMPLE_RATE_HZ, Waveform

FRAME_SAMPLES = 400  # 25 ms
HOP_SAMPLES = 160  # 10 ms
MEL_FRAMES = MAX_WINDOW_SAMPLES // HOP_SAMPLES  # 3,000 frames in 30 s
_DYNAMIC_RANGE = 8.0  # log10 units below the maximum
_POWER_FLOOR = 1e-10


@dataclass(frozen=True)
class MelTransform:
    """What the transform multiplies by, on one device in fp32.

    Attributes:
        window: [400], Hann. filters: [mel_bins, 201].
    """

    window: Tensor
    filters: Tensor


def mel_transform(mel_bins: int, device: torch.device) -> MelTransform:
    """The transform to a number of mel bins, on a device."""
    window = torch.hann_window(FRAME_SAMPLES, device=device)
    return MelTransform(window, torch.from_numpy(mel_filters(mel_bins)).to(device))


def pad(waveforms: Sequence[Waveform], *, pinned: bool = False) -> Tensor:
    """Waveforms [n] of up to 30 s, zero-padded to one tensor [b, 480000] on the host.

    Args:
        waveforms: float32 samples.
        pinned: in memory from which CUDA copies while the host goes on.
    """
    padded = torch.zeros(len(waveforms), MAX_WINDOW_SAMPLES, pin_memory=pinned)
    for row, waveform in zip(padded, waveforms, strict=True):
        row[: len(waveform)] = torch.from_numpy(waveform)
    return padded


def log_mel(padded: Tensor, transform: MelTransform) -> Tensor:
    """Log-mel spectrograms [b, mel_bins, 3000] of padded waveforms [b, 480000]."""
    spectrum = torch.stft(  # [b, 201, 3001]
        padded, FRAME_SAMPLES, HOP_SAMPLES, window=transform.window, return_complex=True
    )
    power = spectrum[..., :-1].abs().square().contiguous()
    log_power = (transform.filters @ power).clamp(min=_POWER_FLOOR).log10()
    ceiling = log_power.amax(dim=(1, 2), keepdim=True)
    return (torch.maximum(log_power, ceiling - _DYNAMIC_RANGE) + 4.0) / 4.0


@lru_cache(maxsize=2)
def mel_filters(mel_bins: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Triangular filters [mel_bins, 201] from 0 to 8 kHz, each of unit area (Slaney 1998)."""
    nyquist_hz = SAMPLE_RATE_HZ / 2
    bins_hz = np.linspace(0.0, nyquist_hz, 1 + FRAME_SAMPLES // 2)
    corners_hz = _mel_to_hz(np.linspace(0.0, _hz_to_mel(nyquist_hz), mel_bins + 2))
    widths = np.diff(corners_hz)
    rising = (bins_hz - corners_hz[:-2, None]) / widths[:-1, None]
    falling = (corners_hz[2:, None] - bins_hz) / widths[1:, None]
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    unit_area = 2.0 / (corners_hz[2:] - corners_hz[:-2])
    return (triangles * unit_area[:, None]).astype(np.float32)


# Slaney's mel scale: linear below 1 kHz (15 mel), then 27 steps for every factor of 6.4.
_LINEAR_HZ_PER_MEL = 200.0 / 3
_KNEE_HZ = 1000.0
_KNEE_MEL = _KNEE_HZ / _LINEAR_HZ_PER_MEL
_LOG_STEP = np.log(6.4) / 27.0


def _hz_to_mel(frequency_hz: float) -> float:
    if frequency_hz < _KNEE_HZ:
        return frequency_hz / _LINEAR_HZ_PER_MEL
    return float(_KNEE_MEL + np.log(frequency_hz / _KNEE_HZ) / _LOG_STEP)


def _mel_to_hz(
    mel: np.ndarray[tuple[int], np.dtype[np.float64]],
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    above = _KNEE_HZ * np.exp(_LOG_STEP * (mel - _KNEE_MEL))
    return np.where(mel < _KNEE_MEL, mel * _LINEAR_HZ_PER_MEL, above)
