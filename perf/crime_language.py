"""How well crime language is told from harmless talk, and how fast.

Labelled sentences (tests/sentences) of one part, tuning or test: precision and recall for each
category and over all, by language, and which kinds of harmless sentences give false alarms. A
sentence and a category that it must be found in count once. "Embedded" is each sentence between
two harmless ones of the same part, without signs, as a recogniser writes down a long utterance:
its false alarms are those of three sentences. Speed is that of one thread.
"""

import argparse
import re
import resource
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from perf.record import ROOT, table, write_result
from voiceman.analysis.crime_language import FINDING_WEIGHT, find
from voiceman.analysis.crime_patterns import CATEGORIES
from voiceman.analysis.morphemes import cut

COMMAND = "make check-patterns"
SENTENCES = ROOT / "tests" / "sentences"
LANGUAGES = ("ko", "en")
COLUMNS = ("category", "precision", "recall", "found", "false alarms", "missed")
SIGNS = re.compile(r"[.,?!…]+")


@dataclass(frozen=True)
class Sentence:
    """One labelled sentence: `labels` are the categories that must be findings."""

    labels: frozenset[str]
    kind: str
    text: str


@dataclass(frozen=True)
class Counts:
    """Pairs of sentence and category: found, false alarms, missed."""

    found: int
    false: int
    missed: int

    @property
    def precision(self) -> float:
        """Share of what was found that is there."""
        return self.found / max(1, self.found + self.false)

    @property
    def recall(self) -> float:
        """Share of what is there that was found."""
        return self.found / max(1, self.found + self.missed)


def read_sentences(path: Path) -> list[Sentence]:
    lines = path.read_text(encoding="utf-8").splitlines()[1:]
    cells = [line.split("\t") for line in lines if line]
    return [
        Sentence(frozenset(filter(None, labels.split(","))), kind, text)
        for labels, kind, text in cells
    ]


def findings(text: str, language: str) -> frozenset[str]:
    hits = find(text, language)
    return frozenset(hit.category for hit in hits if hit.weight >= FINDING_WEIGHT)


def count(pairs: Sequence[tuple[frozenset[str], frozenset[str]]], category: str) -> Counts:
    return Counts(
        sum(category in want and category in got for want, got in pairs),
        sum(category not in want and category in got for want, got in pairs),
        sum(category in want and category not in got for want, got in pairs),
    )


def per_second(work: Callable[[str], object], texts: Sequence[str], others: Sequence[str]) -> float:
    """Texts per second of processor time, each seen for the first time, after others."""
    for text in others:
        work(text)
    started = time.process_time()
    for text in texts:
        work(text)
    return len(texts) / (time.process_time() - started)


def embedded(sentences: Sequence[Sentence]) -> list[Sentence]:
    """Each sentence between two harmless ones, without signs; the same ones every time."""
    random = Random(0)
    harmless = [sentence.text for sentence in sentences if not sentence.labels]
    texts = [
        " ".join([random.choice(harmless), item.text, random.choice(harmless)])
        for item in sentences
    ]
    return [
        Sentence(item.labels, item.kind, " ".join(SIGNS.sub(" ", text).split()))
        for item, text in zip(sentences, texts, strict=True)
    ]


def speed(
    sentences: Sequence[Sentence], others: Sequence[Sentence], language: str
) -> dict[str, float]:
    texts, long, warm = (
        [sentence.text for sentence in part]
        for part in (sentences[::2], embedded(sentences)[1::2], [*others, *embedded(others)])
    )
    figures = {
        "whole_per_s": per_second(lambda text: find(text, language), texts, warm),
        "embedded_per_s": per_second(lambda text: find(text, language), long, ()),
        "units_only_per_s": per_second(lambda text: cut(text, language), texts, ()),
    }
    return {name: round(value, 3) for name, value in figures.items()}


def judge(sentences: Sequence[Sentence], language: str) -> tuple[dict[str, Counts], Counter[str]]:
    """Counts by category and over all, and false alarms among the harmless by kind."""
    pairs = [(item.labels, findings(item.text, language)) for item in sentences]
    counts = {category: count(pairs, category) for category in CATEGORIES}
    counts["all"] = Counts(
        sum(item.found for item in counts.values()),
        sum(item.false for item in counts.values()),
        sum(item.missed for item in counts.values()),
    )
    alarms = Counter(
        item.kind for item, (want, got) in zip(sentences, pairs, strict=True) if not want and got
    )
    return counts, alarms


def measure(language: str, part: str) -> tuple[dict[str, object], str]:
    """The figures of a language, and the same as Markdown."""
    sentences = read_sentences(SENTENCES / f"{language}_{part}.tsv")
    counts, alarms = judge(sentences, language)
    among, among_alarms = judge(embedded(sentences), language)
    kinds = Counter(item.kind for item in sentences if not item.labels)
    (other,) = {"tuning", "test"} - {part}
    cost = speed(sentences, read_sentences(SENTENCES / f"{language}_{other}.tsv"), language)
    rows = [row(name, each) for name, each in counts.items()]
    rows.append(row("all, embedded, no punctuation", among["all"]))
    text = (
        f"## {language}: {len(sentences)} sentences, {sum(kinds.values())} of them harmless\n\n"
        + table(COLUMNS, rows)
        + "\nHarmless sentences with a finding, by kind:\n\n"
        + table(("kind", "sentences", "with a finding"), alarm_rows(kinds, alarms))
        + f"\nEmbedded: {sum(among_alarms.values())} of {sum(kinds.values())}.\n"
        + "\nOne thread:\n\n"
        + table(("figure", "value"), list(cost.items()))
        + "\n"
    )
    figures: dict[str, object] = {
        "sentences": len(sentences),
        "harmless": sum(kinds.values()),
        **{name: figure(each) for name, each in counts.items()},
        "embedded": figure(among["all"]),
        "false_alarms_by_kind": dict(alarms),
        "embedded_false_alarms": sum(among_alarms.values()),
        "speed": cost,
    }
    return figures, text


def row(name: str, counts: Counts) -> list[object]:
    shares = [f"{counts.precision:.1%}", f"{counts.recall:.1%}"]
    return [name, *shares, counts.found, counts.false, counts.missed]


def alarm_rows(kinds: Mapping[str, int], alarms: Mapping[str, int]) -> list[list[object]]:
    return [[kind, number, alarms.get(kind, 0)] for kind, number in sorted(kinds.items())]


def figure(counts: Counts) -> dict[str, float]:
    return {
        "precision": round(counts.precision, 4),
        "recall": round(counts.recall, 4),
        "found": counts.found,
        "false_alarms": counts.false,
        "missed": counts.missed,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", choices=["tuning", "test"], default="tuning")
    part = parser.parse_args().part
    measured = {language: measure(language, part) for language in LANGUAGES}
    memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    text = "".join(text for _, text in measured.values())
    text += f"Most memory of the process: {memory_mb:.0f} MB.\n"
    figures: dict[str, object] = {name: values for name, (values, _) in measured.items()}
    figures["memory_mb"] = round(memory_mb)
    path = write_result(
        f"crime-language-{part}",
        f"{COMMAND} PART={part}",
        figures,
        text,
        f"Crime language, {part} sentences",
    )
    print(text + f"\nwritten to {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
