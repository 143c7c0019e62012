import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voiceman.analysis.coverage import Intervals, total_s, union
from voiceman.serving.whisper.segments import (
    LEAD_S,
    MIN_ADVANCE_S,
    MIN_UNHEARD_S,
    TokenSpan,
    split_segments,
)

BEGIN = 1000  # the token of 0.00 s


def at(seconds: float) -> int:
    return BEGIN + round(seconds / 0.02)


def test_a_closed_last_segment_says_that_no_speech_follows() -> None:
    tokens = [at(0), 1, 2, at(2), at(2.5), 3, at(4)]
    split = split_segments(tokens, BEGIN, 30.0)
    assert split.spans == (TokenSpan(0, 2, 0, 4), TokenSpan(2.5, 4, 4, 7))
    assert split.resume_s is None


def test_an_opened_segment_without_text_is_listened_to_again() -> None:
    tokens = [at(0), 1, at(2), at(2), 2, at(5), at(5)]
    split = split_segments(tokens, BEGIN, 30.0)
    assert [(span.start, span.end) for span in split.spans] == [(0, 2), (2, 5)]
    assert split.resume_s == pytest.approx(5.0)


def test_an_unfinished_segment_is_left_to_the_next_decode() -> None:
    split = split_segments([at(0), 1, at(2), at(2), 2, 3], BEGIN, 30.0)
    assert split.spans == (TokenSpan(0, 2, 0, 4 - 1),)
    assert split.resume_s == pytest.approx(2.0)


def test_an_unfinished_segment_stays_when_too_little_sound_is_left() -> None:
    split = split_segments([at(0), 1, at(2), at(2), 2, 3], BEGIN, 2.9)
    assert split.spans == (TokenSpan(0, 2, 0, 3), TokenSpan(2, 2.9, 3, 6))
    assert split.resume_s is None


def test_a_decode_that_does_not_move_on_keeps_its_text() -> None:
    split = split_segments([at(0), 1, at(0.5), at(0.5), 2, 3], BEGIN, 30.0)
    assert [(span.first, span.last) for span in split.spans] == [(0, 3), (3, 6)]
    assert split.resume_s is None


@pytest.mark.parametrize(
    ("tokens", "start", "end"),
    [
        ([], 0, 8),
        ([1, 2], 0, 8),
        ([at(1), 1, 2], 1, 8),
        ([at(1), 1, 2, at(3)], 1, 3),
        ([at(1), 1, 2, at(20)], 1, 8),  # a time in the padding
        ([at(20), 1, 2], 8, 8),
    ],
)
def test_without_a_pair_everything_is_one_segment(
    tokens: list[int], start: float, end: float
) -> None:
    split = split_segments(tokens, BEGIN, 8.0)
    assert split.spans == (TokenSpan(pytest.approx(start), pytest.approx(end), 0, len(tokens)),)
    assert split.resume_s is None


CLOSED_AT_4 = [at(0), 1, 2, at(2), at(2.5), 3, at(4)]


@pytest.mark.parametrize(
    ("speech", "resume"),
    [
        (((0.0, 4.0), (10.0, 13.0)), 9.8),  # a bit before the next speech, not at 4 s
        (((0.0, 9.0),), 4.0),  # speech that goes on is taken up where the text ended
        (((0.0, 4.3), (10.0, 13.0)), 9.8),  # the tail of a word is no speech of its own
        (((0.0, 4.0), (10.0, 10.6), (12.0, 12.6)), 9.8),  # many short answers are speech too
        (((0.0, 4.0), (10.0, 10.9)), None),  # too little
        (((0.0, 4.0),), None),
        ((), None),
        (None, None),
    ],
)
def test_speech_after_the_last_segment_is_decoded_on(
    speech: Intervals | None, resume: float | None
) -> None:
    split = split_segments(CLOSED_AT_4, BEGIN, 30.0, speech)
    assert [(span.start, span.end) for span in split.spans] == [(0, 2), (2.5, 4)]
    assert split.resume_s == (None if resume is None else pytest.approx(resume))
    assert split.reach_s == (30.0 if resume is None else split.resume_s)


def test_a_single_closed_segment_does_not_end_the_window_before_its_speech() -> None:
    split = split_segments([at(0), 1, at(3)], BEGIN, 30.0, ((0.0, 3.0), (20.0, 29.0)))
    assert split.spans == (TokenSpan(0, 3, 0, 3),)
    assert split.resume_s == pytest.approx(19.8)


