from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceman.analysis import ctc_alignment
from voiceman.analysis.ctc_alignment import Placement, place_labels, time_words
from voiceman.analysis.ctc_labels import WILDCARD, Spelling, Vocabulary, spell
from voiceman.evidence import WhisperWord

BLANK = 0
LABELS = 6
Segment = tuple[np.ndarray, np.ndarray]


def plain_path(emission: np.ndarray, labels: list[int]) -> tuple[list[int], int]:
    """Cell by cell: the frames that enter each label, and where the path ends."""
    frames, count = len(emission), len(labels)
    audible = np.delete(emission, BLANK, axis=1).max(axis=1)

    def enter(frame: int, label: int) -> np.float32:
        return audible[frame] if label == WILDCARD else emission[frame, label]

    score = np.full((frames + 1, count + 1), -np.inf, np.float32)
    score[0, 0] = 0
    for frame in range(frames):
        score[frame + 1, 0] = score[frame, 0] + emission[frame, BLANK]
        for n, label in enumerate(labels):
            stayed = score[frame, n + 1] + emission[frame, BLANK]
            score[frame + 1, n + 1] = max(stayed, score[frame, n] + enter(frame, label))
    end = frame = int(score[:, count].argmax())
    starts: list[int] = []
    n = count
    while n:
        frame -= 1
        stayed = score[frame, n] + emission[frame, BLANK]
        if score[frame, n - 1] + enter(frame, labels[n - 1]) > stayed:
            starts.insert(0, frame)
            n -= 1
    return starts, end


def random_emission(frames: int, seed: int) -> np.ndarray:
    scores = np.random.default_rng(seed).standard_normal((frames, LABELS)).astype(np.float32) * 3
    return scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))


@st.composite
def segments(draw: st.DrawFn) -> Segment:
    labels = draw(st.lists(st.sampled_from([WILDCARD, 1, 2, 3, 4, 5]), min_size=1, max_size=12))
    frames = draw(st.integers(len(labels), 40))
    emission = random_emission(frames, draw(st.integers(0, 1 << 20)))
    if draw(st.booleans()):  # many ties, exact sums
        emission = np.round(emission)
    return emission, np.array(labels)


def place(*wanted: Segment) -> list[Placement | str]:
    return place_labels(
        [emission for emission, _ in wanted], [labels for _, labels in wanted], BLANK
    )


def placed(*wanted: Segment) -> list[Placement]:
    found = place(*wanted)
    assert all(isinstance(placement, Placement) for placement in found)
    return found  # pyright: ignore[reportReturnType]


@given(st.lists(segments(), max_size=8))
def test_paths_are_those_of_the_plain_trellis_alone_and_in_a_crowd(crowd: list[Segment]):
    for (emission, labels), placement in zip(crowd, placed(*crowd), strict=True):
        starts, end = plain_path(emission, labels.tolist())
        assert placement.starts.tolist() == starts
        assert placement.ends.tolist() == [*starts[1:], end]
        (alone,) = placed((emission, labels))
        np.testing.assert_array_equal(alone.starts, placement.starts)
        np.testing.assert_array_equal(alone.probabilities, placement.probabilities)


@given(segments())
def test_labels_follow_each_other_within_the_sound(segment: Segment):
    (placement,) = placed(segment)
    assert placement.starts[0] >= 0
    assert (placement.ends > placement.starts).all()
    assert (placement.starts[1:] == placement.ends[:-1]).all()
    assert placement.ends[-1] <= len(segment[0])
    assert ((placement.probabilities >= 0) & (placement.probabilities <= 1)).all()


