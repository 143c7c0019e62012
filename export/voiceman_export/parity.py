"""What a comparison of an exported model with its source is, and how far apart they may be."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

Floats = npt.NDArray[np.float32]
# The outputs for some sounds, in order, of the exported network computed in a precision; None:
# in that of this machine's server.
Run = Callable[[torch.dtype | None], Sequence[Floats]]

FP32_LIMIT = 1e-4
SERVED_LIMIT = 0.01  # of the outputs' range, for networks that are served in 16 bits
TOP_CLASS_LIMIT = 0.01  # share of outputs whose likeliest class may be another


@dataclass(frozen=True)
class Parity:
    """One comparison.

    Attributes:
        model: the Triton model.
        reference: what it is compared with, and in which numbers.
        difference: the largest absolute difference, or a share.
        limit: how large it may be.
    """

    model: str
    reference: str
    difference: float
    limit: float

    @property
    def passed(self) -> bool:
        """Within the limit; NaN is not."""
        return self.difference <= self.limit


@dataclass(frozen=True)
class Comparison:
    """An exported network beside its source, on the same sounds.

    Attributes:
        model: the Triton model, with its language.
        peer: the library that computes the source.
        expected: its output for every sound: [k], or [frames, k]; they range over 1.
        run: the exported network on the same sounds.
        classes: outputs are probabilities of classes.
    """

    model: str
    peer: str
    expected: Sequence[Floats]
    run: Run
    classes: bool

    def rows(self) -> Iterator[Parity]:
        """In fp32, and as the server computes on this machine."""
        exact = self._differences(self.run(torch.float32))
        reference = f"{self.peer}, {len(self.expected)} sounds, fp32"
        yield Parity(self.model, reference, float(exact.max()), FP32_LIMIT)
        yield from self.rounded(None)

    def rounded(self, dtype: torch.dtype | None) -> Iterator[Parity]:
        """In 16 bits, or (None) as the server computes on this machine."""
        found = self.run(dtype)
        differences = self._differences(found)
        by_frame = self.expected[0].ndim > 1
        # Frames where two labels are equally likely tell more of the rounding than of the network.
        difference = float(differences.mean() if by_frame else differences.max())
        name = str(dtype).removeprefix("torch.") if dtype else "as served"
        reference = f"{self.peer}, {len(self.expected)} sounds, {name}"
        frame = ", mean frame" if by_frame else ""
        yield Parity(self.model, f"{reference}{frame}", difference, SERVED_LIMIT)
        if self.classes:
            pairs = zip(found, self.expected, strict=True)
            other = np.concatenate(
                [np.atleast_1d(a.argmax(axis=-1) != b.argmax(axis=-1)) for a, b in pairs]
            )
            share = float(other.mean())
            yield Parity(self.model, f"{reference}, other top class", share, TOP_CLASS_LIMIT)

    def _differences(self, found: Sequence[Floats]) -> Floats:
        """The largest difference of every output or frame."""
        pairs = zip(found, self.expected, strict=True)
        return np.concatenate([np.atleast_1d(np.abs(a - b).max(axis=-1)) for a, b in pairs])
