"""A network of padded utterances for a GPU: recorded once for every shape that it meets.

Utterances are padded to few lengths and batches to few sizes, so there are few shapes. Each is
recorded as a CUDA graph when it is met first, and replayed ever after.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from voiceman.serving.graphs import Work, recorder
from voiceman.serving.lanes import Lane

Floats = npt.NDArray[np.float32]
# Waveforms [b, n] and their lengths [b] in samples, on the device, to outputs [b, ..].
Compute = Callable[[Tensor, Tensor], Tensor]

ROWS = (1, 2, 4, 8, 16)  # of a batch


@dataclass
class _Shape:
    """The tensors of one shape, which stay where they are, and the work on them.

    A row that a batch does not fill keeps what was in it: no row depends on another.
    """

    waveforms: Tensor
    samples: Tensor
    outputs: Tensor
    replay: Work


class Recorded:
    """A `voiceman.serving.guard.Network` of waveforms and lengths; for one thread."""

    def __init__(self, compute: Compute, lane: Lane) -> None:
        """Record nothing yet.

        Args:
            compute: the network; it neither waits for the host nor lets rows see each other.
            lane: where it is computed.
        """
        self._compute = compute
        self._lane = lane
        self._record = recorder(lane)
        self._shapes: dict[tuple[int, int], _Shape] = {}

    @torch.inference_mode()
    def __call__(self, waveforms: Floats, lengths: npt.NDArray[np.int64]) -> Floats:
        """Waveforms [b, n], zeros behind their lengths [b] in samples, to outputs [b, ..]."""
        parts: list[Floats] = []
        for first in range(0, len(waveforms), ROWS[-1]):
            some = slice(first, first + ROWS[-1])
            parts.append(self._run(waveforms[some], lengths[some]))
        return np.concatenate(parts)

    def _run(self, waveforms: Floats, lengths: npt.NDArray[np.int64]) -> Floats:
        count, longest = waveforms.shape
        key = next(rows for rows in ROWS if rows >= count), longest
        shape = self._shapes.get(key) or self._shapes.setdefault(key, self._new(*key))
        with self._lane.current():
            shape.waveforms[:count].copy_(self._lane.send(torch.from_numpy(waveforms)))
            shape.samples[:count].copy_(self._lane.send(torch.from_numpy(lengths)))
            shape.replay()
            found = self._lane.fetch(shape.outputs[:count])
            mark = self._lane.mark()
        mark.wait()
        return found.numpy()

    def _new(self, rows: int, longest: int) -> _Shape:
        device = self._lane.device
        with self._lane.current():
            waveforms = torch.zeros(rows, longest, device=device)
            samples = torch.full((rows,), longest, device=device)
        shape = _Shape(waveforms, samples, waveforms, lambda: None)

        def work() -> None:
            shape.outputs = self._compute(shape.waveforms, shape.samples)

        shape.replay = self._record(work)
        return shape
