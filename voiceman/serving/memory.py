"""How full a device's memory is, and whether an error says that it is full."""

import gc
import sys
from collections.abc import Iterator

from voiceman.memory import Meter, Reading, host_memory

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
