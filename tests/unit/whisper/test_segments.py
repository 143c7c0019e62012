import pytest

from voiceman.serving.whisper.segments import TokenSpan, split_segments

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
