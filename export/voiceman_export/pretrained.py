"""Load a checkpoint in Hugging Face's layout as something that can be captured as a graph."""

from typing import Any

import torch

from voiceman.errors import WeightsError
from voiceman_export.sources import Checkpoint

# The embedding of masked frames serves training only.
_FOR_TRAINING = {"wav2vec2.masked_spec_embed"}


def load_pretrained(architecture: Any, checkpoint: Checkpoint) -> Any:  # noqa: ANN401
    """Load a wav2vec 2.0 model in float32.

    Args:
        architecture: a class of transformers with `from_pretrained`.
        checkpoint: its folder.

    Returns:
        The model, for inference.

    Raises:
        WeightsError: it cannot be loaded, or lacks weights that the architecture has.
    """
    try:
        model, report = architecture.from_pretrained(
            checkpoint.path,
            dtype=torch.float32,
            # What the graph capture of torch follows without questions about the data.
            attn_implementation="eager",
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError) as err:
        raise WeightsError(f"{checkpoint.path}: cannot be loaded: {err}") from err
    missing = sorted(set(report["missing_keys"]) - _FOR_TRAINING)
    if missing:
        raise WeightsError(f"{checkpoint.path}: lacks {', '.join(missing[:5])}")
    return model.eval()
