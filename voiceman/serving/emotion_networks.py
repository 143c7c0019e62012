"""The two emotion networks: wav2vec 2.0 from an exported folder, pooled, with a small head."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as nn
from safetensors.torch import load_file
from torch import Tensor

from voiceman.errors import WeightsError
from voiceman.serving.guard import Network
from voiceman.serving.processor import cpu_dtype
from voiceman.serving.wav2vec2 import Settings, Wav2Vec2
from voiceman.serving.weights import loading

WEIGHTS = "emotion.safetensors"  # Wav2Vec2Model's names below "wav2vec2.", and the head's
CONFIG = "config.json"
TRIED_SAMPLES = 16_000

Floats = npt.NDArray[np.float32]
# Hidden states [b, t, d] in fp32, and which frames [b, t, 1] count, to outputs [b, k].
Head = Callable[[Tensor, Tensor], Tensor]


def load_dimensional(
    folder: Path, device: torch.device, dtype: torch.dtype | None = None
) -> Network:
    """Arousal, dominance, valence: waveforms [b, n], each normalised, and lengths [b] to [b, 3].

    Source: Wagner et al. 2023 (arXiv:2203.07378): the mean over frames, dense, tanh, dense.

    Raises:
        WeightsError: a file is missing, or holds another network.
    """

    def head(tensors: dict[str, Tensor]) -> Head:
        dense = tensors["classifier.dense.weight"], tensors["classifier.dense.bias"]
        output = tensors["classifier.out_proj.weight"], tensors["classifier.out_proj.bias"]

        def answer(hidden: Tensor, inside: Tensor) -> Tensor:
            return nn.linear(torch.tanh(nn.linear(_mean(hidden, inside), *dense)), *output)

        return answer

    return _load(folder, device, dtype, head, masked=True)


def load_categorical(
    folder: Path, device: torch.device, dtype: torch.dtype | None = None
) -> Network:
    """Probabilities of the categories: waveforms [b, n] of equal lengths [b] to [b, 4].

    Source: Wang et al. 2021 (arXiv:2111.02735), as speechbrain's wav2vec2 for IEMOCAP computes
    it: waveform and output normalised as a whole, the mean over frames, linear, softmax.

    Raises:
        WeightsError: a file is missing, or holds another network.
    """
    normalised = bool(_read_config(folder).get("output_norm"))

    def head(tensors: dict[str, Tensor]) -> Head:
        weight = tensors["output.weight"]

        def answer(hidden: Tensor, inside: Tensor) -> Tensor:
            if normalised:
                hidden = nn.layer_norm(hidden, hidden.shape[1:])
            return nn.linear(_mean(hidden, inside), weight).softmax(dim=-1)

        return answer

    return _load(folder, device, dtype, head, masked=False)


def _load(
    folder: Path,
    device: torch.device,
    dtype: torch.dtype | None,
    make_head: Callable[[dict[str, Tensor]], Head],
    *,
    masked: bool,
) -> Network:
    """Read a network and try it; dtype None: bf16 where the device multiplies it, else fp32."""
    path = folder / WEIGHTS
    on_gpu = device.type == "cuda" and torch.cuda.is_bf16_supported()
    dtype = dtype or (torch.bfloat16 if on_gpu else cpu_dtype(device))
    with loading(path, "an emotion network", device):
        tensors = load_file(path)
        inner = {name.removeprefix("wav2vec2."): tensor for name, tensor in tensors.items()}
        own = {n: t.to(device) for n, t in tensors.items() if not n.startswith("wav2vec2.")}
        wav2vec2 = Wav2Vec2(inner, Settings.read(_read_config(folder)), device, dtype)
        network = _network(wav2vec2, make_head(own), device, masked=masked)
        network(np.zeros((1, TRIED_SAMPLES), np.float32), np.array([TRIED_SAMPLES]))
    return network


def _network(wav2vec2: Wav2Vec2, head: Head, device: torch.device, *, masked: bool) -> Network:
    @torch.inference_mode()
    def run(waveforms: Floats, lengths: npt.NDArray[np.int64]) -> Floats:
        sound, samples = (torch.from_numpy(a).to(device) for a in (waveforms, lengths))
        if not masked:
            sound = nn.layer_norm(sound, sound.shape[1:])
        hidden = wav2vec2(sound, samples if masked else None).float()
        frames = torch.arange(hidden.shape[1], device=device)
        inside = (frames < wav2vec2.frames(samples)[:, None])[..., None]
        return head(hidden, inside).cpu().numpy()

    return run


def _mean(hidden: Tensor, inside: Tensor) -> Tensor:
    """[b, t, d] over the frames that count, to [b, d]."""
    return (hidden * inside).sum(dim=1) / inside.sum(dim=1)


def _read_config(folder: Path) -> dict[str, object]:
    path = folder / CONFIG
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as err:
        raise WeightsError(f"{path}: {err}; run voiceman-export") from err
