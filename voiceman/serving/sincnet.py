"""SincNet (Ravanelli and Bengio 2018, arXiv:1808.00158) as pyannote stacks it, made fast.

Filters of 251 taps, then two convolutions of 5; each is pooled over 3 frames and normalised. The
signal lies in channels-last memory, so what a filter sees is a view, and a convolution with its
pooling is one matrix product.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as nn
from torch import Tensor

from voiceman.analysis.segmentation import FRAME_STEP_SAMPLES

_POOL = 3  # frames of which the largest value is kept
_STRIDES = (FRAME_STEP_SAMPLES // _POOL**3, 1, 1)  # of the filters and the two convolutions
# With fewer frames than this, ATen's group_norm leaves its fast way through channels-last memory.
_FEW_FRAMES = 1024


class SincNet:
    """Waveform to frames; one window at a time, whose signal about fits the cache of a core."""

    def __init__(self, tensors: Mapping[str, Tensor], dtype: torch.dtype) -> None:
        """Lay the weights out.

        Args:
            tensors: float32, those of the checkpoint under `sincnet.`, filters as numbers.
            dtype: what to compute in, float32 or bfloat16.
        """
        self._scale, self._shift = tensors["wav_norm1d.weight"], tensors["wav_norm1d.bias"]
        self._dtype = dtype
        first, *others = [_stage(tensors, n, stride, dtype) for n, stride in enumerate(_STRIDES)]
        # The 8 bits of bf16 hide a quiet voice under a loud hum, and made three quarters of all
        # that bf16 changes in a telephone call: a sample is the sum of two of them.
        self._in_two = dtype == torch.bfloat16
        self._first = replace(first, weight=first.weight.repeat(1, 2)) if self._in_two else first
        self._others = others

    def __call__(self, waveform: Tensor) -> Tensor:
        """Float32 [samples] to [frames, channels] of the dtype; 160000 to [589, 60]."""
        normal = nn.layer_norm(waveform, waveform.shape)
        normal = torch.addcmul(self._shift, normal, self._scale)[:, None]
        parts = [normal.to(self._dtype)]
        if self._in_two:
            parts.append((normal - parts[0]).to(self._dtype))
        frames = self._first(*parts)
        for stage in self._others:
            frames = stage(frames)
        return frames


@dataclass(frozen=True)
class Stage:
    """A convolution with its pooling, then the norm of each channel.

    Attributes:
        weight: [3 * out, taps' * in], the filters at the three places that are pooled together,
            zeros where a place does not reach; taps' is what the three see together. Where the
            signal comes in two parts, the same twice side by side.
        bias: [3 * out]; None: no bias.
        scale: [out], of the norm.
        shift: [out], of the norm.
        hop: values from one pooled frame to the next, 3 * stride * in.
        magnitude: magnitudes are pooled, as pyannote does with the filters' output.
    """

    weight: Tensor
    bias: Tensor | None
    scale: Tensor
    shift: Tensor
    hop: int
    magnitude: bool

    def __call__(self, *parts: Tensor) -> Tensor:
        """[time, in], the sum of these parts, to [frames, out]."""
        width = self.weight.shape[1] // len(parts)
        seen = torch.cat([part.flatten().unfold(0, width, self.hop) for part in parts], dim=1)
        places = nn.linear(seen, self.weight, self.bias)
        first, second, third = (places.abs_() if self.magnitude else places).chunk(_POOL, dim=1)
        pooled = torch.maximum(torch.maximum(first, second), third)
        return nn.leaky_relu_(_normalise(pooled, self.scale, self.shift))


def _stage(tensors: Mapping[str, Tensor], number: int, stride: int, dtype: torch.dtype) -> Stage:
    weight = tensors[f"conv1d.{number}.weight"]
    bias = tensors.get(f"conv1d.{number}.bias")
    return Stage(
        weight=_at_three_places(weight, stride).to(dtype),
        bias=None if bias is None else bias.repeat(_POOL).to(dtype),
        scale=tensors[f"norm1d.{number}.weight"].to(dtype),
        shift=tensors[f"norm1d.{number}.bias"].to(dtype),
        hop=_POOL * stride * weight.shape[1],
        magnitude=number == 0,
    )


def _at_three_places(weight: Tensor, stride: int) -> Tensor:
    """Filters [out, in, taps] to [3 * out, (taps + 2 * stride) * in]."""
    reach = (_POOL - 1) * stride
    shifts = (place * stride for place in range(_POOL))
    places = [nn.pad(weight, (shift, reach - shift)) for shift in shifts]
    return torch.cat(places).transpose(1, 2).flatten(1)


def _normalise(frames: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Each channel of [frames, channels] over time: zero mean, unit variance, scale and shift.

    Instance norm is group norm with one channel in a group. In channels-last memory ATen computes
    it from sums of squares: fast, and exact enough for bf16; fp32 is given the exact way.
    """
    channels = frames.T[None]
    if frames.dtype == torch.float32 or len(frames) < _FEW_FRAMES:
        channels = channels.contiguous()
    # With a height of 1: ATen knows channels-last memory of images only.
    normal = nn.group_norm(channels[:, :, None], len(scale), scale, shift)
    return normal[0, :, 0].T
