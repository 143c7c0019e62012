"""CTC models of both kinds from Hugging Face's layout, through the exporter into the aligner."""

import json
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file, save_file
from tiny_wav2vec2 import LETTERS, ctc_checkpoint
from transformers import Wav2Vec2ForCTC

from voiceman.analysis.ctc_network import CtcFormat
from voiceman.audio import SAMPLE_RATE_HZ, to_float32
from voiceman.errors import WeightsError
from voiceman.manifest import read_manifest
from voiceman.serving.ctc import CtcModel, WordAligner
from voiceman_export import checks, cli
from voiceman_export.models import export_model

LIMIT = 1e-4
NORMS = ("layer", "group")


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
    assert form.normalised
    assert (form.receptive_field, form.hop) == (400, 320)
    manifest = read_manifest(weights / "en")
    assert (manifest.model, manifest.name) == ("word_alignment", f"tiny-{norm}")
    assert sorted(manifest.files) == ["config.json", "ctc.json", "ctc.safetensors"]


@pytest.fixture(scope="module")
def batch() -> tuple[np.ndarray, np.ndarray]:
    """Samples with what they are padded with, and their lengths."""
    lengths = (16_000, 11_200, 7_000)
    samples = np.zeros((len(lengths), max(lengths)), np.float32)
    for row, length in enumerate(lengths):
        samples[row, :length] = np.random.default_rng(row).standard_normal(length)
    return samples, np.array(lengths)


def test_emissions_are_those_of_transformers(weights, checkpoint, batch):
    source = Wav2Vec2ForCTC.from_pretrained(checkpoint).eval()
    placed = CtcModel(weights / "en", dtype=torch.float32)
    samples, lengths = batch
    found = placed(samples, lengths)
    for row, length in enumerate(lengths):
        with torch.inference_mode():
            alone = source(torch.from_numpy(samples[row : row + 1, :length])).logits[0]
        expected = alone.log_softmax(-1).numpy()
        assert len(expected) == placed.form.frames(length)
        assert np.abs(found[row, : len(expected)] - expected).max() < LIMIT


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_a_segment_becomes_does_not_depend_on_its_neighbours(weights, batch, dtype):
    placed = CtcModel(weights / "en", dtype=dtype)
    samples, lengths = batch
    found = placed(samples, lengths)
    for row, length in enumerate(lengths):
        (alone,) = placed(samples[[row], :length], lengths[[row]])
        np.testing.assert_array_equal(alone, found[row, : len(alone)])


def test_languages_with_equal_weights_share_one_network(weights, tmp_path):
    for language in ("en", "de"):
        shutil.copytree(weights / "en", tmp_path / language)
    loaded: list[Path] = []

    class Counted(CtcModel):
        def __init__(self, folder: Path, *arguments) -> None:
            loaded.append(folder)
            super().__init__(folder, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("voiceman.serving.ctc.CtcModel", Counted)
        align = WordAligner(tmp_path)
    assert len(loaded) == 1
    for language in ("en", "de"):
        (found,) = align([window(3.0, (0.0, 3.0, "quick fox"), language=language)])
        assert aligned(found)["aligner"] == "ctc"


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
    sounds = [to_float32(noise(seconds)) for seconds in (3.0, 2.7, 1.0)]
    monkeypatch.setattr(checks, "utterances", lambda _: sounds)
    assert checks.exported(repository) == ["word_alignment"]
    results = list(checks.check(repository, "word_alignment", str(checkpoint)))
    assert [parity.model for parity in results] == ["word_alignment/en"] * 4
    assert all(parity.passed for parity in results[:3]), results
    assert 0 < results[1].difference < LIMIT == results[1].limit
    assert "other top class" in results[3].reference  # of a random network it says nothing
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


def test_a_memory_that_is_too_small_for_a_batch_splits_it(weights, monkeypatch):
    lone, sizes = CtcModel.__call__, list[int]()

    def short_of_memory(self, samples, lengths):
        sizes.append(len(samples))
        if len(samples) > 2:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")
        return lone(self, samples, lengths)

    request = window(20.0, *[(2.0 * i, 2.0 * i + 2.0, f"no {i} way") for i in range(10)])
    (expected,) = WordAligner(weights)([request])
    align = WordAligner(weights)
    monkeypatch.setattr(CtcModel, "__call__", short_of_memory)
    assert aligned(align([request])[0]) == aligned(expected)
    assert sizes[0] == 8  # 4 GB, 500 MB each
    assert sizes[1:] == [4, 2, 2, 4, 2, 2, 2]


def change_format(folder: Path, **changes) -> None:
    form = json.loads((folder / "ctc.json").read_text())
    (folder / "ctc.json").write_text(json.dumps({**form, **changes}))


def without(folder: Path, tensor: str) -> None:
    tensors = load_file(folder / "ctc.safetensors")
    del tensors[tensor]
    save_file(tensors, folder / "ctc.safetensors")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (
            partial(change_format, vocabulary={"labels": {"ß": 99}, "blank": 0, "delimiter": 2}),
            r"which ctc\.json does not fit",
        ),
        (partial(change_format, hop=160), r"which ctc\.json does not fit"),
        (lambda folder: (folder / "ctc.json").unlink(), r"ctc\.json.*run voiceman-export"),
        (lambda folder: (folder / "config.json").unlink(), r"config\.json.*run voiceman-export"),
        (lambda folder: (folder / "ctc.safetensors").unlink(), r"ctc\.safetensors: missing"),
        (partial(without, tensor="lm_head.weight"), r"not a CTC network \('lm_head"),
    ],
)
def test_weights_that_do_not_fit_are_refused(weights, tmp_path, spoil, reason):
    shutil.copytree(weights / "en", tmp_path / "en")
    spoil(tmp_path / "en")
    with pytest.raises(WeightsError, match=reason):
        CtcModel(tmp_path / "en")


def test_what_is_no_ctc_model_of_characters_is_refused(tmp_path):
    (tmp_path / "models" / "word_alignment").mkdir(parents=True)
    models = tmp_path / "models"
    words = ctc_checkpoint(tmp_path / "words", labels="")
    adapted = ctc_checkpoint(tmp_path / "adapted", add_adapter=True)
    adapted_within = ctc_checkpoint(tmp_path / "adapted-within", adapter_attn_dim=16)
    rectified = ctc_checkpoint(tmp_path / "rectified", hidden_act="relu")
    silent = ctc_checkpoint(tmp_path / "silent")
    (silent / "preprocessor_config.json").unlink()
    refused = (
        (words, "0 labels"),
        (adapted, "add_adapter is True"),
        (adapted_within, "adapter_attn_dim is 16"),
        (rectified, "hidden_act is relu"),
        (silent, "preprocessor"),
    )
    for source, reason in refused:
        with pytest.raises(WeightsError, match=reason):
            export_model(models, "word_alignment", str(source), language="en")
    for language in ("", "English"):
        with pytest.raises(WeightsError, match="give --language"):
            export_model(models, "word_alignment", str(words), language=language)
    with pytest.raises(WeightsError, match="give --checkpoint"):
        export_model(models, "word_alignment", language="xx")
