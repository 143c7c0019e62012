"""wav2vec 2.0 of a size for tests."""

import json
from pathlib import Path

import torch
from transformers import (
    Wav2Vec2Config,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
)

WAV2VEC2 = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 1,
    "intermediate_size": 64,
    "conv_dim": [32] * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}
LETTERS = "abcdefghijklmnopqrstuvwxyz'"


def ctc_checkpoint(folder: Path, norm: str = "layer", labels: str = LETTERS, **changes) -> Path:
    """Random weights in the layout of facebook/wav2vec2-base-960h and kresnik's Korean model."""
    folder.mkdir()
    names = ["[PAD]", "[UNK]", "|", *labels]
    (folder / "vocab.json").write_text(json.dumps({name: i for i, name in enumerate(names)}))
    special = {"unk_token": "[UNK]", "pad_token": "[PAD]", "word_delimiter_token": "|"}
    Wav2Vec2CTCTokenizer(str(folder / "vocab.json"), **special).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)
    settings = {
        "feat_extract_norm": norm,
        "do_stable_layer_norm": norm == "layer",
        "conv_bias": norm == "layer",
        "vocab_size": len(names),
        "pad_token_id": 0,
        # Far from even, so that one label or another wins.
        "initializer_range": 0.2,
    }
    torch.manual_seed(0)
    config = Wav2Vec2Config(**{**WAV2VEC2, **settings, **changes})
    Wav2Vec2ForCTC(config).eval().save_pretrained(folder)
    return folder