def test_a_first_decode_that_says_nothing_gets_a_second_chance_and_a_further_one_does_not() -> None:
    speech = ((5.0, 9.0),)
    assert split_segments([], BEGIN, 30.0, speech).resume_s == pytest.approx(4.8)
    assert split_segments([], BEGIN, 30.0, speech, further=True).resume_s is None
    assert split_segments([at(0), 1, at(1)], BEGIN, 30.0, speech, further=True).resume_s == (
        pytest.approx(4.8)
    )


def test_a_decode_that_ends_within_its_first_second_moves_on_by_one() -> None:
    split = split_segments([at(0), 1, at(0.4)], BEGIN, 30.0, ((0.0, 10.0),))
    assert split.resume_s == pytest.approx(MIN_ADVANCE_S)


def test_where_openai_resumes_detected_speech_changes_nothing() -> None:
    tokens = [at(0), 1, at(2), at(2), 2, 3]
    assert split_segments(tokens, BEGIN, 30.0, ((20.0, 29.0),)) == split_segments(
        tokens, BEGIN, 30.0
    )


durations = st.integers(2, 1500).map(lambda frames: frames / 50)
generated = st.lists(
    st.one_of(st.integers(0, 9), st.integers(0, 1500).map(lambda step: BEGIN + step)), max_size=12
)
spoken = st.lists(st.tuples(st.floats(0, 30), st.floats(0, 30)), max_size=6)


@settings(deadline=None)
@given(tokens=generated, duration=durations, spans=spoken, further=st.booleans())
def test_a_split_moves_on_and_stays_inside(
    tokens: list[int], duration: float, spans: list[tuple[float, float]], further: bool
) -> None:
    speech = union(spans, 0.0, duration)
    split = split_segments(tokens, BEGIN, duration, speech, further=further)
    assert split.spans
    assert split.spans == split_segments(tokens, BEGIN, duration).spans
    if split.resume_s is None:
        assert split.reach_s == duration
    else:
        assert MIN_ADVANCE_S <= split.resume_s < duration
        assert split.reach_s == split.resume_s


@settings(deadline=None)
@given(tokens=generated, duration=durations, further=st.booleans())
def test_without_known_speech_the_rule_is_the_old_one(
    tokens: list[int], duration: float, further: bool
) -> None:
    expected = split_segments(tokens, BEGIN, duration)
    assert split_segments(tokens, BEGIN, duration, None, further=further) == expected
    assert split_segments(tokens, BEGIN, duration, (), further=further) == expected


@settings(deadline=None)
@given(decodes=st.lists(generated, min_size=40, max_size=40), duration=durations, spans=spoken)
def test_whatever_whisper_says_a_window_ends(
    decodes: list[list[int]], duration: float, spans: list[tuple[float, float]]
) -> None:
    """The engine's loop: every further decode begins later, and at most 30 fit into 30 s."""
    offset_s, speech = 0.0, union(spans, 0.0, duration)
    for count, tokens in enumerate(decodes):
        left_s = duration - offset_s
        rest = union(((s - offset_s, e - offset_s) for s, e in speech), 0.0, left_s)
        resume_s = split_segments(tokens, BEGIN, left_s, rest, further=count > 0).resume_s
        if resume_s is None:
            break
        offset_s += resume_s
    else:
        pytest.fail("it goes on")
    assert count <= 30


@settings(deadline=None)
@given(spans=spoken, end=st.integers(0, 1500))
def test_a_window_that_ends_has_little_speech_behind_its_text(
    spans: list[tuple[float, float]], end: int
) -> None:
    speech = union(spans, 0.0, 30.0)
    split = split_segments([at(0), 1, BEGIN + end], BEGIN, 30.0, speech)
    behind = union(speech, max(split.spans[-1].end, MIN_ADVANCE_S) + LEAD_S, 30.0)
    if split.resume_s is None:  # only breaths may be left beside it
        assert total_s(tuple(p for p in behind if p[1] - p[0] >= LEAD_S)) < MIN_UNHEARD_S
    else:
        lost = union(speech, max(split.spans[-1].end, MIN_ADVANCE_S) + LEAD_S, split.resume_s)
        assert all(end - start < LEAD_S for start, end in lost)
