"""Computing the network: encoder, one decoder step on static caches, alignment heads.

Source: Radford et al. 2022; openai/whisper `model.py`. Letters in shapes: s slots, a audio
positions (1,500), t text positions (448), d width, h heads, e size of a head, v vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as nn
from torch import Tensor

from voiceman.serving.whisper.layers import DecoderLayer, Network, SelfAttention


@dataclass(frozen=True)
class Caches:
    """What the decoder remembers of every slot; allocated once.

    Attributes:
        self_keys, self_values: [layers, s, h, t, e].
        cross_keys, cross_values: [layers, s, h, a, e].
    """

    self_keys: Tensor
    self_values: Tensor
    cross_keys: Tensor
    cross_values: Tensor

    @property
    def nbytes(self) -> int:
        """What they take, all slots together."""
        caches = (self.self_keys, self.self_values, self.cross_keys, self.cross_values)
        return sum(cache.nbytes for cache in caches)


def new_caches(network: Network, slots: int) -> Caches:
    """Zeroed caches for a number of slots, on the network's device."""
    text, width = network.text_positions.shape
    audio = network.audio_positions.shape[0]

    def zeros(positions: int) -> Tensor:
        shape = (len(network.decoder), slots, network.heads, positions, width // network.heads)
        return network.embedding.new_zeros(shape, dtype=network.precision.decoder.attention)

    return Caches(zeros(text), zeros(text), zeros(audio), zeros(audio))


def attend(query: Tensor, key: Tensor, value: Tensor, **mask: Tensor | bool) -> Tensor:
    """Attention of scaled queries [b, h, n, e] to keys and values [b, h, m, e]: [b, n, h * e]."""
    attended = nn.scaled_dot_product_attention(query, key, value, scale=1.0, **mask)  # type: ignore[arg-type]
    return attended.transpose(1, 2).flatten(-2)


def split_heads(projected: Tensor, heads: int, dtype: torch.dtype) -> Tensor:
    """[b, n, h * e] to [b, h, n, e] in the type of the attention."""
    return projected.to(dtype).unflatten(-1, (heads, -1)).transpose(1, 2)


def query_key_value(
    layer: SelfAttention, hidden: Tensor, heads: int, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values [b, h, n, e] of a self-attention for hidden states [b, n, d]."""
    projected = layer.query_key_value(layer.norm(hidden))
    query, key, value = (split_heads(part, heads, dtype) for part in projected.chunk(3, dim=-1))
    return query, key, value


def encode(network: Network, mel: Tensor) -> Tensor:
    """Log-mel spectrograms [b, mel_bins, 2a] to what the decoder listens to, [b, a, d]."""
    arithmetic, heads = network.precision.encoder, network.encoder_heads
    first, second = network.convolutions
    hidden = nn.gelu(nn.conv1d(mel.to(arithmetic.hidden), *first, padding=1))
    hidden = nn.gelu(nn.conv1d(hidden, *second, stride=2, padding=1))
    # Row by row in memory from here on, and in place: on a CPU fresh pages cost more than sums.
    hidden = hidden.transpose(1, 2).contiguous().add_(network.audio_positions)
    for layer in network.encoder:
        attention = layer.attention
        attended = attend(*query_key_value(attention, hidden, heads, arithmetic.attention))
        hidden.add_(attention.output(attended.to(hidden.dtype)))
        hidden.add_(layer.feed_forward(hidden))
    return network.encoder_norm(hidden)


def fill_cross_cache(network: Network, caches: Caches, audio: Tensor, slots: Tensor) -> None:
    """Write keys and values of encoded windows [b, a, d] into the cross caches of slots [b]."""
    dtype = network.precision.decoder.attention
    for index, project in enumerate(network.audio_keys_values):
        key, value = project(audio).chunk(2, dim=-1)
        caches.cross_keys[index].index_copy_(0, slots, split_heads(key, network.heads, dtype))
        caches.cross_values[index].index_copy_(0, slots, split_heads(value, network.heads, dtype))


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
    dtype, count = network.precision.decoder.attention, token.shape[0]
    rows = torch.arange(count, device=token.device)
    written = torch.arange(length, device=token.device) <= position[:, None]
    written = written[:, None, None, :]  # [s, 1, 1, length]
    hidden = (network.embedding[token] + network.text_positions[position])[:, None]  # [s, 1, d]
    for index, layer in enumerate(network.decoder):
        query, key, value = query_key_value(layer.attention, hidden, network.heads, dtype)
        caches.self_keys[index, rows, :, position] = key[:, :, 0]
        caches.self_values[index, rows, :, position] = value[:, :, 0]
        keys = caches.self_keys[index, :count, :, :length]
        values = caches.self_values[index, :count, :, :length]
        attended = attend(query, keys, values, attn_mask=written)
        hidden = hidden + layer.attention.output(attended.to(hidden.dtype))
        query = _cross_query(network, layer, hidden)
        keys, values = caches.cross_keys[index, :count], caches.cross_values[index, :count]
        hidden = _after_cross(layer, hidden, attend(query, keys, values))
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
    dtype, scores = network.precision.decoder.attention, dict[tuple[int, int], Tensor]()
    last_layer = max(layer for layer, _ in heads)
    hidden = (network.embedding[tokens] + network.text_positions[: len(tokens)])[None]
    for index, layer in enumerate(network.decoder[: last_layer + 1]):
        projected = query_key_value(layer.attention, hidden, network.heads, dtype)
        attended = attend(*projected, is_causal=True)
        hidden = hidden + layer.attention.output(attended.to(hidden.dtype))
        query = _cross_query(network, layer, hidden)
        keys, values = caches.cross_keys[index, slot][None], caches.cross_values[index, slot][None]
        scores |= {
            (index, head): query[0, head] @ keys[0, head].T for at, head in heads if at == index
        }
        hidden = _after_cross(layer, hidden, attend(query, keys, values))
    return torch.stack([scores[pair] for pair in heads])


def _cross_query(network: Network, layer: DecoderLayer, hidden: Tensor) -> Tensor:
    """Queries [b, h, n, e] of a cross-attention."""
    query = layer.cross.query(layer.cross.norm(hidden))
    return split_heads(query, network.heads, network.precision.decoder.attention)


def _after_cross(layer: DecoderLayer, hidden: Tensor, attended: Tensor) -> Tensor:
    """The rest of a decoder layer [b, n, d] behind its cross-attention."""
    hidden = hidden + layer.cross.output(attended.to(hidden.dtype))
    return hidden + layer.feed_forward(hidden)
