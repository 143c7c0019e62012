"""ECAPA-TDNN in plain torch: one vector for the voice of every utterance.

Desplanques et al. 2020 (arXiv:2005.07143) with the settings of spkrec-ecapa-voxceleb; the
exporter's `speaker_embedding` holds speechbrain's own form, which this must equal. Frames are
rows here, so that nearly all of the work is products of matrices.

Where the processor multiplies bf16, everything up to the attention's logits is in bf16; what is
summed over time, and the last layer, are in float32. Elsewhere, on CUDA too, all is in float32.
"""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
import torch.nn.functional as nn
from safetensors.torch import load_file
from torch import Tensor

from voiceman.analysis.embedding import Floats
from voiceman.analysis.fbank import MEL_COUNT
from voiceman.contracts import SPEAKER_EMBEDDING_SIZE
from voiceman.serving.processor import cpu_dtype
from voiceman.serving.weights import loading, try_out

FILE = "speaker_embedding.safetensors"
DILATIONS = (2, 3, 4)  # of the three blocks
SCALE = 8  # groups of channels in a block (Res2Net)

_CPU = torch.device("cpu")
_NORM_EPSILON = 1e-5
_VARIANCE_FLOOR = 1e-12


class EcapaNetwork:
    """The network, ready to run: a `voiceman.analysis.embedding.Network`."""

    def __init__(
        self, tensors: Mapping[str, Tensor], device: torch.device, dtype: torch.dtype
    ) -> None:
        """Lay the weights out; see `load_ecapa`.

        Args:
            tensors: float32, with the names of speechbrain's checkpoint.
            device: where to compute.
            dtype: what to compute in.
        """
        placed = {name: value.to(device) for name, value in tensors.items()}
        self._device, self._dtype = device, dtype
        self._first = _Tdnn(placed, "blocks.0.", dtype)
        self._blocks = [
            _Block(placed, f"blocks.{number}.", dilation, dtype)
            for number, dilation in enumerate(DILATIONS, start=1)
        ]
        self._aggregation = _Tdnn(placed, "mfa.", dtype)
        self._attention = _Tdnn(placed, "asp.tdnn.", dtype)
        self._logits = _linear(placed, "asp.conv.conv.", dtype)
        self._pooled_norm = _norm(placed, "asp_bn.norm.", torch.float32)
        self._last = _linear(placed, "fc.conv.", torch.float32)

    @torch.inference_mode()
    def __call__(self, features: Floats) -> Floats:
        """Embed utterances of one length.

        Args:
            features: float32 [b, t, 80], from `voiceman.analysis.fbank`.

        Returns:
            float32 [b, 192], not normalised.
        """
        batch = torch.from_numpy(features).to(self._device)
        # A product may round rows otherwise among more of them: on the CPU, where larger
        # products gain nothing, every utterance is alone.
        parts = batch.split(1) if self._device.type == "cpu" else [batch]
        with _tiny_numbers_as_zero():
            return torch.cat([self._embed(part) for part in parts]).cpu().numpy()

    def _embed(self, features: Tensor) -> Tensor:
        """[b, t, 80] to [b, 192]."""
        x = self._first(features.to(self._dtype))
        outputs: list[Tensor] = []
        for block in self._blocks:
            x = block(x)
            outputs.append(x)
        x = self._aggregation(torch.cat(outputs, dim=-1))
        return nn.linear(_normalised(self._pool(x), self._pooled_norm), *self._last)

    def _pool(self, x: Tensor) -> Tensor:
        """Mean and deviation over time, weighted by an attention of each channel's own."""
        exact = x.float()
        variance, mean = torch.var_mean(exact, dim=1, keepdim=True, correction=0)
        whole = torch.cat([mean, variance.clamp_min(_VARIANCE_FLOOR).sqrt()], dim=-1)
        context = torch.cat([x, whole.to(x.dtype).expand(-1, x.shape[1], -1)], dim=-1)
        weights = nn.linear(self._attention(context).tanh_(), *self._logits).float().softmax(dim=1)
        mean = (weights * exact).sum(dim=1, keepdim=True)
        variance = (weights * (exact - mean).square_()).sum(dim=1)
        return torch.cat([mean[:, 0], variance.clamp_min(_VARIANCE_FLOOR).sqrt()], dim=-1)


@contextmanager
def _tiny_numbers_as_zero() -> Generator[None]:
    """Products with numbers below 1e-38 take three times as long on x86; for this thread only.

    Others in the thread count on them, so the setting ends with the call.
    """
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


