"""Arousal, dominance and valence (Wagner et al. 2023, arXiv:2203.07378), audeering's layout.

A Hugging Face folder whose config describes wav2vec 2.0 only: the regression head is declared
here, under the names of its weights.
"""

from pathlib import Path

import torch
from transformers import Wav2Vec2Config, Wav2Vec2Model, Wav2Vec2PreTrainedModel

from voiceman.contracts import EMOTION_DIMENSIONS
from voiceman.errors import WeightsError
from voiceman.serving.emotion_networks import WEIGHTS
from voiceman_export import voice_runs
from voiceman_export.pretrained import load_pretrained
from voiceman_export.rounding import decide_rounding
from voiceman_export.sources import Checkpoint
from voiceman_export.wav2vec2_layout import write_wav2vec2


class RegressionHead(torch.nn.Module):
    """Dense, tanh, dense."""

    def __init__(self, config: Wav2Vec2Config) -> None:
        super().__init__()
        self.dense = torch.nn.Linear(config.hidden_size, config.hidden_size)
        self.out_proj = torch.nn.Linear(config.hidden_size, len(EMOTION_DIMENSIONS))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """[batch, hidden] to [batch, labels]."""
        return self.out_proj(torch.tanh(self.dense(features)))


class EmotionDimensional(Wav2Vec2PreTrainedModel):
    """wav2vec 2.0, the mean over its frames, and the head."""

    def __init__(self, config: Wav2Vec2Config) -> None:
        super().__init__(config)
        self.wav2vec2 = Wav2Vec2Model(config)
        self.classifier = RegressionHead(config)
        numbered = {int(number): label for number, label in (config.id2label or {}).items()}
        labels = [numbered[number].lower() for number in sorted(numbered)]
        if sorted(labels) != sorted(EMOTION_DIMENSIONS):
            raise WeightsError(f"its outputs are {labels}, not {list(EMOTION_DIMENSIONS)}")
        self.order = [labels.index(dimension) for dimension in EMOTION_DIMENSIONS]
        self.post_init()

    def forward(self, waveform: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Judge utterances.

        Args:
            waveform: float32 [batch, samples] at 16 kHz, each utterance with zero mean and unit
                variance, zeros behind its end.
            attention_mask: int64 [batch, samples], 1 where there is sound.

        Returns:
            float32 [batch, 3]: arousal, dominance, valence, about 0 to 1.
        """
        hidden = self.wav2vec2(waveform, attention_mask=attention_mask).last_hidden_state
        lengths = self._frame_counts(attention_mask.sum(dim=1))
        frames = torch.arange(hidden.shape[1], device=hidden.device)
        inside = (frames[None, :] < lengths[:, None]).unsqueeze(-1).to(hidden.dtype)
        mean = (hidden * inside).sum(dim=1) / inside.sum(dim=1)
        return self.classifier(mean)[:, self.order]

    def _frame_counts(self, samples: torch.Tensor) -> torch.Tensor:
        """Frames that so many samples give after all convolutions."""
        for kernel, stride in zip(self.config.conv_kernel, self.config.conv_stride, strict=True):
            samples = (samples - kernel) // stride + 1
        return samples


def load(checkpoint: Checkpoint) -> EmotionDimensional:
    """Load a checkpoint through transformers.

    Raises:
        WeightsError: not of this architecture.
    """
    return load_pretrained(EmotionDimensional, checkpoint)


def write(checkpoint: Checkpoint, folder: Path) -> str:
    """Write weights and sizes; returns the precision."""
    model = load(checkpoint)
    output = model.classifier.out_proj  # its rows in the order of EMOTION_DIMENSIONS
    output.weight.data, output.bias.data = output.weight[model.order], output.bias[model.order]
    head = {f"classifier.{name}": value for name, value in model.classifier.state_dict().items()}
    write_wav2vec2(model.wav2vec2, head, {}, folder / WEIGHTS)
    decide_rounding(folder, voice_runs.dimensional, classes=False)
    return "fp32"
