"""What the tables of crime language say, ready to use: patterns and context rules.

`voiceman.analysis.pattern_tables` reads them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from voiceman.analysis.cues import Cues
from voiceman.analysis.phrases import Search
from voiceman.analysis.prefilter import Prefilter

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
PLACES = ("before", "inside", "after", "near", "sentence")
REACH = 40  # characters between the parts of a pattern, and between a hit and its context

Entry = Mapping[str, Any]


@dataclass(frozen=True)
class Pattern:
    """One form of crime language.

    Attributes:
        id: unique among all tables.
        category: one of CATEGORIES.
        severity: 0 to 1, how grave the act is; uncalibrated.
        parts: what has to stand together (`all` in the file); the first one says most.
        ordered: whether the parts must follow each other as they are listed.
        reach: the most characters between the first part and each other one.
        unless: what must not stand within the same reach of the hit; None: nothing.
        matches: examples that must be findings.
        harmless: examples that must not be (near misses).
        source: where the pattern comes from.
    """

    id: str
    category: str
    severity: float
    parts: tuple[Search, ...]
    ordered: bool
    reach: int
    unless: Search | None
    matches: tuple[str, ...]
    harmless: tuple[str, ...]
    source: str


@dataclass(frozen=True)
class ContextRule:
    """What lowers the weight of a hit.

    Attributes:
        id: unique within its table.
        where: "before", "inside" or "after" the hit, "near" (all three), or in its "sentence".
        any: what to look for there.
        reach: how far from the hit, characters.
        unless: what voids the rule when it stands near; None: nothing.
        weight: the hit's weight is at most this, 0 to 1; uncalibrated.
        reason: why, in words for the report.
        categories: the categories it applies to.
    """

    id: str
    where: str
    any: Search
    reach: int
    unless: Search | None
    weight: float
    reason: str
    categories: frozenset[str]


@dataclass(frozen=True, eq=False)
class PatternTable:
    """The patterns and context rules of one language.

    Attributes:
        language: ISO 639-1 code.
        patterns: in the order of the file, a user's last.
        contexts: likewise.
        outranks: by category those whose hits beside it count as its means, as mentions.
        spelling: what stands in the text, and what is read in its place.
        prefilter: which of the patterns a text can hold.
        entries: what the table was made of, for a user's table on top of it.
        cues: what whole sentences say, learned; None: patterns alone decide.
        users: ids of the patterns that are a user's own: the cues do not overrule these.
    """

    language: str
    patterns: tuple[Pattern, ...]
    contexts: tuple[ContextRule, ...]
    outranks: Mapping[str, frozenset[str]]
    spelling: Mapping[str, str]
    prefilter: Prefilter
    entries: Entry
    cues: Cues | None = None
    users: frozenset[str] = frozenset()


Tables = Mapping[str, PatternTable]
