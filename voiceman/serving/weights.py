"""Loading a network: a file that is missing or holds something else is refused by name."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError

from voiceman.errors import WeightsError
from voiceman.serving.memory import is_out_of_memory

Floats = npt.NDArray[np.float32]


@contextmanager
def loading(path: Path, what: str, device: torch.device) -> Generator[None]:
    """Surrounds the reading, laying out and first try of a network.

    Args:
        path: the file of its weights.
        what: they should be, for the message.
        device: where they go. On CUDA TF32 is turned off for the process: torch's default for
            convolutions and LSTMs in fp32 rounds their inputs to 10 bits.

    Raises:
        WeightsError: there is no such file, or what is done with it fails; a full memory is
            not the file's fault and stays the error that it was.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: missing; run voiceman-export")
    if device.type == "cuda":
        torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    except (SafetensorError, LookupError, ValueError, RuntimeError) as err:
        if is_out_of_memory(err):
            raise
        raise WeightsError(f"{path}: not {what} ({err}); export it again") from err


def try_out(
    network: Callable[[Floats], Floats], given: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    """Compute zeros, inside `loading`: weights of other sizes may only show in what comes out.

    Args:
        network: just laid out.
        given: shape of the zeros.
        expected: shape of the answer.

    Raises:
        ValueError: the answer has another shape.
    """
    found = network(np.zeros(given, np.float32)).shape
    if found != expected:
        raise ValueError(f"zeros of {given} become {found} instead of {expected}")
