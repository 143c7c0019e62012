"""Crime language: passages of a text that a table of patterns hits, each with its context.

The tables are data (`voiceman/data/patterns/<language>.toml`): patterns with examples that
must and must not match, and context rules that turn a finding into a mention (quoted, negated,
fiction, news). A hit is a reading aid: it shows where to look, and says nothing about guilt.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import replace

from voiceman.analysis.crime_patterns import REACH, ContextRule, Pattern, PatternTable, Tables
from voiceman.analysis.hits import (
    FINDING_WEIGHT,
    MENTION_WEIGHT,
    Hit,
    without_overlaps,
)
from voiceman.analysis.learned import overrule
from voiceman.analysis.morphemes import PlainText, Units, cut, make_plain
from voiceman.analysis.pattern_tables import default_tables
from voiceman.analysis.phrases import Search, Spans, Surface, make_surface
from voiceman.analysis.pieces import around, sentences
from voiceman.analysis.prefilter import fold
from voiceman.errors import InvalidRequestError

_SAID_DIRECTLY = "said directly"
_WORD_REST = re.compile(r"\w{0,10}")  # endings that a pattern leaves open belong to its hit


def find(text: str, language: str = "ko", tables: Tables | None = None) -> list[Hit]:
    """Find crime language in a text.

    Args:
        text: any text, of any length and script.
        language: ISO 639-1 code.
        tables: by language; None: the tables that come with voiceman.

    Returns:
        Hits in the order of the text. Of overlapping hits of one category the gravest stays.

    Raises:
        InvalidRequestError: there is no table for the language.
        ConfigurationError: the language needs an analyser that is not installed.
    """
    known = default_tables() if tables is None else tables
    if language not in known:
        raise InvalidRequestError(
            f"no crime-language patterns for {language!r}; there are {', '.join(sorted(known))}"
        )
    table = known[language]
    plain = make_plain(text, table.spelling)
    candidates = table.prefilter.candidates(fold(plain.text, language))
    units = cut(plain.text, language)
    reading = _Reading(plain.text, make_surface(plain.text, language), units)
    hits = [
        _weigh(pattern, place, table.contexts, reading, plain)
        for pattern in (table.patterns[index] for index in candidates)
        for place in _places(pattern, reading)
    ]
    hits = without_overlaps(hits)
    hits = overrule(hits, without_means(hits, table), plain.text, units, table)
    # Last, so that what was overruled takes no other finding with it.
    return [_at_origin(hit, plain) for hit in without_means(hits, table)]


class _Reading:
    """One text while it is read: each search runs over it once."""

    def __init__(self, text: str, surface: Surface, units: Units) -> None:
        self._surface, self._units = surface, units
        self._found: dict[int, Spans] = {}
        self._sentences = sentences(text, units)

    def sentence(self, start: int, end: int) -> tuple[int, int]:
        """The sentence, or sentences, that a passage stands in."""
        return around(self._sentences, start, end)

    def spans(self, search: Search) -> Spans:
        if id(search) not in self._found:
            self._found[id(search)] = search.spans(self._surface, self._units)
        return self._found[id(search)]

    def near(self, search: Search | None, start: int, end: int, reach: int) -> bool:
        """Whether something is found within `reach` characters of a passage."""
        return search is not None and _nearest(self.spans(search), start, end, reach) is not None


def _places(pattern: Pattern, reading: _Reading) -> Iterable[tuple[int, int]]:
    """Where all parts of a pattern stand together."""
    first, *others = pattern.parts
    for start, end in reading.spans(first):
        place = _join(start, end, [reading.spans(part) for part in others], pattern)
        if place and not reading.near(pattern.unless, *place, pattern.reach):
            yield place


def _join(
    start: int, end: int, others: Sequence[Spans], pattern: Pattern
) -> tuple[int, int] | None:
    """The passage from a first part to the nearest of each other part; None: one is too far."""
    begin, stop = start, end
    for spans in others:
        near = (
            _next(spans, stop, pattern.reach)
            if pattern.ordered
            else _nearest(spans, start, end, pattern.reach)
        )
        if near is None:
            return None
        begin, stop = min(begin, near[0]), max(stop, near[1])
    return begin, stop


def _next(spans: Spans, end: int, reach: int) -> tuple[int, int] | None:
    """The first that begins after a passage, within reach."""
    index = bisect_left(spans, (end, 0))
    return spans[index] if index < len(spans) and spans[index][0] - end <= reach else None


def _nearest(spans: Spans, start: int, end: int, reach: int) -> tuple[int, int] | None:
    """Of the neighbours of a passage the nearest within reach."""
    index = bisect_left(spans, (start, 0))
    around = spans[max(0, index - 2) : index + 1]
    distance = [max(s - end, start - e, 0) for s, e in around]
    best = min(range(len(around)), key=distance.__getitem__, default=None)
    return None if best is None or distance[best] > reach else around[best]


def _weigh(
    pattern: Pattern,
    place: tuple[int, int],
    rules: Sequence[ContextRule],
    reading: _Reading,
    plain: PlainText,
) -> Hit:
    start, end = place
    lowering = [
        rule
        for rule in rules
        if pattern.category in rule.categories and _applies(rule, start, end, reading)
    ]
    weight = min((rule.weight for rule in lowering), default=1.0)
    rest = _WORD_REST.match(plain.text, end)
    end = rest.end() if rest else end
    context = "; ".join(rule.reason for rule in lowering) or _SAID_DIRECTLY
    return Hit(
        pattern.category,
        pattern.id,
        start,
        end,
        pattern.severity,
        weight,
        context,
    )


def _at_origin(hit: Hit, plain: PlainText) -> Hit:
    end = max(plain.origin(hit.end), plain.origin(hit.end - 1) + 1)
    return replace(hit, start=plain.origin(hit.start), end=end)


def _applies(rule: ContextRule, start: int, end: int, reading: _Reading) -> bool:
    spans = reading.spans(rule.any)
    if not spans:
        return False
    match rule.where:
        case "sentence":
            begin, stop = reading.sentence(start, end)
            inside = spans[bisect_left(spans, (begin, 0)) : bisect_left(spans, (stop, 0))]
            there = any(max(s - end, start - e) <= rule.reach for s, e in inside)
        case "near":
            there = _nearest(spans, start, end, rule.reach) is not None
        case "inside":
            there = any(start <= s and e <= end for s, e in spans)
        case "before":
            there = any(s < start and e <= end and start - e <= rule.reach for s, e in spans)
        case _:
            there = any(s > start and e >= end and s - end <= rule.reach for s, e in spans)
    return there and not reading.near(rule.unless, start, end, max(rule.reach, REACH))


def without_means(hits: Sequence[Hit], table: PatternTable) -> list[Hit]:
    """Findings that are the means of an end beside them become mentions: the end decides.

    The gravest end first; what became a mention is no end any more.

    Args:
        hits: in the order of the text.
        table: says which categories outrank which.
    """
    standing = list(hits)  # in the order of the text
    starts = [hit.start for hit in hits]
    longest = max((hit.end - hit.start for hit in hits), default=0)
    ends = [at for at, hit in enumerate(hits) if hit.category in table.outranks]
    for at in sorted(ends, key=lambda at: -hits[at].weight * hits[at].severity):
        end = standing[at]
        if end.weight < FINDING_WEIGHT:
            continue
        first = bisect_left(starts, end.start - REACH - longest)
        for other in range(first, bisect_right(starts, end.end + REACH)):
            standing[other] = _as_means(standing[other], end, table.outranks[end.category])
    return standing


def _as_means(hit: Hit, end: Hit, means: frozenset[str]) -> Hit:
    apart = max(hit.start - end.end, end.start - hit.end)
    if hit.weight < FINDING_WEIGHT or hit.category not in means or apart > REACH:
        return hit
    return replace(hit, weight=MENTION_WEIGHT, context=f"the means of {end.category}")


def broken_examples(table: PatternTable, only: frozenset[str] | None = None) -> Iterable[str]:
    """The examples that a table does not keep its word on, as sentences.

    Args:
        table: the patterns, with the context rules that they rely on.
        only: the ids of the patterns to try; None: all.
    """
    alone = {table.language: table}
    for pattern in table.patterns:
        if only is not None and pattern.id not in only:
            continue
        for text in pattern.matches:
            if not any(h.category == pattern.category for h in _findings(text, alone, table)):
                yield f"{pattern.id}: must be a finding: {text}"
        for text in pattern.harmless:
            if found := _findings(text, alone, table):
                names = ", ".join(hit.pattern_id for hit in found)
                yield f"{pattern.id}: must be harmless, found {names}: {text}"


def _findings(text: str, tables: Tables, table: PatternTable) -> list[Hit]:
    hits = find(text, table.language, tables)
    return [hit for hit in hits if hit.weight >= FINDING_WEIGHT]
