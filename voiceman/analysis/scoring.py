"""The score of an utterance: 0 to 100, with the components and the evidence that it rests on.

A score is a reading aid that says where to look first. It is no verdict and no proof: nothing
in it was calibrated against labelled cases.

Components are joined by the complementary product, 100 (1 - Π (1 - weight · value)), over the
available ones. So the score is bounded, does not depend on any order, and never falls when a
value rises or a component is added: calm speech does not take back what the words say. A
weighted mean would fall whenever a model that found nothing becomes available. (Another utterance
belongs to the voice that stress is measured against, so it may move the stress of others.)

The score's points are shared out to the evidence in proportion to -log(1 - weight · value), and
those of the words to their findings in proportion to -log(1 - severity · weight): what closes
more of the distance to 100 has more of them, equal things have equal points, and all of them
together are the score. What the score would lose without an item is no such measure: of two
equally grave threats either could be missed, and both would seem to be worth nothing.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from voiceman.analysis.recording_score import in_order_of_points
from voiceman.analysis.scoring_tables import Scale, Weights
from voiceman.evidence import Component, EvidenceItem, Finding, Score, Stress

NEEDS_RECORDING = "needs the speaker's other utterances: known for whole recordings only"
# Which output of which model a component counts.
_EMOTION_OUTPUTS = {
    "anger": ("emotion_categorical", "anger"),
    "arousal": ("emotion_dimensional", "arousal"),
    "negative_valence": ("emotion_dimensional", "valence"),
}
_DIGITS = 4
_POINT_DIGITS = 2
_LEAST_REST = 1e-9  # of the distance to 100; keeps the logarithm of a full component finite


@dataclass(frozen=True)
class Observed:
    """What the models found in one utterance; None where they have no answer.

    Attributes:
        start: of the utterance, seconds.
        end: of the utterance, seconds.
        findings: hits of the crime-language patterns, also an empty list.
        finding_times: start and end of every finding, seconds.
        emotion_dimensional: arousal, dominance, valence by name, about 0 to 1.
        emotion_categorical: probability by category.
        stress: of the voice against the speaker's own; None: only a window is known.
        unavailable: reason by model or component for everything that is None.
    """

    start: float
    end: float
    findings: Sequence[Finding] | None
    finding_times: Sequence[tuple[float, float]]
    emotion_dimensional: Mapping[str, float] | None
    emotion_categorical: Mapping[str, float] | None
    stress: Stress | None
    unavailable: Mapping[str, str]


def score_utterance(observed: Observed, weights: Weights) -> Score:
    """Score one utterance from what the models found in it."""
    components = [
        _crime_language(observed, weights["crime_language"]),
        *(_emotion(name, observed, weights[name]) for name in _EMOTION_OUTPUTS),
        _voice_stress(observed.stress, weights["voice_stress"]),
    ]
    score = combine(components)
    score["evidence"] = sorted(_evidence(observed, score), key=in_order_of_points)
    return score


def _crime_language(observed: Observed, weight: Scale) -> Component:
    """1 - Π (1 - severity · weight) over the hits: each closes a part of the distance to 1."""
    if observed.findings is None:
        reason = observed.unavailable.get("crime_language", "no text")
        return Component(name="crime_language", value=None, weight=weight.weight, reason=reason)
    rest = math.prod(sorted(1 - hit["severity"] * hit["weight"] for hit in observed.findings))
    return Component(
        name="crime_language",
        value=round(weight.value(1 - rest), _DIGITS),
        weight=weight.weight,
        reason="; ".join(map(_describe, observed.findings)) or "no pattern matched",
    )


def _describe(hit: Finding) -> str:
    return (
        f"{hit['category']} ({hit['pattern_id']}) at {hit['start']}-{hit['end']} "
        f"“{hit['text']}”: severity {hit['severity']:g}, weight {hit['weight']:g}, "
        f"{hit['context']}"
    )


def _emotion(name: str, observed: Observed, weight: Scale) -> Component:
    """A component that is one output of one emotion model, mapped to 0 to 1."""
    model, output = _EMOTION_OUTPUTS[name]
    categorical = model == "emotion_categorical"
    values = observed.emotion_categorical if categorical else observed.emotion_dimensional
    if values is None or not math.isfinite(values[output]):
        reason = observed.unavailable.get(model, f"no answer from {model}")
        return Component(name=name, value=None, weight=weight.weight, reason=reason)
    return Component(
        name=name,
        value=round(weight.value(values[output]), _DIGITS),
        weight=weight.weight,
        reason=f"{output} {values[output]:.2f}, counted from {weight.low:g} to {weight.high:g}",
    )


def _voice_stress(stress: Stress | None, weight: Scale) -> Component:
    if stress is None or stress["value"] is None:
        reason = stress["reason"] if stress else NEEDS_RECORDING
        return Component(name="voice_stress", value=None, weight=weight.weight, reason=reason)
    counted = [item for item in stress["contributions"] if item["contribution"] > 0]
    named = ", ".join(f"{item['feature']} z {item['z']:+.1f}" for item in counted)
    return Component(
        name="voice_stress",
        value=round(weight.value(stress["value"]), _DIGITS),
        weight=weight.weight,
        reason=f"{named or 'no feature departs from the speaker’s own'} ({stress['reason']})",
    )


def combine(components: Sequence[Component]) -> Score:
    """Join components by the complementary product; None without any available one."""
    total = available = 0.0
    values: list[float] = []
    for component in components:
        total += component["weight"]
        if component["value"] is not None:
            available += component["weight"]
            values.append(component["weight"] * component["value"])
    # In a fixed order: products of floats depend on it in their last digits.
    rest = math.prod([1 - value for value in sorted(values)])
    return Score(
        value=round(100 * (1 - rest), 1) if values else None,
        coverage=round(available / total, _DIGITS) if total > 0 else 0.0,
        components=list(components),
        evidence=[],
    )


def _evidence(observed: Observed, score: Score) -> Iterator[EvidenceItem]:
    """The items that have points; see the module for how these are shared out."""
    parts = [
        (part, _closed(part["weight"] * part["value"]))
        for part in score["components"]
        if part["value"]
    ]
    total = math.fsum(closed for _, closed in parts)
    for part, closed in parts:
        points = (score["value"] or 0.0) * closed / total if total > 0 else 0.0
        if part["name"] == "crime_language":
            yield from _finding_items(observed, points)
        else:
            yield EvidenceItem(
                start=observed.start,
                end=observed.end,
                component=part["name"],
                points=round(points, _POINT_DIGITS),
                detail=part["reason"],
            )


def _finding_items(observed: Observed, points: float) -> Iterator[EvidenceItem]:
    findings = observed.findings or ()
    closed = [_closed(hit["severity"] * hit["weight"]) for hit in findings]
    total = math.fsum(closed)
    for hit, part, (start, end) in zip(findings, closed, observed.finding_times, strict=True):
        if part > 0:
            yield EvidenceItem(
                start=start,
                end=end,
                component="crime_language",
                points=round(points * part / total, _POINT_DIGITS),
                detail=_describe(hit),
            )


def _closed(value: float) -> float:
    """-log of what a value of 0 to 1 leaves of the distance to 1."""
    return -math.log(max(1 - value, _LEAST_REST))
