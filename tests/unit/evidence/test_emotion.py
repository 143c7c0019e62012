import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from voiceman.analysis.emotion import (
    MAX_BATCH_PIECES,
    MAX_PIECE_S,
    OVERLAP_S,
    analyse_utterances,
    pieces,
)
from voiceman.analysis.network_inputs import VARIANCE_FLOOR, normalise
from voiceman.audio import SAMPLE_RATE_HZ
from voiceman.errors import WeightsError
from voiceman.manifest import Manifest, hash_files
from voiceman.serving.emotion import CATEGORICAL, DIMENSIONAL, EmotionEngine, EmotionModel
from voiceman.status import Status


def hearing(model: EmotionModel) -> EmotionModel:
    """The model with a network whose outputs tell what it was given.

    Per row: the mean of |x|, the mean of x² and the length in seconds, of what is sound.
    """

    def network(waveforms: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        rows = [row[:length] for row, length in zip(waveforms, lengths, strict=True)]
        told = [(np.abs(r).mean(), (r**2).mean(), len(r) / SAMPLE_RATE_HZ, 0.0) for r in rows]
        return np.array(told, np.float32)[:, : len(model.columns)]

    return replace(model, load=lambda *_: network)


@pytest.fixture(params=[DIMENSIONAL, CATEGORICAL], ids=lambda model: model.name)
def engine(request, tmp_path) -> EmotionEngine:
    model: EmotionModel = request.param
    files = hash_files(tmp_path)
    Manifest(model.name, "tiny", "1", "CC0-1.0", "made by a test", "fp32", files).write(tmp_path)
    return EmotionEngine(hearing(model), tmp_path)


def talk(seconds: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(500, 3000, round(seconds * SAMPLE_RATE_HZ)).astype(np.int16)


def window(seconds: float, *spans: tuple[float, float], seed: int = 0):
    return {
        "WAVEFORM": talk(seconds, seed),
        "UTTERANCES": np.array(spans, np.float32).reshape(-1, 2),
    }


def values(outputs) -> np.ndarray:
    return next(array for array in outputs.values() if isinstance(array, np.ndarray))


def status(outputs) -> Status:
    return Status.from_json(next(text for text in outputs.values() if isinstance(text, str)))


@pytest.mark.parametrize("model", [DIMENSIONAL, CATEGORICAL], ids=lambda model: model.name)
def test_without_weights_every_row_is_nan_and_the_reason_is_said(model, tmp_path):
    outputs = EmotionEngine(model, tmp_path / "weights")([window(2, (0, 1), (1, 2))])[0]
    assert values(outputs).shape == (2, len(model.columns))
    assert np.isnan(values(outputs)).all()
    assert "voiceman-export emotion-" in status(outputs).unavailable
    assert set(outputs) == {model.output, f"{model.name.upper()}_STATUS"}


def test_a_manifest_without_its_weights_is_an_error(tmp_path):
    Manifest(DIMENSIONAL.name, "tiny", "1", "", "", "fp32", {}).write(tmp_path)
    with pytest.raises(WeightsError, match=r"emotion\.safetensors: missing"):
        EmotionEngine(DIMENSIONAL, tmp_path)


def test_the_network_gets_what_it_was_trained_on(engine):
    outputs = engine([window(5, (0, 2), (2.5, 4))])[0]
    np.testing.assert_allclose(values(outputs)[:, 1], 1.0, rtol=2e-3)  # of unit variance
    np.testing.assert_allclose(values(outputs)[:, 2], [2.0, 1.5], rtol=1e-4)  # without padding
    assert status(outputs).weights == "tiny 1"
    assert "English" in status(outputs).note


def test_a_result_does_not_depend_on_its_neighbours(engine):
    crowd = [
        window(30, *[(0.7 * i, 0.7 * i + 0.69) for i in range(40)], seed=1),
        window(3, (0.3, 2.1), seed=2),
        window(30, (0, 30), (1, 27.5), seed=3),
        window(1, seed=4),
    ]
    together = engine(crowd)
    for index, alone in enumerate(crowd):
        np.testing.assert_allclose(
            values(engine([alone])[0]), values(together[index]), rtol=0, atol=1e-6
        )
    assert [len(values(outputs)) for outputs in together] == [40, 1, 2, 0]
    assert all(status(outputs).utterances == {} for outputs in together)


def test_what_cannot_be_analysed_is_nan_with_a_reason(engine):
    request = window(4, (0, 0), (1, 1.2), (3, 2), (float("nan"), 1), (0, 1))
    request["WAVEFORM"] = np.concatenate([request["WAVEFORM"], np.zeros(32_000, np.int16)])
    request["UTTERANCES"] = np.vstack([request["UTTERANCES"], [[4, 6]]]).astype(np.float32)
    outputs = engine([request])[0]
    assert np.isnan(values(outputs)).all(axis=1).tolist() == [True, True, True, True, False, True]
    assert sorted(status(outputs).utterances) == [0, 1, 2, 3, 5]
    assert "too short" in status(outputs).utterances[1]
    assert status(outputs).utterances[5] == "digital silence"
    json.loads(status(outputs).to_json())


def test_utterances_share_a_length_bucket_in_bounded_batches():
    shapes: list[tuple[int, int]] = []

    def network(waveforms, lengths):
        shapes.append(waveforms.shape)
        return np.zeros((len(waveforms), 3), np.float32)

    spans = np.array([(0, 0.6 + 0.01 * i) for i in range(20)], np.float32)
    analyse_utterances([talk(2)], [spans], network, outputs=3, variance_floor=VARIANCE_FLOOR)
    assert {length for _, length in shapes} == {16_000}
    assert [rows for rows, _ in shapes] == [MAX_BATCH_PIECES, MAX_BATCH_PIECES, 4]


@pytest.mark.parametrize("seconds", [0.5, MAX_PIECE_S, MAX_PIECE_S + 0.01, 23.7, 30.0])
def test_pieces_cover_a_long_utterance_and_overlap(seconds):
    samples = np.arange(round(seconds * SAMPLE_RATE_HZ)).astype(np.float64)
    parts = pieces(samples)  # pyright: ignore[reportArgumentType]
    assert len({len(part) for part in parts}) == 1
    assert len(parts[0]) <= MAX_PIECE_S * SAMPLE_RATE_HZ
    assert parts[0][0] == 0
    assert parts[-1][-1] == samples[-1]
    for left, right in pairwise(parts):
        assert left[-1] - right[0] + 1 >= OVERLAP_S * SAMPLE_RATE_HZ - 1


def test_long_utterances_are_the_mean_of_their_pieces():
    def network(waveforms, lengths):
        return (
            waveforms[:, :1] * 0 + lengths[:, np.newaxis] * [[1.0]] + waveforms.max(axis=1)[:, None]
        )

    waveform = talk(30)
    (found,) = analyse_utterances(
        [waveform],
        [np.array([(0, 30)], np.float32)],
        network,
        outputs=1,
        variance_floor=VARIANCE_FLOOR,
    )
    parts = pieces((waveform / 32768).astype(np.float32))
    expected = np.mean([len(part) + normalise(part).max() for part in parts])
    np.testing.assert_allclose(found.values[0, 0], expected, rtol=1e-6)


def test_an_output_that_is_not_finite_is_no_answer():
    (found,) = analyse_utterances(
        [talk(2)],
        [np.array([(0, 1)], np.float32)],
        lambda waveforms, _: np.full((len(waveforms), 3), np.inf, np.float32),
        outputs=3,
        variance_floor=VARIANCE_FLOOR,
    )
    assert np.isnan(found.values).all()
    assert "not finite" in found.missing[0]
