"""An exported wav2vec 2.0 with a head on it: a file of weights, one of settings beside it."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file
from torch import Tensor

from voiceman.errors import WeightsError
from voiceman.serving.guard import Network
from voiceman.serving.processor import cpu_dtype
from voiceman.serving.wav2vec2 import Settings, Wav2Vec2
from voiceman.serving.weights import loading

CONFIG = "config.json"
TRIED_SAMPLES = 16_000

Floats = npt.NDArray[np.float32]
# Hidden states [b, t, d] in fp32, and which frames [b, t, 1] count, to outputs [b, ..].
Head = Callable[[Tensor, Tensor], Tensor]


def load_network(
    path: Path,
    what: str,
    make_head: Callable[[Mapping[str, Tensor]], Head],
    device: torch.device,
    dtype: torch.dtype | None,
    *,
    masked: bool,
) -> Network:
    """Read a network and try it.

    Args:
        path: its weights, Wav2Vec2Model's names below "wav2vec2." and the head's own.
        what: the network should be, for the message.
        make_head: from the head's weights, in fp32 on the device.
        device: where to compute.
        dtype: of everything between the first convolution and the head; None: bf16 where the
            device multiplies it, else fp32.
        masked: inputs are padded; False: those of a batch are of equal lengths.

    Returns:
        Waveforms [b, n] float32 and their lengths [b] in samples to what the head gives.

    Raises:
        WeightsError: a file is missing, or holds another network.
    """
    on_gpu = device.type == "cuda" and torch.cuda.is_bf16_supported()
    dtype = dtype or (torch.bfloat16 if on_gpu else cpu_dtype(device))
    with loading(path, what, device):
        tensors = load_file(path)
        inner = {name.removeprefix("wav2vec2."): tensor for name, tensor in tensors.items()}
        own = {
            name: tensor.to(device, copy=True)  # else the whole file would stay mapped
            for name, tensor in tensors.items()
            if not name.startswith("wav2vec2.")
        }
        wav2vec2 = Wav2Vec2(inner, Settings.read(read_config(path.parent)), device, dtype)
        network = _network(wav2vec2, make_head(own), device, masked=masked)
        network(np.zeros((1, TRIED_SAMPLES), np.float32), np.array([TRIED_SAMPLES]))
    return network


def read_config(folder: Path) -> Mapping[str, Any]:
    """The settings beside a network's weights.

    Raises:
        WeightsError: they are missing, or no JSON.
    """
    path = folder / CONFIG
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as err:
        raise WeightsError(f"{path}: {err}; run voiceman-export") from err


def _network(wav2vec2: Wav2Vec2, head: Head, device: torch.device, *, masked: bool) -> Network:
    def answer(sound: Tensor, samples: Tensor) -> Tensor:
        hidden = wav2vec2(sound, samples if masked else None).float()
        frames = torch.arange(hidden.shape[1], device=device)
        inside = (frames < wav2vec2.frames(samples)[:, None])[..., None]
        return head(hidden, inside)

    @torch.inference_mode()
    def run(waveforms: Floats, lengths: npt.NDArray[np.int64]) -> Floats:
        sound, samples = (torch.from_numpy(a).to(device) for a in (waveforms, lengths))
        # A product may round rows otherwise among more of them: on the CPU, where larger
        # products gain little, every input is alone.
        size = 1 if device.type == "cpu" else len(sound)
        parts = map(answer, sound.split(size), samples.split(size))
        return torch.cat(list(parts)).cpu().numpy()

    return run
