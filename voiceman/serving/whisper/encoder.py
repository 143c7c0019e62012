"""Windows on their way into slots: sound to log-mel to encoder to cross-attention caches.

On CUDA all of it runs in a lane of its own beside the decoding, and the host only hands it over:
samples leave from pinned memory, and a recorded graph encodes and writes the caches of whichever
slots the tensor of slots names.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from voiceman.audio import Waveform
from voiceman.serving.graphs import Work, recorder
from voiceman.serving.lanes import Mark, new_lane
from voiceman.serving.whisper.buckets import split
from voiceman.serving.whisper.checkpoint import Dimensions
from voiceman.serving.whisper.features import MEL_FRAMES, log_mel, mel_transform, pad
from voiceman.serving.whisper.layers import Network
from voiceman.serving.whisper.network import Caches, encode, fill_cross_cache, new_caches
from voiceman.serving.whisper.rows import RowStart

SILENCE: Waveform = np.zeros(1, np.float32)


@dataclass(frozen=True, eq=False)
class Placement:
    """A window that enters a slot: samples [n] of up to 30 s, and how its row begins."""

    slot: int
    sound: Waveform
    start: RowStart


@dataclass(frozen=True, eq=False)
class Encoding:
    """Windows that are being encoded into their slots."""

    placements: tuple[Placement, ...]
    mark: Mark

    def ready(self) -> bool:
        """Whether the slots hold their windows; does not wait."""
        return self.mark.passed()

    def wait(self) -> None:
        """Until the slots hold their windows."""
        self.mark.wait()


class Encoder:
    """Encodes windows into the cross caches of slots, a few fixed numbers at a time.

    Attributes:
        passes: the work of one pass by the number of its windows, done in `lane`.
    """

    def __init__(
        self, sizes: Dimensions, network: Network, caches: Caches, batches: Sequence[int]
    ) -> None:
        """Allocate what enters the network.

        Args:
            sizes: of the checkpoint.
            network: the weights.
            caches: the cross caches are written.
            batches: how many windows may be encoded at once, ascending from 1.
        """
        weight = network.convolutions[0][0]
        self._network = network
        self._caches = caches
        self._batches = batches
        self.lane = new_lane(weight.device)
        self._transform = mel_transform(sizes.mel_bins, weight.device)
        self._mel = weight.new_zeros(batches[-1], sizes.mel_bins, MEL_FRAMES)
        self._slots = torch.arange(batches[-1], device=weight.device)
        self.passes: dict[int, Work] = {size: partial(self._pass, size) for size in batches}

    def warm_up(self) -> None:
        """Record a pass for every number of windows; overwrites slots, so none may be in use."""
        record = recorder(self.lane)
        for size in reversed(self._batches):  # the largest first: the others reuse its memory
            self.load_silence(size)
            self.passes[size] = record(self.passes[size])

    def load_silence(self, count: int) -> None:
        """Load a pass of silence without running it: allocates and plans what loading needs."""
        with self.lane.current():
            self._load([SILENCE] * count, range(count))

    def release(self) -> None:
        """Let go of recordings and caches; the encoder is over."""
        self.passes.clear()
        self._caches = new_caches(self._network, 0)

    def encode(self, placements: Sequence[Placement]) -> Encoding:
        """Begin to encode windows into their slots, which nothing must be reading."""
        at = 0
        with self.lane.current():
            for size in split(len(placements), self._batches):
                batch = placements[at : at + size]
                self._load([each.sound for each in batch], [each.slot for each in batch])
                self.passes[size]()
                at += size
        return Encoding(tuple(placements), self.lane.mark())

    def _load(self, sounds: Sequence[Waveform], slots: Sequence[int]) -> None:
        """Put what the next pass encodes into its fixed tensors."""
        count = len(sounds)
        samples = pad(sounds, pinned=self.lane.asynchronous)
        self._mel[:count] = log_mel(self.lane.send(samples), self._transform)
        self._slots[:count] = self.lane.send(torch.tensor(slots))

    def _pass(self, count: int) -> None:
        """Encode the first windows of the fixed tensors into the slots these name."""
        audio = encode(self._network, self._mel[:count])
        fill_cross_cache(self._network, self._caches, audio, self._slots[:count])
