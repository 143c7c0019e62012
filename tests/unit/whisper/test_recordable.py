"""A recorded step may neither ask the device for a value nor bring one to it.

Tensors without data stand for those of the device: whatever would read one fails, and whatever
would mix in a tensor of the host is seen.
"""

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from voiceman.serving.whisper.checkpoint import Checkpoint
from voiceman.serving.whisper.features import MEL_FRAMES, MelTransform, log_mel
from voiceman.serving.whisper.layers import build_network
from voiceman.serving.whisper.network import encode, fill_cross_cache, new_caches
from voiceman.serving.whisper.precision import choose_precision
from voiceman.serving.whisper.rows import new_rows, step
from voiceman.serving.whisper.rules import rule_table

NO_DATA = torch.device("meta")
# Operations that wait for the device, or draw from a generator that a graph would freeze.
FORBIDDEN = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "equal.default")
FORBIDDEN += ("rand", "normal", "uniform", "multinomial", "exponential", "bernoulli")


class Recording(TorchDispatchMode):
    """Notes every operation and the devices of its tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[str] = []
        self.from_host: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.operations.append(str(func))
        tensors = [x for x in tree_leaves((args, kwargs, result)) if isinstance(x, torch.Tensor)]
        if any(tensor.device != NO_DATA for tensor in tensors):
            self.from_host.append(str(func))
        return result


def check(recording: Recording, at_least: int = 50) -> None:
    assert len(recording.operations) >= at_least
    assert recording.from_host == []
    waiting = [name for name in recording.operations if any(bad in name for bad in FORBIDDEN)]
    assert waiting == []


@pytest.mark.parametrize("name", ["fp32", "bf16", "fp16"])
def test_a_step_can_be_recorded(tiny: Checkpoint, name: str) -> None:
    network = build_network(tiny, choose_precision(name, NO_DATA), NO_DATA)
    sizes = tiny.dimensions
    caches = new_caches(network, 4)
    rows = new_rows(4, sizes.text_positions, NO_DATA).first(2)
    table = rule_table(tiny.special, sizes.vocabulary, NO_DATA)
    with torch.inference_mode(), Recording() as recording:
        step(network, caches, table, rows, 128)
    check(recording)


@pytest.mark.parametrize("name", ["fp32", "bf16", "fp16"])
def test_an_encoder_pass_can_be_recorded(tiny: Checkpoint, name: str) -> None:
    network = build_network(tiny, choose_precision(name, NO_DATA), NO_DATA)
    caches = new_caches(network, 4)
    mel = torch.empty(2, tiny.dimensions.mel_bins, MEL_FRAMES, device=NO_DATA)
    slots = torch.empty(2, dtype=torch.int64, device=NO_DATA)
    with torch.inference_mode(), Recording() as recording:
        fill_cross_cache(network, caches, encode(network, mel), slots)
    check(recording)


def test_log_mel_does_not_wait() -> None:
    transform = MelTransform(
        torch.empty(400, device=NO_DATA), torch.empty(128, 201, device=NO_DATA)
    )
    with torch.inference_mode(), Recording() as recording:
        assert log_mel(torch.empty(2, 480000, device=NO_DATA), transform).shape == (2, 128, 3000)
    check(recording, at_least=10)


def test_what_would_wait_is_found(tiny: Checkpoint) -> None:
    tensor = torch.zeros(3, device=NO_DATA)
    with Recording() as recording:
        torch.where(tensor > 0, tensor, torch.tensor(1.0))
        tensor.uniform_()
    assert any("where" in name for name in recording.from_host)
    assert any("uniform" in name for name in recording.operations)
    with pytest.raises((RuntimeError, NotImplementedError)):
        bool(tensor.any())
