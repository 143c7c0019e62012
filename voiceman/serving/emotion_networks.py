"""The two emotion networks: wav2vec 2.0 from an exported folder, pooled, with a small head."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as nn
from torch import Tensor

from voiceman.serving.guard import Network
from voiceman.serving.wav2vec2_network import Floats, Head, load_network, read_config

WEIGHTS = "emotion.safetensors"

_WHAT = "an emotion network"


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

    return load_network(folder / WEIGHTS, _WHAT, head, device, dtype, masked=True)


def load_categorical(
    folder: Path, device: torch.device, dtype: torch.dtype | None = None
) -> Network:
    """Probabilities of the categories: waveforms [b, n] of equal lengths [b] to [b, 4].

    Source: Wang et al. 2021 (arXiv:2111.02735), as speechbrain's wav2vec2 for IEMOCAP computes
    it: waveform and output normalised as a whole, the mean over frames, linear, softmax.

    Raises:
        WeightsError: a file is missing, or holds another network.
    """
    normalised = bool(read_config(folder).get("output_norm"))

    def head(tensors: Mapping[str, Tensor]) -> Head:
        weight = tensors["output.weight"]

        def answer(hidden: Tensor, inside: Tensor) -> Tensor:
            if normalised:
                hidden = nn.layer_norm(hidden, hidden.shape[1:])
            return nn.linear(_mean(hidden, inside), weight).softmax(dim=-1)

        return answer

    network = load_network(folder / WEIGHTS, _WHAT, head, device, dtype, masked=False)

    def run(waveforms: Floats, lengths: npt.NDArray[np.int64]) -> Floats:
        sound = nn.layer_norm(torch.from_numpy(waveforms), waveforms.shape[1:])
        return network(sound.numpy(), lengths)

    return run


def _mean(hidden: Tensor, inside: Tensor) -> Tensor:
    """[b, t, d] over the frames that count, to [b, d]."""
    return (hidden * inside).sum(dim=1) / inside.sum(dim=1)
