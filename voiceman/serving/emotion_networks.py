"""The two emotion networks: wav2vec 2.0 from an exported folder, pooled, with a small head."""

from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as nn
from torch import Tensor

from voiceman.serving.guard import Network
from voiceman.serving.wav2vec2_network import Head, load_network, read_config

WEIGHTS = "emotion.safetensors"

_WHAT = "an emotion network"
_LAYER_NORM_EPSILON = 1e-5  # torch's default


def load_dimensional(
    folder: Path, device: torch.device, dtype: torch.dtype | None = None
) -> Network:
    """Arousal, dominance, valence: waveforms [b, n], each normalised, and lengths [b] to [b, 3].

    Source: Wagner et al. 2023 (arXiv:2203.07378): the mean over frames, dense, tanh, dense.

    Raises:
        WeightsError: a file is missing, or holds another network.
    """

    def head(tensors: Mapping[str, Tensor]) -> Head:
        dense = tensors["classifier.dense.weight"], tensors["classifier.dense.bias"]
        output = tensors["classifier.out_proj.weight"], tensors["classifier.out_proj.bias"]

        def answer(hidden: Tensor, inside: Tensor) -> Tensor:
            return nn.linear(torch.tanh(nn.linear(_mean(hidden, inside), *dense)), *output)

        return answer

    return load_network(folder / WEIGHTS, _WHAT, head, device, dtype)


def load_categorical(
    folder: Path, device: torch.device, dtype: torch.dtype | None = None
) -> Network:
    """Probabilities of categories: waveforms [b, n], each normalised, and lengths [b] to [b, 4].

    Source: Wang et al. 2021 (arXiv:2111.02735), as speechbrain's wav2vec2 for IEMOCAP computes
    it: the output normalised as a whole, the mean over frames, linear, softmax.

    Raises:
        WeightsError: a file is missing, or holds another network.
    """
    normalised = bool(read_config(folder).get("output_norm"))

    def head(tensors: Mapping[str, Tensor]) -> Head:
        weight = tensors["output.weight"]

        def answer(hidden: Tensor, inside: Tensor) -> Tensor:
            hidden = _as_a_whole(hidden, inside) if normalised else hidden
            return nn.linear(_mean(hidden, inside), weight).softmax(dim=-1)

        return answer

    return load_network(folder / WEIGHTS, _WHAT, head, device, dtype)


def _mean(hidden: Tensor, inside: Tensor) -> Tensor:
    """[b, t, d] over the frames that count, to [b, d]."""
    return (hidden * inside).sum(dim=1) / inside.sum(dim=1)


def _as_a_whole(hidden: Tensor, inside: Tensor) -> Tensor:
    """[b, t, d] with zero mean and unit variance over all that counts of a row."""
    hidden = hidden - _mean(hidden, inside).mean(dim=1)[:, None, None]
    variance = _mean(hidden.square(), inside).mean(dim=1)
    return hidden * (variance + _LAYER_NORM_EPSILON).rsqrt()[:, None, None]
