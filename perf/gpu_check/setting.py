"""What is measured with what: once for a GPU, once as a rehearsal on any machine."""

import time
from dataclasses import dataclass

import numpy as np
import torch

from perf.gpu_check.models import LARGE_V3, SMALL, TURBO, Size
from voiceman.audio import MAX_WINDOW_SAMPLES, SAMPLE_RATE_HZ, Waveform

WINDOW_S = 30.0

LAYER_NORM = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
LARGE = {
    "hidden_size": 1024,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    **LAYER_NORM,
}
TINY: dict[str, object] = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 1,
    "intermediate_size": 64,
    "conv_dim": [32] * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}


@dataclass(frozen=True)
class Setting:
    """Sizes of everything.

    Attributes:
        sizes: the networks whose speed is measured, by a short name.
        precisions: other than fp32.
        batches: numbers of slots. peer_batches: of windows given to transformers at once.
        tokens: that every window is decoded to.
        windows: in the comparison of tokens. cell_s: to be spent on decoding in one cell.
        copy_bytes, matrix_side: of the device's measure. runs: of a step in one measurement.
        voices: configurations of wav2vec 2.0 by the model that is as large.
    """

    device: torch.device
    sizes: dict[str, Size]
    precisions: tuple[str, ...]
    batches: tuple[int, ...]
    peer_batches: tuple[int, ...]
    tokens: int
    windows: int
    cell_s: float
    copy_bytes: int
    matrix_side: int
    runs: int
    voices: dict[str, dict[str, object]]


def real_setting() -> Setting:
    """For a CUDA GPU."""
    return Setting(
        device=torch.device("cuda", 0),
        sizes={"turbo": TURBO, "large-v3": LARGE_V3},
        precisions=("bf16", "fp16"),
        batches=(1, 4, 8, 16, 32),
        peer_batches=(16, 1),
        tokens=120,
        windows=12,
        cell_s=8.0,
        copy_bytes=2**30,
        matrix_side=8192,
        runs=50,
        voices={
            "emotion_dimensional": {**LARGE, "num_hidden_layers": 12},
            "emotion_categorical": {},  # wav2vec2-base
            "word_alignment": {**LARGE, "num_hidden_layers": 24},
        },
    )


def rehearsal() -> Setting:
    """The same code on the CPU with a small network; its figures mean nothing."""
    return Setting(
        device=torch.device("cpu"),
        sizes={"turbo": SMALL, "large-v3": SMALL},
        precisions=("bf16",),
        batches=(1, 2),
        peer_batches=(2,),
        tokens=4,
        windows=4,
        cell_s=0.0,
        copy_bytes=2**20,
        matrix_side=64,
        runs=2,
        voices={"emotion_dimensional": {**TINY, **LAYER_NORM}, "emotion_categorical": TINY},
    )


@dataclass(frozen=True)
class Clock:
    """When a part must have ended, on the monotonic clock."""

    end_s: float

    def left_s(self) -> float:
        """Seconds until then."""
        return self.end_s - time.monotonic()


def make_sounds(count: int, *, whole: bool) -> list[Waveform]:
    """Tones that wander, in noise: windows of 30 s, or of 1 to 30 s where not `whole`."""
    generator = np.random.default_rng(11)
    sounds: list[Waveform] = []
    for index in range(count):
        share = 1.0 if whole else (1 + 7 * index % 30) / 30
        time_s = np.arange(int(MAX_WINDOW_SAMPLES * share)) / SAMPLE_RATE_HZ
        pitch_hz = 120 + 30 * (index % 7) + 60 * np.sin(time_s * (1 + index % 5))
        tone = np.sin(2 * np.pi * np.cumsum(pitch_hz) / SAMPLE_RATE_HZ)
        noise = generator.standard_normal(len(time_s))
        sounds.append((0.3 * tone + generator.uniform(0.01, 0.2) * noise).astype(np.float32))
    return sounds
