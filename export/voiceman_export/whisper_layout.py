"""Write Whisper weights as a Hugging Face folder that is complete for generation."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers import (
    GenerationConfig,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
)

from voiceman.errors import WeightsError
from voiceman_export.alignment_heads import AlignmentHeads, alignment_heads, has_heads

# Vocabulary of the multilingual models; English-only models have one token less.
_MULTILINGUAL_VOCABULARY = 51865
# 1 s in steps of 20 ms: openai-whisper's DecodingOptions.max_initial_timestamp.
_MAX_INITIAL_TIMESTAMP_INDEX = 50
# What people do not say; openai-whisper's Tokenizer.non_speech_tokens.
_SYMBOLS = [
    *'"#()*+/:;<=>@[\\]^_`{|}~「」『』',
    *("<<", ">>", "<<<", ">>>", "--", "---", "-(", "-[", "('", '("'),
    *("((", "))", "(((", ")))", "[[", "]]", "{{", "}}", "♪♪", "♪♪♪"),
]
# Their first token is suppressed even where they are several.
_MUSIC = "♩♪♫♬♭♮♯"

# What old checkpoints force is asked for by `language` and `task` today, and transformers takes
# no `language` where it believes that the settings come from the model's config.
_OUTDATED_SETTINGS = ("forced_decoder_ids", "_from_model_config", "transformers_version")


@dataclass(frozen=True)
class WhisperWeights:
    """Whisper weights under the names of transformers, and what their shapes do not tell.

    Attributes:
        state: tensors by name, the output layer (tied to the embedding) left out.
        encoder_heads: attention heads of the encoder.
        decoder_heads: attention heads of the decoder.
        alignment_heads: pairs of layer and head for word times; None: those of the published
            model of this size.
    """

    state: Mapping[str, torch.Tensor]
    encoder_heads: int
    decoder_heads: int
    alignment_heads: AlignmentHeads | None = None


def write(weights: WhisperWeights, tokenizer: Tokenizer, folder: Path) -> str:
    """Write converted weights and their settings in the layout of transformers.

    Args:
        weights: the tensors.
        tokenizer: Whisper's.
        folder: where to write.

    Returns:
        The precision of the weights.

    Raises:
        WeightsError: tensors are missing or left over, or the tokenizer is not Whisper's.
    """
    config = _config(weights, tokenizer)
    with torch.device("meta"):
        model = WhisperForConditionalGeneration(config)
    missing, unexpected = model.load_state_dict(dict(weights.state), strict=False, assign=True)
    if unexpected or set(missing) != {"proj_out.weight"}:
        raise WeightsError(
            f"not Whisper's weights: missing {sorted(set(missing) - {'proj_out.weight'})}, "
            f"left over {sorted(unexpected)}"
        )
    model.tie_weights()
    own = {"alignment_heads": weights.alignment_heads} if weights.alignment_heads else {}
    save(model, tokenizer, own, folder)
    WhisperFeatureExtractor(feature_size=config.num_mel_bins).save_pretrained(folder)
    return precision_of(model)


def save(
    model: WhisperForConditionalGeneration,
    tokenizer: Tokenizer,
    own_settings: Mapping[str, Any],
    folder: Path,
) -> None:
    """Save a model with its tokenizer and generation settings that lack nothing.

    Args:
        model: what to save.
        tokenizer: Whisper's.
        own_settings: generation settings that came with the model; they come before ours.
        folder: where to write.
    """
    settings = generation_settings(tokenizer, model.config)
    settings["alignment_heads"] = alignment_heads(model.config)
    kept = {
        name: value
        for name, value in own_settings.items()
        if value is not None and name not in _OUTDATED_SETTINGS
    }
    # Distilled models ship the list of the model they were made from, with layers they lack.
    if not has_heads(model.config, kept.get("alignment_heads", [])):
        kept.pop("alignment_heads", None)
    model.generation_config = GenerationConfig(**settings | kept)
    model.config.begin_suppress_tokens = model.generation_config.begin_suppress_tokens
    model.save_pretrained(folder, max_shard_size="100GB")
    tokenizer.save(str(folder / "tokenizer.json"))


def precision_of(model: torch.nn.Module) -> str:
    """Numeric format of a model's weights: fp16, bf16 or fp32."""
    dtype = next(model.parameters()).dtype
    return {torch.float16: "fp16", torch.bfloat16: "bf16"}.get(dtype, "fp32")


