"""An exported wav2vec 2.0 with a head on it: a file of weights, one of settings beside it."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as nn
from safetensors.torch import load_file
from torch import Tensor

from voiceman.errors import WeightsError
from voiceman.serving.guard import Network
from voiceman.serving.lanes import new_lane
from voiceman.serving.processor import fast_dtype
from voiceman.serving.recorded import Recorded
from voiceman.serving.wav2vec2 import Settings, Wav2Vec2
from voiceman.serving.weights import loading

CONFIG = "config.json"
SIXTEEN_BITS = "voiceman_sixteen_bits"  # in it: the export found bf16 close enough to fp32
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
) -> Network:
    """Read a network and try it.

    Args:
        path: its weights, Wav2Vec2Model's names below "wav2vec2." and the head's own.
        what: the network should be, for the message.
        make_head: from the head's weights, in fp32 on the device.
        device: where to compute.
        dtype: of everything between the first convolution and the head; None: bf16 where the
            export found it close enough and the device multiplies it, else fp32.

    Returns:
        See `network_of`.

    Raises:
        WeightsError: a file is missing, or holds another network.
    """
    with loading(path, what, device):
        config = read_config(path.parent)
        dtype = dtype or (fast_dtype(device) if config.get(SIXTEEN_BITS) else torch.float32)
        tensors = load_file(path)
        inner = {name.removeprefix("wav2vec2."): tensor for name, tensor in tensors.items()}
        own = {n: t.to(device) for n, t in tensors.items() if not n.startswith("wav2vec2.")}
        wav2vec2 = Wav2Vec2(inner, Settings.read(config), device, dtype)
        network = network_of(wav2vec2, make_head(own), device)
        network(np.zeros((1, TRIED_SAMPLES), np.float32), np.array([TRIED_SAMPLES]))
    return network


def network_of(wav2vec2: Wav2Vec2, head: Head, device: torch.device) -> Network:
    """Waveforms [b, n] float32, zeros behind their lengths [b] in samples, to the head's answers.

    On the CPU every row is computed alone and without its padding: larger products gain nothing
    there (8 rows together took as long as one after the other), and may round a row otherwise.
    On a GPU padded batches are recorded. Frames behind the end of a row mean nothing.
    """

    def together(sound: Tensor, samples: Tensor) -> Tensor:
        hidden = wav2vec2(sound, samples).float()
        frames = torch.arange(hidden.shape[1], device=device)
        return head(hidden, (frames < wav2vec2.frames(samples)[:, None])[..., None])

    def alone(sound: Tensor, frames: int) -> Tensor:
        hidden = wav2vec2(sound[None]).float()
        answer = head(hidden, torch.ones(1, hidden.shape[1], 1, dtype=torch.bool))[0]
        # What is answered by frame gets as many frames as the padded row has.
        return nn.pad(answer, (0, 0, 0, frames - len(answer))) if answer.ndim > 1 else answer

    @torch.inference_mode()
    def one_by_one(waveforms: Floats, lengths: npt.NDArray[np.int64]) -> Floats:
        frames = int(wav2vec2.frames(torch.tensor(waveforms.shape[1])))
        rows = zip(torch.from_numpy(waveforms), lengths.tolist(), strict=True)
        return torch.stack([alone(row[:length], frames) for row, length in rows]).numpy()

    return one_by_one if device.type == "cpu" else Recorded(together, new_lane(device))


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
