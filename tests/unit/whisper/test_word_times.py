import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from voiceman.analysis.word_times import align_words, first_frames
from voiceman.errors import InvalidRequestError
from voiceman.evidence import Transcript, WhisperWord


def plain_first_frames(similarity: np.ndarray) -> list[int]:
    """Cell by cell, as in the literature, with openai/whisper's order of ties."""
    rows, frames = similarity.shape
    cost = np.full((rows + 1, frames + 1), np.inf)
    move = np.zeros((rows + 1, frames + 1), int)
    cost[0, 0] = 0
    for i in range(1, rows + 1):
        for j in range(1, frames + 1):
            diagonal, up, left = cost[i - 1, j - 1], cost[i - 1, j], cost[i, j - 1]
            if diagonal < up and diagonal < left:
                move[i, j] = 0
            elif up < diagonal and up < left:
                move[i, j] = 1
            else:
                move[i, j] = 2
            cost[i, j] = -similarity[i - 1, j - 1] + min(diagonal, up, left)
    i, j, entered = rows, frames, [0] * rows
    while i > 0 and j > 0:
        entered[i - 1] = j - 1
        i, j = i - (move[i, j] != 2), j - (move[i, j] != 1)
    return entered


@given(
    arrays(
        np.float64,
        st.tuples(st.integers(1, 12), st.integers(1, 20)),
        elements=st.integers(-3, 3).map(float),  # many ties, exact sums
    )
)
def test_the_path_is_that_of_plain_time_warping(similarity: np.ndarray) -> None:
    assert first_frames(similarity).tolist() == plain_first_frames(similarity)


def test_the_path_of_a_real_sized_matrix_is_found_in_milliseconds() -> None:
    similarity = np.random.default_rng(0).standard_normal((100, 1500)).astype(np.float32)
    assert first_frames(similarity).tolist() == plain_first_frames(similarity)
    best_s = min(_timed(similarity) for _ in range(5))
    assert best_s < 0.05  # about 4 ms; the bound leaves room for a busy machine


def _timed(similarity: np.ndarray) -> float:
    begin = time.perf_counter()
    first_frames(similarity)
    return time.perf_counter() - begin


def transcript(duration: float, *segments: tuple[float, float, list[tuple[str, int, int]]]):
    return Transcript(
        language="en",
        language_probability=None,
        duration=duration,
        no_speech_probability=0.0,
        compression_ratio=1.0,
        segments=[
            {
                "start": start,
                "end": end,
                "text": " ".join(word for word, _, _ in words),
                "avg_logprob": -0.2,
                "words": [
                    WhisperWord(word=word, row_start=first, row_end=last, score=0.9)
                    for word, first, last in words
                ],
            }
            for start, end, words in segments
        ],
        flags=[],
    )


def attention_of(*spans: tuple[int, int], frames: int) -> np.ndarray:
    """Row i attends to the frames of spans[i]."""
    matrix = np.full((len(spans), frames), -1.0, np.float32)
    for row, (first, last) in zip(matrix, spans, strict=True):
        row[first:last] = 3.0
    return matrix


def test_words_take_the_times_of_their_rows() -> None:
    attention = attention_of((0, 15), (15, 40), (40, 60), (60, 75), (75, 100), frames=100)
    words = [("one", 0, 1), ("two", 1, 3), ("three", 3, 4)]
    aligned = align_words(transcript(2.0, (0.0, 2.0, words)), attention)
    times = [(word["start"], word["end"]) for word in aligned["segments"][0]["words"]]
    assert times == [(0.0, 0.3), (0.3, 1.2), (1.2, 1.5)]
    assert (aligned["segments"][0]["start"], aligned["segments"][0]["end"]) == (0.0, 1.5)


def test_a_word_does_not_swallow_the_pause_before_its_segment() -> None:
    spans = [(0, 20), (20, 40), (40, 240), (240, 260), (260, 280), (280, 300)]
    segments = (
        (0.0, 0.8, [("yes.", 0, 1), ("so.", 1, 2)]),
        (4.2, 5.6, [("And", 2, 3), ("then", 3, 4), ("what", 4, 5)]),
    )
    aligned = align_words(transcript(6.0, *segments), attention_of(*spans, frames=300))
    first = aligned["segments"][1]["words"][0]
    assert first["start"] == pytest.approx(4.8 - 2 * 0.4)


def test_words_that_no_sound_is_left_for_are_flagged() -> None:
    spans = [(0, 40), (40, 99), (99, 100), (99, 100), (99, 100), (99, 100)]
    said = (0.0, 2.0, [("one", 0, 1), ("two", 1, 2)])
    made_up = (2.0, 4.0, [("one", 2, 3), ("two", 3, 4), ("three", 4, 5)])
    aligned = align_words(transcript(2.0, said, made_up), attention_of(*spans, frames=100))
    assert [flag["kind"] for flag in aligned["flags"]] == ["words_without_sound"]
    assert aligned["flags"][0]["detail"] == "3 words in 0.00 s of sound"
    assert [segment["text"] for segment in aligned["segments"]] == ["one two", "one two three"]


@given(
    st.integers(1, 6).flatmap(
        lambda count: st.tuples(
            st.lists(st.integers(0, 4), min_size=count, max_size=count),
            st.lists(st.floats(0, 6), min_size=count, max_size=count),
            st.integers(0, 2**32 - 1),
        )
    )
)
def test_words_never_go_back_nor_leave_their_segment(
    case: tuple[list[int], list[float], int],
) -> None:
    counts, edges, seed = case
    edges = sorted(edges)
    row, segments = 0, []
    for index, count in enumerate(counts):
        words = [
            (f"w{row + k}." if k % 2 else f"w{row + k}", row + k, row + k + 1) for k in range(count)
        ]
        segments.append((edges[max(index - 1, 0)], edges[index], words))
        row += count
    attention = np.random.default_rng(seed).standard_normal((row + 1, 300)).astype(np.float32)
    aligned = align_words(transcript(6.0, *segments), attention)
    last_end = 0.0
    for segment in aligned["segments"]:
        assert 0 <= segment["start"] <= segment["end"] <= 6.0
        for word in segment["words"]:
            assert last_end <= word["start"] <= word["end"]
            assert segment["start"] <= word["start"]
            assert word["end"] <= segment["end"]
            last_end = word["end"]


def test_missing_rows_are_the_senders_fault() -> None:
    with pytest.raises(InvalidRequestError, match=r"1 rows of 50 frames.*need 3 rows"):
        align_words(transcript(1.0, (0.0, 1.0, [("a", 0, 2)])), np.zeros((1, 50), np.float32))


def test_a_window_without_words_has_no_times() -> None:
    aligned = align_words(transcript(1.0), np.zeros((1, 50), np.float32))
    assert aligned["segments"] == []
    assert aligned["aligner"] == "whisper-cross-attention"
