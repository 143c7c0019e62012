import pytest
from tiny_whisper import byte_tokenizer

from voiceman.serving.whisper.words import group_words

TOKENIZER = byte_tokenizer()


def words_of(text: str, language: str) -> list[str]:
    tokens = TOKENIZER.encode(text).ids
    return [word.text for word in group_words(tokens, TOKENIZER.decode, language)]


@pytest.mark.parametrize(
    ("language", "text", "words"),
    [
        ("en", " Hello, world. It is me!", ["Hello,", "world.", "It", "is", "me!"]),
        ("en", " He said “yes” (twice)", ["He", "said", "“yes”", "(twice)"]),
        ("ko", " 네, 고객님. 감사합니다!", ["네,", "고객님.", "감사합니다!"]),
        ("ja", "はい、そう。", ["は", "い、", "そ", "う。"]),
        ("zh", "你好。", ["你", "好。"]),
        ("en", "", []),
        ("en", " ", []),
    ],
)
def test_words_are_grouped_as_the_language_is_written(
    language: str, text: str, words: list[str]
) -> None:
    assert words_of(text, language) == words


def test_punctuation_has_no_time_of_its_own() -> None:
    tokens = TOKENIZER.encode(" ab, cd").ids
    first, second = group_words(tokens, TOKENIZER.decode, "en")
    assert (first.text, first.first, first.last) == ("ab,", 0, 3)
    assert (second.first, second.last) == (4, 7)


def test_a_broken_character_at_the_end_is_kept() -> None:
    tokens = TOKENIZER.encode("네").ids[:2]
    assert [(w.first, w.last) for w in group_words(tokens, TOKENIZER.decode, "ko")] == [(0, 2)]
