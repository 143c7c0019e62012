"""ECAPA-TDNN as it is served equals speechbrain's, and no utterance knows of the others."""

import wave
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from voiceman.analysis.fbank import log_mel_features
from voiceman.errors import WeightsError
from voiceman.serving.ecapa import FILE, load_ecapa
from voiceman_export.models import export_model
from voiceman_export.speaker_embedding import CHECKPOINT
from voiceman_export.speechbrain_lobes import ecapa_tdnn

WEIGHTS = Path(__file__).parents[3] / "model_repository" / "speaker_embedding" / "1" / "weights"
SETTINGS = {"kernel_sizes": [5, 3, 3, 3, 1], "dilations": [1, 2, 3, 4, 1]}
DTYPES = [torch.float32, torch.bfloat16]
SHORTEST = 9  # frames that a filter of 3 taps and dilation 4 mirrors at both edges, and more


def randomise(module: torch.nn.Module) -> torch.nn.Module:
    """Random statistics too, so that no normalisation is the identity."""
    for name, buffer in module.named_buffers():
        if name.endswith("running_var"):
            buffer.uniform_(0.5, 2.0)
        elif name.endswith("running_mean"):
            buffer.normal_(std=0.1)
    return module.eval()


@pytest.fixture(scope="module")
def source() -> torch.nn.Module:
    """speechbrain's network with small random weights."""
    torch.manual_seed(0)
    return randomise(ecapa_tdnn(input_size=80, channels=[32, 32, 32, 32, 96], **SETTINGS))


@pytest.fixture
def exported(source, repository: Path, tmp_path: Path) -> Path:
    torch.save(source.state_dict(), tmp_path / CHECKPOINT)
    return export_model(repository, "speaker_embedding", str(tmp_path)).folder


@pytest.fixture(scope="module")
def voices(speech) -> list[np.ndarray]:
    """Features of stretches of a telephone call, 0.5 to 6 s long."""
    with wave.open(str(speech("telephone-call")[0])) as file:
        call = np.frombuffer(file.readframes(file.getnframes()), np.int16) / np.float32(32_768)
    spans = [(10.6, 14.5), (14.7, 17.9), (21.8, 27.8), (8.4, 9.4), (7.6, 8.1)]
    return [log_mel_features(call[round(a * 16_000) : round(b * 16_000)]) for a, b in spans]


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


@pytest.mark.parametrize(("batch", "frames"), [(1, 300), (3, 40), (2, SHORTEST)])
def test_embeddings_are_speechbrain_s(source, exported, batch, frames):
    features = torch.randn(batch, frames, 80)
    with torch.inference_mode():
        expected = source.double()(features.double()).squeeze(1).numpy()
        source.float()
    found = load_ecapa(exported, dtype=torch.float32)(features.numpy())
    np.testing.assert_allclose(unit(found), unit(expected), atol=1e-5)


def test_the_smallest_numbers_still_exist_afterwards(exported):
    """To take them for zero is a setting of the thread, which others share."""
    load_ecapa(exported)(np.zeros((1, 40, 80), np.float32))
    assert np.nextafter(0.0, 1.0) * np.ones(1) > 0


@pytest.mark.weights
@pytest.mark.parametrize("dtype", DTYPES)
def test_an_utterance_is_embedded_the_same_alone_and_among_others(voices, dtype):
    network = load_ecapa(WEIGHTS, dtype=dtype)
    same = [features[:50] for features in voices]
    together = network(np.stack(same))
    for features, found in zip(same, together, strict=True):
        np.testing.assert_array_equal(network(features[np.newaxis])[0], found)


@pytest.mark.weights
def test_bf16_turns_no_voice(voices):
    exact, fast = (load_ecapa(WEIGHTS, dtype=dtype) for dtype in DTYPES)
    for features in voices:
        one, other = unit(exact(features[np.newaxis])[0]), unit(fast(features[np.newaxis])[0])
        assert one @ other >= 0.999


def test_weights_that_are_missing_say_so(tmp_path):
    with pytest.raises(WeightsError, match=rf"{FILE}: missing"):
        load_ecapa(tmp_path)


def test_a_file_that_holds_something_else_is_refused(exported):
    tensors = load_file(exported / FILE)
    save_file({name: t for name, t in tensors.items() if "mfa" not in name}, exported / FILE)
    with pytest.raises(WeightsError, match="not ECAPA-TDNN"):
        load_ecapa(exported)
    save_file(
        {
            **tensors,
            "fc.conv.weight": tensors["fc.conv.weight"][:96].clone(),
            "fc.conv.bias": tensors["fc.conv.bias"][:96].clone(),
        },
        exported / FILE,
    )
    with pytest.raises(WeightsError, match=r"\(1, 96\)"):
        load_ecapa(exported)
    (exported / FILE).write_bytes(b"nothing")
    with pytest.raises(WeightsError, match="not ECAPA-TDNN"):
        load_ecapa(exported)
