"""Everything that was measured in a line, as small tables; what is null with its reason."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from voiceman.evidence import Component, Utterance
from voiceman_client.report.formats import ABSENT, number, percent
from voiceman_client.report.messages import Messages
from voiceman_client.report.sentences import translated
from voiceman_client.report.view import Line

_DIGITS = 4


@dataclass(frozen=True)
class Section:
    """A table with a title; `note` stands above the rows."""

    title: str
    note: str = ""
    header: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = field(default_factory=list[Sequence[str]])


def packed(lines: Sequence[Line], messages: Messages) -> dict[str, Any]:
    """The sections of all lines with every text once: `texts`, and numbers of texts in `lines`.

    A line is a list of [title, note, header, rows]; the page's script turns it into tables.
    """
    numbers: dict[str, int] = {}

    def refer(text: str) -> int:
        return numbers.setdefault(text, len(numbers))

    def row(cells: Sequence[str]) -> list[int]:
        return [refer(cell) for cell in cells]

    packed_lines = [
        [
            [refer(part.title), refer(part.note), row(part.header), [row(r) for r in part.rows]]
            for part in sections(line, messages)
        ]
        for line in lines
    ]
    return {"texts": list(numbers), "lines": packed_lines}


def sections(line: Line, messages: Messages) -> list[Section]:
    """The tables of a line."""
    utterance = line.utterance
    return [
        _score(utterance, messages),
        _numbers(utterance, "emotion_dimensional", "emotion", "emotion", messages),
        _numbers(utterance, "emotion_categorical", "probabilities", "emotion", messages),
        _stress(line, messages),
        _cross_validation(utterance, messages),
        _numbers(utterance, "voice_features", "features", "feature", messages),
        *_overlap(line, messages),
    ]


def component_rows(components: Sequence[Component], messages: Messages) -> list[list[str]]:
    """Name, value, weight and reason of each component."""
    return [
        [
            messages.name("component", part["name"]),
            messages("not_available") if part["value"] is None else number(part["value"]),
            number(part["weight"]),
            translated(part["reason"], messages)
            or (messages("no_reason") if part["value"] is None else ""),
        ]
        for part in components
    ]


def component_header(messages: Messages) -> list[str]:
    """The header over `component_rows`."""
    return [messages(name) for name in ("component", "value", "weight", "reason")]


def because(reason: str, messages: Messages) -> str:
    """The words for something that is null."""
    return f"{messages('not_available')}: {translated(reason, messages) or messages('no_reason')}"


def _overlap(line: Line, messages: Messages) -> list[Section]:
    seconds = line.overlap.value
    if seconds is None:
        return [Section(messages("overlap"), because(line.overlap.reason, messages))]
    note = messages("overlap_seconds", seconds=number(seconds))
    return [Section(messages("overlap"), note)] if seconds > 0 else []


def _score(utterance: Utterance, messages: Messages) -> Section:
    score = utterance["score"]
    shown = ABSENT if score["value"] is None else number(score["value"], 1)
    note = f"{shown} {messages('of_100')}; {messages('coverage')}: {percent(score['coverage'])}"
    return Section(
        messages("score"),
        note,
        component_header(messages),
        component_rows(score["components"], messages),
    )


def _numbers(
    utterance: Utterance, field_name: str, title: str, group: str, messages: Messages
) -> Section:
    values: Mapping[str, float | None] | None = utterance.get(field_name)
    missing = utterance["unavailable"].get(field_name, "")
    if values is None:
        return Section(messages(title), because(missing, messages))

    reasons = utterance["unavailable"]
    rows = [
        [
            messages.name(group, name),
            because(reasons.get(name, missing), messages)
            if value is None
            else number(value, _DIGITS),
        ]
        for name, value in values.items()
    ]
    return Section(messages(title), "", [messages("what"), messages("value")], rows)


def _stress(line: Line, messages: Messages) -> Section:
    stress = line.utterance.get("stress")
    if stress is None:
        return Section(messages("stress"), because(messages("not_in_result"), messages))
    if stress["value"] is None:
        note = because(stress["reason"], messages)
    else:
        reason = translated(stress["reason"], messages)
        note = f"{number(stress['value'])}. {reason}. {messages('stress_note')}"
    header = [messages(name) for name in ("feature", "value", "baseline", "z", "contribution")]
    rows = [
        [
            messages.name("feature", part["feature"]),
            *(number(part[name], _DIGITS) for name in ("value", "baseline")),
            *(number(part[name]) for name in ("z", "contribution")),
        ]
        for part in stress["contributions"]
    ]
    return Section(messages("stress"), note, header if rows else [], rows)


def _cross_validation(utterance: Utterance, messages: Messages) -> Section:
    found = utterance.get("cross_validation")
    title = messages("cross_validation")
    if found is None:
        return Section(title, because(messages("not_in_result"), messages))
    agreement = found["agreement"]
    if agreement is None:
        note = f"{messages('agreement')}: {because(found['reason'], messages)}"
    else:
        reason = translated(found["reason"], messages)
        note = f"{messages('agreement')} {number(agreement)}. {reason}"
    rows = [
        [messages(name), because(found["reason"], messages) if value is None else number(value)]
        for name in ("sentiment", "intensity", "menace")
        for value in (found[name],)
    ]
    rows += [
        [
            messages.name("emotion", item["reading"]),
            messages("compared", said=number(item["claimed"]), heard=number(item["heard"])),
        ]
        for item in found["comparisons"]
    ]
    rows += [
        [messages.name("discrepancy", item["name"]), translated(item["detail"], messages)]
        for item in found["discrepancies"]
    ]
    return Section(title, note, [messages("what"), messages("value")], rows)
