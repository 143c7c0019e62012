"""What the learned cues make of the hits of the patterns: some are overruled, others added."""

from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from voiceman.analysis.crime_patterns import PatternTable
from voiceman.analysis.cues import FEWEST_WORDS, NAMED, Cues, Verdict
from voiceman.analysis.hits import FINDING_WEIGHT, MENTION_WEIGHT, Hit, without_overlaps
from voiceman.analysis.morphemes import Units


def overrule(
    hits: Sequence[Hit], text: str, units: Units, table: PatternTable, cues: Cues
) -> list[Hit]:
    """Let whole sentences decide where patterns saw a part of them only.

    A finding whose sentence reads otherwise becomes a mention; what no pattern hit, and the
    sentence says all the same, is added as a hit of its own. A user's own patterns stand.

    Args:
        hits: of the patterns, in places of the plain text.
        text: the plain text.
        units: of the text.
        table: of its language.
        cues: of the table.
    """
    found = [((h.start, h.end), h.category, h.weight >= FINDING_WEIGHT) for h in hits]
    verdicts = list(cues.judge(text, table.language, units, found))
    kept = [_lowered(hit, verdicts, table, cues) for hit in hits]
    added = [
        _learned(verdict, category, text, table, cues)
        for verdict in verdicts
        for category in verdict.reasons
        if len(text[slice(*verdict.span)].split()) >= FEWEST_WORDS
        and not any(
            hit.category == category and hit.weight >= FINDING_WEIGHT and _meets(hit, verdict)
            for hit in kept
        )
    ]
    return without_overlaps([*kept, *added])


def _lowered(hit: Hit, verdicts: Sequence[Verdict], table: PatternTable, cues: Cues) -> Hit:
    if hit.weight < FINDING_WEIGHT or hit.pattern_id in table.users:
        return hit
    chances = [verdict.probabilities[hit.category] for verdict in verdicts if _meets(hit, verdict)]
    likeliest = max(chances, default=1.0)
    if likeliest >= cues.threshold:
        return hit
    reason = f"the sentence as a whole reads otherwise (learned, {likeliest:.0%})"
    return replace(hit, weight=MENTION_WEIGHT, context=reason)


def _learned(verdict: Verdict, category: str, text: str, table: PatternTable, cues: Cues) -> Hit:
    """A hit where the cues that speak for a category stand."""
    places: list[tuple[int, int]] = []
    for start, end in verdict.reasons[category]:
        if not any(start < e and end > s for s, e in places):
            places.append((start, end))
    places = places[:NAMED] or [verdict.span]
    sure = (verdict.probabilities[category] - cues.threshold) / (1 - cues.threshold)
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


def _meets(hit: Hit, verdict: Verdict) -> bool:
    start, end = verdict.span
    return hit.start < end and hit.end > start
