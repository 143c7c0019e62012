"""Hits of crime language in a text: findings and mentions."""

from bisect import bisect_left
from collections import defaultdict
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
    """Of overlapping hits of one category the gravest, so that one passage counts once.

    What overlaps only a hit that went stays: a wide weak hit joins no two findings.
    """
    kept: dict[str, list[Hit]] = defaultdict(list)  # by place; they do not overlap
    for hit in sorted(hits, key=_gravest_first):
        others = kept[hit.category]
        at = bisect_left(others, hit.start, key=lambda other: other.start)
        before, behind = others[max(0, at - 1) : at], others[at : at + 1]
        if all(o.end <= hit.start for o in before) and all(o.start >= hit.end for o in behind):
            others.insert(at, hit)
    every = [hit for others in kept.values() for hit in others]
    return sorted(every, key=lambda hit: (hit.start, hit.end, hit.pattern_id))


def _gravest_first(hit: Hit) -> tuple[float, str, int, int, str]:
    return -hit.weight * hit.severity, hit.category, hit.start, hit.end, hit.pattern_id
