"""What wav2vec 2.0 networks are given: normalised samples, in padded batches of bounded size."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from voiceman.audio import SAMPLE_RATE_HZ, Waveform

Floats = npt.NDArray[np.float32]
Lengths = npt.NDArray[np.int64]
# Padded waveforms [b, n] and their true lengths [b], to what the network says about each.
Network = Callable[[Floats, Lengths], Floats]

# Inputs are padded to a multiple of this, so that batches are full.
BUCKET_S = 1.0
# Bounds the memory of one run: padded seconds.
MAX_BATCH_S = 60.0

VARIANCE_FLOOR = 1e-7  # as in transformers' Wav2Vec2FeatureExtractor


@dataclass(frozen=True)
class Batch:
    """Inputs of one length.

    Attributes:
        indices: which inputs these are.
        samples: [b, n], zeros behind each end.
        lengths: [b] samples before the padding.
    """

    indices: tuple[int, ...]
    samples: Floats
    lengths: Lengths


def normalise(samples: Waveform, variance_floor: float = VARIANCE_FLOOR) -> Waveform:
    """Zero mean and unit variance, as wav2vec2 models are trained.

    Args:
        samples: [n].
        variance_floor: added to the variance; libraries differ in it.
    """
    exact = samples.astype(np.float64)
    return ((exact - exact.mean()) / np.sqrt(exact.var() + variance_floor)).astype(np.float32)


def batches(inputs: Sequence[Waveform], most: int) -> Iterator[Batch]:
    """Put inputs of like lengths together, shortest first.

    How far an input is padded is a function of its own length, never of its neighbours.

    Args:
        inputs: [n] samples each.
        most: inputs in a batch.
    """
    by_length: dict[int, list[int]] = {}
    bucket = int(BUCKET_S * SAMPLE_RATE_HZ)
    for index, samples in enumerate(inputs):
        by_length.setdefault(-(-len(samples) // bucket) * bucket, []).append(index)
    for length, indices in sorted(by_length.items()):
        size = max(1, min(most, int(MAX_BATCH_S * SAMPLE_RATE_HZ) // max(length, 1)))
        for first in range(0, len(indices), size):
            chosen = tuple(indices[first : first + size])
            padded = np.zeros((len(chosen), length), np.float32)
            for row, index in zip(padded, chosen, strict=True):
                row[: len(inputs[index])] = inputs[index]
            lengths = np.array([len(inputs[index]) for index in chosen], np.int64)
            yield Batch(chosen, padded, lengths)
