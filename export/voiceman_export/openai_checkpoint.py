"""Read Whisper from OpenAI's own checkpoint format (`.pt`)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError

import torch

from voiceman.errors import WeightsError

# OpenAI's name for each module of a layer, and transformers'; `mlp_ln` is the norm before the
# feed-forward layers. Longer names first: `attn` is the end of `cross_attn`.
_RENAMES = (
    (r"^encoder\.ln_post\.", "encoder.layer_norm."),
    (r"^decoder\.ln\.", "decoder.layer_norm."),
    (r"^decoder\.token_embedding\.", "decoder.embed_tokens."),
    (r"\.positional_embedding$", ".embed_positions.weight"),
    (r"\.blocks\.(\d+)\.", r".layers.\1."),
    (r"\.cross_attn_ln\.", ".encoder_attn_layer_norm."),
    (r"\.cross_attn\.", ".encoder_attn."),
    (r"\.attn_ln\.", ".self_attn_layer_norm."),
    (r"\.attn\.", ".self_attn."),
    (r"\.mlp_ln\.", ".final_layer_norm."),
    (r"\.mlp\.0\.", ".fc1."),
    (r"\.mlp\.2\.", ".fc2."),
    (r"_attn\.query\.", "_attn.q_proj."),
    (r"_attn\.key\.", "_attn.k_proj."),
    (r"_attn\.value\.", "_attn.v_proj."),
    (r"_attn\.out\.", "_attn.out_proj."),
)


@dataclass(frozen=True)
class OpenAICheckpoint:
    """The content of a `.pt` file.

    Attributes:
        dims: the model's sizes, n_audio_head and n_text_head among them.
        state: tensors under OpenAI's names.
    """

    dims: Mapping[str, int]
    state: Mapping[str, torch.Tensor]


def read(path: Path) -> OpenAICheckpoint:
    """Read a checkpoint without running anything that it may contain.

    Raises:
        WeightsError: not such a checkpoint.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        return OpenAICheckpoint(checkpoint["dims"], checkpoint["model_state_dict"])
    except (KeyError, TypeError, RuntimeError, UnpicklingError) as err:
        raise WeightsError(f"{path}: not a Whisper checkpoint of OpenAI's: {err}") from err


def to_hugging_face(checkpoint: OpenAICheckpoint) -> dict[str, torch.Tensor]:
    """The same tensors under the names of transformers' WhisperForConditionalGeneration."""
    return {_renamed(name): value for name, value in checkpoint.state.items()}


def _renamed(name: str) -> str:
    for pattern, replacement in _RENAMES:
        name = re.sub(pattern, replacement, name)
    return f"model.{name}"
