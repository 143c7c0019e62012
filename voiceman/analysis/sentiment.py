"""What words claim by themselves: a small lexicon, intensifiers and negation.

The lexicons are data (`voiceman/data/sentiment/<language>.toml`). An entry is a whole word, or
the beginning of words where it ends in `*`: Korean endings and particles need not be listed.
This is no sentiment model. It is coarse on purpose, so that a person can check every word of it.
"""

import re
import tomllib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from voiceman.errors import WeightsError

STRENGTHS = {"strong": 2.0, "mild": 1.0}  # uncalibrated
INTENSIFIED, NEGATED = 1.5, -0.5  # factors on a word's strength; uncalibrated

_Meaning = TypeVar("_Meaning")
_KEY = 2  # characters that words are told apart by at first sight
_WORD = re.compile(r"\w+(?:'\w+)?|[.?!,]")
_STOPS = frozenset(".?!,")  # negation does not reach past them


@dataclass(frozen=True)
class Feeling:
    """What an entry of a lexicon says.

    Attributes:
        polarity: its strength, below 0 of negative words.
        agitated: strength of words that are neither, but excited (orders, swearing).
    """

    polarity: float
    agitated: float


@dataclass(frozen=True)
class Words(Generic[_Meaning]):
    """Words and beginnings of words, with a meaning each.

    Attributes:
        whole: by word.
        stems: by beginning; the longest one counts.
        lengths: by the first two characters of all of them, how long the beginnings are,
            longest first. Most words of a language are not among these, and cost one look.
    """

    whole: Mapping[str, _Meaning]
    stems: Mapping[str, _Meaning]
    lengths: Mapping[str, Sequence[int]]

    def find(self, word: str) -> _Meaning | None:
        """The meaning of a word; None: it is not among them."""
        if (lengths := self.lengths.get(word[:_KEY])) is None:
            return None
        if (meaning := self.whole.get(word)) is not None:
            return meaning
        for length in lengths:
            if (meaning := self.stems.get(word[:length])) is not None:
                return meaning
        return None


@dataclass(frozen=True)
class Lexicon:
    """The lexicon of one language.

    Attributes:
        feelings: positive, negative and excited words.
        intensifiers: what strengthens the next word.
        before: what negates one of the next `reach` words.
        after: what negates the word right before it, if that ends in `ending`.
        reach: words.
        ending: for languages that negate behind the verb; empty: any.
    """

    feelings: Words[Feeling]
    intensifiers: Words[bool]
    before: Words[bool]
    after: Words[bool]
    reach: int
    ending: str


Lexicons = Mapping[str, Lexicon]


@dataclass(frozen=True)
class Sentiment:
    """What was found in a text.

    Attributes:
        words: how many there are.
        positive: summed strength of positive words.
        negative: that of negative ones.
        agitated: that of excited ones.
    """

    words: int
    positive: float
    negative: float
    agitated: float


def read_sentiment(text: str, lexicon: Lexicon) -> Sentiment:
    """Look up the words of a text of any length and script."""
    words = _WORD.findall(unicodedata.normalize("NFC", text).lower().replace("\u2019", "'"))
    stops = sum(word in _STOPS for word in words)
    positive = negative = agitated = 0.0
    known = lexicon.feelings.lengths
    for index in [index for index, word in enumerate(words) if word[:_KEY] in known]:
        feeling = lexicon.feelings.find(words[index])
        if feeling is None:
            continue
        agitated += feeling.agitated
        strength = feeling.polarity
        if index and lexicon.intensifiers.find(words[index - 1]):
            strength *= INTENSIFIED
        if _negated(words, index, lexicon):
            strength *= NEGATED
        if strength > 0:
            positive += strength
        else:
            negative -= strength
    return Sentiment(len(words) - stops, positive, negative, agitated)


def _negated(words: Sequence[str], index: int, lexicon: Lexicon) -> bool:
    for word in reversed(words[max(0, index - lexicon.reach) : index]):
        if word in _STOPS:
            break
        if lexicon.before.find(word):
            return True
    after = words[index + 1 : index + 2]
    return words[index].endswith(lexicon.ending) and any(map(lexicon.after.find, after))


def load_lexicons(folder: Path) -> dict[str, Lexicon]:
    """Read every `<language>.toml` of a folder.

    Raises:
        WeightsError: a file is missing, no TOML, or breaks the format; names the file.
    """
    paths = sorted(folder.glob("*.toml"))
    if not paths:
        raise WeightsError(f"{folder}: no lexicons; run voiceman-export scoring")
    return {path.stem: _read(path) for path in paths}


def _read(path: Path) -> Lexicon:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        negation = values["negation"]
        positive, negative, agitated = (
            _strengths(values[kind]) for kind in ("positive", "negative", "agitated")
        )
        feelings = {entry: Feeling(strength, 0.0) for entry, strength in positive.items()}
        feelings |= {entry: Feeling(-strength, 0.0) for entry, strength in negative.items()}
        feelings |= {entry: Feeling(0.0, strength) for entry, strength in agitated.items()}
        return Lexicon(
            _words(feelings),
            _words(dict.fromkeys(values["intensifiers"], True)),
            _words(dict.fromkeys(negation["before"], True)),
            _words(dict.fromkeys(negation["after"], True)),
            int(negation["reach"]),
            str(negation["ending"]),
        )
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as err:
        raise WeightsError(f"{path}: not a lexicon: {err!r}") from err


def _strengths(groups: Mapping[str, Any]) -> dict[str, float]:
    return {entry: STRENGTHS[name] for name, group in groups.items() for entry in group}


def _words(entries: Mapping[str, _Meaning]) -> Words[_Meaning]:
    stems = {entry[:-1]: meaning for entry, meaning in entries.items() if entry.endswith("*")}
    whole = {entry: meaning for entry, meaning in entries.items() if not entry.endswith("*")}
    if "" in whole or any(len(stem) < _KEY for stem in stems):
        raise ValueError(f"a word is empty, or less than {_KEY} characters stand before a *")
    lengths: dict[str, set[int]] = {word[:_KEY]: set() for word in (*whole, *stems)}
    for stem in stems:
        lengths[stem[:_KEY]].add(len(stem))
    longest_first = {key: sorted(found, reverse=True) for key, found in lengths.items()}
    return Words(whole, stems, longest_first)