def test_forty_segments_are_searched_in_bounded_groups(monkeypatch):
    rng = np.random.default_rng(3)
    crowd = [
        (random_emission(int(frames), seed), rng.integers(1, LABELS, int(frames) // 3))
        for seed, frames in enumerate(rng.integers(3, 90, 40))
    ]
    together = placed(*crowd)
    monkeypatch.setattr(ctc_alignment, "MAX_CELLS", 4000)
    for few, all_at_once in zip(placed(*crowd), together, strict=True):
        np.testing.assert_array_equal(few.starts, all_at_once.starts)


def test_what_cannot_be_placed_says_why_and_harms_no_neighbour():
    good = (random_emission(9, 0), np.array([1, 2]))
    broken = random_emission(9, 1)
    broken[4, 3] = np.nan
    nothing = np.array([], np.int64)
    found = place((good[0][:1], good[1]), (good[0], nothing), (broken, good[1]), good)
    assert found[:3] == [
        "2 labels do not fit into 1 frames",
        "nothing to look for",
        "the network's output is not finite",
    ]
    np.testing.assert_array_equal(found[3].starts, placed(good)[0].starts)  # pyright: ignore
    assert place() == []


def spoken(labels: list[int], every: int = 4, vocabulary_size: int = LABELS) -> np.ndarray:
    """An emission that says one label in every so many frames, and blank between."""
    probabilities = np.full((every * len(labels) + 2, vocabulary_size), 0.01, np.float32)
    probabilities[:, BLANK] = 0.9
    for index, label in enumerate(labels):
        probabilities[every * index + 1] = 0.01
        probabilities[every * index + 1, label] = 0.9
    return np.log(probabilities)


def whisper_words(*words: str) -> list[WhisperWord]:
    return [WhisperWord(word=word, row_start=0, row_end=1, score=0.5) for word in words]


def test_words_get_the_times_of_their_labels():
    vocabulary = Vocabulary({"|": 1, "a": 2, "b": 3, "c": 4}, BLANK, 1)
    words = whisper_words(" ab", " c")
    spelling = spell([word["word"] for word in words], vocabulary)
    (placement,) = placed((spoken([2, 3, 1, 4]), spelling.labels))
    timed = time_words(words, spelling, placement, 10.0, 0.02)
    assert [(word["word"], word["start"], word["end"]) for word in timed] == [
        (" ab", 10.02, 10.18),
        (" c", 10.26, 10.28),
    ]
    assert [word["score"] for word in timed] == pytest.approx([0.9, 0.9], abs=1e-6)


def test_a_number_takes_the_sound_between_its_neighbours():
    vocabulary = Vocabulary({"|": 1, "a": 2, "b": 3, "c": 4}, BLANK, 1)
    words = whisper_words(" a", " 42", " b")
    spelling = spell([word["word"] for word in words], vocabulary)
    (placement,) = placed((spoken([2, 1, 4, 4, 1, 3]), spelling.labels))
    _, number, _ = time_words(words, spelling, placement, 0.0, 0.02)
    assert (number["start"], number["end"]) == (0.18, 0.34)


def test_a_syllable_of_jamo_has_the_times_of_all_of_them():
    vocabulary = Vocabulary({"|": 1, "ㄱ": 2, "ㅏ": 3, "ㄴ": 4}, BLANK, 1)
    words = whisper_words("간", " 나")
    spelling = spell([word["word"] for word in words], vocabulary)
    (placement,) = placed((spoken([2, 3, 4, 1, 4, 3]), spelling.labels))
    times = [(w["start"], w["end"]) for w in time_words(words, spelling, placement, 0.0, 0.02)]
    assert times == [(0.02, 0.26), (0.34, 0.44)]


@given(
    st.lists(st.text("ab7🙂é안 ", max_size=4), min_size=1, max_size=10),
    st.integers(0, 60),
    st.integers(0, 99),
)
def test_every_word_is_timed_in_order_and_within_the_segment(
    texts: list[str], spare: int, seed: int
):
    vocabulary = Vocabulary({"|": 1, "a": 2, "b": 3}, BLANK, 1)
    spelling = spell(texts, vocabulary)
    if not len(spelling.labels):
        return
    frames = len(spelling.labels) + spare
    (placement,) = placed((random_emission(frames, seed), spelling.labels))
    timed = time_words(whisper_words(*texts), spelling, placement, 1.0, 0.02)
    assert [word["word"] for word in timed] == texts
    assert timed[0]["start"] >= 1.0
    assert timed[-1]["end"] <= 1.0 + 0.02 * frames + 1e-9
    for word in timed:
        assert word["end"] >= word["start"]
        assert 0 <= word["score"] <= 1
        if word["word"].strip():
            assert word["end"] > word["start"]
    for before, after in pairwise(timed):
        assert after["start"] >= before["end"]


def test_a_word_without_labels_keeps_whisper_s_score():
    spelling = Spelling(np.array([2]), np.array([0]))
    (placement,) = placed((spoken([2]), spelling.labels))
    last = time_words(whisper_words("a", ""), spelling, placement, 0.0, 0.02)[1]
    assert (last["start"], last["end"], last["score"]) == (0.04, 0.04, 0.5)
