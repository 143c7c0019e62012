"""Stems and letters of English words: the forms of a word meet, other words stay apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceman.analysis.word_parts import parts, stem


@pytest.mark.parametrize(
    "forms",
    [
        ("kill", "kills", "killed", "killing", "killer"),
        ("make", "makes", "making"),
        ("hit", "hits", "hitting"),
        ("egg", "eggs"),
        ("bury", "buries", "buried"),
        ("pass", "passes", "passed"),
        ("box", "boxes"),
        ("quiet", "quietly"),
    ],
)
def test_the_forms_of_a_word_have_one_stem(forms):
    assert len({stem(form) for form in forms}) == 1


def test_short_words_and_words_that_end_so_stay():
    words = ["is", "bus", "this", "red", "her", "you", "n't", "'s"]
    assert [stem(word) for word in words] == words


def test_parts_know_the_ends_of_a_word():
    assert parts("cut") == ("<cu", "cut", "ut>", "<cut", "cut>", "<cut>")
    assert len(parts("banana")) == len(set(parts("banana")))


@given(st.text(min_size=1))
def test_any_word_has_a_stem_no_longer_than_itself(word):
    assert 1 <= len(stem(word)) <= len(word)
