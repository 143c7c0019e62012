from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voiceman.analysis.coverage import (
    MAX_WORD_S,
    WORD_MARGIN_S,
    detected_speech,
    measure,
    total_s,
    union,
    without,
)
from voiceman.errors import InvalidRequestError
from voiceman.evidence import Word
from voiceman.serving.whisper.window import Window

spans = st.lists(st.tuples(st.integers(-5, 40), st.integers(-5, 40)), max_size=8)


@settings(deadline=None)
@given(spans=spans)
def test_a_union_holds_each_second_once(spans: list[tuple[int, int]]) -> None:
    seconds = {s for start, end in spans for s in range(start, end) if 0 <= s < 30}
    found = union(spans, 0.0, 30.0)
    assert {s for start, end in found for s in range(int(start), int(end))} == seconds
    assert total_s(found) == len(seconds)
    assert all(a[1] < b[0] for a, b in pairwise(found))


def test_turns_that_overlap_are_speech_once() -> None:
    turns = np.array([[4, 9], [-1, 2], [1, 3], [28, 99], [7, 7]], np.float32)
    assert detected_speech(turns, 30.0) == ((0, 3), (4, 9), (28, 30))


def test_no_turns_and_no_speech_are_two_things() -> None:
    assert detected_speech(None, 30.0) is None
    assert detected_speech(np.zeros((0, 2), np.float32), 30.0) == ()


def test_a_turn_that_is_no_number_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="TURNS"):
        detected_speech(np.array([[0, np.nan]], np.float32), 30.0)


def test_the_rest_of_a_window_knows_the_rest_of_its_speech() -> None:
    sound = np.zeros(30 * 16000, np.float32)
    window = Window(sound, speech=((1.0, 4.0), (6.0, 30.0)))
    assert window.speech_from(0.0) == window.speech
    assert window.speech_from(3.0) == ((0.0, 1.0), (3.0, 27.0))
    assert Window(sound, speech=()).speech_from(3.0) == ()
    assert Window(sound).speech_from(3.0) is None


@settings(deadline=None)
@given(spans=spans, holes=spans)
def test_what_is_left_is_in_no_hole(
    spans: list[tuple[int, int]], holes: list[tuple[int, int]]
) -> None:
    taken = union(holes, 0.0, 30.0)
    left = without(union(spans, 0.0, 30.0), taken)
    seconds = {s for start, end in spans for s in range(start, end) if 0 <= s < 30}
    gone = {s for start, end in holes for s in range(start, end)}
    assert {s for start, end in left for s in range(int(start), int(end))} == seconds - gone
    assert total_s(left) == len(seconds - gone)


def words(*times: tuple[float, float]) -> list[Word]:
    return [Word(word=" a", start=start, end=end, score=0.9) for start, end in times]


def test_words_reach_a_bit_around_themselves_and_no_further() -> None:
    found = measure(((0.0, 10.0),), words((0.0, 1.0), (1.3, 2.0), (5.0, 6.0)), 10.0)
    assert found.wordless == ((2.2, 4.8), (6.2, 10.0))
    assert found.with_text == pytest.approx(1 - 6.4 / 10)
    assert [(flag["start"], flag["end"]) for flag in found.flags()] == [(2.2, 4.8), (6.2, 10.0)]


def test_a_word_that_was_stretched_over_other_speech_does_not_hide_it() -> None:
    found = measure(((0.0, 20.0),), words((0.0, 10.0), (10.0, 10.0 + MAX_WORD_S)), 20.0)
    assert found.wordless[0] == (
        pytest.approx(MAX_WORD_S / 2 + WORD_MARGIN_S),
        pytest.approx(10.0 - MAX_WORD_S / 2 - WORD_MARGIN_S),
    )
    assert len(found.wordless) == 2


def test_short_gaps_are_measured_and_not_flagged() -> None:
    found = measure(((0.0, 3.0),), words((0.0, 1.0), (2.0, 3.0)), 3.0)
    assert found.with_text == pytest.approx(1 - 0.6 / 3)
    assert found.flags() == []


def test_silence_and_full_text() -> None:
    assert measure((), words((0.0, 1.0)), 3.0).with_text is None
    assert measure(((0.0, 1.0),), words((0.1, 0.9)), 3.0).with_text == 1.0
    assert measure(((0.0, 1.0),), [], 3.0).with_text == 0.0


times = st.lists(st.tuples(st.floats(0, 30), st.floats(0, 30)).map(sorted).map(tuple), max_size=9)


@settings(deadline=None)
@given(speech=times, said=times)
def test_the_share_is_a_share_and_more_words_never_lower_it(
    speech: list[tuple[float, float]], said: list[tuple[float, float]]
) -> None:
    regions = union(speech, 0.0, 30.0)
    shares = [measure(regions, words(*said[:n]), 30.0).with_text for n in range(len(said) + 1)]
    if total_s(regions) < 0.001:
        return
    assert all(share is not None and 0.0 <= share <= 1.0 for share in shares)
    assert shares == sorted(shares, key=lambda share: share or 0.0)
