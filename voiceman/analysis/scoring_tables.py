"""Every number of scoring, stress and cross-validation: `scoring.toml`, parsed and checked."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from voiceman.analysis.crime_patterns import Tables
from voiceman.analysis.pattern_entries import lay_over, parse_entries
from voiceman.analysis.pattern_tables import load_tables
from voiceman.analysis.sentiment import Lexicons, load_lexicons
from voiceman.contracts import VOICE_FEATURE_NAMES
from voiceman.errors import InvalidRequestError, WeightsError

COMPONENT_NAMES = ("crime_language", "anger", "arousal", "negative_valence", "voice_stress")
READING_NAMES = ("arousal", "dominance", "valence", "anger", "happiness", "sadness", "stress")
PAUSE_SHARE = "pause_share"
DIRECTIONS = ("up", "down", "either")


@dataclass(frozen=True)
class Scale:
    """How one output of a model counts; all numbers are uncalibrated.

    Attributes:
        weight: 0 to 1; of a component: the share of the distance to 100 that it takes at value 1.
        low: the model's output at which its value is 0.
        high: the output at which its value is 1; may lie below `low`.
        uncalibrated: what the numbers rest on, in a sentence.
    """

    weight: float
    low: float
    high: float
    uncalibrated: str

    def value(self, output: float) -> float:
        """The value, 0 to 1, of a model's output; 0 of what is no number."""
        share = (output - self.low) / (self.high - self.low)
        if share >= 1:
            return 1.0
        return share if share > 0 else 0.0


Weights = Mapping[str, Scale]


@dataclass(frozen=True)
class Baseline:
    """What a speaker's own baseline must hold, and which departures from it count.

    Attributes:
        min_utterance_s: shorter utterances take no part, seconds.
        max_overlap_share: nor do those with a larger share in which several people talk.
        min_utterances: the fewest other utterances.
        min_speech_s: the fewest seconds of them together.
        low: robust standard deviations from which a departure counts.
        high: those from which it counts fully.
    """

    min_utterance_s: float
    max_overlap_share: float
    min_utterances: int
    min_speech_s: float
    low: float
    high: float


@dataclass(frozen=True)
class StressFeature:
    """How one voice feature counts as stress; all numbers are uncalibrated.

    Attributes:
        name: a name of VOICE_FEATURE_NAMES, or "pause_share".
        weight: 0 to 1, the share of the distance to 1 that it takes at most.
        direction: "up", "down" or "either", as stress moves it.
        floor: the smallest standard deviation, in the feature's unit.
        floor_share: the same as a share of the median.
    """

    name: str
    weight: float
    direction: str
    floor: float
    floor_share: float


@dataclass(frozen=True)
class CrossValidationRules:
    """When words and voice are said not to fit; all numbers are uncalibrated.

    Attributes:
        menacing: categories of findings that claim power and anger.
        negative: categories that count as negative words of `negative_strength`.
        calm: highest intensity (0 to 1) of calm words.
        menace: lowest menace (0 to 1) of menacing words.
        sentiment: lowest distance from 0 of positive and negative words.
        min_words: fewest words that claim something though none is in the lexicon.
        low: highest place (0 to 1) of a reading that is low.
        high: lowest place of a reading that is high.
        readings: how the voice is read, by READING_NAMES.
    """

    menacing: frozenset[str]
    negative: frozenset[str]
    negative_strength: float
    calm: float
    menace: float
    sentiment: float
    min_words: int
    low: float
    high: float
    readings: Weights


@dataclass(frozen=True)
class ScoringTables:
    """What the score of a window's utterances reads from its weights folder."""

    weights: Weights
    patterns: Tables


@dataclass(frozen=True)
class AssessmentTables:
    """What the assessment of a recording's utterances reads from the same folder."""

    weights: Weights
    baseline: Baseline
    stress: Sequence[StressFeature]
    cross_validation: CrossValidationRules
    lexicons: Lexicons


