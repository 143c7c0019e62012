"""Four emotions from speechbrain's wav2vec 2.0 for IEMOCAP (Wang et al. 2021, arXiv:2111.02735).

speechbrain builds this model by running the folder's own code (`hyperparams.yaml`,
`custom_interface.py`). Nothing of the folder is run here: the weights are read, and what the
code does to them (its classifier's `encode_batch` and `classify_batch`) is written down below,
without the noise of at most 1e-4 that speechbrain's pooling adds for training's sake.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError

import torch
from torch.nn import functional
from transformers import AutoModel, Wav2Vec2Config

from voiceman.contracts import EMOTION_CATEGORIES
from voiceman.errors import WeightsError
from voiceman.serving.emotion_networks import WEIGHTS
from voiceman_export import voice_runs
from voiceman_export.rounding import decide_rounding
from voiceman_export.sources import Checkpoint
from voiceman_export.wav2vec2_layout import write_wav2vec2

_HEAD_SIZE = 64
# The names of label_encoder.txt, in the order of EMOTION_CATEGORIES.
_LABELS = dict(zip(("neu", "ang", "hap", "sad"), EMOTION_CATEGORIES, strict=True))


class EmotionCategorical(torch.nn.Module):
    """wav2vec 2.0, its output normalised as a whole, mean over frames, linear, softmax.

    Args:
        config: sizes of wav2vec 2.0.
        output_norm: normalise the output of wav2vec 2.0 over frames and channels together.
        order: the output of the head for each of EMOTION_CATEGORIES.
    """

    def __init__(self, config: Wav2Vec2Config, *, output_norm: bool, order: list[int]) -> None:
        super().__init__()
        self.wav2vec2 = AutoModel.from_config(config)
        self.output = torch.nn.Linear(config.hidden_size, len(order), bias=False)
        self.output_norm = output_norm
        self.order = order

    def forward(self, waveform: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Classify utterances.

        Group normalisation inside wav2vec2-base sees padding too: only utterances of one
        length in a batch are answered as if each were alone.

        Args:
            waveform: float32 [batch, samples] at 16 kHz, of any level.
            lengths: float32 [batch], length relative to the longest of the batch, in (0, 1].

        Returns:
            float32 [batch, 4]: probabilities in the order of EMOTION_CATEGORIES.
        """
        waveform = functional.layer_norm(waveform, waveform.shape[1:])
        hidden = self.wav2vec2(waveform).last_hidden_state
        if self.output_norm:
            hidden = functional.layer_norm(hidden, hidden.shape[1:])
        frames = torch.arange(hidden.shape[1], device=hidden.device)
        count = torch.round(lengths * hidden.shape[1])
        inside = (frames[None, :] < count[:, None]).unsqueeze(-1).to(hidden.dtype)
        mean = (hidden * inside).sum(dim=1) / inside.sum(dim=1)
        return self.output(mean)[:, self.order].softmax(dim=-1)


def load(folder: Path) -> EmotionCategorical:
    """Build the model from speechbrain's folder.

    Raises:
        WeightsError: a file is missing, or the weights are of another architecture.
    """
    wav2vec2 = _without_prefix(_weights(folder / "wav2vec2.ckpt"), "model.")
    head = _weights(folder / "model.ckpt")
    settings = _text(folder / "hyperparams.yaml")
    try:
        model = EmotionCategorical(
            _config(wav2vec2),
            output_norm=re.search(r"^\s*output_norm:\s*True", settings, re.MULTILINE) is not None,
            order=_order(_text(folder / "label_encoder.txt")),
        )
        # The embedding of masked frames serves training only, and old checkpoints lack it.
        own = {"masked_spec_embed": model.wav2vec2.masked_spec_embed.data}
        model.wav2vec2.load_state_dict({**own, **wav2vec2})
        model.output.load_state_dict(_without_prefix(head, "0.w."))
    except (KeyError, RuntimeError) as err:
        raise WeightsError(f"{folder}: not speechbrain's wav2vec2 classifier: {err}") from err
    return model.eval()


def write(checkpoint: Checkpoint, folder: Path) -> str:
    """Write weights and sizes; returns the precision."""
    model = load(checkpoint.path)
    head = {"output.weight": model.output.weight[model.order]}
    write_wav2vec2(model.wav2vec2, head, {"output_norm": model.output_norm}, folder / WEIGHTS)
    decide_rounding(folder, voice_runs.categorical, classes=True)
    return "fp32"


def _weights(path: Path) -> Mapping[str, torch.Tensor]:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as err:
        raise WeightsError(f"{path}: missing") from err
    except (RuntimeError, UnpicklingError) as err:
        raise WeightsError(f"{path}: not a checkpoint: {err}") from err


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as err:
        raise WeightsError(f"{path}: missing") from err


def _without_prefix(state: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """Weights below a prefix; weight norm under the names that torch gives it today."""
    renamed = {
        re.sub(r"\.weight_([gv])$", _weight_norm, name.removeprefix(prefix)): value
        for name, value in state.items()
        if name.startswith(prefix)
    }
    return renamed


def _weight_norm(match: re.Match[str]) -> str:
    return f".parametrizations.weight.original{'gv'.index(match[1])}"


def _order(label_encoder: str) -> list[int]:
    """Position in the head's output of each category (lines like `'neu' => 0`)."""
    numbers = {
        label: int(number) for label, number in re.findall(r"'(\w+)' => (\d+)", label_encoder)
    }
    return [numbers[label] for label in _LABELS]


def _config(state: Mapping[str, torch.Tensor]) -> Wav2Vec2Config:
    """Sizes of wav2vec 2.0 from its weights; what they do not tell is that of wav2vec2-base."""
    convolutions = [
        state[name] for name in state if re.fullmatch(r"feature_extractor.*\.conv\.weight", name)
    ]
    layers = [
        name for name in state if re.fullmatch(r"encoder\.layers\.\d+\.layer_norm\.weight", name)
    ]
    hidden = state["feature_projection.projection.weight"].shape[0]
    position = state["encoder.pos_conv_embed.conv.parametrizations.weight.original1"]
    return Wav2Vec2Config(
        hidden_size=hidden,
        num_hidden_layers=len(layers),
        num_attention_heads=hidden // _HEAD_SIZE,
        intermediate_size=state["encoder.layers.0.feed_forward.intermediate_dense.weight"].shape[0],
        conv_dim=[weight.shape[0] for weight in convolutions],
        conv_kernel=[weight.shape[2] for weight in convolutions],
        num_conv_pos_embeddings=position.shape[2],
        num_conv_pos_embedding_groups=hidden // position.shape[1],
    )
