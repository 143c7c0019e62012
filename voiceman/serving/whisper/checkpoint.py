"""A Whisper checkpoint in the Hugging Face layout: sizes, special tokens, weights, tokenizer."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from tokenizers import Tokenizer
from torch import Tensor

from voiceman.errors import InvalidRequestError, WeightsError
from voiceman.options import AUTO_LANGUAGE

ENGLISH = "en"


@dataclass(frozen=True)
class Dimensions:
    """Sizes of the network."""

    mel_bins: int
    width: int
    audio_positions: int
    text_positions: int
    vocabulary: int
    encoder_layers: int
    encoder_heads: int
    decoder_layers: int
    decoder_heads: int


@dataclass(frozen=True)
class SpecialTokens:
    """Ids with a meaning, and the lists that steer decoding.

    Attributes:
        languages: token by ISO 639-1 code; empty for an English-only checkpoint.
        suppressed: never generated.
        suppressed_at_begin: not generated as the first token.
        max_initial_timestamp: the first timestamp is at most this many 20 ms steps.
    """

    start_of_transcript: int
    start_of_previous: int
    end_of_text: int
    transcribe: int
    no_timestamps: int
    languages: Mapping[str, int]
    suppressed: tuple[int, ...]
    suppressed_at_begin: tuple[int, ...]
    max_initial_timestamp: int | None

    @property
    def first_timestamp(self) -> int:
        """The token of 0.00 s; every later token is 20 ms more."""
        return self.no_timestamps + 1

    @property
    def no_speech(self) -> int:
        """The token that stands for a window without speech."""
        return self.no_timestamps - 1

    def language(self, code: str) -> str | None:
        """The language to decode in; None: detect it.

        Raises:
            InvalidRequestError: the checkpoint does not know this language.
        """
        code = code.strip().lower()
        if code in {"", AUTO_LANGUAGE}:
            return None if self.languages else ENGLISH
        known = self.languages or {ENGLISH: 0}
        if code not in known:
            raise InvalidRequestError(
                f"LANGUAGE: {code!r} is unknown; this checkpoint knows {len(known)} language"
                f"{'s' if len(known) > 1 else ''} ({', '.join(sorted(known))}) and 'auto'"
            )
        return code


@dataclass(frozen=True)
class Checkpoint:
    """Everything that a weights folder holds.

    Attributes:
        tensors: weights by their Hugging Face name.
        alignment_heads: (decoder layer, head) pairs whose cross-attention follows the sound.
    """

    dimensions: Dimensions
    special: SpecialTokens
    alignment_heads: tuple[tuple[int, int], ...]
    tensors: Mapping[str, Tensor]
    tokenizer: Tokenizer


class MappedTensors(Mapping[str, Tensor]):
    """The tensors of a safetensors file: memory-mapped, read when they are asked for.

    So processes with the same weights share one copy, and what a network keeps in another
    precision or on another device is not held twice.
    """

    def __init__(self, path: Path) -> None:
        """Open the file; raises SafetensorError where it is none."""
        self._file = safe_open(path, framework="pt")
        self._names = tuple(self._file.keys())

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._names:
            raise KeyError(name)
        return self._file.get_tensor(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def load_checkpoint(folder: Path) -> Checkpoint:
    """Read config.json, generation_config.json and tokenizer.json, open model.safetensors.

    Raises:
        WeightsError: a file is missing or is not what its name says.
    """
    config, generation = (
        _read_json(folder, "config.json"),
        _read_json(folder, "generation_config.json"),
    )
    try:
        tokenizer = Tokenizer.from_file(str(_existing(folder, "tokenizer.json")))
        sizes = _dimensions(config)
        return Checkpoint(
            sizes,
            _special_tokens(generation, tokenizer),
            _alignment_heads(generation["alignment_heads"], sizes),
            MappedTensors(_existing(folder, "model.safetensors")),
            tokenizer,
        )
    except (KeyError, SafetensorError) as err:
        raise WeightsError(f"{folder}: not a Whisper checkpoint ({err}); export it again") from err


def _alignment_heads(
    pairs: Sequence[Sequence[int]], sizes: Dimensions
) -> tuple[tuple[int, int], ...]:
    """(layer, head) pairs that the decoder has; at least one."""
    heads = tuple((int(layer), int(head)) for layer, head in pairs)
    limits = sizes.decoder_layers, sizes.decoder_heads
    if not heads or any(not (0 <= a < limits[0] and 0 <= b < limits[1]) for a, b in heads):
        raise WeightsError(
            f"generation_config.json: alignment_heads are {list(heads)}, the decoder has "
            f"{limits[0]} layers of {limits[1]} heads; export it again"
        )
    return heads


def _existing(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.is_file():
        raise WeightsError(f"{path}: missing; run voiceman-export")
    return path


def _read_json(folder: Path, name: str) -> dict[str, Any]:
    path = _existing(folder, name)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as err:
        raise WeightsError(f"{path}: not valid JSON ({err}); export it again") from err


def _dimensions(config: Mapping[str, Any]) -> Dimensions:
    return Dimensions(
        mel_bins=config["num_mel_bins"],
        width=config["d_model"],
        audio_positions=config["max_source_positions"],
        text_positions=config["max_target_positions"],
        vocabulary=config["vocab_size"],
        encoder_layers=config["encoder_layers"],
        encoder_heads=config["encoder_attention_heads"],
        decoder_layers=config["decoder_layers"],
        decoder_heads=config["decoder_attention_heads"],
    )


def _special_tokens(generation: Mapping[str, Any], tokenizer: Tokenizer) -> SpecialTokens:
    languages = generation.get("lang_to_id") if generation.get("is_multilingual", True) else None
    no_timestamps = int(generation["no_timestamps_token_id"])
    previous = tokenizer.token_to_id("<|startofprev|>")
    return SpecialTokens(
        start_of_transcript=generation["decoder_start_token_id"],
        # In every published vocabulary <|startofprev|> stands two before <|notimestamps|>.
        start_of_previous=no_timestamps - 2 if previous is None else previous,
        end_of_text=generation["eos_token_id"],
        transcribe=(generation.get("task_to_id") or {}).get("transcribe", -1),
        no_timestamps=no_timestamps,
        languages={name.strip("<|>"): token for name, token in (languages or {}).items()},
        suppressed=tuple(generation.get("suppress_tokens") or ()),
        suppressed_at_begin=tuple(generation.get("begin_suppress_tokens") or ()),
        max_initial_timestamp=generation.get("max_initial_timestamp_index"),
    )
