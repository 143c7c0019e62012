"""Pieces of a text that are judged by themselves."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voiceman.analysis.morphemes import cut, make_plain
from voiceman.analysis.pieces import (
    MOST_CHARS,
    WINDOWS,
    around,
    sentence_pieces,
    sentences,
    stretches,
    windows,
)


def read(text: str, language: str):
    plain = make_plain(text, {}).text
    return plain, cut(plain, language)


@settings(deadline=None)
@given(st.text(max_size=700), st.sampled_from(["en", "ko"]))
def test_pieces_are_bounded_and_cover_every_word(text, language):
    plain, units = read(text, language)
    found = [*stretches(plain), *sentence_pieces(plain, units), *windows(plain)]
    assert all(0 <= start < end <= len(plain) for start, end in found)
    assert all(end - start <= MOST_CHARS for start, end in found)
    inside = {i for start, end in stretches(plain) for i in range(start, end)}
    assert all(char.isspace() or i in inside for i, char in enumerate(plain))


@pytest.mark.parametrize(("words", "step"), WINDOWS)
def test_a_long_text_is_judged_in_windows(words, step):
    plain, _ = read(" ".join(f"w{i}" for i in range(60)), "en")
    sizes = [len(plain[start:end].split()) for start, end in windows(plain)]
    assert sizes.count(words) >= (60 - words) // step


def test_korean_sentences_end_without_signs():
    plain, units = read("어제 영화 봤어요 너 진짜 죽여 버릴 거야 알았어?", "ko")
    said = [plain[start:end].strip() for start, end in sentences(plain, units)]
    assert said == ["어제 영화 봤어요", "너 진짜 죽여 버릴 거야", "알았어?"]


def test_around_a_passage_stand_the_sentences_that_it_meets():
    plain, units = read("One. Two three. Four five. Six.", "en")
    spans = sentences(plain, units)
    start, end = around(spans, plain.index("three"), plain.index("five"))
    assert plain[start:end].strip() == "Two three. Four five."
    start, end = around(spans, plain.index("Six"), plain.index("Six") + 3)
    assert plain[start:end].strip() == "Six."
