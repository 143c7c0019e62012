"""The network: encoder, one decoder step on static caches, attention of the alignment heads.

Source: Radford et al. 2022; the layer order is that of openai/whisper `model.py` (pre-norm,
exact GELU, no bias on keys, output layer tied to the token embedding).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as nn
from torch import Tensor

from voiceman.serving.whisper.checkpoint import Checkpoint

Linear = Callable[[Tensor], Tensor]  # [.., in] to [.., out]; where other precisions plug in


@dataclass(frozen=True)
class Dense:
    """A linear layer in the precision of its weight [out, in]."""

    weight: Tensor
    bias: Tensor | None = None

    def __call__(self, inputs: Tensor) -> Tensor:
        """[.., in] to [.., out]."""
        return nn.linear(inputs, self.weight, self.bias)


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
    """Norm, query projection (already scaled), fused key-value projection [d, 2d], output."""

    norm: Norm
    query: Linear
    key_value: Linear
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
    """All weights, shaped for computing.

    Attributes:
        convolutions: (weight [d, in, 3], bias [d]) of the two convolutions.
        audio_positions: sinusoids [a, d]. text_positions: learned [t, d].
        embedding: [v, d]. logits: the output layer [d, v].
    """

    heads: int
    encoder_heads: int
    convolutions: tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]
    audio_positions: Tensor
    encoder: tuple[EncoderLayer, ...]
    encoder_norm: Norm
    embedding: Tensor
    text_positions: Tensor
    decoder: tuple[DecoderLayer, ...]
    decoder_norm: Norm
    logits: Linear


@dataclass(frozen=True)
class Caches:
    """What the decoder remembers of every slot; allocated once.

    Keys of the cross-attention are stored transposed: a step reads them row by row.

    Attributes:
        self_keys, self_values: [layers, s, h, t, e].
        cross_keys: [layers, s, h, e, a]. cross_values: [layers, s, h, a, e].
    """

    self_keys: Tensor
    self_values: Tensor
    cross_keys: Tensor
    cross_values: Tensor


def build_network(checkpoint: Checkpoint) -> Network:
    """Fuse and scale the projections of a checkpoint; the tensors keep device and dtype."""
    sizes, tensors = checkpoint.dimensions, checkpoint.tensors

    def pair(name: str) -> tuple[Tensor, Tensor]:
        return tensors[f"model.{name}.weight"], tensors[f"model.{name}.bias"]

    def fused(name: str, parts: str, heads: int) -> Dense:
        scale = (sizes.width // heads) ** -0.5  # 1/8 in every published size: exact
        weights = [tensors[f"model.{name}.{part}_proj.weight"] for part in parts]
        biases = [
            tensors.get(f"model.{name}.{part}_proj.bias", weight.new_zeros(sizes.width))
            for part, weight in zip(parts, weights, strict=True)
        ]
        if parts.startswith("q"):
            weights[0], biases[0] = weights[0] * scale, biases[0] * scale
        return Dense(torch.cat(weights), torch.cat(biases))

    def attention(name: str, heads: int) -> SelfAttention:
        return SelfAttention(
            Norm(*pair(f"{name}.self_attn_layer_norm")),
            fused(f"{name}.self_attn", "qkv", heads),
            Dense(*pair(f"{name}.self_attn.out_proj")),
        )

    def feed_forward(name: str) -> FeedForward:
        return FeedForward(
            Norm(*pair(f"{name}.final_layer_norm")),
            Dense(*pair(f"{name}.fc1")),
            Dense(*pair(f"{name}.fc2")),
        )

    def cross(name: str) -> CrossAttention:
        return CrossAttention(
            Norm(*pair(f"{name}.encoder_attn_layer_norm")),
            fused(f"{name}.encoder_attn", "q", sizes.decoder_heads),
            fused(f"{name}.encoder_attn", "kv", sizes.decoder_heads),
            Dense(*pair(f"{name}.encoder_attn.out_proj")),
        )

    encoder = [f"encoder.layers.{layer}" for layer in range(sizes.encoder_layers)]
    decoder = [f"decoder.layers.{layer}" for layer in range(sizes.decoder_layers)]
    embedding = tensors["model.decoder.embed_tokens.weight"]
    return Network(
        heads=sizes.decoder_heads,
        encoder_heads=sizes.encoder_heads,
        convolutions=(pair("encoder.conv1"), pair("encoder.conv2")),
        audio_positions=tensors["model.encoder.embed_positions.weight"],
        encoder=tuple(
            EncoderLayer(attention(name, sizes.encoder_heads), feed_forward(name))
            for name in encoder
        ),
        encoder_norm=Norm(*pair("encoder.layer_norm")),
        embedding=embedding,
        text_positions=tensors["model.decoder.embed_positions.weight"],
        decoder=tuple(
            DecoderLayer(attention(name, sizes.decoder_heads), cross(name), feed_forward(name))
            for name in decoder
        ),
        decoder_norm=Norm(*pair("decoder.layer_norm")),
        logits=Dense(embedding),
    )


def new_caches(network: Network, slots: int) -> Caches:
    """Zeroed caches for a number of slots, on the network's device in its dtype."""
    text, width = network.text_positions.shape
    audio = network.audio_positions.shape[0]
    layers, heads, size = len(network.decoder), network.heads, width // network.heads
    zeros = network.embedding.new_zeros
    return Caches(
        self_keys=zeros(layers, slots, heads, text, size),
        self_values=zeros(layers, slots, heads, text, size),
        cross_keys=zeros(layers, slots, heads, size, audio),
        cross_values=zeros(layers, slots, heads, audio, size),
    )


