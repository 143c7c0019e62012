"""Labelled sentences as they stand in longer talk: with other words around, without signs.

Windows of a longer text hold more than a sentence and less than two. What is learned from
sentences alone is lost among other words, so the same sentences are learned with them too.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random

from voiceman.analysis.crime_language import find
from voiceman.analysis.crime_patterns import PatternTable
from voiceman.analysis.hits import FINDING_WEIGHT
from voiceman.analysis.morphemes import cut, make_plain
from voiceman.analysis.pieces import WINDOWS, Span
from voiceman.analysis.text_cues import cues_of

MOST_AROUND = 15  # words before and behind
ONE_SIDE = 0.3  # share with nothing before, and share with nothing behind
IN_WINDOWS = 0.75  # share of harmless talk that is cut to a window
_WORD = re.compile(r"\S+")


@dataclass(frozen=True)
class Reading:
    """A text as the cues see it.

    Attributes:
        labels: its categories; none: harmless.
        text: plain.
        units: form/tag and place of each.
        found: place, category and "is a finding" of what the patterns hit.
    """

    labels: tuple[str, ...]
    text: str
    units: tuple[tuple[str, Span], ...]
    found: tuple[tuple[Span, str, bool], ...]

    def words(self) -> list[Span]:
        """Where its words stand."""
        return [match.span() for match in _WORD.finditer(self.text)]

    def part(self, start: int, end: int) -> "Reading":
        """What stands in a passage."""
        return replace(
            self,
            text=self.text[start:end],
            units=tuple(
                (form, (s - start, min(e, end) - start))
                for form, (s, e) in self.units
                if start <= s < end
            ),
            found=tuple(
                ((max(s, start) - start, min(e, end) - start), category, finding)
                for (s, e), category, finding in self.found
                if s < end and e > start
            ),
        )

    def __add__(self, other: "Reading") -> "Reading":
        """Both, one behind the other."""
        if not self.text:
            return replace(other, labels=self.labels + other.labels)
        by = len(self.text) + 1
        return Reading(
            self.labels + other.labels,
            f"{self.text} {other.text}",
            (*self.units, *((form, (s + by, e + by)) for form, (s, e) in other.units)),
            (*self.found, *(((s + by, e + by), c, finding) for (s, e), c, finding in other.found)),
        )

    def cues(self, language: str) -> list[str]:
        """The cues of the whole."""
        found = [(category, finding) for _, category, finding in self.found]
        return list(cues_of(self.text, language, self.units, found))


def read(labels: tuple[str, ...], text: str, table: PatternTable) -> Reading:
    """Read a labelled sentence with a table that has no cues."""
    plain = make_plain(text, table.spelling).text
    units = cut(plain, table.language)
    return Reading(
        labels,
        plain,
        tuple(zip(units.line.decode().split(), units.spans, strict=True)),
        tuple(
            ((hit.start, hit.end), hit.category, hit.weight >= FINDING_WEIGHT)
            for hit in find(plain, table.language, {table.language: table})
        ),
    )


def embed(readings: Sequence[Reading], seed: int) -> Iterator[Reading]:
    """Every sentence once more, among words of harmless ones; the same for the same seed."""
    random = Random(seed)  # noqa: S311  # nothing secret
    harmless = [reading for reading in readings if not reading.labels and reading.words()]
    for reading in readings if harmless else ():
        other = random.choice(harmless)
        if reading.labels:
            before = 0 if random.random() < ONE_SIDE else random.randint(1, MOST_AROUND)
            behind = 0 if random.random() < ONE_SIDE else random.randint(1, MOST_AROUND)
            yield _last(random.choice(harmless), before) + reading + _first(other, behind)
        else:
            both = reading + other if random.random() < 1 / 2 else other + reading
            yield _window(both, random) if random.random() < IN_WINDOWS else both


def _last(reading: Reading, words: int) -> Reading:
    places = reading.words()[-words:] if words else []
    return reading.part(places[0][0], len(reading.text)) if places else reading.part(0, 0)


def _first(reading: Reading, words: int) -> Reading:
    places = reading.words()[:words]
    return reading.part(0, places[-1][1] if places else 0)


def _window(reading: Reading, random: Random) -> Reading:
    places = reading.words()
    most, _ = random.choice(WINDOWS)
    first = random.randint(0, max(0, len(places) - most))
    return reading.part(places[first][0], places[first : first + most][-1][1])
