"""Local turns of a recording under the names of its speakers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceman.analysis.speaker_turns import LocalTurn, name_turns
from voiceman.analysis.speakers import UNKNOWN, Speech

EMBEDDING = np.eye(4, dtype=np.float32)


def named(turns, utterances, channels=None, without=()):
    """Turns (start, end, local speaker[, channel]) under the utterances' (start, end, label)."""
    vectors = np.tile(EMBEDDING[0], (len(utterances), 1))
    vectors[list(without)] = np.nan
    spans = np.array([u[:2] for u in utterances], np.float32).reshape(-1, 2)
    speech = Speech(vectors, spans, channels or [None] * len(utterances))
    local = [LocalTurn(*turn) if len(turn) == 4 else LocalTurn(*turn, None) for turn in turns]
    found = name_turns(local, speech, [u[2] for u in utterances])
    return [(t["start"], t["end"], t["speaker"], t["overlap"]) for t in found]


def test_a_turn_takes_the_name_of_the_utterances_in_its_unshared_part():
    found = named(
        [(0, 10, 0), (8, 20, 1)],
        [(0, 9, "SPEAKER_00"), (9, 20, "SPEAKER_01")],
    )
    assert found == [(0, 10, "SPEAKER_00", 2), (8, 20, "SPEAKER_01", 2)]


def test_who_interrupts_is_whom_the_segmentation_heard_near_by():
    found = named(
        [(0, 4, 1), (4, 20, 0), (10, 10.6, 1), (30, 40, 0)],
        [(0, 4, "SPEAKER_00"), (4, 20, "SPEAKER_01"), (30, 40, "SPEAKER_02")],
    )
    assert (10, 10.6, "SPEAKER_00", 0.6) in found
    assert (4, 20, "SPEAKER_01", 0.6) in found


def test_who_interrupts_is_never_the_one_who_is_interrupted():
    # The segmentation gave number 0 to both.
    found = named(
        [(0, 5, 0), (6, 20, 1), (10, 10.6, 0)],
        [(0, 5, "SPEAKER_00"), (6, 20, "SPEAKER_00")],
    )
    assert (10, 10.6, UNKNOWN, 0.6) in found


def test_utterances_without_embedding_name_nobody():
    assert named([(0, 5, 0)], [(0, 5, "SPEAKER_00")], without=[0]) == [(0, 5, UNKNOWN, 0)]


def test_the_edge_of_a_neighbours_utterance_names_nobody():
    found = named(
        [(0, 5, 0), (5.2, 5.8, 1), (6, 9, 1)],
        [(0, 5.4, "SPEAKER_00"), (6, 9, "SPEAKER_01")],
    )
    assert [name for *_, name, _ in found] == ["SPEAKER_00", "SPEAKER_01", "SPEAKER_01"]


def test_local_turns_that_are_one_speakers_are_one_turn():
    found = named([(0, 6, 0), (5, 9, 1)], [(0, 5, "SPEAKER_00"), (6, 9, "SPEAKER_00")])
    assert found == [(0, 9, "SPEAKER_00", 0)]


def test_channels_share_no_names_but_overlap():
    found = named(
        [(0, 10, 0, 0), (4, 6, 0, 1)],
        [(0, 10, "SPEAKER_00"), (4, 6, "SPEAKER_01")],
        channels=[0, 1],
    )
    assert found == [(0, 10, "SPEAKER_00", 2), (4, 6, "SPEAKER_01", 2)]


def test_nobody_speaks_in_a_recording_without_turns():
    assert named([], [(0, 5, "SPEAKER_00")]) == []
    assert named([(0, 5, 0)], []) == [(0, 5, UNKNOWN, 0)]


times = st.tuples(st.integers(0, 50), st.integers(1, 20))


@given(
    st.lists(st.tuples(times, st.integers(0, 2)), max_size=12),
    st.lists(st.sampled_from(["SPEAKER_00", "SPEAKER_01", "SPEAKER_02"]), max_size=5),
    st.randoms(use_true_random=False),
)
def test_turns_cover_what_was_spoken_in_any_order(rows, labels, random):
    turns = [(start, start + length, local) for (start, length), local in rows]
    utterances = [(10 * i, 10 * i + 9, label) for i, label in enumerate(labels)]
    found = named(turns, utterances)
    spoken = {t for start, end, _ in turns for t in range(start, end)}
    covered = [
        {t for t in range(70) if any(s <= t < e and n == name for s, e, n, _ in found)}
        for name in {name for *_, name, _ in found}
    ]
    assert set().union(*covered) == spoken
    total = sum(end - start for start, end, *_ in found)
    assert total == pytest.approx(sum(map(len, covered)))  # a speaker's turns are disjoint
    random.shuffle(turns)
    if len({(start, end) for start, end, _ in turns}) == len(turns):
        assert named(turns, utterances) == found
