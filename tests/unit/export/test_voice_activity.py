"""segmentation-3.0 as it is served equals its plain form, and no window knows of the others."""

import wave
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from voiceman.analysis.segmentation import WINDOW_SAMPLES, WINDOW_STEP_SAMPLES
from voiceman.errors import WeightsError
from voiceman.serving.segmentation import FILE, load_segmentation
from voiceman_export.models import export_model
from voiceman_export.voice_activity import CHECKPOINT, Segmentation, load

WEIGHTS = Path(__file__).parents[3] / "model_repository" / "voice_activity" / "1" / "weights"
DTYPES = [torch.float32, torch.bfloat16]


def settings(hidden: int, layers: int, stride: int = 10) -> dict:
    return {
        "sincnet": {"stride": stride},
        "lstm": {"hidden_size": hidden, "num_layers": layers, "bidirectional": True},
        "linear": {"hidden_size": hidden, "num_layers": 2},
        "output_dim": 7,
    }


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A folder with a small checkpoint of random weights."""
    torch.manual_seed(0)
    model = Segmentation(settings(16, 2))
    state = model.state_dict()
    for name, value in state.items():
        if "norm1d" in name:  # so that no norm's scale and shift are the identity
            value.uniform_(0.5, 2.0)
    del state["sincnet.conv1d.0.weight"]
    half = torch.arange(-125, 0)
    state |= {
        "sincnet.conv1d.0.filterbank.low_hz_": torch.linspace(30, 6000, 40)[:, None],
        "sincnet.conv1d.0.filterbank.band_hz_": torch.full((40, 1), 100.0),
        "sincnet.conv1d.0.filterbank.window_": torch.hamming_window(251, periodic=False)[:125],
        "sincnet.conv1d.0.filterbank.n_": 2 * torch.pi * half[None] / 16_000,
    }
    torch.save({"model": settings(16, 2), "state_dict": state}, tmp_path / CHECKPOINT)
    return tmp_path


@pytest.fixture
def exported(checkpoint: Path, repository: Path) -> Path:
    """A weights folder of random weights."""
    return export_model(repository, "voice_activity", str(checkpoint)).folder


def noise(count: int) -> np.ndarray:
    return np.random.default_rng(1).normal(0, 0.1, (count, WINDOW_SAMPLES)).astype(np.float32)


@torch.inference_mode()
def plain(model: Segmentation, windows: np.ndarray) -> np.ndarray:
    """The truth, in float64."""
    return model.double()(torch.from_numpy(windows).double()).numpy()


@pytest.fixture(scope="module")
def call(speech) -> np.ndarray:
    """Windows [9, 160000] of a telephone call, as the model cuts them."""
    with wave.open(str(speech("telephone-call")[0])) as file:
        pcm = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    windows = np.lib.stride_tricks.sliding_window_view(pcm, WINDOW_SAMPLES)
    return windows[::WINDOW_STEP_SAMPLES].astype(np.float32) / 32_768


@pytest.fixture(scope="module")
def truth(call) -> np.ndarray:
    """Log-probabilities of the call by the plain form of the exported weights."""
    model = Segmentation(settings(128, 4))
    model.load_state_dict(load_file(WEIGHTS / FILE))
    return plain(model, call)


def test_random_weights_give_what_their_plain_form_gives(checkpoint, exported):
    windows = noise(3)
    found = load_segmentation(exported, dtype=torch.float32)(windows)
    assert found.shape == (3, 589, 7)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, plain(load(checkpoint), windows), atol=1e-4)


@pytest.mark.weights
def test_fp32_is_the_plain_form_on_real_speech(call, truth):
    """Four layers of LSTM magnify: torch's own modules in fp32 are as far from float64."""
    found = load_segmentation(WEIGHTS, dtype=torch.float32)(call)
    np.testing.assert_allclose(np.exp(found), np.exp(truth), atol=5e-4)
    assert (found.argmax(-1) != truth.argmax(-1)).mean() < 0.001


