import numpy as np
import pytest

from voiceman.analysis.ctc_labels import WILDCARD, Vocabulary, spell

ENGLISH = Vocabulary(
    {"<pad>": 0, "|": 1, **{letter: 2 + i for i, letter in enumerate("ABCDEHLORW'")}}, 0, 1
)
SYLLABLES = Vocabulary({"|": 0, "안": 1, "녕": 2, "ㅋ": 3, "ㄲ": 4, "ㅏ": 5, "[PAD]": 6}, 6, 0)
CONJOINING = Vocabulary({jamo: i for i, jamo in enumerate("\u1100\u1161\u11a8|")}, 9, 3)
COMPATIBILITY = Vocabulary({jamo: i for i, jamo in enumerate("ㄱㅏㄳ|")}, 9, 3)


def spelled(words: list[str], vocabulary: Vocabulary) -> tuple[list[int], list[int]]:
    spelling = spell(words, vocabulary)
    return spelling.labels.tolist(), spelling.owners.tolist()


def letters(text: str) -> list[int]:
    return [ENGLISH.labels[letter] for letter in text]


def test_letters_take_the_case_of_the_vocabulary_and_spaces_become_delimiters():
    labels, owners = spelled([" Hello", " world"], ENGLISH)
    assert labels == letters("HELLO|WORLD")
    assert owners == [0] * 5 + [-1] + [1] * 5


@pytest.mark.parametrize("words", [["he", " lo "], ["he ", "lo"], [" he", "  ", "\tlo\n"]])
def test_white_space_is_one_delimiter_wherever_it_stands_and_none_at_the_edges(words):
    assert spelled(words, ENGLISH)[0] == letters("HE|LO")


def test_words_that_are_written_together_have_no_delimiter():
    assert spelled(["Hello", ","], ENGLISH) == ([*letters("HELLO"), WILDCARD], [0] * 5 + [1])


def test_without_a_delimiter_spaces_are_left_out():
    vocabulary = Vocabulary(ENGLISH.labels, 0, None)
    assert spelled(["he", " lo"], vocabulary)[0] == letters("HELO")


@pytest.mark.parametrize("word", ["7", "é", "🙂", "ß", "#"])
def test_what_the_vocabulary_does_not_have_is_a_wildcard(word):
    assert spelled([word], ENGLISH) == ([WILDCARD], [0])


def test_digits_that_the_vocabulary_has_are_labels():
    assert spelled(["7"], Vocabulary({"7": 3}, 0, None))[0] == [3]


def test_an_accent_may_be_a_label_of_its_own():
    assert spelled(["é"], Vocabulary({"e": 1, "\u0301": 2}, 0, None))[0] == [1, 2]


def test_no_words_have_no_labels():
    for words in ([], [""], [" "]):
        spelling = spell(words, ENGLISH)
        assert len(spelling.labels) == len(spelling.owners) == 0
        assert spelling.labels.dtype == np.int64


def test_korean_syllables_in_a_vocabulary_of_syllables():
    assert spelled(["안녕", " 안"], SYLLABLES) == ([1, 2, 0, 1], [0, 0, -1, 1])


def test_decomposed_korean_text_is_composed_first():
    assert spelled(["\u110b\u1161\u11ab"], SYLLABLES)[0] == [1]


def test_a_syllable_missing_from_a_vocabulary_of_syllables_is_not_made_of_its_laughter():
    assert spelled(["까ㅋ"], SYLLABLES)[0] == [WILDCARD, 3]


def test_korean_syllables_in_a_vocabulary_of_conjoining_jamo():
    assert spelled(["각", " 가"], CONJOINING) == ([0, 1, 2, 3, 0, 1], [0, 0, 0, -1, 1, 1])


def test_korean_syllables_in_a_vocabulary_of_compatibility_jamo():
    assert spelled(["각", " 갃"], COMPATIBILITY) == (
        [0, 1, 0, 3, 0, 1, 2],
        [0] * 3 + [-1] + [1] * 3,
    )
    assert spelled(["힣"], COMPATIBILITY)[0] == [WILDCARD]


def test_every_syllable_decomposes_into_its_letters():
    from voiceman.analysis.ctc_labels import _compatibility_jamo  # noqa: PLC0415

    written = {"가": "ㄱㅏ", "힣": "ㅎㅣㅎ", "뷁": "ㅂㅞㄺ", "쫓": "ㅉㅗㅊ", "읽": "ㅇㅣㄺ"}
    assert {syllable: _compatibility_jamo(syllable) for syllable in written} == written
