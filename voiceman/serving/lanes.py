"""Orders of work on a device: on CUDA a stream, on the CPU simply one thing after the other.

Work in one lane runs in the order in which it was given; two lanes run side by side. The host
waits for marks alone, never for a lane: whatever else is under way goes on meanwhile.
"""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Mark:
    """A point in a lane; on the CPU it has always been passed."""

    event: torch.cuda.Event | None = None

    def passed(self) -> bool:
        """Whether everything before it is done; does not wait."""
        return self.event is None or self.event.query()

    def wait(self) -> None:
        """Until everything before it is done."""
        if self.event is not None:
            self.event.synchronize()


@dataclass(frozen=True)
class Lane:
    """One order of work; `stream` is None on the CPU."""

    device: torch.device
    stream: torch.cuda.Stream | None = None

    @property
    def asynchronous(self) -> bool:
        """Whether the host goes on while work in this lane is done."""
        return self.stream is not None

    def current(self) -> AbstractContextManager[object]:
        """In a `with` block: what the block computes belongs to this lane."""
        return nullcontext() if self.stream is None else torch.cuda.stream(self.stream)

    def mark(self) -> Mark:
        """Mark the end of what has been given so far."""
        if self.stream is None:
            return Mark()
        # The host sleeps while it waits: a spinning one takes a core from the decoders.
        event = torch.cuda.Event(blocking=True)
        event.record(self.stream)
        return Mark(event)

    def after(self, mark: Mark) -> None:
        """Let what is given from now on begin after a mark of another lane."""
        if self.stream is not None and mark.event is not None:
            self.stream.wait_event(mark.event)

    def send(self, tensor: Tensor) -> Tensor:
        """A host tensor on the device; use it in this lane, inside `current`."""
        if self.stream is None:
            return tensor
        # What is pinned already is not copied; torch gives pinned memory to nobody else before
        # the copy from it is done.
        return tensor.pin_memory().to(self.device, non_blocking=True)

    def fetch(self, tensor: Tensor) -> Tensor:
        """A copy of a device tensor on the host, to be read once the next mark has passed."""
        if self.stream is None:
            return tensor.clone()
        host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
        return host.copy_(tensor, non_blocking=True)


def new_lane(device: torch.device, *, urgent: bool = False) -> Lane:
    """A lane of its own on a device; where kernels compete, an urgent one goes first."""
    if device.type == "cpu":
        return Lane(device)
    return Lane(device, torch.cuda.Stream(device, priority=-1 if urgent else 0))


def settle(device: torch.device) -> None:
    """Wait until the device has nothing left to do."""
    if device.type != "cpu":
        torch.cuda.synchronize(device)
