"""The weights of a network, shaped for computing: from a checkpoint to layers.

Source: the layer order is that of openai/whisper `model.py` (pre-norm, exact GELU, no bias on
keys, output layer tied to the token embedding).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as nn
from torch import Tensor

from voiceman.errors import WeightsError
from voiceman.serving.whisper.checkpoint import Checkpoint
from voiceman.serving.whisper.precision import Arithmetic, Linear, Precision


@dataclass(frozen=True)
class Norm:
    """Layer norm over the last dimension, weight and bias [d]."""

    weight: Tensor
    bias: Tensor

    def __call__(self, inputs: Tensor) -> Tensor:
        """[.., d] to [.., d]."""
        return nn.layer_norm(inputs, self.weight.shape, self.weight, self.bias)


@dataclass(frozen=True)
class SelfAttention:
    """Norm, fused query-key-value projection [d, 3d] (queries already scaled), output."""

    norm: Norm
    query_key_value: Linear
    output: Linear


@dataclass(frozen=True)
class CrossAttention:
    """Norm, query projection (already scaled), output; its keys and values are cached."""

    norm: Norm
    query: Linear
    output: Linear


@dataclass(frozen=True)
class FeedForward:
    """Norm and the two linear layers around the GELU."""

    norm: Norm
    up: Linear
    down: Linear

    def __call__(self, hidden: Tensor) -> Tensor:
        """The residual branch, [.., d] to [.., d]."""
        return self.down(nn.gelu(self.up(self.norm(hidden))))


@dataclass(frozen=True)
class EncoderLayer:
    """Self-attention and feed-forward."""

    attention: SelfAttention
    feed_forward: FeedForward


@dataclass(frozen=True)
class DecoderLayer:
    """Causal self-attention, cross-attention and feed-forward."""

    attention: SelfAttention
    cross: CrossAttention
    feed_forward: FeedForward


@dataclass(frozen=True)
class Network:
    """All weights of a checkpoint in one precision on one device.

    Attributes:
        precision: of both halves; `encoder` and what it hands over are in the first's, the
            decoder in the second's.
        convolutions: (weight [d, in, 3], bias [d]) of the two convolutions.
        audio_positions: sinusoids [a, d]. text_positions: learned [t, d].
        audio_keys_values: per decoder layer, from encoded sound to the keys and values of its
            cross-attention [d, 2d].
        embedding: [v, d]. logits: the output layer [d, v].
    """

    precision: Precision
    heads: int
    encoder_heads: int
    convolutions: tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]
    audio_positions: Tensor
    encoder: tuple[EncoderLayer, ...]
    encoder_norm: Norm
    audio_keys_values: tuple[Linear, ...]
    embedding: Tensor
    text_positions: Tensor
    decoder: tuple[DecoderLayer, ...]
    decoder_norm: Norm
    logits: Linear


def build_network(checkpoint: Checkpoint, precision: Precision, device: torch.device) -> Network:
    """Read, fuse, scale and round the weights of a checkpoint."""
    sizes = checkpoint.dimensions
    encoder = _Weights(checkpoint, precision.encoder, device)
    decoder = _Weights(checkpoint, precision.decoder, device)
    embedding = decoder.tensor("decoder.embed_tokens.weight")
    return Network(
        precision=precision,
        heads=sizes.decoder_heads,
        encoder_heads=sizes.encoder_heads,
        convolutions=(encoder.pair("encoder.conv1"), encoder.pair("encoder.conv2")),
        audio_positions=encoder.tensor("encoder.embed_positions.weight"),
        encoder=tuple(
            encoder.encoder_layer(f"encoder.layers.{layer}")
            for layer in range(sizes.encoder_layers)
        ),
        encoder_norm=encoder.norm("encoder.layer_norm"),
        audio_keys_values=tuple(
            encoder.fused(f"decoder.layers.{layer}.encoder_attn", "kv", sizes.decoder_heads)
            for layer in range(sizes.decoder_layers)
        ),
        embedding=embedding,
        text_positions=decoder.tensor("decoder.embed_positions.weight"),
        decoder=tuple(
            decoder.decoder_layer(f"decoder.layers.{layer}")
            for layer in range(sizes.decoder_layers)
        ),
        decoder_norm=decoder.norm("decoder.layer_norm"),
        logits=precision.decoder.linear(embedding),
    )


@dataclass(frozen=True)
class _Weights:
    """Layers of a checkpoint by their name in it."""

    checkpoint: Checkpoint
    arithmetic: Arithmetic
    device: torch.device

    def stored(self, name: str) -> Tensor:
        """As it is in the file, on the device."""
        try:
            return self.checkpoint.tensors[f"model.{name}"].to(self.device)
        except KeyError as err:
            raise WeightsError(
                f"not a Whisper checkpoint: {err} is missing; export it again"
            ) from err

    def tensor(self, name: str) -> Tensor:
        return self.stored(name).to(self.arithmetic.hidden)

    def pair(self, name: str) -> tuple[Tensor, Tensor]:
        return self.tensor(f"{name}.weight"), self.tensor(f"{name}.bias")

    def norm(self, name: str) -> Norm:
        return Norm(*self.pair(name))

    def linear(self, name: str) -> Linear:
        return self.arithmetic.linear(self.stored(f"{name}.weight"), self.stored(f"{name}.bias"))

    def fused(self, name: str, parts: Sequence[str], heads: int) -> Linear:
        """Projections side by side; queries are scaled by 1 / sqrt(head size)."""
        width = self.checkpoint.dimensions.width
        weights: list[Tensor] = []
        biases: list[Tensor] = []
        for part in parts:
            # 1/8 in every published size: exact in every precision.
            scale = (width // heads) ** -0.5 if part == "q" else 1.0
            weight = self.stored(f"{name}.{part}_proj.weight")
            # Keys have no bias.
            bias = (
                weight.new_zeros(width) if part == "k" else self.stored(f"{name}.{part}_proj.bias")
            )
            weights.append(weight * scale)
            biases.append(bias * scale)
        return self.arithmetic.linear(torch.cat(weights), torch.cat(biases))

    def attention(self, name: str, heads: int) -> SelfAttention:
        return SelfAttention(
            self.norm(f"{name}.self_attn_layer_norm"),
            self.fused(f"{name}.self_attn", "qkv", heads),
            self.linear(f"{name}.self_attn.out_proj"),
        )

    def cross(self, name: str, heads: int) -> CrossAttention:
        return CrossAttention(
            self.norm(f"{name}.encoder_attn_layer_norm"),
            self.fused(f"{name}.encoder_attn", "q", heads),
            self.linear(f"{name}.encoder_attn.out_proj"),
        )

    def feed_forward(self, name: str) -> FeedForward:
        return FeedForward(
            self.norm(f"{name}.final_layer_norm"),
            self.linear(f"{name}.fc1"),
            self.linear(f"{name}.fc2"),
        )

    def encoder_layer(self, name: str) -> EncoderLayer:
        heads = self.checkpoint.dimensions.encoder_heads
        return EncoderLayer(self.attention(name, heads), self.feed_forward(name))

    def decoder_layer(self, name: str) -> DecoderLayer:
        heads = self.checkpoint.dimensions.decoder_heads
        return DecoderLayer(
            self.attention(name, heads), self.cross(name, heads), self.feed_forward(name)
        )
