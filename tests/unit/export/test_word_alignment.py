"""CTC models of both kinds from Hugging Face's layout, through the exporter into the aligner."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from tiny_wav2vec2 import WAV2VEC2
from transformers import (
    Wav2Vec2Config,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
)

from voiceman.analysis.ctc_network import CtcFormat
from voiceman.audio import SAMPLE_RATE_HZ, to_float32
from voiceman.errors import WeightsError
from voiceman.manifest import read_manifest
from voiceman.serving.ctc import CtcModel, WordAligner
from voiceman_export import checks, cli
from voiceman_export.models import export_model

LIMIT = 1e-4
LETTERS = "abcdefghijklmnopqrstuvwxyz'"
NORMS = ("layer", "group")


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
        "initializer_range": 0.3,
    }
    torch.manual_seed(0)
    config = Wav2Vec2Config(**{**WAV2VEC2, **settings, **changes})
    Wav2Vec2ForCTC(config).eval().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=NORMS)
def norm(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def checkpoint(norm: str, tmp_path_factory) -> Path:
    return ctc_checkpoint(tmp_path_factory.mktemp("checkpoint") / f"tiny-{norm}", norm)


@pytest.fixture(scope="module")
def repository(checkpoint: Path, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("models")
    (path / "word_alignment").mkdir()
    export_model(path, "word_alignment", str(checkpoint), language="en")
    return path


@pytest.fixture(scope="module")
def weights(repository: Path) -> Path:
    return repository / "word_alignment" / "1" / "weights"


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(300, 2000, round(seconds * SAMPLE_RATE_HZ)).astype(np.int16)


def test_the_export_says_what_the_aligner_must_know(weights, norm):
    form = CtcFormat.from_json((weights / "en" / "ctc.json").read_text(encoding="utf-8"))
    assert form.vocabulary.labels == {letter: i for i, letter in enumerate(LETTERS, start=3)}
    assert (form.vocabulary.blank, form.vocabulary.delimiter) == (0, 2)
    assert (form.masked, form.normalised) == (norm == "layer", True)
    assert (form.receptive_field, form.hop) == (400, 320)
    manifest = read_manifest(weights / "en")
    assert (manifest.model, manifest.name) == ("word_alignment", f"tiny-{norm}")
    assert sorted(manifest.files) == ["ctc.json", "ctc.onnx"]


def test_emissions_are_those_of_transformers_alone_and_in_a_batch(weights, checkpoint, norm):
    source = Wav2Vec2ForCTC.from_pretrained(checkpoint).eval()
    placed = CtcModel(weights / "en")
    lengths = (16_000, 11_200, 7_000) if norm == "layer" else (12_345, 12_345)
    samples = np.zeros((len(lengths), max(lengths)), np.float32)
    for row, length in enumerate(lengths):
        samples[row, :length] = np.random.default_rng(row).standard_normal(length)
    found = placed(samples, np.array(lengths))
    for row, length in enumerate(lengths):
        with torch.inference_mode():
            alone = source(torch.from_numpy(samples[row : row + 1, :length])).logits[0]
        expected = alone.log_softmax(-1).numpy()
        assert len(expected) == placed.form.frames(length)
        assert np.abs(found[row, : len(expected)] - expected).max() < LIMIT


def window(seconds: float, *segments: tuple[float, float, str], seed: int = 0, language="en"):
    rows = 0
    written = []
    for start, end, text in segments:
        words = [
            {"word": f" {word}", "row_start": rows + i, "row_end": rows + i + 1, "score": 0.5}
            for i, word in enumerate(text.split())
        ]
        rows += len(words)
        written.append(
            {"start": start, "end": end, "text": text, "avg_logprob": -0.2, "words": words}
        )
    transcript = {
        "language": language,
        "language_probability": 1.0,
        "duration": seconds,
        "no_speech_probability": 0.0,
        "compression_ratio": 1.0,
        "segments": written,
        "flags": [],
    }
    attention = np.random.default_rng(seed).standard_normal((rows + 1, round(50 * seconds)))
    return {
        "WAVEFORM": noise(seconds, seed),
        "TRANSCRIPT": json.dumps(transcript),
        "CROSS_ATTENTION": attention.astype(np.float32),
    }


def aligned(outputs) -> dict:
    return json.loads(outputs["ALIGNED_TRANSCRIPT"])


def test_a_window_is_aligned_alone_as_in_a_crowd(weights):
    align = WordAligner(weights)
    crowd = [
        window(30.0, *[(0.7 * i, 0.7 * i + 0.68, f"no {i} way") for i in range(40)], seed=1),
        window(3.0, (0.0, 3.0, "it's a quick brown fox"), seed=2),
        window(4.0, seed=3),
        window(5.0, (1.0, 1.1, "far too many letters"), (1.1, 4.9, "jump over"), seed=4),
        window(3.0, (0.0, 3.0, "bonjour"), seed=5, language="fr"),
    ]
    together = [aligned(outputs) for outputs in align(crowd)]
    for request, found in zip(crowd, together, strict=True):
        (alone,) = align([request])
        for ours, theirs in zip(aligned(alone)["segments"], found["segments"], strict=True):
            for left, right in zip(ours["words"], theirs["words"], strict=True):
                assert (left["start"], left["end"]) == (right["start"], right["end"])
                assert left["score"] == pytest.approx(right["score"], abs=LIMIT)
    assert [found["aligner"] for found in together] == ["ctc"] * 4 + ["whisper-cross-attention"]
    assert [s["aligner"] for s in together[3]["segments"]] == ["whisper-cross-attention", "ctc"]
    assert [flag["kind"] for flag in together[3]["flags"]] == ["aligned_by_attention"]
    assert together[1]["aligner_weights"]["name"] == read_manifest(weights / "en").name
    assert "aligner_weights" not in together[4]


def test_without_weights_cross_attention_aligns(tmp_path):
    (found,) = WordAligner(tmp_path / "weights")([window(2.0, (0.0, 2.0, "one two"))])
    assert aligned(found)["aligner"] == "whisper-cross-attention"
    assert {s["aligner"] for s in aligned(found)["segments"]} == {"whisper-cross-attention"}


def test_a_warm_up_has_no_words(weights):
    warm_up = {
        "WAVEFORM": np.zeros(16_000, np.int16),
        "TRANSCRIPT": "",
        "CROSS_ATTENTION": np.zeros((1, 50), np.float32),
    }
    assert aligned(WordAligner(weights)([warm_up])[0])["segments"] == []


def test_parity_is_checked_on_speech_by_language(repository, checkpoint, monkeypatch):
    speech = to_float32(noise(30.0))
    monkeypatch.setattr(checks, "speech", lambda: speech)
    assert checks.exported(repository) == ["word_alignment"]
    results = list(checks.check(repository, "word_alignment", str(checkpoint)))
    assert [parity.model for parity in results] == ["word_alignment/en"] * 2
    assert all(parity.passed for parity in results)
    assert 0 < results[1].difference < LIMIT
    with pytest.raises(WeightsError, match="ko"):
        list(checks.check(repository, "word_alignment", str(checkpoint), "ko"))


def test_several_languages_lie_side_by_side(tmp_path):
    (tmp_path / "models" / "word_alignment").mkdir(parents=True)
    korean = ctc_checkpoint(tmp_path / "korean", labels="가나다라마")
    japanese = ctc_checkpoint(tmp_path / "japanese", labels="あいう")
    for language, source in (("ko", korean), ("ja", japanese)):
        command = ["word-alignment", "--language", language, "--checkpoint", str(source)]
        command += ["--model-repository", str(tmp_path / "models")]
        result = CliRunner().invoke(cli.main, command)
        assert result.stdout.startswith(f"word_alignment\t{source.name}\texported\t")
        assert "\tunchanged\t" in CliRunner().invoke(cli.main, command).stdout
    weights = tmp_path / "models" / "word_alignment" / "1" / "weights"
    assert sorted(path.name for path in weights.iterdir()) == ["ja", "ko"]
    delimiters = {
        path.name: CtcModel(path).form.vocabulary.delimiter for path in sorted(weights.iterdir())
    }
    assert delimiters == {"ja": None, "ko": 2}  # Japanese is written without spaces
    (found,) = WordAligner(weights)([window(3.0, (0.0, 3.0, "가나 다라 7"), language="ko")])
    assert [word["word"] for word in aligned(found)["segments"][0]["words"]] == [
        " 가나",
        " 다라",
        " 7",
    ]
    assert aligned(found)["segments"][0]["aligner"] == "ctc"


def test_weights_that_do_not_fit_are_refused(weights, tmp_path):
    folder = tmp_path / "en"
    folder.mkdir()
    for path in (weights / "en").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    form = json.loads((folder / "ctc.json").read_text())
    form["vocabulary"]["labels"]["ß"] = 99
    (folder / "ctc.json").write_text(json.dumps(form))
    with pytest.raises(WeightsError, match=r"which ctc\.json does not fit"):
        CtcModel(folder)
    (folder / "ctc.json").unlink()
    with pytest.raises(WeightsError, match=r"ctc\.json.*run voiceman-export"):
        CtcModel(folder)


def test_what_is_no_ctc_model_of_characters_is_refused(tmp_path):
    (tmp_path / "models" / "word_alignment").mkdir(parents=True)
    models = tmp_path / "models"
    words = ctc_checkpoint(tmp_path / "words", labels="")
    adapted = ctc_checkpoint(tmp_path / "adapted", add_adapter=True)
    silent = ctc_checkpoint(tmp_path / "silent")
    (silent / "preprocessor_config.json").unlink()
    for source, reason in ((words, "0 labels"), (adapted, "adapter"), (silent, "preprocessor")):
        with pytest.raises(WeightsError, match=reason):
            export_model(models, "word_alignment", str(source), language="en")
    for language in ("", "English"):
        with pytest.raises(WeightsError, match="give --language"):
            export_model(models, "word_alignment", str(words), language=language)
    with pytest.raises(WeightsError, match="give --checkpoint"):
        export_model(models, "word_alignment", language="xx")
