"""Which shapes are computed: few enough to be recorded, close enough to what is needed.

A CUDA graph has fixed shapes, so a step is recorded for a few numbers of rows and lengths of
the self cache. The CPU records nothing: it takes every number of rows and finer lengths.

A product may round a row otherwise among more rows (on the CPU that of fp32 does, by 2e-5 in a
logit), and on CUDA attention over a longer cache may be summed in other parts. Where nothing may
depend on neighbours every step computes all slots; what CUDA attends to is the whole cache. The
CPU's finer lengths stay: positions not written yet change no bit there, in any precision.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

ENCODER_BATCHES = (1, 2, 4, 8)
# One window fills a core, and its activations still fit into the caches: four at once took 1.5
# times as long per window.
CPU_ENCODER_BATCHES = (1,)
SMALL_ROWS = (1, 2, 4)
ROWS_STEP = 8  # above the small ones: 8, 16, 24, 32, ...
SHORT_LENGTH = 128  # positions; most windows end before it
CPU_LENGTH_STEP = 64  # positions


@dataclass(frozen=True)
class Shapes:
    """The sizes that are computed, each ascending.

    Attributes:
        encoder: windows of one encoder pass.
        rows: rows of a step. lengths: positions of the self cache that a step reads.
    """

    encoder: tuple[int, ...]
    rows: tuple[int, ...]
    lengths: tuple[int, ...]

    def step(self, count: int, made: int) -> tuple[int, int]:
        """Rows and length of the step that computes the first slots.

        Args:
            count: slots that must be computed.
            made: steps that the oldest of their rows has made; no row is further on.
        """
        return smallest_holding(self.rows, count), smallest_holding(self.lengths, made + 1)


def shapes_of(device: torch.device, slots: int, positions: int, *, fixed: bool = False) -> Shapes:
    """The shapes for a number of slots and the text positions of a checkpoint.

    Args:
        device: where they are computed.
        slots: of the batch.
        positions: of its self cache.
        fixed: nothing that a window shares with others may change its shapes.
    """
    if device.type == "cpu":
        lengths = upwards(range(CPU_LENGTH_STEP, positions, CPU_LENGTH_STEP), positions)
        rows = (slots,) if fixed else tuple(range(1, slots + 1))
        return Shapes(CPU_ENCODER_BATCHES, rows, lengths)
    if fixed:
        return Shapes((1,), (slots,), (positions,))
    encoder = tuple(size for size in ENCODER_BATCHES if size <= slots)
    rows = upwards((*SMALL_ROWS, *range(ROWS_STEP, slots, ROWS_STEP)), slots)
    return Shapes(encoder, rows, upwards((SHORT_LENGTH,), positions))


def upwards(sizes: Sequence[int], largest: int) -> tuple[int, ...]:
    """The sizes below the largest, and the largest itself."""
    return (*(size for size in sizes if size < largest), largest)


def smallest_holding(sizes: Sequence[int], needed: int) -> int:
    """The smallest of ascending sizes that is not below `needed`; else the largest."""
    return next((size for size in sizes if size >= needed), sizes[-1])


def split(count: int, sizes: Sequence[int]) -> list[int]:
    """A count as a sum of sizes (ascending, the first is 1), the largest first, nothing padded."""
    parts: list[int] = []
    for size in reversed(sizes):
        parts += [size] * ((count - sum(parts)) // size)
    return parts
