"""Whisper, from any of its formats to the layout that the server reads."""

import json
from pathlib import Path

from tokenizers import Tokenizer
from transformers import AutoTokenizer, WhisperFeatureExtractor, WhisperForConditionalGeneration

from voiceman.errors import WeightsError
from voiceman_export import ctranslate2, openai_checkpoint, openai_tokenizer, whisper_layout
from voiceman_export.assets import fetch
from voiceman_export.sources import Checkpoint
from voiceman_export.whisper_layout import WhisperWeights

_VOCABULARIES = "whisper-vocabularies"


def write(checkpoint: Checkpoint, folder: Path) -> str:
    """Write the Hugging Face layout; returns the precision of the weights.

    Raises:
        WeightsError: not Whisper, or without a tokenizer.
    """
    path = checkpoint.path
    if openai_file(path) is None and ctranslate2_file(path) is None:
        return _write_from_hugging_face(checkpoint, folder)
    weights = read(path)
    beside = (path if path.is_dir() else path.parent) / "tokenizer.json"
    if beside.is_file():
        tokenizer = Tokenizer.from_file(str(beside))
    else:
        vocabulary = weights.state["model.decoder.embed_tokens.weight"].shape[0]
        tokenizer = openai_tokenizer.build(vocabulary, fetch(_VOCABULARIES))
    return whisper_layout.write(weights, tokenizer, folder)


def read(path: Path) -> WhisperWeights:
    """Read Whisper in CTranslate2's or OpenAI's format.

    Args:
        path: the checkpoint's file or folder.
    """
    if (file := openai_file(path)) is not None:
        checkpoint = openai_checkpoint.read(file)
        heads = checkpoint.dims["n_audio_head"], checkpoint.dims["n_text_head"]
        return WhisperWeights(openai_checkpoint.to_hugging_face(checkpoint), *heads)
    file = ctranslate2_file(path)
    if file is None:
        raise WeightsError(f"{path}: neither a CTranslate2 folder nor OpenAI's .pt")
    variables = ctranslate2.read(file)
    settings = json.loads((path / "config.json").read_text(encoding="utf-8"))
    return WhisperWeights(
        ctranslate2.to_hugging_face(variables),
        int(variables["encoder/num_heads"]),
        int(variables["decoder/num_heads"]),
        settings.get("alignment_heads"),
    )


def openai_file(path: Path) -> Path | None:
    """OpenAI's `.pt` file at this path or, if it is a folder, in it."""
    files = sorted(path.glob("*.pt")) if path.is_dir() else [path]
    return files[0] if len(files) == 1 and files[0].suffix == ".pt" else None


def ctranslate2_file(path: Path) -> Path | None:
    """CTranslate2's `model.bin` in this folder."""
    file = path / "model.bin"
    return file if file.is_file() else None


def _write_from_hugging_face(checkpoint: Checkpoint, folder: Path) -> str:
    name = checkpoint.hub_name or str(checkpoint.path)
    revision = checkpoint.revision or "main"
    try:
        model = WhisperForConditionalGeneration.from_pretrained(
            name, revision=revision, dtype="auto"
        )
        tokenizer = AutoTokenizer.from_pretrained(name, revision=revision)
        features = WhisperFeatureExtractor.from_pretrained(name, revision=revision)
    except (OSError, ValueError) as err:
        raise WeightsError(f"{name}: transformers cannot load it as Whisper: {err}") from err
    features.save_pretrained(folder)
    own = _own_settings(checkpoint.path / "generation_config.json")
    whisper_layout.save(model, tokenizer.backend_tokenizer, own, folder)
    return whisper_layout.precision_of(model)


def _own_settings(path: Path) -> dict[str, object]:
    """The generation settings as the checkpoint's authors wrote them."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
