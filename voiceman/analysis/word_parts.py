"""What English words have in common: their stems, and the letters that they are made of.

What was learned from "threat" should be heard in "threatened" too. Stems are cut by a few rules of
spelling, not looked up: what matters is that the forms of a word meet, not that it is its stem.
"""

from collections.abc import Iterator
from functools import lru_cache

# The first ending that fits is cut, with what stands in its place.
_ENDINGS = (
    ("sses", "ss"),
    ("ies", "y"),
    ("ied", "y"),
    ("ing", ""),
    ("ed", ""),
    ("es", ""),
    ("ly", ""),
    ("er", ""),
    ("s", ""),
)
_FEWEST = 3  # letters that are left
_NO_ENDING = ("ss", "us", "is")
_DOUBLING = ("ing", "ed", "er")  # "hitting", "robbed"
_DOUBLED = frozenset("bdfgmnprt")
_LENGTHS = (3, 4, 5)  # of runs of letters
_CACHED = 1 << 14


@lru_cache(_CACHED)
def stem(word: str) -> str:
    """The part of a word in small letters that its forms share."""
    for ending, put in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _FEWEST:
            if not word.endswith(_NO_ENDING):
                rest = word[: -len(ending)]
                word = (_undoubled(rest) if ending in _DOUBLING else rest) + put
            break
    if len(word) > _FEWEST and word[-1] == "e":
        word = word[:-1]
    return f"{word[:-1]}i" if len(word) > _FEWEST and word[-1] == "y" else word


@lru_cache(_CACHED)
def parts(word: str) -> tuple[str, ...]:
    """Runs of a word's letters, its ends marked, each once."""
    return tuple(dict.fromkeys(_runs(f"<{word}>")))


def _runs(marked: str) -> Iterator[str]:
    for length in _LENGTHS:
        for start in range(len(marked) - length + 1):
            yield marked[start : start + length]


def _undoubled(word: str) -> str:
    return word[:-1] if word[-1] == word[-2] and word[-1] in _DOUBLED else word
