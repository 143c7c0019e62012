"""Which pieces of a text are judged by themselves: sentences, windows of words, long stretches.

Recognisers put few full stops, what is meant may take two sentences, and talk around it says
nothing about it. So a text is judged as a whole, sentence by sentence, and in windows that are
as long as what people say in one breath.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise

from voiceman.analysis.morphemes import Units

Span = tuple[int, int]

MOST_WORDS = 40  # of a stretch: as long as the longest sentences that were learned from
MOST_CHARS = 240
STEP_WORDS = 25
WINDOWS = ((8, 4), (16, 8))  # words, and from one to the next
SHORT_WORDS = 16  # up to here a text is one thing that is said, as those that were learned from
_WORD = re.compile(rf"\S{{1,{MOST_CHARS}}}")
_SENTENCE = re.compile(r"[^.?!…]*[^\s.?!…][^.?!…]*[.?!…]*")
_FINAL_ENDING = re.compile(rb" [^ ]+/EF(?: \xec\x9a\x94/J[^ ]*)?(?: [^ ]+/S[^ ]*)*")  # 봤/어/요/.


def sentences(text: str, units: Units) -> list[Span]:
    """The sentences of a plain text, in order: by its signs, and by Korean final endings."""
    ends = [match.end() for match in _SENTENCE.finditer(text)]
    ends += [units.span(*match.span())[1] for match in _FINAL_ENDING.finditer(units.line)]
    bounds = sorted({0, *ends, len(text)})
    return [(s, e) for s, e in pairwise(bounds) if not text[s:e].isspace()]


def around(spans: Sequence[Span], start: int, end: int) -> Span:
    """From the begin of the sentence that holds `start` to the end of the one that holds `end`."""
    first = max(0, bisect_right(spans, (start, 1 << 60)) - 1)
    last = max(first, bisect_left(spans, (end, 0)) - 1)
    return min(start, spans[first][0]), max(end, spans[last][1])


def stretches(text: str) -> list[Span]:
    """A plain text as a whole, or as stretches no longer than a long sentence."""
    return list(_stretches(_words(text), MOST_WORDS, STEP_WORDS))


def sentence_pieces(text: str, units: Units) -> list[Span]:
    """The sentences of a plain text, long ones as stretches."""
    words = _words(text)
    starts = [start for start, _ in words]
    return [
        piece
        for start, end in sentences(text, units)
        for piece in _stretches(
            words[bisect_left(starts, start) : bisect_left(starts, end)], MOST_WORDS, STEP_WORDS
        )
    ]


def windows(text: str) -> list[Span]:
    """Overlapping windows of a plain text that is too long to be one thing that is said."""
    words = _words(text)
    if len(words) <= SHORT_WORDS:
        return []
    return [span for most, step in WINDOWS for span in _stretches(words, most, step)]


def _words(text: str) -> list[Span]:
    return [match.span() for match in _WORD.finditer(text)]


def _stretches(words: Sequence[Span], most: int, step: int) -> Iterator[Span]:
    """So many words each, from the first to the last; they overlap."""
    first = 0
    while first < len(words):
        last = first
        while (
            last + 1 < len(words)
            and last + 1 - first < most
            and words[last + 1][1] - words[first][0] <= MOST_CHARS
        ):
            last += 1
        yield words[first][0], words[last][1]
        if last + 1 == len(words):
            return
        first = max(first + 1, min(last, first + step))
