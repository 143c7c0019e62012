"""How full a device's memory is, and whether an error says that it is full."""

import gc
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

MEMINFO = Path("/proc/meminfo")
CGROUP = Path("/sys/fs/cgroup")
UNLIMITED = "max"

# How torch says it, where it raises no error of its own for it.
_SIGNS = (
    "out of memory",
    "can't allocate memory",  # torch on the CPU
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    # cuFFT calls it an internal error (https://github.com/pytorch/pytorch/issues/119420).
    "CUFFT_ALLOC_FAILED",
    "CUFFT_INTERNAL_ERROR",
)


@dataclass(frozen=True)
class Reading:
    """What is used of a memory, in bytes."""

    used: int
    total: int

    @property
    def share(self) -> float:
        """Used of total, 0 to 1."""
        return self.used / self.total


Meter = Callable[[], Reading]


def host_memory(meminfo: Path = MEMINFO, cgroup: Path = CGROUP) -> Reading:
    """The machine's memory, or the container's where that is the fuller one.

    Where CPU and GPU share one memory (GB10) this is the GPU's too: CUDA's own figure counts
    the page cache as used. File pages that nobody maps for writing are free at need, so
    they do not count here.
    """
    lines = (line.split() for line in meminfo.read_text().splitlines())
    kib = {words[0].rstrip(":"): int(words[1]) for words in lines}
    host = Reading((kib["MemTotal"] - kib["MemAvailable"]) * 1024, kib["MemTotal"] * 1024)
    container = _container(cgroup)
    return max(host, container, key=lambda r: r.share) if container else host


def _container(cgroup: Path) -> Reading | None:
    """What the control group (version 2) of this process allows; None: it has no limit."""
    try:
        limit = (cgroup / "memory.max").read_text().strip()
        statistics = dict(
            line.split() for line in (cgroup / "memory.stat").read_text().splitlines()
        )
        current = int((cgroup / "memory.current").read_text())
    except OSError:
        return None
    if limit == UNLIMITED:
        return None
    return Reading(current - int(statistics["inactive_file"]), int(limit))


def meter_of(device: str) -> Meter:
    """The meter of "cpu" or "cuda:n"."""
    if device == "cpu":
        return host_memory
    import torch  # noqa: PLC0415  # only for a GPU: a process that needs no torch stays small

    if torch.cuda.get_device_properties(device).is_integrated:
        return host_memory

    def gpu_memory() -> Reading:
        free, total = torch.cuda.mem_get_info(device)
        return Reading(total - free, total)

    return gpu_memory


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error, or one that led to it, says that a memory is full."""
    return any(isinstance(each, MemoryError) or _says_so(each) for each in _chain(error))


def _says_so(error: BaseException) -> bool:
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _SIGNS)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def give_back() -> None:
    """Let go of memory that nothing uses any more, on all devices."""
    gc.collect()
    torch = sys.modules.get("torch")  # who has not loaded it holds nothing of its
    if torch and torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
