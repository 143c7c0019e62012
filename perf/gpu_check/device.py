"""Clocks, memory and the reach of a device; on the CPU what is meant for CUDA says None."""

import gc
import platform
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from voiceman.serving.lanes import Lane, settle

MIB = 2**20
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def describe(device: torch.device) -> dict[str, object]:
    """What the figures were measured on."""
    if device.type == "cpu":
        return {"name": platform.machine(), "torch": torch.__version__}
    found = torch.cuda.get_device_properties(device)
    return {
        "name": found.name,
        "capability": f"{found.major}.{found.minor}",
        "multiprocessors": found.multi_processor_count,
        "memory_mib": found.total_memory // MIB,
        "integrated": bool(getattr(found, "is_integrated", False)),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
    }


def seconds_per_run(lane: Lane, work: Callable[[], object], runs: int) -> float:
    """Time on the device of one of `runs` runs in a row, after one that does not count."""
    with lane.current():
        work()
        settle(lane.device)
        if lane.stream is None:
            start_s = time.perf_counter()
            for _ in range(runs):
                work()
            return (time.perf_counter() - start_s) / runs
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record(lane.stream)
        for _ in range(runs):
            work()
        end.record(lane.stream)
    end.synchronize()
    return start.elapsed_time(end) / 1000 / runs


@dataclass(frozen=True)
class Reach:
    """What the device reaches at its simplest: the measure of a share.

    Attributes:
        bytes_per_s: read or written by a large copy.
        flops: of a large product of matrices, by precision.
    """

    bytes_per_s: float
    flops: dict[str, float]


def measure_reach(lane: Lane, copy_bytes: int, side: int, precisions: Sequence[str]) -> Reach:
    """Measure the reach."""
    source = torch.zeros(copy_bytes, dtype=torch.uint8, device=lane.device)
    target = torch.empty_like(source)
    settle(lane.device)  # the lane sees what was written before it
    copy_s = _shortest(lane, lambda: target.copy_(source))
    flops: dict[str, float] = {}
    for name in precisions:
        # Random: a product of equal numbers takes less power and runs at a higher clock.
        factor = torch.randn(side, side, device=lane.device).to(DTYPES[name])
        product = torch.empty_like(factor)
        settle(lane.device)
        product_s = _shortest(lane, lambda a=factor, b=product: torch.mm(a, a, out=b))
        flops[name] = 2 * side**3 / product_s
    return Reach(2 * copy_bytes / copy_s, flops)


def _shortest(lane: Lane, work: Callable[[], object]) -> float:
    """The best of three measurements of a third of a second each, so that clocks have risen."""
    runs = max(1, min(1000, int(0.3 / seconds_per_run(lane, work, 1))))
    return min(seconds_per_run(lane, work, runs) for _ in range(3))


def forget_peak(device: torch.device) -> None:
    """Begin to watch the memory anew."""
    clean_up(device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory(device: torch.device) -> dict[str, int] | None:
    """The most memory that tensors held, and that torch held for them, since `forget_peak`."""
    if device.type != "cuda":
        return None
    return {
        "allocated_mib": torch.cuda.max_memory_allocated(device) // MIB,
        "reserved_mib": torch.cuda.max_memory_reserved(device) // MIB,
    }


def held_memory(device: torch.device) -> int | None:
    """MiB that tensors hold now."""
    return torch.cuda.memory_allocated(device) // MIB if device.type == "cuda" else None


def clean_up(device: torch.device) -> None:
    """Give back all memory that nothing uses."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.empty_cache()


@contextmanager
def limited_memory(device: torch.device, room_bytes: int) -> Generator[None]:
    """Let torch allocate only so much beyond what it holds now.

    A limit in torch's allocator instead of a device that is really full: where CPU and GPU share
    their memory, filling it would end other processes.
    """
    if device.type != "cuda":
        yield
        return
    clean_up(device)
    total = torch.cuda.get_device_properties(device).total_memory
    allowed = torch.cuda.memory_reserved(device) + room_bytes
    torch.cuda.set_per_process_memory_fraction(min(1.0, allowed / total), device)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)
