"""How the entries of a pattern table are checked and compiled; the format: `pattern_tables`."""

import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from voiceman.analysis.crime_patterns import (
    CATEGORIES,
    PLACES,
    REACH,
    ContextRule,
    Entry,
    Pattern,
    PatternTable,
)
from voiceman.analysis.phrases import Search, compile_phrases
from voiceman.analysis.prefilter import Prefilter, make_prefilter
from voiceman.errors import VoicemanError

_BOTH_FIELDS = frozenset({"id", "enabled", "reach", "unless"})
_PATTERN_FIELDS = _BOTH_FIELDS | {
    "category",
    "severity",
    "all",
    "ordered",
    "matches",
    "harmless",
    "source",
}
_CONTEXT_FIELDS = _BOTH_FIELDS | {
    "where",
    "any",
    "weight",
    "reason",
    "categories",
    "not_categories",
}
_TABLE_FIELDS = frozenset(["language", "concepts", "outranks", "spelling", "pattern", "context"])

_MAPPINGS = ("concepts", "outranks", "spelling")

T = TypeVar("T")


def parse_entries(text: str, name: str, error: type[VoicemanError]) -> Entry:
    """The TOML of a table.

    Raises:
        error: no TOML, no language, or a field that no table has; names the file (`name`).
    """
    try:
        entries = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as err:
        raise error(f"{name}: no TOML: {err}") from err
    if unknown := sorted(entries.keys() - _TABLE_FIELDS):
        raise error(
            f"{name}: unknown field {unknown[0]!r}; known are {', '.join(sorted(_TABLE_FIELDS))}"
        )
    if not isinstance(entries.get("language"), str):
        raise error(f'{name}: needs a language, language = "ko" for example')
    for kind in ("pattern", "context"):
        listed = entries.setdefault(kind, [])
        if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
            raise error(f"{name}: write every {kind} below a line [[{kind}]]")
    for kind in _MAPPINGS:
        if not isinstance(entries.setdefault(kind, {}), dict):
            raise error(f"{name}: {kind} must be a table: [{kind}]")
    return entries


def build_table(entries: Entry, name: str, error: type[VoicemanError]) -> PatternTable:
    """Check and compile the entries of a table.

    Raises:
        error: an entry breaks the format; names the file (`name`) and the entry.
    """
    compiler = _Compiler(entries["concepts"])
    patterns = _each(entries["pattern"], compiler.pattern, f"{name}: pattern", error)
    contexts = _each(entries["context"], compiler.context, f"{name}: context", error)
    enabled = [entry for entry in entries["pattern"] if entry.get("enabled", True)]
    spelling = {str(read): str(meant) for read, meant in entries["spelling"].items()}
    try:
        prefilter = compiler.prefilter(enabled)
    except ValueError as err:
        raise error(f"{name}: too many patterns: {err}") from err
    outranks = {name: frozenset(lower) for name, lower in entries["outranks"].items()}
    return PatternTable(
        entries["language"], patterns, contexts, outranks, spelling, prefilter, entries
    )


def _each(
    entries: Iterable[Entry], read: Callable[[Entry], T], name: str, error: type[VoicemanError]
) -> tuple[T, ...]:
    found: dict[str, T] = {}
    for index, entry in enumerate(entries, 1):
        which = entry.get("id", f"number {index}")
        if not isinstance(entry.get("id"), str) or which in found:
            raise error(f"{name} {which}: needs an id of its own")
        if not entry.get("enabled", True):
            continue
        try:
            found[which] = read(entry)
        except KeyError as err:
            raise error(f"{name} {which}: {err.args[0]} is missing") from err
        except (TypeError, ValueError, RecursionError) as err:
            raise error(f"{name} {which}: {err}") from err
    return tuple(found.values())


