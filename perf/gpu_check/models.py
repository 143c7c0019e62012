"""Whisper of the published sizes, and a small one, with random weights made on the device."""

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor

from voiceman.serving.whisper.checkpoint import Checkpoint, Dimensions, SpecialTokens

# Order of the vocabulary since large-v3: openai/whisper `tokenizer.py`.
TEXT_TOKENS = 50257
END_OF_TEXT, START_OF_TRANSCRIPT, FIRST_LANGUAGE = 50257, 50258, 50259
TRANSCRIBE, START_OF_PREVIOUS, NO_TIMESTAMPS = 50360, 50362, 50364
VOCABULARY = NO_TIMESTAMPS + 1 + 1501
LANGUAGES = {"en": FIRST_LANGUAGE, "ko": FIRST_LANGUAGE + 5}

# Random attention is nearly the same everywhere, and a decoder would not hear the sound. With
# these factors on the usual standard deviation it listens to a few frames, and says it loudly.
_GAIN = {"encoder_attn.q_proj": 2.0, "encoder_attn.k_proj": 2.0, "encoder_attn.out_proj": 3.0}
_LOGIT_STD = 5.0  # wide enough apart that the likeliest token is no matter of rounding
_POSITION_NORM = 20.0  # above that of a token (5), which would else be followed by itself


@dataclass(frozen=True)
class Size:
    """A size of Whisper and the heads that word times come from."""

    name: str
    dimensions: Dimensions
    alignment_heads: tuple[tuple[int, int], ...]


LARGE_V3 = Size(
    "large-v3",
    Dimensions(
        mel_bins=128,
        width=1280,
        audio_positions=1500,
        text_positions=448,
        vocabulary=VOCABULARY,
        encoder_layers=32,
        encoder_heads=20,
        decoder_layers=32,
        decoder_heads=20,
    ),
    ((7, 0), (10, 17), (12, 18), (13, 12), (16, 1), (17, 14), (19, 11), (21, 4), (24, 1), (25, 6)),
)
TURBO = Size(
    "large-v3-turbo",
    replace(LARGE_V3.dimensions, decoder_layers=4),
    ((2, 4), (2, 11), (3, 3), (3, 6), (3, 11), (3, 14)),
)
SMALL = Size(
    "small random model",
    replace(
        LARGE_V3.dimensions,
        mel_bins=80,
        width=128,
        encoder_layers=2,
        encoder_heads=2,
        decoder_layers=2,
        decoder_heads=2,
    ),
    ((0, 1), (1, 0)),
)


class RandomTensors(Mapping[str, Tensor]):
    """Weights by their Hugging Face name, made when they are asked for: nothing is kept.

    A name always gives the same numbers on one kind of device.
    """

    def __init__(self, sizes: Dimensions, device: torch.device) -> None:
        """Nothing is allocated yet."""
        self._shapes = weight_shapes(sizes)
        self._device = device

    def __getitem__(self, name: str) -> Tensor:
        shape = self._shapes[name]
        if name.endswith("norm.weight"):
            return torch.ones(shape, device=self._device)
        if name.endswith("bias"):
            return torch.zeros(shape, device=self._device)
        generator = torch.Generator(self._device).manual_seed(zlib.crc32(name.encode()))
        numbers = torch.randn(shape, device=self._device, generator=generator)
        return numbers * _deviation(name, shape)

    def __iter__(self) -> Iterator[str]:
        return iter(self._shapes)

    def __len__(self) -> int:
        return len(self._shapes)


def _deviation(name: str, shape: tuple[int, ...]) -> float:
    """Standard deviation of a weight's entries."""
    width = shape[-1]
    if "embed_tokens" in name:
        return _LOGIT_STD / width**0.5
    if "decoder.embed_positions" in name:
        return _POSITION_NORM / width**0.5
    if "encoder.embed_positions" in name:
        return 0.5**0.5  # of a sinusoid
    inputs = torch.Size(shape[1:]).numel()
    gain = next((gain for part, gain in _GAIN.items() if part in name), 1.0)
    return gain / inputs**0.5


def weight_shapes(sizes: Dimensions) -> dict[str, tuple[int, ...]]:
    """The shape of every weight by its Hugging Face name."""
    width = sizes.width
    shapes: dict[str, tuple[int, ...]] = {}

    def linear(name: str, outputs: int, inputs: int, *, bias: bool = True) -> None:
        shapes[f"model.{name}.weight"] = (outputs, inputs)
        if bias:
            shapes[f"model.{name}.bias"] = (outputs,)

    def norm(name: str) -> None:
        shapes[f"model.{name}.weight"] = shapes[f"model.{name}.bias"] = (width,)

    def attention(name: str) -> None:
        for part in ("q", "k", "v"):
            linear(f"{name}.{part}_proj", width, width, bias=part != "k")
        linear(f"{name}.out_proj", width, width)
        norm(f"{name}_layer_norm")

    for number, inputs in ((1, sizes.mel_bins), (2, width)):
        shapes[f"model.encoder.conv{number}.weight"] = (width, inputs, 3)
        shapes[f"model.encoder.conv{number}.bias"] = (width,)
    shapes["model.encoder.embed_positions.weight"] = (sizes.audio_positions, width)
    shapes["model.decoder.embed_positions.weight"] = (sizes.text_positions, width)
    shapes["model.decoder.embed_tokens.weight"] = (sizes.vocabulary, width)
    counts = {"encoder": sizes.encoder_layers, "decoder": sizes.decoder_layers}
    for side, count in counts.items():
        norm(f"{side}.layer_norm")
        for layer in range(count):
            name = f"{side}.layers.{layer}"
            attention(f"{name}.self_attn")
            if side == "decoder":
                attention(f"{name}.encoder_attn")
            linear(f"{name}.fc1", 4 * width, width)
            linear(f"{name}.fc2", width, 4 * width)
            norm(f"{name}.final_layer_norm")
    return shapes


def random_checkpoint(size: Size, device: torch.device, *, endless: bool) -> Checkpoint:
    """A checkpoint with random weights.

    Args:
        size: of the network.
        device: where its weights are made.
        endless: suppress end of text, so that a decode ends at its limit alone.
    """
    never = (*range(START_OF_TRANSCRIPT, NO_TIMESTAMPS),)
    special = SpecialTokens(
        start_of_transcript=START_OF_TRANSCRIPT,
        start_of_previous=START_OF_PREVIOUS,
        end_of_text=END_OF_TEXT,
        transcribe=TRANSCRIBE,
        no_timestamps=NO_TIMESTAMPS,
        languages=LANGUAGES,
        suppressed=(END_OF_TEXT, *never) if endless else never,
        suppressed_at_begin=(220, END_OF_TEXT),
        max_initial_timestamp=50,
    )
    return Checkpoint(
        dimensions=size.dimensions,
        special=special,
        alignment_heads=size.alignment_heads,
        tensors=RandomTensors(size.dimensions, device),
        tokenizer=word_tokenizer(),
    )


def word_tokenizer() -> Tokenizer:
    """One word of its own for every text token, the first 256 stand for bytes."""
    words = sorted(pre_tokenizers.ByteLevel.alphabet())
    words += [f"Ġ{number}" for number in range(len(words), TEXT_TOKENS)]
    tokenizer = Tokenizer(models.BPE({word: token for token, word in enumerate(words)}, []))
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer
