"""A finding has the time of its words, not that of the whole utterance."""

import pytest

from voiceman.analysis.finding_times import join_words, locate


def words(*texts):
    """One per second, half a second long."""
    return [
        {"word": text, "start": 10.0 + i, "end": 10.5 + i, "score": 0.9}
        for i, text in enumerate(texts)
    ]


@pytest.mark.parametrize(
    ("language", "texts", "passage", "expected"),
    [
        ("en", (" so", " I'll", " kill", " you", " now"), "I'll kill you", (11.0, 13.5)),
        ("ko", ("너", "진짜", "죽여버릴", "거야"), "죽여버릴 거야", (12.0, 13.5)),
        ("ko", ("죽여", "버린다"), "여 버", (10.0, 11.5)),  # parts of words count whole
        ("ja", ("殺", "す", "ぞ"), "すぞ", (11.0, 12.5)),
    ],
)
def test_a_passage_is_found_in_its_words(language, texts, passage, expected):
    said = words(*texts)
    text = join_words(said, language)
    start = text.index(passage)
    found = locate([{"start": start, "end": start + len(passage)}], said, language, (0.0, 30.0))
    assert found == [expected]


def test_without_words_a_finding_has_the_time_of_its_utterance():
    assert locate([{"start": 0, "end": 3}], [], "ko", (1.0, 2.0)) == [(1.0, 2.0)]
    assert locate([], words("a"), "ko", (1.0, 2.0)) == []
