"""What the learned cues make of the hits of the patterns: some are overruled, others added."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from statistics import median

from voiceman.analysis.crime_patterns import PatternTable
from voiceman.analysis.cues import FEWEST_WORDS, NAMED, Cues, Verdict
from voiceman.analysis.hits import FINDING_WEIGHT, MENTION_WEIGHT, Hit, without_overlaps
from voiceman.analysis.morphemes import Units
from voiceman.analysis.pieces import MOST_CHARS, Span

FEWEST_AROUND = 4  # words: in a shorter sentence nothing speaks against a pattern


def overrule(
    hits: Sequence[Hit], read: Sequence[Hit], text: str, units: Units, table: PatternTable
) -> list[Hit]:
    """Let what stands around decide where patterns saw a part of it only.

    A finding becomes a mention where every piece that it stands in reads otherwise; what no
    pattern hit, and a piece says all the same, is added as a hit of its own. A user's own patterns
    stand.

    Args:
        hits: of the patterns, in places of the plain text.
        read: the same hits as the cues were learned with them.
        text: the plain text.
        units: of the text.
        table: of its language; without cues all stays as it is.
    """
    if (cues := table.cues) is None:
        return list(hits)
    found = [((h.start, h.end), h.category, h.weight >= FINDING_WEIGHT) for h in read]
    verdicts = sorted(cues.judge(text, table.language, units, found), key=lambda v: v.span)
    starts = [verdict.span[0] for verdict in verdicts]
    kept = [
        _lowered(hit, list(_about(hit.start, hit.end, verdicts, starts)), text, table, cues)
        for hit in hits
    ]
    said: dict[str, list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        if _words(verdict.span, text) >= FEWEST_WORDS:
            for category in verdict.reasons:
                said[category].append(verdict)
    added = [
        _learned(verdict, category, text, table)
        for category, those in said.items()
        for verdict in _surest(those, category, kept)
    ]
    return without_overlaps([*kept, *added])


def _about(
    start: int, end: int, verdicts: Sequence[Verdict], starts: Sequence[int]
) -> Iterator[Verdict]:
    """The verdicts on pieces that a passage meets."""
    for at in range(bisect_left(starts, start - MOST_CHARS), bisect_left(starts, end)):
        if verdicts[at].span[1] > start:
            yield verdicts[at]


def _words(span: Span, text: str) -> int:
    return len(text[slice(*span)].split())


def _lowered(hit: Hit, about: Sequence[Verdict], text: str, table: PatternTable, cues: Cues) -> Hit:
    firm = hit.pattern_id in table.users
    words = sorted(_words(verdict.span, text) for verdict in about) or [0]
    # A passage that is all of the text has nothing around it that could read otherwise.
    alone = words[0] < FEWEST_AROUND or words[-1] <= _words((hit.start, hit.end), text)
    if hit.weight < FINDING_WEIGHT or firm or alone:
        return hit
    likeliest = max(verdict.probabilities[hit.category] for verdict in about)
    if likeliest >= cues.alone.threshold:
        return hit
    reason = f"what stands around it reads otherwise (learned, {likeliest:.0%})"
    return replace(hit, weight=MENTION_WEIGHT, context=reason)


def _surest(verdicts: Iterable[Verdict], category: str, kept: Sequence[Hit]) -> Iterator[Verdict]:
    """Of overlapping pieces that say the same the surest, unless a pattern found it there."""
    taken = _Places(
        (hit.start, hit.end)
        for hit in kept
        if hit.category == category and hit.weight >= FINDING_WEIGHT
    )
    for verdict in sorted(verdicts, key=lambda verdict: -verdict.probabilities[category]):
        if taken.free(verdict.span):
            taken.add(verdict.span)
            yield verdict


class _Places:
    """Passages that do not overlap."""

    def __init__(self, spans: Iterable[Span]) -> None:
        self._spans = sorted(spans)

    def free(self, span: Span) -> bool:
        """Whether a passage meets none of them."""
        at = bisect_left(self._spans, span)
        near = self._spans[max(0, at - 1) : at + 1]
        return all(end <= span[0] or start >= span[1] for start, end in near)

    def add(self, span: Span) -> None:
        self._spans.insert(bisect_left(self._spans, span), span)


def _learned(verdict: Verdict, category: str, text: str, table: PatternTable) -> Hit:
    """A hit where the cues that speak for a category stand, in whole words."""
    places: list[Span] = []
    for start, end in verdict.reasons[category]:
        place = _in_words(start, end, text)
        if not any(place[0] < e and place[1] > s for s, e in places):
            places.append(place)
    places = places[:NAMED] or [verdict.span]
    sure = (verdict.probabilities[category] - verdict.threshold) / (1 - verdict.threshold)
    said = ", ".join(f"“{text[start:end]}”" for start, end in places)
    return Hit(
        category,
        f"{table.language}-learned-{category}",
        min(start for start, _ in places),
        max(end for _, end in places),
        median([p.severity for p in table.patterns if p.category == category] or [0.5]),
        round(FINDING_WEIGHT + (1 - FINDING_WEIGHT) * sure, 2),
        f"learned from labelled sentences; what speaks for it: {said}",
    )


def _in_words(start: int, end: int, text: str) -> Span:
    """A passage widened to whole words."""
    while start > 0 and text[start - 1].isalnum():
        start -= 1
    while end < len(text) and text[end].isalnum():
        end += 1
    return start, end
