"""The tables of crime language as data: patterns, context rules, and how they are read.

A table is one `<language>.toml` with `[[pattern]]` and `[[context]]` entries, whose fields are
those of `Pattern` and `ContextRule` (`regex` stands for `expression`).
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from voiceman.errors import WeightsError

CATEGORIES = (
    "threat",
    "extortion",
    "coercion",
    "fraud",
    "stalking",
    "sexual_harassment",
    "insult",
    "gaslighting",
    "evidence_tampering",
    "bribery",
    "drugs",
    "violence",
    "self_harm",
)
DATA_FOLDER = Path(__file__).parent.parent / "data" / "patterns"


@dataclass(frozen=True)
class Pattern:
    """One form of crime language.

    Attributes:
        id: unique among all tables.
        category: one of CATEGORIES.
        severity: 0 to 1, how grave the act is; uncalibrated.
        expression: what to look for in normalised text, case ignored.
        matches: examples that must be findings.
        harmless: examples that must not be (near misses).
        source: where the pattern comes from.
    """

    id: str
    category: str
    severity: float
    expression: re.Pattern[str]
    matches: tuple[str, ...]
    harmless: tuple[str, ...]
    source: str


@dataclass(frozen=True)
class ContextRule:
    """What lowers the weight of a hit.

    Attributes:
        id: unique within its table.
        where: "before" or "after" the hit (40 characters), or anywhere in the "text".
        expression: what to look for there.
        weight: the hit's weight is at most this, 0 to 1; uncalibrated.
        reason: why, in words for the report.
        categories: the categories it applies to; empty: all.
    """

    id: str
    where: str
    expression: re.Pattern[str]
    weight: float
    reason: str
    categories: tuple[str, ...]


@dataclass(frozen=True)
class PatternTable:
    """The patterns and context rules of one language."""

    language: str
    patterns: tuple[Pattern, ...]
    contexts: tuple[ContextRule, ...]


Tables = Mapping[str, PatternTable]


@lru_cache
def default_tables() -> Tables:
    """The tables that come with voiceman, by language."""
    return load_tables(DATA_FOLDER)


def load_tables(folder: Path) -> dict[str, PatternTable]:
    """Read every `<language>.toml` of a folder.

    Raises:
        WeightsError: a file is missing, no TOML, or breaks the format; names file and entry.
    """
    paths = sorted(folder.glob("*.toml"))
    if not paths:
        raise WeightsError(f"{folder}: no pattern tables; run voiceman-export scoring")
    tables = [_read_table(path) for path in paths]
    ids = [pattern.id for table in tables for pattern in table.patterns]
    if repeated := sorted({name for name in ids if ids.count(name) > 1}):
        raise WeightsError(f"{folder}: pattern ids used twice: {', '.join(repeated)}")
    return {table.language: table for table in tables}


def _read_table(path: Path) -> PatternTable:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        return PatternTable(
            values["language"],
            tuple(_read_pattern(entry) for entry in values["pattern"]),
            tuple(_read_rule(entry) for entry in values.get("context", [])),
        )
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError, ValueError, re.error) as err:
        raise WeightsError(f"{path}: not a pattern table: {err!r}") from err


def _read_pattern(entry: dict[str, Any]) -> Pattern:
    if entry["category"] not in CATEGORIES:
        raise ValueError(f"{entry['id']}: unknown category {entry['category']!r}")
    return Pattern(
        entry["id"],
        entry["category"],
        _share(entry, "severity"),
        re.compile(entry["regex"], re.IGNORECASE),
        _texts(entry, "matches"),
        _texts(entry, "harmless"),
        entry["source"],
    )


def _read_rule(entry: dict[str, Any]) -> ContextRule:
    if entry["where"] not in ("before", "after", "text"):
        raise ValueError(f"{entry['id']}: where is {entry['where']!r}: before, after or text")
    return ContextRule(
        entry["id"],
        entry["where"],
        re.compile(entry["regex"], re.IGNORECASE),
        _share(entry, "weight"),
        entry["reason"],
        tuple(entry.get("categories", [])),
    )


def _share(entry: Mapping[str, Any], name: str) -> float:
    value = float(entry[name])
    if not 0 <= value <= 1:
        raise ValueError(f"{entry['id']}: {name} is {value}, allowed are 0 to 1")
    return value


def _texts(entry: Mapping[str, Any], name: str) -> tuple[str, ...]:
    texts = tuple(str(text) for text in entry[name])
    if not texts:
        raise ValueError(f"{entry['id']}: {name} is empty; give at least one example")
    return texts