def load_scoring(folder: Path) -> ScoringTables:
    """Read the components of `scoring.toml`, and `patterns/`, of a folder.

    Raises:
        WeightsError: a file is missing or breaks the format; names the file.
    """
    weights, *_ = _read(folder / "scoring.toml")
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


def load_assessment(folder: Path) -> AssessmentTables:
    """Read `scoring.toml` and `sentiment/` of a folder.

    Raises:
        WeightsError: a file is missing or breaks the format; names the file.
    """
    return AssessmentTables(*_read(folder / "scoring.toml"), load_lexicons(folder / "sentiment"))


def _read(
    path: Path,
) -> tuple[Weights, Baseline, Sequence[StressFeature], CrossValidationRules]:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        return (
            _scales(values["components"], COMPONENT_NAMES),
            _baseline(values["baseline"]),
            [_stress_feature(name, entry) for name, entry in values["stress"].items()],
            _rules(values["cross_validation"]),
        )
    except FileNotFoundError as err:
        raise WeightsError(f"{path}: missing; run voiceman-export scoring") from err
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as err:
        raise WeightsError(
            f"{path}: not a table of weights: {err!r}; run voiceman-export scoring"
        ) from err


def _scales(entries: Mapping[str, Any], names: Sequence[str]) -> Weights:
    return {name: _scale(name, entries[name]) for name in names}


def _scale(name: str, entry: Mapping[str, Any]) -> Scale:
    low, high = _range(name, entry)
    return Scale(_share(name, entry, "weight"), low, high, str(entry["uncalibrated"]))


def _range(name: str, entry: Mapping[str, Any]) -> tuple[float, float]:
    low, high = float(entry["from"]), float(entry["to"])
    if low == high:
        raise ValueError(f"{name}: from and to are both {low:g}, they must differ")
    return low, high


def _share(name: str, entry: Mapping[str, Any], key: str) -> float:
    value = float(entry[key])
    if not 0 <= value <= 1:
        raise ValueError(f"{name}: {key} is {value:g}, allowed are 0 to 1")
    return value


def _baseline(entry: Mapping[str, Any]) -> Baseline:
    low, high = _range("baseline", entry)
    if not 0 <= low < high:
        raise ValueError(f"baseline: from is {low:g}, allowed are 0 to less than {high:g}")
    if int(entry["min_utterances"]) < 1 or float(entry["min_utterance_s"]) <= 0:
        raise ValueError("baseline: min_utterances and min_utterance_s must be above 0")
    return Baseline(
        float(entry["min_utterance_s"]),
        _share("baseline", entry, "max_overlap_share"),
        int(entry["min_utterances"]),
        float(entry["min_speech_s"]),
        low,
        high,
    )


def _stress_feature(name: str, entry: Mapping[str, Any]) -> StressFeature:
    if name not in (*VOICE_FEATURE_NAMES, PAUSE_SHARE):
        raise ValueError(f"stress: {name!r} is no voice feature")
    if entry["direction"] not in DIRECTIONS:
        raise ValueError(f"{name}: direction is {entry['direction']!r}: up, down or either")
    floors = float(entry.get("floor", 0)), float(entry.get("floor_share", 0))
    if min(floors) < 0 or max(floors) == 0:
        raise ValueError(f"{name}: give a floor or a floor_share above 0")
    return StressFeature(name, _share(name, entry, "weight"), entry["direction"], *floors)


def _rules(entry: Mapping[str, Any]) -> CrossValidationRules:
    name = "cross_validation"
    return CrossValidationRules(
        menacing=frozenset(map(str, entry["menacing"])),
        negative=frozenset(map(str, entry["negative"])),
        negative_strength=float(entry["negative_strength"]),
        calm=_share(name, entry, "calm"),
        menace=_share(name, entry, "menace"),
        sentiment=_share(name, entry, "sentiment"),
        min_words=int(entry["min_words"]),
        low=_share(name, entry, "low"),
        high=_share(name, entry, "high"),
        readings=_scales(entry["readings"], READING_NAMES),
    )