def split_heads(projected: Tensor, heads: int) -> Tensor:
    """[b, n, h * e] to [b, h, n, e]."""
    return projected.unflatten(-1, (heads, -1)).transpose(1, 2)


def merge_heads(attended: Tensor) -> Tensor:
    """[b, h, n, e] to [b, n, h * e]."""
    return attended.transpose(1, 2).flatten(-2)


def encode(network: Network, mel: Tensor) -> Tensor:
    """Log-mel spectrograms [b, mel_bins, 2a] to what the decoder listens to, [b, a, d]."""
    first, second = network.convolutions
    hidden = nn.gelu(nn.conv1d(mel, *first, padding=1))
    hidden = nn.gelu(nn.conv1d(hidden, *second, stride=2, padding=1))
    hidden = hidden.transpose(1, 2) + network.audio_positions
    for layer in network.encoder:
        projected = layer.attention.query_key_value(layer.attention.norm(hidden))
        query, key, value = (
            split_heads(part, network.encoder_heads) for part in projected.chunk(3, dim=-1)
        )
        attended = nn.scaled_dot_product_attention(query, key, value, scale=1.0)
        hidden = hidden + layer.attention.output(merge_heads(attended))
        hidden = hidden + layer.feed_forward(hidden)
    return network.encoder_norm(hidden)


def fill_cross_cache(network: Network, caches: Caches, audio: Tensor, slots: Sequence[int]) -> None:
    """Write keys and values of encoded windows [b, a, d] into the cross caches of b slots."""
    for index, layer in enumerate(network.decoder):
        key, value = layer.cross.key_value(audio).chunk(2, dim=-1)
        keys = split_heads(key, network.heads).transpose(2, 3)
        values = split_heads(value, network.heads)
        for row, slot in enumerate(slots):
            caches.cross_keys[index, slot] = keys[row]
            caches.cross_values[index, slot] = values[row]


def decode_step(
    network: Network, caches: Caches, token: Tensor, position: Tensor, length: int
) -> Tensor:
    """One token of every row through the decoder.

    Args:
        network: the weights.
        caches: those of all slots; rows are the first s of them.
        token: [s] int64, the token at `position`.
        position: [s] int64, below `length`.
        length: how much of the self cache is read; the same for all rows, so that shapes
            come from a few buckets.

    Returns:
        Logits [s, v] in fp32 for the token after `position`.
    """
    rows = torch.arange(token.shape[0], device=token.device)
    unwritten = torch.arange(length, device=token.device) > position[:, None]
    unwritten = unwritten[:, None, None, :]  # [s, 1, 1, length]
    hidden = (network.embedding[token] + network.text_positions[position])[:, None]  # [s, 1, d]
    for index, layer in enumerate(network.decoder):
        projected = layer.attention.query_key_value(layer.attention.norm(hidden))
        query, key, value = (
            split_heads(part, network.heads) for part in projected.chunk(3, dim=-1)
        )
        caches.self_keys[index, rows, :, position] = key[:, :, 0]
        caches.self_values[index, rows, :, position] = value[:, :, 0]
        keys = caches.self_keys[index, : len(rows), :, :length]
        values = caches.self_values[index, : len(rows), :, :length]
        scores = (query @ keys.transpose(2, 3)).masked_fill(unwritten, -torch.inf)
        attended = scores.softmax(-1) @ values
        hidden = hidden + layer.attention.output(merge_heads(attended))

        query = split_heads(layer.cross.query(layer.cross.norm(hidden)), network.heads)
        scores = query @ caches.cross_keys[index, : len(rows)]
        attended = scores.softmax(-1) @ caches.cross_values[index, : len(rows)]
        hidden = hidden + layer.cross.output(merge_heads(attended))
        hidden = hidden + layer.feed_forward(hidden)
    return network.logits(network.decoder_norm(hidden[:, 0])).float()


def alignment_scores(
    network: Network,
    caches: Caches,
    slot: int,
    tokens: Tensor,
    heads: Sequence[tuple[int, int]],
) -> Tensor:
    """Cross-attention scores of the alignment heads in one teacher-forced pass.

    Nothing is generated: layers above the last alignment head and the output layer are not
    computed.

    Args:
        network: the weights.
        caches: the cross caches are read; the self caches are not touched.
        slot: the slot that still holds the window.
        tokens: [n] int64, prompt and text.
        heads: (layer, head) pairs.

    Returns:
        Scores before the softmax, [len(heads), n, a].
    """
    scores: dict[tuple[int, int], Tensor] = {}
    last_layer = max(layer for layer, _ in heads)
    hidden = (network.embedding[tokens] + network.text_positions[: len(tokens)])[None]
    for index, layer in enumerate(network.decoder[: last_layer + 1]):
        projected = layer.attention.query_key_value(layer.attention.norm(hidden))
        query, key, value = (
            split_heads(part, network.heads) for part in projected.chunk(3, dim=-1)
        )
        attended = nn.scaled_dot_product_attention(query, key, value, is_causal=True, scale=1.0)
        hidden = hidden + layer.attention.output(merge_heads(attended))

        query = split_heads(layer.cross.query(layer.cross.norm(hidden)), network.heads)
        raw = query @ caches.cross_keys[index, slot]  # [1, h, n, a]
        scores |= {(index, head): raw[0, head] for at, head in heads if at == index}
        attended = raw.softmax(-1) @ caches.cross_values[index, slot]
        hidden = hidden + layer.cross.output(merge_heads(attended))
        hidden = hidden + layer.feed_forward(hidden)
    return torch.stack([scores[pair] for pair in heads])
