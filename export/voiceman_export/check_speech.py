"""The real speech that exported models are compared on: a telephone call."""

import wave

import numpy as np
import torch
from numpy.typing import NDArray
from transformers.audio_utils import mel_filter_bank, spectrogram, window_function

from voiceman.audio import SAMPLE_RATE_HZ
from voiceman_export.assets import fetch

_CALL = "telephone-call"


def speech() -> NDArray[np.float32]:
    """float32 [480000]: 30 s of a telephone call, -1 to 1."""
    with wave.open(str(fetch(_CALL) / "sample.wav")) as file:
        pcm = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    return pcm.astype(np.float32) / 32768


def utterances() -> tuple[torch.Tensor, torch.Tensor]:
    """Four normalised pieces of speech, padded, and their lengths in samples."""
    pieces = torch.from_numpy(speech()[: 4 * 3 * SAMPLE_RATE_HZ]).reshape(4, -1)
    lengths = torch.tensor([1.0, 0.9, 0.5, 0.3]).mul(pieces.shape[1]).long()
    padded = torch.zeros_like(pieces)
    for row, (piece, length) in enumerate(zip(pieces, lengths.tolist(), strict=True)):
        padded[row, :length] = torch.nn.functional.layer_norm(piece[:length], (length,))
    return padded, lengths


def filterbank(waveform: NDArray[np.float32]) -> torch.Tensor:
    """float32 [frames, 80]: log mel energies in dB of 25 ms every 10 ms."""
    filters = mel_filter_bank(201, 80, 0.0, 8000.0, SAMPLE_RATE_HZ)
    power = spectrogram(
        waveform,
        window_function(400, "hamming"),
        frame_length=400,
        hop_length=160,
        power=2.0,
        mel_filters=filters,
        log_mel="dB",
        dtype=np.dtype(np.float32),
    )
    return torch.from_numpy(power.T)


def reference_speech(frames: int) -> NDArray[np.bool_]:
    """Bool [frames]: where the call's RTTM has speech, over its 30 s."""
    centres = (np.arange(frames) + 0.5) * 30.0 / frames
    spoken = np.zeros(frames, dtype=bool)
    for line in (fetch(_CALL) / "sample.rttm").read_text(encoding="utf-8").splitlines():
        fields = line.split()
        start, duration = float(fields[3]), float(fields[4])
        spoken |= (centres >= start) & (centres < start + duration)
    return spoken
