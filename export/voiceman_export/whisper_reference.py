"""Whisper computed straight from the tensors of its source: what an export is compared with.

Nothing is shared with the conversion: fused projections stay fused, and every tensor is taken
by the name that its source gives it. After Radford et al. 2022, arXiv:2212.04356.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn import functional

from voiceman.errors import WeightsError
from voiceman_export import ctranslate2, openai_checkpoint
from voiceman_export.whisper import ctranslate2_file, openai_file


@dataclass(frozen=True)
class Names:
    """How a format calls the parts of Whisper.

    Attributes:
        weight, bias: endings of a linear layer or convolution.
        scale, shift: endings of a layer norm.
        convolution: the two of the encoder.
        positions, final_norm, layer: of one side; the layer with its number.
        embedding: of the tokens.
        self_attention, cross_attention: modules of a layer.
        self_norm, cross_norm, mlp_norm: the norms before each block of a layer.
        mlp: the two layers of the feed-forward block.
        self_projections, cross_projections: layers that make query, key and value, and how many
            of them each makes; the first reads the decoder, the others what is attended to.
        self_output, cross_output: the layer after the attention.
    """

    weight: str
    bias: str
    scale: str
    shift: str
    convolution: str
    positions: str
    final_norm: Mapping[str, str]
    layer: str
    embedding: str
    self_attention: str
    cross_attention: str
    self_norm: str
    cross_norm: str
    mlp_norm: str
    mlp: tuple[str, str]
    self_projections: tuple[tuple[str, int], ...]
    cross_projections: tuple[tuple[str, int], ...]
    self_output: str
    cross_output: str


_CTRANSLATE2 = Names(
    weight="/weight",
    bias="/bias",
    scale="/gamma",
    shift="/beta",
    convolution="encoder/conv{}",
    positions="{}/position_encodings/encodings",
    final_norm={"encoder": "encoder/layer_norm", "decoder": "decoder/layer_norm"},
    layer="{}/layer_{}/",
    embedding="decoder/embeddings/weight",
    self_attention="self_attention/",
    cross_attention="attention/",
    self_norm="self_attention/layer_norm",
    cross_norm="attention/layer_norm",
    mlp_norm="ffn/layer_norm",
    mlp=("ffn/linear_0", "ffn/linear_1"),
    self_projections=(("linear_0", 3),),
    cross_projections=(("linear_0", 1), ("linear_1", 2)),
    self_output="linear_1",
    cross_output="linear_2",
)
_OPENAI = Names(
    weight=".weight",
    bias=".bias",
    scale=".weight",
    shift=".bias",
    convolution="encoder.conv{}",
    positions="{}.positional_embedding",
    final_norm={"encoder": "encoder.ln_post", "decoder": "decoder.ln"},
    layer="{}.blocks.{}.",
    embedding="decoder.token_embedding.weight",
    self_attention="attn.",
    cross_attention="cross_attn.",
    self_norm="attn_ln",
    cross_norm="cross_attn_ln",
    mlp_norm="mlp_ln",
    mlp=("mlp.0", "mlp.2"),
    self_projections=(("query", 1), ("key", 1), ("value", 1)),
    cross_projections=(("query", 1), ("key", 1), ("value", 1)),
    self_output="out",
    cross_output="out",
)


@dataclass(frozen=True)
class WhisperReference:
    """A source's tensors, the names they go by, and the attention heads of each side."""

    state: Mapping[str, torch.Tensor]
    names: Names
    heads: Mapping[str, int]

    def logits(self, log_mel: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """Scores of the next token at every position.

        Args:
            log_mel: [1, mel bins, 3000]; its dtype is what everything is computed in.
            tokens: int64 [1, n].

        Returns:
            [1, n, vocabulary].
        """
        x = log_mel
        for number in (1, 2):
            weight, bias = self._pair(self.names.convolution.format(number), x.dtype)
            x = functional.gelu(functional.conv1d(x, weight, bias, stride=number, padding=1))
        memory = self._side("encoder", x.transpose(1, 2), None)
        embedding = self.state[self.names.embedding].to(log_mel.dtype)
        return self._side("decoder", embedding[tokens], memory) @ embedding.T

    def _side(self, side: str, x: torch.Tensor, memory: torch.Tensor | None) -> torch.Tensor:
        names = self.names
        x = x + self.state[names.positions.format(side)].to(x.dtype)[: x.shape[1]]
        number = 0
        while any(key.startswith(layer := names.layer.format(side, number)) for key in self.state):
            normed = self._norm(layer + names.self_norm, x)
            x = x + self._attention(layer, side, normed, None)
            if memory is not None:
                normed = self._norm(layer + names.cross_norm, x)
                x = x + self._attention(layer, side, normed, memory)
            hidden = self._linear(layer + names.mlp[0], self._norm(layer + names.mlp_norm, x))
            x = x + self._linear(layer + names.mlp[1], functional.gelu(hidden))
            number += 1
        return self._norm(names.final_norm[side], x)

    def _attention(
        self, layer: str, side: str, x: torch.Tensor, memory: torch.Tensor | None
    ) -> torch.Tensor:
        names = self.names
        crossed = memory is not None
        module = layer + (names.cross_attention if crossed else names.self_attention)
        attended = memory if memory is not None else x
        projected: list[torch.Tensor] = []
        for name, count in names.cross_projections if crossed else names.self_projections:
            source = attended if projected else x
            projected += self._linear(module + name, source).chunk(count, dim=-1)
        query, key, value = (
            part.unflatten(-1, (self.heads[side], -1)).transpose(1, 2) for part in projected
        )
        scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
        if side == "decoder" and not crossed:
            future = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
            scores = scores.masked_fill(future, float("-inf"))
        mixed = (scores.softmax(dim=-1) @ value).transpose(1, 2).flatten(2)
        return self._linear(module + (names.cross_output if crossed else names.self_output), mixed)

    def _linear(self, name: str, x: torch.Tensor) -> torch.Tensor:
        return functional.linear(x, *self._pair(name, x.dtype))

    def _pair(self, name: str, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor | None]:
        bias = self.state.get(name + self.names.bias)
        weight = self.state[name + self.names.weight].to(dtype)
        return weight, None if bias is None else bias.to(dtype)

    def _norm(self, name: str, x: torch.Tensor) -> torch.Tensor:
        scale = self.state[name + self.names.scale].to(x.dtype)
        shift = self.state[name + self.names.shift].to(x.dtype)
        return functional.layer_norm(x, x.shape[-1:], scale, shift)


def load(path: Path) -> WhisperReference:
    """Read a CTranslate2 folder or OpenAI's `.pt`.

    Raises:
        WeightsError: it is neither.
    """
    if (file := openai_file(path)) is not None:
        checkpoint = openai_checkpoint.read(file)
        heads = {
            "encoder": checkpoint.dims["n_audio_head"],
            "decoder": checkpoint.dims["n_text_head"],
        }
        return WhisperReference(checkpoint.state, _OPENAI, heads)
    if (file := ctranslate2_file(path)) is not None:
        variables = ctranslate2.read(file)
        heads = {side: int(variables[f"{side}/num_heads"]) for side in ("encoder", "decoder")}
        return WhisperReference(variables, _CTRANSLATE2, heads)
    raise WeightsError(f"{path}: neither a CTranslate2 folder nor OpenAI's .pt")