class _Tdnn:
    """A convolution over time with mirrored edges, rectified, then normalised."""

    def __init__(
        self, tensors: Mapping[str, Tensor], name: str, dtype: torch.dtype, dilation: int = 1
    ) -> None:
        weight = tensors[f"{name}conv.conv.weight"]
        self._taps, self._dilation = weight.shape[2], dilation
        self._weight = weight.transpose(1, 2).flatten(1).to(dtype).contiguous()
        self._bias = tensors[f"{name}conv.conv.bias"].to(dtype)
        self._norm = _norm(tensors, f"{name}norm.norm.", dtype)

    def __call__(self, x: Tensor) -> Tensor:
        """[b, t, in] to [b, t, out]."""
        if self._taps > 1:
            x = self._neighbours(x)
        return _normalised(nn.linear(x, self._weight, self._bias).relu_(), self._norm)

    def _neighbours(self, x: Tensor) -> Tensor:
        """Every frame with those that the filter sees beside it."""
        frames, margin = x.shape[1], self._dilation * (self._taps - 1) // 2
        around = torch.arange(-margin, frames + margin, device=x.device).abs()
        around = torch.where(around < frames, around, 2 * (frames - 1) - around)
        x = x[:, around]
        starts = [tap * self._dilation for tap in range(self._taps)]
        return torch.cat([x[:, start : start + frames] for start in starts], dim=-1)


class _Block:
    """SE-Res2Net: groups of channels that see ever wider, then weighted by the whole."""

    def __init__(
        self, tensors: Mapping[str, Tensor], name: str, dilation: int, dtype: torch.dtype
    ) -> None:
        self._into = _Tdnn(tensors, f"{name}tdnn1.", dtype)
        self._groups = [
            _Tdnn(tensors, f"{name}res2net_block.blocks.{number}.", dtype, dilation)
            for number in range(SCALE - 1)
        ]
        self._out = _Tdnn(tensors, f"{name}tdnn2.", dtype)
        self._squeeze = _linear(tensors, f"{name}se_block.conv1.conv.", dtype)
        self._excite = _linear(tensors, f"{name}se_block.conv2.conv.", dtype)

    def __call__(self, x: Tensor) -> Tensor:
        """[b, t, c] to the same shape."""
        first, *others = self._into(x).chunk(SCALE, dim=-1)
        groups = [first]
        for number, (group, layer) in enumerate(zip(others, self._groups, strict=True)):
            groups.append(layer(group + groups[-1] if number else group))
        y = self._out(torch.cat(groups, dim=-1))
        whole = y.mean(dim=1, keepdim=True, dtype=torch.float32).to(y.dtype)
        gates = nn.linear(nn.linear(whole, *self._squeeze).relu_(), *self._excite).sigmoid_()
        return torch.addcmul(x, y, gates)


def load_ecapa(
    folder: Path, device: torch.device = _CPU, dtype: torch.dtype | None = None
) -> EcapaNetwork:
    """Read the network from a weights folder and try it.

    Args:
        folder: holds `speaker_embedding.safetensors`.
        device: CPU or CUDA.
        dtype: what to compute in; None: bf16 where the processor multiplies it, else fp32.

    Raises:
        WeightsError: there is no such file, or it holds something else.
    """
    path = folder / FILE
    with loading(path, "ECAPA-TDNN", device):
        network = EcapaNetwork(load_file(path), device, dtype or cpu_dtype(device))
        try_out(network, (1, 30, MEL_COUNT), (1, SPEAKER_EMBEDDING_SIZE))
    return network


def _linear(tensors: Mapping[str, Tensor], name: str, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Weight [out, in] and bias [out] of a convolution of one tap."""
    return tensors[f"{name}weight"][:, :, 0].to(dtype), tensors[f"{name}bias"].to(dtype)


def _norm(tensors: Mapping[str, Tensor], name: str, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Factor and summand of a batch normalisation."""
    factor = tensors[f"{name}weight"] / (tensors[f"{name}running_var"] + _NORM_EPSILON).sqrt()
    summand = tensors[f"{name}bias"] - factor * tensors[f"{name}running_mean"]
    return factor.to(dtype), summand.to(dtype)


def _normalised(x: Tensor, norm: tuple[Tensor, Tensor]) -> Tensor:
    return torch.addcmul(norm[1], x, norm[0])
