"""Who speaks: clusters of embeddings, and what is known beforehand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceman.analysis.speakers import UNKNOWN, SpeakerCount, Speech, label_speakers

SIZE = 192


def voices(count: int, seed: int = 5) -> np.ndarray:
    """Unrelated directions: their cosines are about 0."""
    matrix = np.random.default_rng(seed).standard_normal((SIZE, count))
    return np.linalg.qr(matrix)[0].T


def spoken_by(who: list[int], similarity: float = 0.7, seed: int = 9) -> np.ndarray:
    """Embeddings whose cosine with others of their speaker is about `similarity`."""
    random = np.random.default_rng(seed)
    noise = random.standard_normal((len(who), SIZE)) / np.sqrt(SIZE)
    mixed = voices(4)[who] * np.sqrt(similarity) + noise * np.sqrt(1 - similarity)
    return (mixed / np.linalg.norm(mixed, axis=1, keepdims=True)).astype(np.float32)


def in_turn(count: int, length_s: float = 3.0) -> np.ndarray:
    starts = np.arange(count) * 5.0
    return np.stack([starts, starts + length_s], axis=1)


def labels(who, spans=None, channels=None, count=None, similarity=0.7) -> list[int]:
    spans = in_turn(len(who)) if spans is None else spans
    speech = Speech(spoken_by(who, similarity), spans, channels or [None] * len(who))
    return [
        int(name.removeprefix("SPEAKER_"))
        for name in label_speakers(speech, count or SpeakerCount())
    ]


def test_speakers_are_found_and_numbered_as_they_first_speak():
    assert labels([2, 0, 2, 1, 0, 1]) == [0, 1, 0, 2, 1, 2]


def test_one_voice_is_one_speaker():
    assert labels([0] * 6) == [0] * 6


def test_short_utterances_go_to_the_voice_they_resemble():
    who = [0, 1, 0, 1, 1, 0]
    spans = in_turn(6)
    spans[2:, 1] = spans[2:, 0] + 0.5
    assert labels(who, spans, similarity=0.45) == who


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (SpeakerCount(exactly=1), 1),
        (SpeakerCount(exactly=2), 2),
        (SpeakerCount(exactly=5), 5),
        (SpeakerCount(at_most=2), 2),
        (SpeakerCount(at_least=4), 4),
        (SpeakerCount(at_least=1, at_most=9), 3),
        (SpeakerCount(exactly=99), 6),
    ],
)
def test_a_known_number_of_speakers_is_kept(count, expected):
    assert len(set(labels([0, 1, 2, 0, 1, 2], count=count))) == expected


def test_channels_never_share_a_speaker():
    assert labels([0, 0, 0, 0], channels=[0, 1, 0, 1]) == [0, 1, 0, 1]
    assert labels([0, 0, 0, 0], channels=[0, 1, 0, 1], count=SpeakerCount(exactly=1)) == [
        0,
        1,
        0,
        1,
    ]


def test_two_people_on_one_channel_are_told_apart():
    assert labels([0, 2, 1, 2], channels=[0, 1, 0, 1]) == [0, 1, 2, 1]


def test_without_embedding_an_utterance_bears_the_speaker_nearest_in_time_on_its_channel():
    embeddings = spoken_by([0, 0, 1, 1])
    embeddings[1] = np.nan
    spans = np.array([(0, 3), (3.2, 3.4), (6, 9), (3.4, 6.0)])
    assert label_speakers(Speech(embeddings, spans, [None] * 4))[1] == "SPEAKER_01"
    assert label_speakers(Speech(embeddings, spans, [0, 0, 0, 1]))[1] == "SPEAKER_00"


def test_without_any_embedding_nobody_is_made_up():
    nothing = np.full((2, SIZE), np.nan, np.float32)
    assert label_speakers(Speech(nothing, in_turn(2), [None, None])) == [UNKNOWN, UNKNOWN]


def test_nothing_said_has_no_speakers():
    assert label_speakers(Speech(np.zeros((0, SIZE)), np.zeros((0, 2)), [])) == []


@given(
    st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.booleans()), min_size=1, max_size=12),
    st.randoms(use_true_random=False),
    st.integers(0, 3),
)
def test_the_order_of_the_utterances_does_not_matter(said, random, known):
    embeddings = spoken_by([who for who, _, _ in said], similarity=0.5)
    embeddings[[not heard for _, heard, _ in said]] = np.nan
    spans = in_turn(len(said))
    spans[[short for _, _, short in said], 1] -= 2.0
    channels = [who % 2 for who, _, _ in said]
    count = SpeakerCount(exactly=known or None)
    expected = label_speakers(Speech(embeddings, spans, channels), count)

    order = list(range(len(said)))
    random.shuffle(order)
    shuffled = Speech(embeddings[order], spans[order], [channels[i] for i in order])
    assert label_speakers(shuffled, count) == [expected[i] for i in order]
