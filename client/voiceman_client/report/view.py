"""What a report shows of one result, worked out once for every layout."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePath
from typing import Any

from voiceman.evidence import Component, Finding, SpeakerTurn, Utterance
from voiceman_client.documents import Document
from voiceman_client.doubts import kinds, touching
from voiceman_client.report.highlights import FINDING_WEIGHT, Piece, pieces
from voiceman_client.result import Result

UNKNOWN_SPEAKER = "UNKNOWN"
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


@dataclass(frozen=True)
class Reading:
    """A number, or why there is none ("": the result does not say)."""

    value: float | None
    reason: str = ""


@dataclass(frozen=True)
class Line:
    """One utterance.

    Attributes:
        number: from 1, in the order of time.
        pieces: its text, cut where findings begin and end.
        flags: kinds of the flags that touch it.
        overlap: seconds of it in which several people talk.
        utterance: all that the result holds of it.
    """

    number: int
    speaker: str
    pieces: Sequence[Piece]
    flags: Sequence[str]
    score: Reading
    arousal: Reading
    valence: Reading
    stress: Reading
    overlap: Reading
    utterance: Utterance

    @property
    def start(self) -> float:
        """Seconds from the start of the recording."""
        return self.utterance["start"]

    @property
    def end(self) -> float:
        """Seconds from the start of the recording."""
        return self.utterance["end"]

    @property
    def categories(self) -> list[str]:
        """Categories of its findings and mentions, each once, by name."""
        return sorted({finding["category"] for finding in self.utterance["findings"]})


@dataclass(frozen=True)
class CategoryCount:
    """How often a category was found in a recording."""

    category: str
    findings: int
    mentions: int


@dataclass(frozen=True)
class View:
    """What a report shows of one result.

    Attributes:
        name: of the recording's file.
        speakers: their ids, as they first speak.
        overlaps: start and end of the times in which several people speak.
    """

    document: Document
    name: str
    lines: Sequence[Line]
    speakers: Sequence[str]
    categories: Sequence[CategoryCount]
    overlaps: Sequence[tuple[float, float]]

    @property
    def result(self) -> Result:
        """The result itself."""
        return self.document.result

    @property
    def duration(self) -> float:
        """Seconds; of the last utterance's end if that is later."""
        return max([self.result["provenance"]["duration"], *(line.end for line in self.lines)])


def view(document: Document) -> View:
    """What a report shows of a result."""
    result = document.result
    utterances = sorted(result["utterances"], key=lambda item: (item["start"], item["end"]))
    lines = [_line(number, item, result) for number, item in enumerate(utterances, start=1)]
    return View(
        document=document,
        name=PurePath(result["provenance"]["source"]["file"]).name,
        lines=lines,
        speakers=_speakers(lines, result["speaker_turns"]),
        categories=count_categories([f for line in lines for f in line.utterance["findings"]]),
        overlaps=overlaps(result["speaker_turns"]),
    )


def count_categories(findings: Sequence[Finding]) -> list[CategoryCount]:
    """Findings and mentions by category, most findings first."""
    strong = Counter(f["category"] for f in findings if f["weight"] >= FINDING_WEIGHT)
    weak = Counter(f["category"] for f in findings if f["weight"] < FINDING_WEIGHT)
    counts = [CategoryCount(name, strong[name], weak[name]) for name in {*strong, *weak}]
    return sorted(counts, key=lambda item: (-item.findings, -item.mentions, item.category))


def overlaps(turns: Sequence[SpeakerTurn]) -> list[tuple[float, float]]:
    """The times in which two or more turns run at once, joined where they touch."""
    changes = Counter[float]()
    for turn in turns:
        changes[turn["start"]] += 1
        changes[turn["end"]] -= 1
    found: list[tuple[float, float]] = []
    running = 0
    for start, end in pairwise(sorted(changes)):
        running += changes[start]
        if running < 2:
            continue
        if found and found[-1][1] == start:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return found


def _line(number: int, utterance: Utterance, result: Result) -> Line:
    reason = utterance["unavailable"].get("emotion_dimensional", "")
    emotion = utterance["emotion_dimensional"] or {}
    return Line(
        number=number,
        speaker=utterance.get("speaker", UNKNOWN_SPEAKER),
        pieces=pieces(utterance["text"], utterance["findings"]),
        flags=kinds(touching(result["flags"], utterance["start"], utterance["end"])),
        score=_score(utterance),
        arousal=Reading(emotion.get("arousal"), reason),
        valence=Reading(emotion.get("valence"), reason),
        stress=_stress(utterance),
        overlap=Reading(
            utterance["overlap"],
            utterance["unavailable"].get("overlap", result["unavailable"].get("speaker_turns", "")),
        ),
        utterance=utterance,
    )


def common_reasons(readings: Iterable[Reading]) -> list[tuple[str, int]]:
    """Why numbers are missing, and how many for that reason, the most common first.

    Reasons that differ in their numbers alone ("0.4 s long, 1 s are needed") count as one, which
    is told by the first of them: each line would have its own otherwise.
    """
    first: dict[str, str] = {}
    counts = Counter[str]()
    for found in readings:
        if found.value is None:
            kind = _NUMBER.sub("0", found.reason)
            first.setdefault(kind, found.reason)
            counts[kind] += 1
    return [(first[kind], count) for kind, count in counts.most_common()]


def reasons_of(components: Sequence[Component]) -> str:
    """Why the components of a score are missing, each reason once."""
    reasons = (part["reason"] for part in components if part["value"] is None)
    return "; ".join(dict.fromkeys(filter(None, reasons)))


def reason_of_score(result: Result) -> str:
    """Why a recording has no score."""
    missing = dict.fromkeys(result["unavailable"].values())
    return reasons_of(result["score"]["components"]) or "; ".join(missing)


def _score(utterance: Utterance) -> Reading:
    score = utterance["score"]
    return Reading(score["value"], reasons_of(score["components"]))


def _stress(utterance: Utterance) -> Reading:
    measured: Mapping[str, Any] = utterance.get("stress") or {}
    return Reading(
        measured.get("value"), measured.get("reason", utterance["unavailable"].get("stress", ""))
    )


def _speakers(lines: Sequence[Line], turns: Sequence[SpeakerTurn]) -> list[str]:
    first: dict[str, float] = {}
    for start, name in [
        *((line.start, line.speaker) for line in lines),
        *((turn["start"], turn["speaker"]) for turn in turns),
    ]:
        first[name] = min(start, first.get(name, start))
    return sorted(first, key=lambda name: (first[name], name))
