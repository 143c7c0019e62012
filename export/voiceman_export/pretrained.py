"""Load a wav2vec 2.0 from a checkpoint in Hugging Face's layout."""

from typing import Any

import torch

from voiceman.errors import WeightsError
from voiceman_export.sources import Checkpoint

# The embedding of masked frames serves training only.
_FOR_TRAINING = {"wav2vec2.masked_spec_embed"}
# What `voiceman.serving.wav2vec2` takes for granted.
_SERVED = {
    "model_type": "wav2vec2",
    "hidden_act": "gelu",
    "feat_extract_activation": "gelu",
    "add_adapter": False,
    "adapter_attn_dim": None,
}


def load_pretrained(architecture: Any, checkpoint: Checkpoint) -> Any:  # noqa: ANN401
    """Load a wav2vec 2.0 model in float32.

    Args:
        architecture: a class of transformers with `from_pretrained`.
        checkpoint: its folder.

    Returns:
        The model, for inference.

    Raises:
        WeightsError: it cannot be loaded, lacks weights that the architecture has, or has
            something that the server's wav2vec 2.0 has not.
    """
    try:
        model, report = architecture.from_pretrained(
            checkpoint.path,
            dtype=torch.float32,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError) as err:
        raise WeightsError(f"{checkpoint.path}: cannot be loaded: {err}") from err
    missing = sorted(set(report["missing_keys"]) - _FOR_TRAINING)
    if missing:
        raise WeightsError(f"{checkpoint.path}: lacks {', '.join(missing[:5])}")
    for setting, served in _SERVED.items():
        found = getattr(model.config, setting, served)
        if found != served:
            raise WeightsError(
                f"{checkpoint.path}: its {setting} is {found}; only wav2vec 2.0 where it is "
                f"{served} can be exported"
            )
    return model.eval()
