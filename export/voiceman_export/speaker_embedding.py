"""ECAPA-TDNN (Desplanques et al. 2020, arXiv:2005.07143) from speechbrain's checkpoint."""

from pathlib import Path

import torch
from safetensors.torch import save_file

from voiceman.contracts import SPEAKER_EMBEDDING_SIZE
from voiceman.errors import WeightsError
from voiceman.serving.ecapa import FILE, load_ecapa
from voiceman_export.sources import Checkpoint
from voiceman_export.speechbrain_lobes import ecapa_tdnn

CHECKPOINT = "embedding_model.ckpt"
MEL_BINS = 80


class SpeakerEmbedding(torch.nn.Module):
    """ECAPA-TDNN with the settings of spkrec-ecapa-voxceleb (its hyperparams.yaml)."""

    def __init__(self, channels: int = 1024) -> None:
        super().__init__()
        self.ecapa = ecapa_tdnn(
            input_size=MEL_BINS,
            channels=[channels] * 4 + [3 * channels],
            kernel_sizes=[5, 3, 3, 3, 1],
            dilations=[1, 2, 3, 4, 1],
            attention_channels=128,
            lin_neurons=SPEAKER_EMBEDDING_SIZE,
        )

    def forward(self, features: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Embed utterances.

        Args:
            features: float32 [batch, time, 80], log mel filterbank of 10 ms frames with the
                mean over the utterance taken off; zeros behind its end.
            lengths: float32 [batch], length relative to the longest of the batch, in (0, 1].

        Returns:
            float32 [batch, 192], not normalised.
        """
        return self.ecapa(features, lengths=lengths).squeeze(1)


def load(folder: Path) -> SpeakerEmbedding:
    """Build the model from a folder that holds `embedding_model.ckpt`.

    Raises:
        WeightsError: no such file, or not a checkpoint of this architecture.
    """
    path = folder / CHECKPOINT
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        channels = state["blocks.0.conv.conv.weight"].shape[0]
        model = SpeakerEmbedding(channels)
        model.ecapa.load_state_dict(state)
    except FileNotFoundError as err:
        raise WeightsError(f"{path}: missing; speechbrain's ECAPA-TDNN keeps it there") from err
    except (KeyError, RuntimeError) as err:
        raise WeightsError(f"{path}: not a checkpoint of ECAPA-TDNN: {err}") from err
    return model.eval()


def write(checkpoint: Checkpoint, folder: Path) -> str:
    """Write the tensors under their names in the checkpoint; returns the precision.

    Raises:
        WeightsError: not a checkpoint that the server could read.
    """
    save_file(load(checkpoint.path).ecapa.state_dict(), folder / FILE)
    load_ecapa(folder)
    return "fp32"
