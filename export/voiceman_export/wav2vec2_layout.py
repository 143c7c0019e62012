"""wav2vec 2.0 as the server reads it: one file of weights, one of settings."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import Wav2Vec2Model

from voiceman.serving.wav2vec2_network import CONFIG

_POSITIONS = "encoder.pos_conv_embed.conv"


def write_wav2vec2(
    model: Wav2Vec2Model,
    head: Mapping[str, torch.Tensor],
    own_settings: Mapping[str, object],
    path: Path,
) -> None:
    """Write a network and what stands on it.

    Args:
        model: written below "wav2vec2.", in fp32, weight norm as numbers.
        head: further weights by name.
        own_settings: what the head needs to know, beside the model's own in its config.
        path: the file of weights; the config is written beside it.
    """
    state = {
        name: value
        for name, value in model.state_dict().items()
        # The embedding of masked frames serves training only.
        if not name.startswith(f"{_POSITIONS}.parametrizations") and name != "masked_spec_embed"
    }
    state[f"{_POSITIONS}.weight"] = model.get_submodule(_POSITIONS).weight
    tensors = {f"wav2vec2.{name}": value for name, value in state.items()} | dict(head)
    save_file(
        {name: value.detach().float().contiguous() for name, value in tensors.items()},
        path,
    )
    config = model.config.to_dict() | dict(own_settings)
    text = json.dumps(config, indent=2) + "\n"
    path.with_name(CONFIG).write_text(text, encoding="utf-8")
