"""wav2vec 2.0 in plain torch: from utterances to hidden states, on CPU and CUDA.

Source: Baevski et al. 2020 (arXiv:2006.11477); names of weights and settings are those of Hugging
Face's checkpoints. Two kinds exist. "layer": every convolution is normalised over its channels.
"group": the first convolution is normalised over time; other implementations count padding in,
and let only equal lengths share a batch. Here both kinds are told how long each row is, and what
an utterance becomes does not depend on its neighbours.

Where the processor multiplies bf16, everything behind the first convolution is in bf16, norms and
sums within them in fp32; the first one is not, because a waveform of 8 bits is another waveform.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as nn
from torch import Tensor


@dataclass(frozen=True)
class Settings:
    """What the weights do not tell; the names are those of config.json.

    Attributes:
        conv_stride: of every convolution of the feature extractor.
        feat_extract_norm: "layer" or "group"; see above.
        do_stable_layer_norm: norms stand before attention and feed-forward, not behind.
    """

    conv_stride: Sequence[int]
    feat_extract_norm: str
    do_stable_layer_norm: bool
    num_attention_heads: int
    num_conv_pos_embedding_groups: int
    layer_norm_eps: float

    @classmethod
    def read(cls, config: Mapping[str, Any]) -> "Settings":
        """From a parsed config.json; raises KeyError with the name of what is missing."""
        return cls(**{name: config[name] for name in cls.__dataclass_fields__})


@dataclass(frozen=True)
class Norm:
    """Layer norm over the last dimension, weight and bias [d]."""

    weight: Tensor
    bias: Tensor
    eps: float

    def __call__(self, inputs: Tensor) -> Tensor:
        """[.., d] to [.., d]."""
        return nn.layer_norm(inputs, self.weight.shape, self.weight, self.bias, self.eps)


@dataclass(frozen=True)
class Linear:
    """Weight [out, in] and bias [out], or none."""

    weight: Tensor
    bias: Tensor | None

    def __call__(self, inputs: Tensor) -> Tensor:
        """[.., in] to [.., out]."""
        return nn.linear(inputs, self.weight, self.bias)


@dataclass(frozen=True)
class Convolution:
    """A convolution as one matrix product, channels last; `taps` frames, every `stride`-th."""

    product: Linear  # [out, taps * in]
    taps: int
    stride: int

    def __call__(self, inputs: Tensor) -> Tensor:
        """[b, t, in] to [b, (t - taps) // stride + 1, out]."""
        channels = inputs.shape[2]
        frames = inputs.flatten(1).unfold(1, self.taps * channels, self.stride * channels)
        return self.product(frames)

    def frames(self, samples: Tensor) -> Tensor:
        """How many come out of so many, both [b]."""
        return (samples - self.taps) // self.stride + 1


@dataclass(frozen=True)
class Layer:
    """One layer of the encoder: self-attention and feed-forward."""

    query_key_value: Linear  # [3d, d], queries already scaled
    attended: Linear
    attention_norm: Norm
    up: Linear
    down: Linear
    feed_forward_norm: Norm


class Wav2Vec2:
    """The network without a head, ready to run."""

    def __init__(
        self,
        tensors: Mapping[str, Tensor],
        settings: Settings,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        """Lay the weights out.

        Args:
            tensors: fp32, by their names in Hugging Face's Wav2Vec2Model; the weight of the
                positional convolution as numbers, without weight norm.
            settings: of the checkpoint.
            device: where to compute.
            dtype: of everything behind the first convolution.

        Raises:
            KeyError: a weight is missing.
        """
        weights = _Weights(tensors, settings, device, dtype)
        self.settings = settings
        self.dtype = dtype
        self._convolutions = [
            weights.convolution(index, stride) for index, stride in enumerate(settings.conv_stride)
        ]
        normed = range(len(self._convolutions) if settings.feat_extract_norm == "layer" else 1)
        self._norms = {n: weights.convolution_norm(n) for n in normed}
        self._features_norm = weights.norm("feature_projection.layer_norm")
        self._projection = weights.linear("feature_projection.projection")
        self._positions = weights.linear("encoder.pos_conv_embed.conv")  # weight [d, d / g, k]
        self._norm = weights.norm("encoder.layer_norm")
        count = sum(name.endswith(".final_layer_norm.weight") for name in tensors)
        self._layers = [weights.layer(f"encoder.layers.{index}") for index in range(count)]

    def frames(self, samples: Tensor) -> Tensor:
        """Frames [b] that so many samples [b] become."""
        for convolution in self._convolutions:
            samples = convolution.frames(samples)
        return samples

    def __call__(self, waveforms: Tensor, samples: Tensor | None = None) -> Tensor:
        """Hidden states of utterances.

        Args:
            waveforms: [b, n] float32 at 16 kHz, as the checkpoint wants them normalised.
            samples: [b] int64, how many of every row are sound, zeros behind them; None: all.

        Returns:
            [b, frames, d] in `dtype`; rows of padding mean nothing.
        """
        features = self._features(waveforms, samples)
        hidden = self._projection(self._features_norm(features))
        mask = None
        if samples is not None:
            frames = torch.arange(hidden.shape[1], device=hidden.device)
            inside = frames < self.frames(samples)[:, None]  # [b, frames]
            hidden = hidden * inside[..., None]
            mask = inside[:, None, None]
        return self._encode(hidden + self._position(hidden), mask)

    def _features(self, waveforms: Tensor, samples: Tensor | None) -> Tensor:
        """[b, n] to [b, frames, c]."""
        hidden = waveforms[..., None]
        for index, convolution in enumerate(self._convolutions):
            hidden = convolution(hidden)
            if index in self._norms:
                hidden = self._normalise(hidden, self._norms[index], samples)
            hidden = nn.gelu(hidden.to(self.dtype))
        return hidden

    def _normalise(self, hidden: Tensor, norm: Norm, samples: Tensor | None) -> Tensor:
        """[b, t, c] over its channels, or every channel of the first convolution over time."""
        if self.settings.feat_extract_norm == "layer":
            return norm(hidden)
        if samples is not None:
            return _over_time(hidden, self._convolutions[0].frames(samples), norm)
        # As an image of height 1 with its channels last it is normalised without being turned.
        image = hidden.transpose(1, 2)[:, :, None]
        image = nn.group_norm(image, len(norm.weight), norm.weight, norm.bias, norm.eps)
        return image[:, :, 0].transpose(1, 2)

    def _position(self, hidden: Tensor) -> Tensor:
        """What the neighbours say about the place: [b, t, d] to [b, t, d]."""
        weight, bias = self._positions.weight, self._positions.bias
        taps, groups = weight.shape[2], self.settings.num_conv_pos_embedding_groups
        places = nn.conv1d(hidden.transpose(1, 2), weight, bias, padding=taps // 2, groups=groups)
        return nn.gelu(places[..., : hidden.shape[1]]).transpose(1, 2)

    def _encode(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        """The layers over [b, t, d]; mask [b, 1, 1, t]: frames that may be looked at."""
        stable = self.settings.do_stable_layer_norm
        hidden = hidden if stable else self._norm(hidden)
        for layer in self._layers:
            if stable:
                hidden = hidden + self._attend(layer, layer.attention_norm(hidden), mask)
                hidden = hidden + _feed_forward(layer, layer.feed_forward_norm(hidden))
            else:
                hidden = layer.attention_norm(hidden + self._attend(layer, hidden, mask))
                hidden = layer.feed_forward_norm(hidden + _feed_forward(layer, hidden))
        return self._norm(hidden) if stable else hidden

    def _attend(self, layer: Layer, hidden: Tensor, mask: Tensor | None) -> Tensor:
        projected = layer.query_key_value(hidden).unflatten(
            2, (3, self.settings.num_attention_heads, -1)
        )
        query, key, value = projected.permute(2, 0, 3, 1, 4)  # [b, h, t, e] each
        attended = nn.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=1.0)
        return layer.attended(attended.transpose(1, 2).flatten(2))


def _over_time(hidden: Tensor, frames: Tensor, norm: Norm) -> Tensor:
    """[b, t, c], every channel normalised over the first `frames` [b] of its row."""
    inside = torch.arange(hidden.shape[1], device=hidden.device) < frames[:, None]
    hidden = hidden * inside[..., None]
    # Zeros behind the end: what they take from mean and square is known.
    padded_variance, padded_mean = torch.var_mean(hidden, dim=1, correction=0)
    share = hidden.shape[1] / frames[:, None]
    mean = padded_mean * share
    variance = (padded_variance + padded_mean**2) * share - mean**2
    scale = norm.weight * (variance + norm.eps).rsqrt()
    return torch.addcmul((norm.bias - mean * scale)[:, None], hidden, scale[:, None])


def _feed_forward(layer: Layer, hidden: Tensor) -> Tensor:
    return layer.down(nn.gelu(layer.up(hidden)))


@dataclass(frozen=True)
class _Weights:
    """Layers of a checkpoint by their name in it."""

    tensors: Mapping[str, Tensor]
    settings: Settings
    device: torch.device
    dtype: torch.dtype

    def tensor(self, name: str, dtype: torch.dtype | None = None) -> Tensor:
        # A tensor that is kept as it was read would keep the whole file mapped.
        copy = self.dtype != torch.float32
        return self.tensors[name].to(self.device, dtype or self.dtype, copy=copy)

    def linear(self, name: str) -> Linear:
        bias = self.tensor(f"{name}.bias") if f"{name}.bias" in self.tensors else None
        return Linear(self.tensor(f"{name}.weight"), bias)

    def norm(self, name: str, dtype: torch.dtype | None = None) -> Norm:
        weight, bias = (self.tensor(f"{name}.{part}", dtype) for part in ("weight", "bias"))
        return Norm(weight, bias, self.settings.layer_norm_eps)

    def convolution(self, index: int, stride: int) -> Convolution:
        name = f"feature_extractor.conv_layers.{index}.conv"
        dtype = torch.float32 if index == 0 else self.dtype
        weight = self.tensor(f"{name}.weight", dtype)  # [out, in, taps]
        bias = self.tensor(f"{name}.bias", dtype) if f"{name}.bias" in self.tensors else None
        product = Linear(weight.transpose(1, 2).flatten(1).contiguous(), bias)
        return Convolution(product, weight.shape[2], stride)

    def convolution_norm(self, index: int) -> Norm:
        dtype = torch.float32 if index == 0 else self.dtype
        norm = self.norm(f"feature_extractor.conv_layers.{index}.layer_norm", dtype)
        return Norm(norm.weight, norm.bias, 1e-5)  # torch's default, whatever the config says

    def layer(self, name: str) -> Layer:
        width = self.tensors["encoder.layer_norm.weight"].shape[0]
        scale = (width // self.settings.num_attention_heads) ** -0.5
        parts = [(f"{name}.attention.{part}_proj", scale if part == "q" else 1.0) for part in "qkv"]
        return Layer(
            Linear(
                torch.cat([self.tensors[f"{n}.weight"] * s for n, s in parts]).to(
                    self.device, self.dtype
                ),
                torch.cat([self.tensors[f"{n}.bias"] * s for n, s in parts]).to(
                    self.device, self.dtype
                ),
            ),
            self.linear(f"{name}.attention.out_proj"),
            self.norm(f"{name}.layer_norm"),
            self.linear(f"{name}.feed_forward.intermediate_dense"),
            self.linear(f"{name}.feed_forward.output_dense"),
            self.norm(f"{name}.final_layer_norm"),
        )
