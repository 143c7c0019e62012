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
from typing import Any

from voiceman.errors import WeightsError

STRENGTHS = {"strong": 2.0, "mild": 1.0}  # uncalibrated
INTENSIFIED, NEGATED = 1.5, -0.5  # factors on a word's strength; uncalibrated

_WORD = re.compile(r"\w+(?:'\w+)?")


@dataclass(frozen=True)
class Words:
    """Words and beginnings of words, with a number each.

    Attributes:
        whole: by word.
        stems: by beginning; the longest one counts.
        longest: characters of the longest beginning.
    """

    whole: Mapping[str, float]
    stems: Mapping[str, float]
    longest: int

    def find(self, word: str) -> float:
        """The number of a word; 0: it is not among them."""
        if (value := self.whole.get(word)) is not None:
            return value
        for length in range(min(len(word), self.longest), 0, -1):
            if (value := self.stems.get(word[:length])) is not None:
                return value
        return 0.0


@dataclass(frozen=True)
class Lexicon:
    """The lexicon of one language.

    Attributes:
        polarity: positive or negative strength.
        agitated: words that are neither, but excited (orders, swearing): strength.
        intensifiers: what strengthens the next word.
        before: what negates one of the next `reach` words.
        after: what negates the word right before it, if that ends in `ending`.
        reach: words.
        ending: for languages that negate behind the verb; empty: any.
    """

    polarity: Words
    agitated: Words
    intensifiers: Words
    before: Words
    after: Words
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
    positive = negative = agitated = 0.0
    for index, word in enumerate(words):
        agitated += lexicon.agitated.find(word)
        strength = lexicon.polarity.find(word)
        if not strength:
            continue
        if index and lexicon.intensifiers.find(words[index - 1]):
            strength *= INTENSIFIED
        if _negated(words, index, lexicon):
            strength *= NEGATED
        if strength > 0:
            positive += strength
        else:
            negative -= strength
    return Sentiment(len(words), positive, negative, agitated)


def _negated(words: Sequence[str], index: int, lexicon: Lexicon) -> bool:
    before = words[max(0, index - lexicon.reach) : index]
    if any(lexicon.before.find(word) for word in before):
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
        return Lexicon(
            _words(_signed(values["positive"], 1.0) | _signed(values["negative"], -1.0)),
            _words(_signed(values["agitated"], 1.0)),
            _words(dict.fromkeys(values["intensifiers"], 1.0)),
            _words(dict.fromkeys(negation["before"], 1.0)),
            _words(dict.fromkeys(negation["after"], 1.0)),
            int(negation["reach"]),
            str(negation["ending"]),
        )
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as err:
        raise WeightsError(f"{path}: not a lexicon: {err!r}") from err


def _signed(groups: Mapping[str, Any], sign: float) -> dict[str, float]:
    return {entry: sign * STRENGTHS[name] for name, group in groups.items() for entry in group}


def _words(entries: Mapping[str, float]) -> Words:
    stems = {entry[:-1]: value for entry, value in entries.items() if entry.endswith("*")}
    whole = {entry: value for entry, value in entries.items() if not entry.endswith("*")}
    if "" in stems or "" in whole:
        raise ValueError("an entry is empty")
    return Words(whole, stems, max(map(len, stems), default=0))
