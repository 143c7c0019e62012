"""segmentation-3.0 in plain torch: who speaks when in windows of 10 s.

PyanNet of pyannote: SincNet, a bidirectional LSTM, linear layers. The exporter's `voice_activity`
holds the same network in its plain form.

Where the processor multiplies bf16, the filters are in bf16; everything from the LSTM on is in
fp32 everywhere. The LSTM in bf16, which carries its rounding along for 10 s, took half the time but
made another class the likeliest in 2.6 % of the frames of meetings (0.3 % so). On the CPU, what a
window becomes does not depend on the windows beside it; on CUDA that was not tried.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as nn
from safetensors.torch import load_file
from torch import Tensor

from voiceman.analysis.segmentation import (
    FRAME_FIELD_SAMPLES,
    FRAME_STEP_SAMPLES,
    POWERSET,
    WINDOW_SAMPLES,
    Floats,
)
from voiceman.serving.processor import cpu_dtype
from voiceman.serving.sincnet import SincNet
from voiceman.serving.weights import loading, try_out

FILE = "segmentation.safetensors"
FRAMES = (WINDOW_SAMPLES - FRAME_FIELD_SAMPLES) // FRAME_STEP_SAMPLES + 1  # 589 in 10 s

_CPU = torch.device("cpu")
_HIDDEN_LAYERS = 2  # linear layers between LSTM and classifier


class SegmentationNetwork:
    """The network, ready to run: a `voiceman.analysis.segmentation.Network`."""

    def __init__(
        self, tensors: Mapping[str, Tensor], device: torch.device, dtype: torch.dtype
    ) -> None:
        """Lay the weights out; see `load_segmentation`.

        Args:
            tensors: float32, with the names of the checkpoint, the filters as numbers.
            device: where to compute.
            dtype: of the filters; all else is computed in float32.
        """
        placed = {name: value.to(device) for name, value in tensors.items()}
        self._device = device
        self._sincnet = SincNet(_under("sincnet.", placed), dtype)
        self._lstm = _lstm(_under("lstm.", placed)).to(device)
        self._hidden = [_layer(placed, f"linear.{n}") for n in range(_HIDDEN_LAYERS)]
        self._classifier = _layer(placed, "classifier")

    @torch.inference_mode()
    def __call__(self, windows: Floats) -> Floats:
        """Classify the frames of windows.

        Args:
            windows: [b, 160000] at 16 kHz, -1 to 1.

        Returns:
            [b, 589, 7] natural logarithms of the probabilities of the powerset classes.
        """
        waveforms = torch.from_numpy(windows).to(self._device)
        x = torch.stack([self._sincnet(waveform) for waveform in waveforms])
        x = self._lstm(x.float())[0]
        for weight, bias in self._hidden:
            x = nn.leaky_relu_(nn.linear(x, weight, bias))
        return nn.linear(x, *self._classifier).log_softmax(dim=-1).cpu().numpy()


def load_segmentation(
    folder: Path, device: torch.device = _CPU, dtype: torch.dtype | None = None
) -> SegmentationNetwork:
    """Read the network from a weights folder and try it.

    Args:
        folder: holds `segmentation.safetensors`.
        device: CPU or CUDA.
        dtype: of the filters; None: bf16 where the processor multiplies it, else fp32.

    Raises:
        WeightsError: there is no such file, or it holds something else.
    """
    path = folder / FILE
    with loading(path, "segmentation-3.0", device):
        network = SegmentationNetwork(load_file(path), device, dtype or cpu_dtype(device))
        try_out(network, (1, WINDOW_SAMPLES), (1, FRAMES, len(POWERSET)))
    return network


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


def _lstm(tensors: Mapping[str, Tensor]) -> torch.nn.LSTM:
    """The bidirectional LSTM; its sizes are those of its tensors."""
    lstm = torch.nn.LSTM(
        input_size=tensors["weight_ih_l0"].shape[1],
        hidden_size=tensors["weight_hh_l0"].shape[1],
        num_layers=sum(name.startswith("weight_hh_l") for name in tensors) // 2,
        batch_first=True,
        bidirectional=True,
    )
    lstm.load_state_dict(tensors)
    return lstm.eval()


def _layer(tensors: Mapping[str, Tensor], name: str) -> tuple[Tensor, Tensor]:
    """Weight [out, in] and bias [out]."""
    return tensors[f"{name}.weight"], tensors[f"{name}.bias"]
