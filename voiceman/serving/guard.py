"""Batches that fit: smaller ones when memory is short, split ones when it was not enough.

The requirement behind it: above 90 % of the memory cached memory is released and batches are
cut by a quarter; what runs out of memory all the same is split, and on a GPU it ends on the CPU.

Under the profile `reproducible` every batch is one item, whatever waits and however full the
memory is: its shape is a function of the item alone. What finds no room is refused.
"""

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from voiceman.errors import ModelMemoryError
from voiceman.memory import Meter
from voiceman.profile import is_reproducible
from voiceman.serving.memory import give_back, is_out_of_memory, meter_of

log = logging.getLogger(__name__)

FULL = 0.90  # of the memory
ROOMY = 0.75  # below it batches may grow again; uncalibrated
LOOK_EVERY_S = 1.0  # to release what is cached takes longer than a step of Whisper
Array = npt.NDArray[Any]
# Arrays [b, ..] of one batch to an array [b, ..].
Network = Callable[..., Array]


@dataclass(frozen=True)
class Stage:
    """What a stage may take.

    Attributes:
        memory_gb: for all of its batch.
        items: in a batch by default. fewest, most: the bounds it is kept within.
        mb_per_item: what an item of a batch takes at most.
    """

    memory_gb: float
    items: int
    fewest: int
    most: int
    mb_per_item: float

    @property
    def allowed(self) -> int:
        """Items in a batch when there is memory: the default, if the stage's share holds it."""
        held = int(self.memory_gb * 1000 / self.mb_per_item)
        return max(self.fewest, min(self.items, self.most, held))


# Shares of a machine of 128 GB, and bounds of a batch, are the users'; so is what an item takes,
# where it was not measured.
SPEECH_TO_TEXT = Stage(16, 8, 1, 32, 2000)  # a window of 30 s
ALIGNMENT = Stage(4, 16, 4, 64, 500)  # a segment
DIARIZATION = Stage(8, 16, 1, 16, 20)  # 10 s; measured, the users' had other models
EMOTION = Stage(10, 8, 1, 32, 1500)  # an utterance


def fewer(count: int) -> int:
    """A quarter less, and at least one less."""
    return min(count - 1, count * 3 // 4)


class Guard:
    """How many items a batch may have, by what is left of a memory."""

    def __init__(self, name: str, stage: Stage, meter: Meter, *, fixed: bool = False) -> None:
        """Start with the stage's own batches.

        Args:
            name: of the model, for the log.
            stage: bounds of a batch.
            meter: reads the memory of the device that batches are computed on.
            fixed: batches of one item, on this device and no other.
        """
        self.name = name
        self.fixed = fixed
        stage = replace(stage, items=1, fewest=1, most=1) if fixed else stage
        self.size = stage.allowed
        self._stage = stage
        self._meter = meter
        self._looked_s = -math.inf

    def fit(self) -> int:
        """Items that the next batch may have: a quarter less, or one more, as memory allows.

        The memory is looked at once a second, however often somebody asks.
        """
        now_s = time.monotonic()
        if now_s - self._looked_s < LOOK_EVERY_S:
            return self.size
        self._looked_s = now_s
        share = self._meter().share
        if share > FULL:
            give_back()
            share = self._meter().share
        if share > FULL:
            self.shrink(f"{share:.0%} of the memory are in use")
        elif share < ROOMY:
            self.size = min(self.size + 1, self._stage.allowed)
        return self.size

    def shrink(self, why: str) -> None:
        """Cut batches by a quarter, within the stage's bounds."""
        smaller = max(fewer(self.size), self._stage.fewest)
        if smaller < self.size:
            log.warning("%s: batches of %d, not of %d: %s", self.name, smaller, self.size, why)
        self.size = smaller


def guard_for(name: str, stage: Stage, device: str) -> Guard:
    """The guard of a model on "cpu" or "cuda:n", as the server's profile wants it."""
    return Guard(name, stage, meter_of(device), fixed=is_reproducible())


class Guarded:
    """A network, called with as many items at once as there is memory for; for one thread."""

    def __init__(
        self, network: Network, guard: Guard, spare: Callable[[], Network] | None = None
    ) -> None:
        """Guard a network.

        Args:
            network: one call is one batch; what an item becomes must not depend on the others.
            guard: of its device.
            spare: loads the same network for the CPU, where a GPU has no room for one item;
                None: it is on the CPU already. A fixed guard never asks for it.
        """
        self._network = network
        self._guard = guard
        self._spare = cache(spare) if spare and not guard.fixed else None

    def __call__(self, *arrays: Array) -> Array:
        """Arrays [n, ..] through the network, to [n, ..] in the same order.

        Raises:
            ModelMemoryError: there is no memory for even one item.
        """
        parts: list[Array] = []
        done = 0
        while not parts or done < len(arrays[0]):
            size = self._guard.fit()
            parts.append(self._batch([array[done : done + size] for array in arrays]))
            done += size
        return np.concatenate(parts)

    def _batch(self, arrays: Sequence[Array]) -> Array:
        try:
            return self._network(*arrays)
        except Exception as err:
            if not is_out_of_memory(err):
                raise
            why = str(err).partition("\n")[0] or type(err).__name__
        # Only here, where the error is gone, is what its traceback held free as well.
        give_back()
        self._guard.shrink(why)
        count = len(arrays[0])
        if count > 1:
            halves = ([a[: count // 2] for a in arrays], [a[count // 2 :] for a in arrays])
            return np.concatenate([self._batch(half) for half in halves])
        if self._spare is None:
            raise ModelMemoryError(f"{self._guard.name}: no memory for a single item ({why})")
        log.warning("%s: no memory for a single item (%s); on the CPU", self._guard.name, why)
        return self._spare()(*arrays)
