"""Small checkpoints with random weights, in the formats of their makers."""

import base64
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import WhisperConfig, WhisperForConditionalGeneration

from voiceman_export import openai_tokenizer
from voiceman_export.models import MODELS

HIDDEN = 16
LAYERS = 2
HEADS = 2
# The multilingual models': 50257 words, 99 languages, tasks, 1501 times.
VOCABULARY = 51865


@pytest.fixture(autouse=True)
def _speech(monkeypatch: pytest.MonkeyPatch) -> None:
    """What exports are tried on, without fetching it."""
    rng = np.random.default_rng(0)
    sounds = [rng.normal(0, 0.1, length).astype(np.float32) for length in (16_000, 23_456)]
    monkeypatch.setattr("voiceman_export.rounding.utterances", lambda _: sounds)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A model repository without weights."""
    for name in (*MODELS, "scoring"):
        (tmp_path / "models" / name).mkdir(parents=True)
    return tmp_path / "models"


@pytest.fixture(scope="session")
def vocabulary(tmp_path_factory) -> Path:
    """Vocabularies of the real sizes: bytes, three merges, and words never used."""
    folder = tmp_path_factory.mktemp("vocabulary")
    for name, size in (("multilingual", 50257), ("gpt2", 50256)):
        tokens = [bytes([byte]) for byte in range(256)] + [b"he", b"ll", b"hell"]
        tokens += [b"\xff" + str(number).encode() for number in range(size - len(tokens))]
        lines = [b"%s %d" % (base64.b64encode(token), rank) for rank, token in enumerate(tokens)]
        (folder / f"{name}.tiktoken").write_bytes(b"\n".join(lines))
    return folder


@pytest.fixture(scope="session")
def tokenizer_file(vocabulary: Path) -> Path:
    path = vocabulary / "tokenizer.json"
    openai_tokenizer.build(VOCABULARY, vocabulary).save(str(path))
    return path


@pytest.fixture(scope="session")
def whisper() -> WhisperForConditionalGeneration:
    """A tiny multilingual Whisper as transformers makes it."""
    return tiny_whisper(VOCABULARY)


def tiny_whisper(vocabulary_size: int) -> WhisperForConditionalGeneration:
    torch.manual_seed(0)
    end = vocabulary_size - 1608
    config = WhisperConfig(
        vocab_size=vocabulary_size,
        num_mel_bins=80,
        d_model=HIDDEN,
        encoder_layers=LAYERS,
        decoder_layers=LAYERS,
        encoder_attention_heads=HEADS,
        decoder_attention_heads=HEADS,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        decoder_start_token_id=end + 1,
        init_std=0.5,
    )
    model = WhisperForConditionalGeneration(config).eval()
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter.data, std=0.1)
    return model


@pytest.fixture(scope="session")
def english_whisper() -> WhisperForConditionalGeneration:
    """A tiny English-only Whisper."""
    return tiny_whisper(VOCABULARY - 1)
