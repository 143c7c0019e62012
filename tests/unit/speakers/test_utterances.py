"""Utterances: single-speaker spans that lose no word and never overlap."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceman.analysis.utterances import MIN_WORDLESS_S, assign_words, find_utterances, words_of
from voiceman.errors import InvalidRequestError
from voiceman.evidence import Segment, Word

WINDOW_S = 30.0


def word(text: str, start: float, end: float) -> Word:
    return {"word": text, "start": start, "end": end, "score": 0.9}


def segment(*words: Word) -> Segment:
    return {
        "start": words[0]["start"] if words else 0.0,
        "end": words[-1]["end"] if words else 0.0,
        "text": " ".join(w["word"] for w in words),
        "avg_logprob": -0.2,
        "words": list(words),
        "aligner": "whisper-cross-attention",
    }


def turns(*rows: tuple[float, float]) -> np.ndarray:
    return np.array(rows, np.float32).reshape(-1, 2)


def texts(segments: list[Segment], utterances: np.ndarray) -> list[str]:
    return [
        " ".join(w["word"] for w in words) for words in assign_words(words_of(segments), utterances)
    ]


def test_two_speakers_become_two_utterances_that_reach_as_far_as_their_turns():
    said = [segment(word("hello", 1.0, 1.3), word("there", 1.4, 1.8), word("hi", 2.2, 2.5))]
    found = find_utterances(said, WINDOW_S, turns((0.9, 2.0), (2.1, 2.7)))
    np.testing.assert_allclose(found, [[0.9, 2.0], [2.1, 2.7]], atol=1e-6)
    assert texts(said, found) == ["hello there", "hi"]


def test_a_turn_is_cut_at_a_real_pause_between_its_words():
    said = [segment(word("first", 1.0, 1.4), word("second", 2.4, 2.9))]
    found = find_utterances(said, WINDOW_S, turns((1.0, 3.0)))
    assert texts(said, found) == ["first", "second"]
    assert found[0, 1] < 1.5
    assert found[1, 0] > 2.3


def test_overlapping_turns_are_cut_inside_their_overlap():
    said = [segment(word("going", 1.0, 1.9), word("yes", 2.1, 2.6))]
    found = find_utterances(said, WINDOW_S, turns((1.0, 2.2), (1.8, 2.6)))
    np.testing.assert_allclose(found, [[1.0, 2.0], [2.0, 2.6]], atol=1e-6)


def test_a_silent_backchannel_inside_a_turn_does_not_cut_it():
    said = [segment(word("I", 1.0, 1.2), word("went", 1.3, 1.6), word("home", 1.7, 2.0))]
    found = find_utterances(said, WINDOW_S, turns((1.0, 2.0), (1.25, 1.65)))
    assert texts(said, found) == ["I went home"]


def test_a_short_backchannel_with_a_word_of_its_own_is_kept():
    said = [segment(word("so", 1.0, 1.3), word("mm", 1.6, 1.75), word("then", 2.0, 2.3))]
    found = find_utterances(said, WINDOW_S, turns((1.0, 1.4), (1.6, 1.8), (1.95, 2.4)))
    assert texts(said, found) == ["so", "mm", "then"]


def test_speech_without_words_is_kept_when_it_is_long():
    long, short = (5.0, 5.0 + 2 * MIN_WORDLESS_S), (8.0, 8.0 + MIN_WORDLESS_S / 2)
    found = find_utterances([], WINDOW_S, turns(long, short))
    np.testing.assert_allclose(found, [long])


def test_without_turns_segments_and_pauses_cut():
    said = [
        segment(word("one", 1.0, 1.3), word("two", 1.4, 1.8)),
        segment(word("three", 1.9, 2.3), word("four", 4.0, 4.4)),
    ]
    expected = ["one two", "three", "four"]
    assert texts(said, find_utterances(said, WINDOW_S)) == expected
    assert texts(said, find_utterances(said, WINDOW_S, turns())) == expected


def test_a_warm_up_turn_of_no_length_counts_as_no_turn():
    said = [segment(word("one", 1.0, 1.3))]
    np.testing.assert_array_equal(
        find_utterances(said, WINDOW_S, turns((0, 0))), find_utterances(said, WINDOW_S)
    )


def test_words_far_from_every_turn_are_not_lost():
    said = [segment(word("ghost", 20.0, 20.4))]
    found = find_utterances(said, WINDOW_S, turns((1.0, 3.0)))
    assert texts(said, found) == ["", "ghost"]


def test_nothing_said_gives_no_rows():
    assert find_utterances([], WINDOW_S).shape == (0, 2)
    assert find_utterances([], 0.0).shape == (0, 2)
    assert assign_words([], np.zeros((0, 2), np.float32)) == []


def test_a_turn_that_is_no_number_is_refused():
    with pytest.raises(InvalidRequestError, match="TURNS"):
        find_utterances([], WINDOW_S, turns((0.0, float("nan"))))


times = st.floats(0, WINDOW_S, allow_nan=False)
spans = st.tuples(times, times).map(sorted)
said_spans = st.lists(st.lists(st.tuples(times, st.floats(0, 3)), max_size=8), max_size=5)


@given(said_spans, st.lists(spans, max_size=8))
def test_every_word_lies_in_exactly_one_utterance(spoken, turn_rows):
    said = [
        segment(*(word(f"{i}.{j}", s, min(s + d, WINDOW_S)) for j, (s, d) in enumerate(words)))
        for i, words in enumerate(spoken)
    ]
    found = find_utterances(said, WINDOW_S, turns(*turn_rows)).astype(float)
    tolerance = 4e-6  # FP32 at 30 s

    assert (found[:, 1] > found[:, 0]).all()
    assert (found[1:, 0] >= found[:-1, 1]).all()
    assert (found >= 0).all()
    assert (found <= WINDOW_S).all()
    words = words_of(said)
    for spoken_word in words:
        middle = (spoken_word["start"] + spoken_word["end"]) / 2
        inside = (found[:, 0] - tolerance <= middle) & (middle <= found[:, 1] + tolerance)
        strictly = (found[:, 0] + tolerance < middle) & (middle < found[:, 1] - tolerance)
        assert inside.any()
        assert strictly.sum() <= 1
    assigned = assign_words(words, found.astype(np.float32))
    assert sorted(w["word"] for group in assigned for w in group) == sorted(
        w["word"] for w in words
    )


@given(said_spans, st.lists(spans, max_size=6).flatmap(st.permutations))
def test_the_order_of_the_turns_does_not_matter(spoken, turn_rows):
    said = [segment(*(word("w", s, min(s + d, WINDOW_S)) for s, d in words)) for words in spoken]
    np.testing.assert_array_equal(
        find_utterances(said, WINDOW_S, turns(*turn_rows)),
        find_utterances(said, WINDOW_S, turns(*sorted(turn_rows))),
    )
