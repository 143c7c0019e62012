"""The score of a window, a speaker or a recording, from those of the utterances.

All of them are as notable as their most notable utterance: means would bury one grave sentence
in an hour of small talk, and to join all utterances like components would let small talk alone
reach 100 if there is enough of it. The components shown are those of that utterance, with their
means over all utterances, weighted by duration; coverage is that of all utterances, weighted
likewise. The evidence is the first of all utterances by points.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

from voiceman.evidence import Component, EvidenceItem, Score

MOST_EVIDENCE = 20  # items; the scores of the utterances hold all


@dataclass(frozen=True)
class Scored:
    """An utterance with its score.

    Attributes:
        speaker: who speaks.
        start: in the recording, seconds.
        duration: seconds.
        score: its evidence in times of the recording.
    """

    speaker: str
    start: float
    duration: float
    score: Score


def in_order_of_points(item: EvidenceItem) -> tuple[float, float, float, str, str]:
    """Sorts evidence: most points first, then by time, then by name."""
    return -item["points"], item["start"], item["end"], item["component"], item["detail"]


def highest(scores: Sequence[Score]) -> Score:
    """The score of a window: that of its most notable utterance, the first of equal ones."""
    known = [score for score in scores if score["value"] is not None]
    if not known:
        return Score(value=None, coverage=0.0, components=[], evidence=[])
    return max(known, key=lambda score: score["value"] or 0.0)


def score_many(scored: Sequence[Scored]) -> Score:
    """The highest score, with means and coverage over all utterances, in any order."""
    known = [item for item in scored if item.score["value"] is not None]
    shown = known or scored
    top = max(shown, key=lambda item: (item.score["value"] or 0.0, -item.start), default=None)
    if top is None:
        return Score(value=None, coverage=0.0, components=[], evidence=[])
    total = sum(item.duration for item in scored)
    covered = sum(item.duration * item.score["coverage"] for item in scored)
    best = top.score
    items = (_named(part, item) for item in scored for part in item.score["evidence"])
    return Score(
        value=best["value"],
        coverage=round(covered / total, 4) if total else 0.0,
        components=[_with_mean(component, top, scored) for component in best["components"]],
        evidence=heapq.nsmallest(MOST_EVIDENCE, items, key=in_order_of_points),
    )


def _named(part: EvidenceItem, item: Scored) -> EvidenceItem:
    named = part.copy()
    named["speaker"] = item.speaker
    return named


def _with_mean(component: Component, top: Scored, scored: Sequence[Scored]) -> Component:
    """The component of the top utterance, its reason with place and mean over all."""
    known = [
        (item.duration, part["value"])
        for item in scored
        for part in item.score["components"]
        if part["name"] == component["name"] and part["value"] is not None
    ]
    heard = sum(duration for duration, _ in known)
    if not heard:
        return component
    mean = sum(duration * value for duration, value in known) / heard
    reason = (
        f"{component['reason']} (utterance at {top.start:.1f} s; "
        f"mean {mean:.2f} over {len(known)} of {len(scored)} utterances, {heard:.1f} s)"
    )
    return Component(
        name=component["name"],
        value=component["value"],
        weight=component["weight"],
        reason=reason,
    )
