"""Which patterns a text can hold: a search for the stems of all patterns in the text itself.

A stem is what is sure to stand in the text where a phrase does, whatever its endings. A pattern
can only be found where each of its parts has a stem, so that most patterns are never looked for.
The stems are searched for in sets (RE2's, one pass over the text each), and in small ones: the
automaton of a large set makes new states for every new text, which takes longer than the passes.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import re2

from voiceman.analysis.phrases import Concepts, look_up

_MOST_MEMORY_BYTES = 64 << 20  # of a set; a limit: states are made as texts need them
_MEMBERS = 8  # of a set
_SYLLABLES = (0xAC00, 0xD7A3)
_FINALS, _VOWELS = 28, 21
# Final consonants that may change or fall: none, ㄷ, ㄹ, ㅂ, ㅅ, ㅎ (by number).
_FICKLE_FINALS = frozenset({0, 7, 8, 17, 19, 27})
# What a vowel becomes before 어, by number: ㅏ ㅐ, ㅓ ㅐ, ㅗ ㅘ, ㅚ ㅙ, ㅜ ㅝ, ㅡ ㅓ ㅏ, ㅣ ㅕ.
_CONTRACTED = {0: (1,), 4: (1,), 8: (9,), 11: (10,), 13: (14,), 18: (4, 0), 20: (6,)}
_CLASS = re.compile(r"\[[^\]]*\]|\\")


@dataclass(frozen=True)
class Prefilter:
    """The stems of some patterns, by part.

    Attributes:
        stems: RE2 sets, together with one member for each part that any pattern has.
        needed: for each pattern the members that must be in the text.
    """

    stems: tuple[Any, ...]
    needed: tuple[frozenset[int], ...]

    def candidates(self, written: bytes) -> list[int]:
        """Which patterns a folded text can hold, as their places in the list they came in."""
        there = {
            place * _MEMBERS + member
            for place, together in enumerate(self.stems)
            for member in together.Match(written) or ()
        }
        return [index for index, needed in enumerate(self.needed) if needed <= there]


def fold(text: str, language: str) -> bytes:
    """A plain text as searches on the text see it: `make_surface(…).written`, faster."""
    return (text.replace(" ", "") if language == "ko" else text).lower().encode("utf-8", "replace")


def make_prefilter(patterns: Iterable[Sequence[Sequence[str]]], concepts: Concepts) -> Prefilter:
    """Compile the stems of patterns, each given as the phrases of its parts.

    Raises:
        ValueError: the stems are more than RE2 has memory for.
    """
    places: dict[str, int] = {}
    needed: list[frozenset[int]] = []
    for parts in patterns:
        expressions = ["|".join(sorted(set(stems(part, concepts)))) for part in parts]
        needed.append(frozenset(places.setdefault(each, len(places)) for each in expressions))
    every = list(places)
    starts = range(0, len(every), _MEMBERS)
    return Prefilter(tuple(_set(every[at : at + _MEMBERS]) for at in starts), tuple(needed))


def _set(expressions: Iterable[str]) -> Any:  # noqa: ANN401  # re2 ships no types
    options = re2.Options()
    options.max_mem = _MOST_MEMORY_BYTES
    options.log_errors = False
    together = re2.Set.SearchSet(options)
    if any(together.Add(expression.encode()) < 0 for expression in expressions):
        raise ValueError("the patterns are too large together")
    together.Compile()
    return together


def stems(phrases: Iterable[str], concepts: Concepts) -> list[str]:
    """Expressions on the surface of which one holds wherever one of the phrases does.

    The reverse need not be true: they decide which texts are worth an analysis.
    """
    found: list[str] = []
    for phrase in phrases:
        if phrase.startswith("="):
            found.append(f"(?:{phrase[1:]})")
        else:
            found.extend(_rarest(phrase, concepts))
    return found


def _rarest(phrase: str, concepts: Concepts) -> list[str]:
    """The stems of the element that says most: the one whose shortest stem is longest."""
    best: list[str] = []
    for element in phrase.split():
        if element.endswith("?") or element.startswith(".."):
            continue
        if element.startswith("$"):
            found = stems(look_up(element, concepts), concepts)
        else:
            forms, _, tag = element.rpartition("/") if "/" in element else (element, "", "")
            if not forms or tag[:1] in ("E", "J", "X"):
                continue
            found = [_stem(form, tag) for form in forms.split("|")]
        if found and min(map(_says, found)) > min(map(_says, best), default=0):
            best = found
    return best or [""]


def _says(stem: str) -> float:
    """How much a stem says: its characters, a class of them for a part of one."""
    return len(_CLASS.sub("", stem)) + 0.5 * len(_CLASS.findall(stem))


def _stem(form: str, tag: str) -> str:
    """What is sure to stand in the text where a form does, whatever its ending."""
    letters = form.replace("*", "")
    if tag[:1] != "V" or not letters or not all(map(_is_syllable, letters)):
        return re.escape(letters)
    head, last = letters[:-1], letters[-1]
    if last == "르" and head:  # 찌르다, 찔러
        return re.escape(head[:-1]) + f"[{_finals(head[-1])}]" + "[라-맇]"
    return re.escape(head) + _inflected(last)


def _is_syllable(char: str) -> bool:
    return _SYLLABLES[0] <= ord(char) <= _SYLLABLES[1]


def _inflected(syllable: str) -> str:
    """The last syllable of a verb's stem, as contractions and irregular stems write it.

    때리다: 때린, 때려; 눕다: 누워; 듣다: 들어; 맞다: 맞아 alone.
    """
    final = (ord(syllable) - _SYLLABLES[0]) % _FINALS
    if final not in _FICKLE_FINALS:
        return syllable
    consonant, vowel = divmod((ord(syllable) - _SYLLABLES[0]) // _FINALS, _VOWELS)
    vowels = (vowel, *_CONTRACTED.get(vowel, ()))
    starts = [_SYLLABLES[0] + (consonant * _VOWELS + each) * _FINALS for each in vowels]
    return f"[{''.join(_finals(chr(start)) for start in starts)}]"


def _finals(syllable: str) -> str:
    """A syllable with any final consonant, as a range."""
    first = ord(syllable) - (ord(syllable) - _SYLLABLES[0]) % _FINALS
    return f"{chr(first)}-{chr(first + _FINALS - 1)}"
