"""Cutting and batching of utterances; the network here is a stand-in for ECAPA-TDNN."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voiceman.analysis.embedding import embed_utterances
from voiceman.errors import InvalidRequestError

RANDOM = np.random.default_rng(3)
MATRIX = RANDOM.standard_normal((160, 192)).astype(np.float32)
WAVEFORM = RANDOM.integers(-3_000, 3_000, 10 * 16_000).astype(np.int16)


def statistics_network(features: np.ndarray) -> np.ndarray:
    return np.concatenate([features.std(axis=1), features.max(axis=1)], axis=1) @ MATRIX


def spans(*rows: tuple[float, float]) -> np.ndarray:
    return np.array(rows, np.float32).reshape(-1, 2)


def test_vectors_have_unit_length():
    found = embed_utterances([WAVEFORM], [spans((0, 1), (2, 5))], [None], statistics_network)[0]
    np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=1), 1.0, atol=1e-6)
    assert found.missing == {}


@pytest.mark.parametrize(
    ("span", "reason"),
    [
        ((1.0, 1.2), r"0\.20 s of sound"),
        ((3.0, 2.0), r"0\.00 s of sound"),
        ((0.0, 0.0), r"0\.00 s of sound"),
        ((9.9, 30.0), r"0\.10 s of sound"),
        ((float("nan"), 2.0), "not a number"),
    ],
)
def test_an_utterance_that_cannot_be_embedded_says_why_and_harms_no_other(span, reason):
    found = embed_utterances([WAVEFORM], [spans(span, (2, 4))], [None], statistics_network)[0]
    assert np.isnan(found.vectors[0]).all()
    assert np.isfinite(found.vectors[1]).all()
    assert list(found.missing) == [0]
    assert re.search(reason, found.missing[0])


def test_digital_silence_has_no_speaker():
    silence = np.zeros(16_000, np.int16)
    found = embed_utterances([silence], [spans((0, 1))], [None], statistics_network)[0]
    assert np.isnan(found.vectors).all()
    assert found.missing == {0: "digital silence"}


def test_a_window_without_utterances_has_no_rows():
    assert embed_utterances([WAVEFORM], [spans()], [None], statistics_network)[0].vectors.shape == (
        0,
        192,
    )


utterance = st.tuples(st.floats(0, 9, width=32), st.floats(0.3125, 4, width=32))


@settings(deadline=None)
@given(st.lists(st.lists(utterance, max_size=4), min_size=1, max_size=4))
def test_an_embedding_does_not_depend_on_what_else_is_in_the_batch(windows):
    rows = [spans(*((start, start + length) for start, length in window)) for window in windows]
    together = embed_utterances(
        [WAVEFORM] * len(rows), rows, [None] * len(rows), statistics_network
    )
    for window, found in zip(rows, together, strict=True):
        for row, vector in zip(window, found.vectors, strict=True):
            alone = embed_utterances([WAVEFORM], [row[np.newaxis]], [None], statistics_network)[0]
            np.testing.assert_allclose(vector, alone.vectors[0], atol=1e-4)


def test_only_what_one_person_says_alone_is_embedded():
    utterances, turns = spans((0, 4), (4, 8)), spans((0, 5), (3, 8), (6.5, 7))
    found = embed_utterances([WAVEFORM], [utterances], [turns], statistics_network)[0]
    rate = 16_000
    alone = [
        WAVEFORM[: 3 * rate],
        np.concatenate([WAVEFORM[5 * rate : 6 * rate + rate // 2], WAVEFORM[7 * rate : 8 * rate]]),
    ]
    for vector, cut in zip(found.vectors, alone, strict=True):
        whole = spans((0, len(cut) / rate))
        expected = embed_utterances([cut], [whole], [None], statistics_network)[0].vectors[0]
        np.testing.assert_allclose(vector, expected, atol=1e-6)


def test_an_utterance_in_which_others_talk_all_the_time_says_so():
    turns = spans((0, 4), (1, 2))
    found = embed_utterances([WAVEFORM], [spans((1, 2.1))], [turns], statistics_network)[0]
    assert re.search(r"too short: 0\.10 s of sound of one person alone", found.missing[0])


def test_turns_that_are_no_numbers_are_refused():
    turns = spans((0, float("nan")))
    with pytest.raises(InvalidRequestError, match="TURNS"):
        embed_utterances([WAVEFORM], [spans((0, 1))], [turns], statistics_network)
