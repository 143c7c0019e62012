from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceman.analysis.coverage import detected_speech, total_s, union
from voiceman.errors import InvalidRequestError
from voiceman.serving.whisper.window import Window

spans = st.lists(st.tuples(st.integers(-5, 40), st.integers(-5, 40)), max_size=8)


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
