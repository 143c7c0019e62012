"""The score of an utterance: 0 to 100, with the components that it rests on.

A score is a reading aid that says where to look first. It is no verdict and no proof: nothing
in it was calibrated against labelled cases.

Components are joined by the complementary product, 100 (1 - Π (1 - weight · value)), over the
available ones. So the score is bounded, does not depend on any order, and never falls when a
value rises or a component is added: calm speech does not take back what the words say. A
weighted mean would fall whenever a model that found nothing becomes available.
"""

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from voiceman.analysis.pattern_tables import Tables, lay_over, load_tables, parse_entries
from voiceman.errors import InvalidRequestError, WeightsError
from voiceman.evidence import Component, Finding, Score

DISCLAIMER = (
    "The score is a reading aid: it says where to look first. It is no verdict and no proof. "
    "Its weights are uncalibrated; coverage says on which share of them it rests."
)
COMPONENT_NAMES = ("crime_language", "anger", "arousal", "negative_valence", "voice_stress")
# Which output of which model a component counts.
_EMOTION_OUTPUTS = {
    "anger": ("emotion_categorical", "anger"),
    "arousal": ("emotion_dimensional", "arousal"),
    "negative_valence": ("emotion_dimensional", "valence"),
}
NEEDS_BASELINE = "needs the speaker's own baseline, which this version does not measure"

_DIGITS = 4


@dataclass(frozen=True)
class ComponentWeight:
    """How one component counts; all numbers are uncalibrated.

    Attributes:
        weight: 0 to 1, the share of the distance to 100 that it takes at value 1.
        low: the model's output at which its value is 0.
        high: the output at which its value is 1; may lie below `low`.
        uncalibrated: what the numbers rest on, in a sentence.
    """

    weight: float
    low: float
    high: float
    uncalibrated: str

    def value(self, output: float) -> float:
        """The component's value, 0 to 1, of a model's output."""
        return min(1.0, max(0.0, (output - self.low) / (self.high - self.low)))


Weights = Mapping[str, ComponentWeight]


@dataclass(frozen=True)
class ScoringTables:
    """Everything that scoring reads from its weights folder."""

    weights: Weights
    patterns: Tables


@dataclass(frozen=True)
class Observed:
    """What the models found in one utterance; None where they have no answer.

    Attributes:
        findings: hits of the crime-language patterns, also an empty list.
        emotion_dimensional: arousal, dominance, valence by name, about 0 to 1.
        emotion_categorical: probability by category.
        unavailable: reason by model or component for everything that is None.
    """

    findings: Sequence[Finding] | None
    emotion_dimensional: Mapping[str, float] | None
    emotion_categorical: Mapping[str, float] | None
    unavailable: Mapping[str, str]


def load_scoring(folder: Path) -> ScoringTables:
    """Read `scoring.toml` and `patterns/` of a folder.

    Raises:
        WeightsError: a file is missing or breaks the format; names the file.
    """
    path = folder / "scoring.toml"
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8"))["components"]
        weights = {
            name: ComponentWeight(
                float(entries[name]["weight"]),
                float(entries[name]["from"]),
                float(entries[name]["to"]),
                str(entries[name]["uncalibrated"]),
            )
            for name in COMPONENT_NAMES
        }
    except FileNotFoundError as err:
        raise WeightsError(f"{path}: missing; run voiceman-export scoring") from err
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as err:
        raise WeightsError(f"{path}: not a table of weights: {err!r}") from err
    for name, weight in weights.items():
        if not 0 <= weight.weight <= 1 or weight.low == weight.high:
            raise WeightsError(f"{path}: {name}: weight must be 0 to 1, from and to must differ")
    return ScoringTables(weights, load_tables(folder / "patterns"))


def with_patterns(tables: ScoringTables, patterns: str) -> ScoringTables:
    """The tables with a user's patterns on top of the shipped ones of their language.

    Args:
        tables: as shipped.
        patterns: a table as TOML; empty: none.

    Raises:
        InvalidRequestError: they break the format, or are of a language without a table.
    """
    if not patterns:
        return tables
    users = parse_entries(patterns, "OPTIONS: patterns", InvalidRequestError)
    language = users["language"]
    if language not in tables.patterns:
        raise InvalidRequestError(
            f"OPTIONS: patterns for {language!r}; there are {', '.join(sorted(tables.patterns))}"
        )
    shipped = tables.patterns[language]
    table = lay_over(shipped, users, "OPTIONS: patterns", InvalidRequestError)
    return replace(tables, patterns={**tables.patterns, language: table})


def score_utterance(observed: Observed, weights: Weights) -> Score:
    """Score one utterance from what the models found in it."""
    stress = weights["voice_stress"].weight
    return combine(
        [
            _crime_language(observed, weights["crime_language"]),
            *(_emotion(name, observed, weights[name]) for name in _EMOTION_OUTPUTS),
            Component(name="voice_stress", value=None, weight=stress, reason=NEEDS_BASELINE),
        ]
    )


def _crime_language(observed: Observed, weight: ComponentWeight) -> Component:
    """1 - Π (1 - severity · weight) over the hits: each closes a part of the distance to 1."""
    if observed.findings is None:
        reason = observed.unavailable.get("crime_language", "no text")
        return Component(name="crime_language", value=None, weight=weight.weight, reason=reason)
    rest = math.prod(1 - hit["severity"] * hit["weight"] for hit in observed.findings)
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


def _emotion(name: str, observed: Observed, weight: ComponentWeight) -> Component:
    """A component that is one output of one emotion model, mapped to 0 to 1."""
    model, output = _EMOTION_OUTPUTS[name]
    values = {
        "emotion_categorical": observed.emotion_categorical,
        "emotion_dimensional": observed.emotion_dimensional,
    }[model]
    if values is None:
        reason = observed.unavailable.get(model, f"no answer from {model}")
        return Component(name=name, value=None, weight=weight.weight, reason=reason)
    return Component(
        name=name,
        value=round(weight.value(values[output]), _DIGITS),
        weight=weight.weight,
        reason=f"{output} {values[output]:.2f}, counted from {weight.low:g} to {weight.high:g}",
    )


def combine(components: Sequence[Component]) -> Score:
    """Join components by the complementary product; None without any available one."""
    total = sum(component["weight"] for component in components)
    values = sorted(
        component["weight"] * component["value"]
        for component in components
        if component["value"] is not None
    )
    available = sum(c["weight"] for c in components if c["value"] is not None)
    score = 100 * (1 - math.prod(1 - value for value in values)) if values else None
    return Score(
        value=None if score is None else round(score, 1),
        coverage=round(available / total, _DIGITS) if total > 0 else 0.0,
        components=list(components),
    )


def highest(scores: Sequence[Score]) -> Score:
    """The score of many: a window is as notable as its most notable utterance.

    Utterances that say nothing never dilute it. Among equal ones the first counts, and the
    components say which passage it was.
    """
    known = [score for score in scores if score["value"] is not None]
    if not known:
        return Score(value=None, coverage=0.0, components=[])
    return max(known, key=lambda score: score["value"] or 0.0)
