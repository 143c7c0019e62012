"""Learn the cues of crime language from labelled sentences, and write them beside the patterns.

    python -m voiceman_export.learn_cues PATTERNS.toml SENTENCES.tsv…

Needs scikit-learn, which nothing else needs (`make learn-cues` does this for all languages).
"""

import argparse
import logging
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt

from voiceman.analysis.crime_patterns import CATEGORIES, PatternTable
from voiceman.analysis.cues import PART
from voiceman.analysis.pattern_tables import CUES_SUFFIX, read_table
from voiceman.errors import ConfigurationError, WeightsError
from voiceman_export.embedded import embed, read

log = logging.getLogger(__name__)

Doubles = npt.NDArray[np.float64]

HARMLESS = ""
# All chosen on sentences of writers who were held out.
THRESHOLDS = {"ko": 0.32, "en": 0.4}
ELSE_THRESHOLD = 0.35
RARITY_POWER = 1.5  # of the logarithm of a cue's rarity
PART_WEIGHT = 0.5  # of parts of words, of which there are many
FEWEST_SENTENCES = 2  # that a cue must stand in
SHORT = 25  # percentile of the sentences' norms: shorter ones are not stretched to length 1
REGULARISATION = 100.0  # scikit-learn's C
EXAMPLE_WEIGHT = 4.0  # of a pattern's example, which must stay what it says, in sentences
ITERATIONS = 80  # more change nothing for writers who were held out
TOLERANCE = 1e-3
SEED = 0


@dataclass(frozen=True)
class Sentence:
    """A labelled sentence; no label: harmless."""

    labels: tuple[str, ...]
    text: str


def read_sentences(path: Path) -> list[Sentence]:
    """Read a table with the columns labels, kind and text.

    Raises:
        WeightsError: it is unreadable, or a line breaks the format.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()[1:]
        cells = [line.split("\t") for line in lines]
        sentences = [
            Sentence(tuple(filter(None, labels.split(","))), text) for labels, _, text in cells
        ]
    except (OSError, ValueError) as err:
        raise WeightsError(f"{path}: not a table of labelled sentences: {err}") from err
    if unknown := {label for s in sentences for label in s.labels} - set(CATEGORIES):
        raise WeightsError(f"{path}: unknown categories {', '.join(sorted(unknown))}")
    return sentences


def learned_from(paths: Sequence[Path]) -> str:
    """SHA-256 over what cues are learned from."""
    return sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()


def learn(patterns: Path, tables: Sequence[Path], target: Path) -> None:
    """Learn from sentences, and from the examples of the patterns.

    Args:
        patterns: the pattern table of the language.
        tables: of labelled sentences.
        target: the `.npz` to write.

    Raises:
        ConfigurationError: scikit-learn is not installed.
    """
    table = read_table(patterns)
    sentences = [sentence for path in tables for sentence in read_sentences(path)]
    alone = [read(s.labels, s.text, table) for s in [*sentences, *_examples(table)]]
    every = [*alone, *embed(alone, SEED)]
    heard = [reading.cues(table.language) for reading in every]
    # How rare a cue is is told from the sentences themselves.
    names, rarity = _rarities(heard[: len(alone)])
    index = {name: row for row, name in enumerate(names)}
    known = [np.array([index[name] for name in cues if name in index], np.int64) for cues in heard]
    norms = [float(np.sqrt((rarity[rows] ** 2).sum())) for rows in known]
    shortest = float(np.percentile(norms, SHORT))
    scaled = [rarity[rows] / max(norm, shortest) for rows, norm in zip(known, norms, strict=True)]
    examples = range(len(sentences), len(alone))
    counting = [EXAMPLE_WEIGHT if row in examples else 1.0 for row in range(len(every))]
    log.info("%s: %d sentences, %d cues", table.language, len(every), len(names))
    weights, bias = _fit(known, scaled, len(names), [s.labels for s in every], counting)
    scale = np.maximum(np.abs(weights).max(axis=0), 1e-9) / 127
    np.savez_compressed(
        target,
        categories=_letters(CATEGORIES),
        cues=_letters(names),
        rarity=rarity.astype(np.float16),
        shortest=np.float32(shortest),
        weights=np.round(weights / scale).astype(np.int8),
        scale=scale.astype(np.float32),
        bias=bias.astype(np.float32),
        threshold=np.float32(THRESHOLDS.get(table.language, ELSE_THRESHOLD)),
        learned_from=_letters([learned_from([patterns, *tables])]),
    )


def _rarities(heard: Sequence[Iterable[str]]) -> tuple[list[str], Doubles]:
    """The cues that are learned, and how much each counts (as it will be read)."""
    counts = Counter(name for cues in heard for name in cues)
    names = sorted(name for name, count in counts.items() if count >= FEWEST_SENTENCES)
    standing_in = np.array([counts[name] for name in names], np.float64)
    exact: Doubles = np.log((1.0 + len(heard)) / (1.0 + standing_in)) + 1.0
    exact **= RARITY_POWER
    exact[[name.startswith(PART) for name in names]] *= PART_WEIGHT
    return names, exact.astype(np.float16).astype(np.float64)


def _fit(
    known: Sequence[npt.NDArray[np.int64]],
    scaled: Sequence[Doubles],
    cues: int,
    labels: Sequence[Sequence[str]],
    counting: Sequence[float],
) -> tuple[Doubles, Doubles]:
    """Weights [cues, classes] and bias [classes] of a softmax regression.

    Args:
        known: rows of the cues of every sentence.
        scaled: their values.
        cues: how many there are.
        labels: of every sentence; none: harmless.
        counting: how much every sentence counts.

    Raises:
        ConfigurationError: scikit-learn is not installed.
    """
    try:
        from scipy.sparse import csr_matrix  # noqa: PLC0415
        from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415
        from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    except ImportError as err:
        raise ConfigurationError("learning needs scikit-learn: pip install scikit-learn") from err
    ends = np.cumsum([0, *map(len, known)])
    values = np.concatenate(scaled).astype(np.float32)
    matrix = csr_matrix((values, np.concatenate(known), ends), shape=(len(known), cues))
    # A sentence with several labels stands for each of them.
    classes = (*CATEGORIES, HARMLESS)
    labelled = [(i, label) for i, own in enumerate(labels) for label in own or (HARMLESS,)]
    rows = [row for row, _ in labelled]
    wanted = np.array([classes.index(label) for _, label in labelled])
    model = LogisticRegression(
        C=REGULARISATION, max_iter=ITERATIONS, tol=TOLERANCE, random_state=SEED
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(matrix[rows], wanted, np.array([counting[row] for row in rows]))
    # A category without a sentence is never found.
    weights, bias = np.zeros((cues, len(classes))), np.full(len(classes), -np.inf)
    weights[:, model.classes_], bias[model.classes_] = model.coef_.T, model.intercept_
    return weights, bias


def _examples(table: PatternTable) -> list[Sentence]:
    matches = [Sentence((p.category,), text) for p in table.patterns for text in p.matches]
    return [*matches, *(Sentence((), text) for p in table.patterns for text in p.harmless)]


def _letters(names: Sequence[str]) -> npt.NDArray[np.uint8]:
    return np.frombuffer("\n".join(names).encode(), np.uint8)


def main() -> None:
    """Learn the cues of one language."""
    parser = argparse.ArgumentParser(description="Learn the cues of crime language.")
    parser.add_argument("patterns", type=Path)
    parser.add_argument("tables", type=Path, nargs="+")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    learn(arguments.patterns, arguments.tables, arguments.patterns.with_suffix(CUES_SUFFIX))


if __name__ == "__main__":
    main()