def _config(weights: WhisperWeights, tokenizer: Tokenizer) -> WhisperConfig:
    state = weights.state
    try:
        conv = state["model.encoder.conv1.weight"]
        embedding = state["model.decoder.embed_tokens.weight"]
        return WhisperConfig(
            vocab_size=embedding.shape[0],
            num_mel_bins=conv.shape[1],
            d_model=conv.shape[0],
            encoder_layers=_layers(state, "encoder"),
            decoder_layers=_layers(state, "decoder"),
            encoder_attention_heads=weights.encoder_heads,
            decoder_attention_heads=weights.decoder_heads,
            encoder_ffn_dim=state["model.encoder.layers.0.fc1.weight"].shape[0],
            decoder_ffn_dim=state["model.decoder.layers.0.fc1.weight"].shape[0],
            max_source_positions=state["model.encoder.embed_positions.weight"].shape[0],
            max_target_positions=state["model.decoder.embed_positions.weight"].shape[0],
            bos_token_id=_token(tokenizer, "<|endoftext|>"),
            eos_token_id=_token(tokenizer, "<|endoftext|>"),
            pad_token_id=_token(tokenizer, "<|endoftext|>"),
            decoder_start_token_id=_token(tokenizer, "<|startoftranscript|>"),
            dtype=embedding.dtype,
        )
    except KeyError as err:
        raise WeightsError(f"not Whisper's weights: {err} is missing") from err


def _layers(state: Mapping[str, torch.Tensor], side: str) -> int:
    numbers = re.findall(rf"model\.{side}\.layers\.(\d+)\.fc1\.weight", "\n".join(state))
    return len(numbers)


def generation_settings(tokenizer: Tokenizer, config: WhisperConfig) -> dict[str, Any]:
    """Everything that transformers' `generate` needs to know of the vocabulary."""
    end = _token(tokenizer, "<|endoftext|>")
    start = _token(tokenizer, "<|startoftranscript|>")
    multilingual = config.vocab_size >= _MULTILINGUAL_VOCABULARY
    first_timestamp = _token(tokenizer, "<|notimestamps|>") + 1
    settings = {
        "bos_token_id": end,
        "eos_token_id": end,
        "pad_token_id": end,
        "decoder_start_token_id": start,
        "prev_sot_token_id": _token(tokenizer, "<|startofprev|>"),
        "no_timestamps_token_id": first_timestamp - 1,
        "max_initial_timestamp_index": _MAX_INITIAL_TIMESTAMP_INDEX,
        "max_length": config.max_target_positions,
        "is_multilingual": multilingual,
        "suppress_tokens": suppressed_tokens(tokenizer, range(start, first_timestamp - 1)),
        "begin_suppress_tokens": [tokenizer.encode(" ", add_special_tokens=False).ids[0], end],
        "return_timestamps": False,
    }
    # Where languages are listed at all, even none, transformers detects one.
    return settings | _languages_and_tasks(tokenizer) if multilingual else settings


def _languages_and_tasks(tokenizer: Tokenizer) -> dict[str, dict[str, int]]:
    start = _token(tokenizer, "<|startoftranscript|>")
    translate = _token(tokenizer, "<|translate|>")
    names = {tokenizer.id_to_token(n) or "": n for n in range(start + 1, translate)}
    languages = {name: n for name, n in names.items() if _is_language(tokenizer, n)}
    return {
        "lang_to_id": dict(sorted(languages.items())),
        "task_to_id": {
            "transcribe": _token(tokenizer, "<|transcribe|>"),
            "translate": translate,
        },
    }


def suppressed_tokens(tokenizer: Tokenizer, special: range) -> list[int]:
    """Tokens never to be generated: symbols that nobody says, and commands to the model.

    Args:
        tokenizer: Whisper's.
        special: tokens from start-of-transcript to before no-timestamps; the languages among
            them stay allowed.
    """
    suppressed = {_encode(tokenizer, " -")[0], _encode(tokenizer, " '")[0]}
    for symbol in (*_SYMBOLS, *_MUSIC):
        for tokens in (_encode(tokenizer, symbol), _encode(tokenizer, f" {symbol}")):
            if len(tokens) == 1 or symbol in _MUSIC:
                suppressed.add(tokens[0])
    commands = {number for number in special if not _is_language(tokenizer, number)}
    return sorted(suppressed | commands)


def _is_language(tokenizer: Tokenizer, number: int) -> bool:
    return re.fullmatch(r"<\|[a-z]{2,3}\|>", tokenizer.id_to_token(number) or "") is not None


def _encode(tokenizer: Tokenizer, text: str) -> list[int]:
    return tokenizer.encode(text, add_special_tokens=False).ids


def _token(tokenizer: Tokenizer, text: str) -> int:
    number = tokenizer.token_to_id(text)
    if number is None:
        raise WeightsError(f"the tokenizer has no {text}: it is not Whisper's")
    return number