def lay_over(
    table: PatternTable, users: Entry, name: str, error: type[VoicemanError]
) -> PatternTable:
    """A shipped table with a user's entries on top of it.

    Raises:
        error: an entry breaks the format; names the file (`name`) and the entry.
    """
    entries: dict[str, Any] = {"language": table.language}
    for kind in _MAPPINGS:
        entries[kind] = {**table.entries[kind], **users[kind]}
    for kind in ("pattern", "context"):
        own = {entry.get("id") for entry in users[kind]}
        kept = [entry for entry in table.entries[kind] if entry["id"] not in own]
        entries[kind] = [*kept, *users[kind]]
    own = frozenset(entry["id"] for entry in users["pattern"])
    return replace(build_table(entries, name, error), cues=table.cues, users=own)


class _Compiler:
    """Reads entries; phrases that several of them share are compiled once."""

    def __init__(self, concepts: Mapping[str, Sequence[str]]) -> None:
        self._concepts = {name: _phrases(f"concept {name}", of) for name, of in concepts.items()}
        self._searches: dict[tuple[str, ...], Search] = {}

    def pattern(self, entry: Entry) -> Pattern:
        _check_fields(entry, _PATTERN_FIELDS)
        if entry["category"] not in CATEGORIES:
            raise ValueError(
                f"unknown category {entry['category']!r}; known are {', '.join(CATEGORIES)}"
            )
        parts = entry["all"]
        if not isinstance(parts, list) or not parts:
            raise ValueError("all must be a list with at least one phrase")
        return Pattern(
            entry["id"],
            entry["category"],
            _share(entry, "severity"),
            tuple(self._search(part) for part in parts),
            bool(entry.get("ordered", False)),
            _reach(entry),
            self._maybe(entry.get("unless")),
            _phrases("matches", entry["matches"]),
            _phrases("harmless", entry["harmless"]),
            str(entry["source"]),
        )

    def context(self, entry: Entry) -> ContextRule:
        _check_fields(entry, _CONTEXT_FIELDS)
        if entry["where"] not in PLACES:
            raise ValueError(f"where is {entry['where']!r}, not one of {', '.join(PLACES)}")
        named = frozenset(entry.get("categories", CATEGORIES))
        return ContextRule(
            entry["id"],
            entry["where"],
            self._search(entry["any"]),
            _reach(entry),
            self._maybe(entry.get("unless")),
            _share(entry, "weight"),
            str(entry["reason"]),
            named - frozenset(entry.get("not_categories", ())),
        )

    def prefilter(self, entries: Iterable[Entry]) -> Prefilter:
        parts = [[_phrases("all", part) for part in entry["all"]] for entry in entries]
        return make_prefilter(parts, self._concepts)

    def _maybe(self, phrases: object) -> Search | None:
        return None if phrases is None else self._search(phrases)

    def _search(self, written: object) -> Search:
        phrases = _phrases("a part", written)
        if phrases not in self._searches:
            self._searches[phrases] = compile_phrases(phrases, self._concepts)
        return self._searches[phrases]


def _check_fields(entry: Entry, known: frozenset[str]) -> None:
    if unknown := sorted(entry.keys() - known):
        raise ValueError(f"unknown field {unknown[0]!r}; known are {', '.join(sorted(known))}")


def _phrases(name: str, written: object) -> tuple[str, ...]:
    """One text or a list of them."""
    listed = [written] if isinstance(written, str) else written
    if not isinstance(listed, list | tuple) or not listed:
        raise ValueError(f"{name} must be a text or a list with at least one")
    if not all(isinstance(item, str) and item.strip() for item in listed):
        raise ValueError(f"{name} holds {listed!r}; only texts that are not empty are allowed")
    return tuple(listed)


def _share(entry: Entry, name: str) -> float:
    value = float(entry[name])
    if not 0 <= value <= 1:
        raise ValueError(f"{name} is {value}, allowed are 0 to 1")
    return value


def _reach(entry: Entry) -> int:
    value = entry.get("reach", REACH)
    if not isinstance(value, int) or not 0 <= value <= 1000:
        raise ValueError(f"reach is {value!r}, allowed are 0 to 1000 characters")
    return value
