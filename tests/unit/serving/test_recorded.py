"""What a GPU computes of padded batches, with the recording left out: it is the same work."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from tiny_wav2vec2 import WAV2VEC2
from torch import Tensor
from transformers import Wav2Vec2Config, Wav2Vec2Model

from voiceman.serving.lanes import Lane
from voiceman.serving.recorded import ROWS, Recorded
from voiceman.serving.wav2vec2 import Settings, Wav2Vec2
from voiceman.serving.wav2vec2_network import network_of

CPU = torch.device("cpu")
LIMIT = 1e-4
LENGTHS = (16_000, 11_200, 7_000, 7_001, 15_999)
KINDS = {
    "group": {"feat_extract_norm": "group", "do_stable_layer_norm": False, "conv_bias": False},
    "layer": {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True},
}


def padded(lengths: tuple[int, ...], samples: int) -> np.ndarray:
    waveforms = np.zeros((len(lengths), samples), np.float32)
    for row, length in enumerate(lengths):
        waveforms[row, :length] = np.random.default_rng(row).standard_normal(length)
    return waveforms


def mean(hidden: Tensor, inside: Tensor) -> Tensor:
    return (hidden * inside).sum(dim=1) / inside.sum(dim=1)


@pytest.fixture(params=KINDS)
def source(request) -> Wav2Vec2Model:
    torch.manual_seed(0)
    return Wav2Vec2Model(Wav2Vec2Config(**{**WAV2VEC2, **KINDS[request.param]})).eval()


@pytest.fixture
def wav2vec2(source: Wav2Vec2Model) -> Wav2Vec2:
    tensors = dict(source.state_dict())
    position = "encoder.pos_conv_embed.conv"
    tensors[f"{position}.weight"] = source.get_submodule(position).weight.detach()
    return Wav2Vec2(tensors, Settings.read(source.config.to_dict()), CPU, torch.float32)


def test_padding_and_neighbours_change_nothing(source, wav2vec2):
    waveforms, samples = padded(LENGTHS, 16_000), torch.tensor(LENGTHS)
    with torch.inference_mode():
        found = wav2vec2(torch.from_numpy(waveforms), samples)
        for row, length in enumerate(LENGTHS):
            alone = torch.from_numpy(waveforms[row : row + 1, :length])
            expected = source(alone).last_hidden_state[0]
            np.testing.assert_allclose(found[row, : len(expected)], expected, atol=LIMIT)


def test_recorded_batches_answer_as_every_row_alone(wav2vec2):
    def compute(sound: Tensor, samples: Tensor) -> Tensor:
        hidden = wav2vec2(sound, samples)
        inside = torch.arange(hidden.shape[1]) < wav2vec2.frames(samples)[:, None]
        return mean(hidden, inside[..., None])

    alone, recorded = network_of(wav2vec2, mean, CPU), Recorded(compute, Lane(CPU))
    for lengths, samples in (((7_000,), 16_000), (LENGTHS, 16_000), ((9_000, 30_000), 32_000)):
        waveforms = padded(lengths, samples)
        found = recorded(waveforms, np.array(lengths))
        np.testing.assert_allclose(found, alone(waveforms, np.array(lengths)), atol=LIMIT)


def test_every_shape_is_recorded_once_and_large_batches_are_divided(monkeypatch):
    shapes: list[tuple[int, int]] = []

    def play(_lane: Lane) -> Callable[..., object]:
        def record(work: Callable[[], None]) -> Callable[[], None]:
            work()
            return work

        return record

    def compute(sound: Tensor, samples: Tensor) -> Tensor:
        shapes.append(tuple(sound.shape))
        return sound.sum(dim=1) / samples

    monkeypatch.setattr("voiceman.serving.recorded.recorder", play)
    recorded = Recorded(compute, Lane(CPU))
    for count in (3, 4, 1, ROWS[-1] + 2):
        waveforms = padded((400,) * count, 800)
        expected = waveforms.sum(axis=1) / 400
        found = recorded(waveforms, np.full(count, 400))
        np.testing.assert_allclose(found, expected, rtol=1e-4)
    # Each is computed when it is recorded, and then once for every batch.
    assert {shape: shapes.count(shape) for shape in set(shapes)} == {
        (4, 800): 3,
        (1, 800): 2,
        (16, 800): 2,
        (2, 800): 2,
    }
