"""Crime language in longer talk: what stands around a sentence hides nothing of it.

All on the tuning part of the labelled sentences, which the cues were learned from too: a floor
under what must not break, no figure of how well unseen sentences are told.
"""

import math

import pytest

from perf.crime_language import SENTENCES, embedded, judge, read_sentences
from voiceman.analysis.crime_language import find

ASIDES = {
    "ko": "아까 점심은 뭐 먹었냐면 그냥 김밥 한 줄 먹고 공원 한 바퀴 돌고 들어왔어.",
    "en": "Lunch was just a sandwich and then a walk round the park and back.",
}


def gravity(text: str, language: str) -> float:
    """What a report's score makes of it, before its other parts."""
    return 1 - math.prod(1 - hit.severity * hit.weight for hit in find(text, language))


@pytest.mark.parametrize(("language", "recall", "precision"), [("ko", 0.9, 0.75), ("en", 0.9, 0.7)])
def test_sentences_are_found_among_others_without_signs(language, recall, precision):
    sentences = read_sentences(SENTENCES / f"{language}_tuning.tsv")
    counts, _ = judge(embedded(sentences), language)
    assert counts["all"].recall >= recall
    assert counts["all"].precision >= precision


@pytest.mark.parametrize("language", ["ko", "en"])
@pytest.mark.parametrize("before", [True, False])
def test_more_talk_rarely_lowers_and_never_hides(language, before):
    aside = ASIDES[language]
    sentences = read_sentences(SENTENCES / f"{language}_tuning.tsv")
    labelled = [item.text for item in sentences if item.labels]
    longer = [f"{aside} {text}" if before else f"{text}. {aside}" for text in labelled]
    pairs = [
        (gravity(text, language), gravity(more, language))
        for text, more in zip(labelled, longer, strict=True)
    ]
    assert sum(more >= 0.9 * alone for alone, more in pairs) >= 0.9 * len(pairs)
