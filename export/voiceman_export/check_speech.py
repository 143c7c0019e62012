"""The real speech that exported models are compared on: a telephone call, and meetings."""

import wave
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers.audio_utils import mel_filter_bank, spectrogram, window_function

from voiceman.audio import SAMPLE_RATE_HZ, Waveform
from voiceman.errors import WeightsError
from voiceman_export.assets import fetch

_CALL = "telephone-call"
_MEETINGS = "meeting-clips"
MANY = 50
LENGTHS_S = (1.0, 3.0)


def speech() -> Waveform:
    """float32 [480000]: 30 s of a telephone call, -1 to 1."""
    return _read(fetch(_CALL) / "sample.wav")


def utterances(count: int) -> list[Waveform]:
    """Cuts of real speech of many lengths, the same every time.

    A few come from the telephone call; for many the 14 meetings beside it are fetched as well.

    Returns:
        float32 [n] each, -1 to 1.
    """
    sound = speech()
    if count > MANY:
        meetings = sorted(fetch(_MEETINGS).glob("*.wav"))
        sound = np.concatenate([sound, *map(_read, meetings)])
    rng = np.random.default_rng(0)
    lengths = (rng.uniform(*LENGTHS_S, count) * SAMPLE_RATE_HZ).astype(int)
    starts = rng.integers(0, len(sound) - lengths.max(), count)
    return [sound[start : start + n] for start, n in zip(starts, lengths, strict=True)]


def _read(path: Path) -> Waveform:
    with wave.open(str(path)) as file:
        if (file.getframerate(), file.getnchannels()) != (SAMPLE_RATE_HZ, 1):
            raise WeightsError(f"{path}: not {SAMPLE_RATE_HZ} Hz mono")
        pcm = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    return pcm.astype(np.float32) / 32768


def filterbank(waveform: Waveform) -> torch.Tensor:
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