@pytest.mark.weights
def test_filters_in_bf16_name_another_class_in_few_frames_of_real_speech(call, truth):
    found = load_segmentation(WEIGHTS, dtype=torch.bfloat16)(call)
    assert (found.argmax(-1) != truth.argmax(-1)).mean() < 0.01
    assert np.abs(np.exp(found) - np.exp(truth)).mean() < 0.005


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_window_alone_and_in_a_crowd_is_the_same(exported, dtype):
    network = load_segmentation(exported, dtype=dtype)
    crowd = noise(5)
    together = network(crowd)
    for count in (1, 2, 3):
        np.testing.assert_allclose(network(crowd[:count]), together[:count], atol=1e-4)
    np.testing.assert_allclose(network(crowd[::-1].copy()), together[::-1], atol=1e-4)


@pytest.mark.weights
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_window_of_real_speech_is_the_same_alone_and_in_a_crowd(call, dtype):
    network = load_segmentation(WEIGHTS, dtype=dtype)
    together = network(call)
    alone = np.concatenate([network(window[np.newaxis]) for window in call])
    np.testing.assert_allclose(alone, together, atol=1e-4)


def test_silence_is_no_reason_for_anything_but_numbers(exported):
    found = load_segmentation(exported)(np.zeros((1, WINDOW_SAMPLES), np.float32))
    assert np.isfinite(found).all()


def test_missing_weights_are_named_with_the_command_that_brings_them(tmp_path):
    with pytest.raises(WeightsError, match=rf"{FILE}: missing; run voiceman-export"):
        load_segmentation(tmp_path)


def test_a_file_that_is_no_safetensors_is_refused(tmp_path):
    (tmp_path / FILE).write_bytes(b"not tensors at all")
    with pytest.raises(WeightsError, match=rf"{FILE}: not segmentation-3.0 .*export it again"):
        load_segmentation(tmp_path)


@pytest.mark.parametrize(
    ("name", "shape", "reason"),
    [
        ("sincnet.conv1d.1.weight", None, "conv1d.1.weight"),
        ("lstm.weight_ih_l1", None, "weight_ih_l1"),
        ("lstm.bias_hh_l0", (12,), "bias_hh_l0"),
        ("linear.0.weight", (16, 30), "30"),
        ("sincnet.conv1d.2.weight", (60, 60, 9), "588.*instead of.*589"),
        ("classifier.weight", (5, 16), "7"),
    ],
)
def test_weights_of_another_network_are_refused(exported, name, shape, reason):
    tensors = load_file(exported / FILE)
    del tensors[name]
    if shape is not None:
        tensors[name] = torch.zeros(shape)
    save_file(tensors, exported / FILE)
    with pytest.raises(WeightsError, match=f"(?s){FILE}.*{reason}.*export it again"):
        load_segmentation(exported)


def test_a_checkpoint_of_another_frame_step_is_not_exported(checkpoint, repository):
    saved = torch.load(checkpoint / CHECKPOINT)
    torch.save(saved | {"model": settings(16, 2, stride=5)}, checkpoint / CHECKPOINT)
    with pytest.raises(WeightsError, match="a frame every 135 samples; the server counts 270"):
        export_model(repository, "voice_activity", str(checkpoint))


def test_sinc_filters_pass_their_band_in_two_phases(exported):
    filters = load_file(exported / FILE)["sincnet.conv1d.0.weight"].squeeze(1).numpy()
    cosine, sine = filters[:40], filters[40:]
    assert np.allclose(cosine, cosine[:, ::-1], atol=1e-6)
    assert np.allclose(sine, -sine[:, ::-1], atol=1e-6)
    low = np.linspace(30, 6000, 40) + 50
    for bank in (cosine, sine):
        peak_hz = np.abs(np.fft.rfft(bank, 16_000)).argmax(axis=1)
        assert (peak_hz > low - 30).all()
        assert (peak_hz < low + 150 + 30).all()
