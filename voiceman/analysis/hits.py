"""Hits of crime language in a text: findings and mentions."""

from collections.abc import Sequence
from dataclasses import dataclass

FINDING_WEIGHT = 0.5  # from here on a hit is a finding, below it a mention
MENTION_WEIGHT = 0.4  # of what would be a finding by itself


@dataclass(frozen=True)
class Hit:
    """A passage that a pattern hit: `text[start:end]` of the text that was searched.

    `weight` (0 to 1) is 0.5 or more for a finding and less for a mention; `context` says why.
    """

    category: str
    pattern_id: str
    start: int
    end: int
    severity: float
    weight: float
    context: str


def without_overlaps(hits: Sequence[Hit]) -> list[Hit]:
    """One hit, the gravest, of every chain of overlapping ones in a category.

    So that one passage counts once, however many patterns describe it.
    """
    gravest: list[Hit] = []
    chain_end = 0
    for hit in sorted(hits, key=lambda hit: (hit.category, hit.start, hit.end, hit.pattern_id)):
        last = gravest[-1] if gravest else None
        if last is None or last.category != hit.category or hit.start >= chain_end:
            gravest.append(hit)
            chain_end = hit.end
            continue
        chain_end = max(chain_end, hit.end)
        if hit.weight * hit.severity > last.weight * last.severity:
            gravest[-1] = hit
    return sorted(gravest, key=lambda hit: (hit.start, hit.end, hit.pattern_id))
