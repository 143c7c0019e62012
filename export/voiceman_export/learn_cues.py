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
from functools import cached_property
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt

from voiceman.analysis.crime_patterns import CATEGORIES, PatternTable
from voiceman.analysis.pattern_tables import CUES_SUFFIX, read_table
from voiceman.analysis.text_cues import PART
from voiceman.errors import ConfigurationError, WeightsError
from voiceman_export.embedded import embed, read

log = logging.getLogger(__name__)

Doubles = npt.NDArray[np.float64]

HARMLESS = ""
# All chosen on sentences of writers who were held out. Probabilities from which a text by itself
# says something: held-out writers asked for a tenth less, the test part had recall to spare.
ALONE = {"ko": 0.65, "en": 0.6}
ELSE_ALONE = 0.6
FIRMER = 0.05  # more for a window or a sentence out of several: what stands around may turn it
RARITY_POWER = 1.5  # of the logarithm of a cue's rarity
PART_WEIGHT = 0.5  # of parts of words, of which there are many
FEWEST_SENTENCES = 2  # that a cue must stand in
FEWEST_TOGETHER = 20  # sentences of two categories that make a class of their own
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
    examples = _examples(table)
    readings = [read(s.labels, s.text, table) for s in [*sentences, *examples]]
    counting = [1.0] * len(sentences) + [EXAMPLE_WEIGHT] * len(examples)
    alone = [
        Heard(reading.cues(table.language), reading.labels, counts)
        for reading, counts in zip(readings, counting, strict=True)
    ]
    among = [
        Heard(reading.cues(table.language), reading.labels) for reading in embed(readings, SEED)
    ]
    # How rare a cue is is told from the sentences themselves.
    vocabulary = _vocabulary([heard.cues for heard in alone])
    log.info("%s: %d sentences, %d cues", table.language, len(alone), len(vocabulary.names))
    classes = _classes(alone)
    fitted = [_fit(vocabulary, classes, heard) for heard in (alone, [*alone, *among])]
    weights = np.stack([weights for weights, _ in fitted])
    threshold = ALONE.get(table.language, ELSE_ALONE)
    scale = np.maximum(np.abs(weights).max(axis=1), 1e-9) / 127  # [2, c + 1]
    np.savez_compressed(
        target,
        classes=_letters(classes),
        cues=_letters(vocabulary.names),
        rarity=vocabulary.rarity.astype(np.float16),
        shortest=np.float32(vocabulary.shortest),
        weights=np.round(weights / scale[:, None]).astype(np.int8),
        scale=scale.astype(np.float32),
        bias=np.stack([bias for _, bias in fitted]).astype(np.float32),
        threshold=np.array([threshold, threshold + FIRMER], np.float32),
        learned_from=_letters([learned_from([patterns, *tables])]),
    )


@dataclass(frozen=True)
class Heard:
    """What is heard of a text: its cues, its labels, and how much it counts."""

    cues: Sequence[str]
    labels: Sequence[str]
    counts: float = 1.0


@dataclass(frozen=True)
class _Vocabulary:
    """The cues that are learned, how much each counts, and the norm below which none is scaled."""

    names: Sequence[str]
    rarity: Doubles
    shortest: float

    def values(self, cues: Iterable[str]) -> tuple[npt.NDArray[np.int64], Doubles]:
        """Rows and values of a text's cues, as they will be read."""
        rows = np.array([self.index[name] for name in cues if name in self.index], np.int64)
        rarity = self.rarity[rows]
        return rows, rarity / max(float(np.sqrt(rarity @ rarity)), self.shortest)

    @cached_property
    def index(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self.names)}


def _vocabulary(heard: Sequence[Sequence[str]]) -> _Vocabulary:
    counts = Counter(name for cues in heard for name in cues)
    names = sorted(name for name, count in counts.items() if count >= FEWEST_SENTENCES)
    standing_in = np.array([counts[name] for name in names], np.float64)
    exact: Doubles = np.log((1.0 + len(heard)) / (1.0 + standing_in)) + 1.0
    exact **= RARITY_POWER
    exact[[name.startswith(PART) for name in names]] *= PART_WEIGHT
    rarity = exact.astype(np.float16).astype(np.float64)
    squares = dict(zip(names, rarity**2, strict=True))
    norms = [np.sqrt(sum(squares.get(name, 0.0) for name in cues)) for cues in heard]
    return _Vocabulary(names, rarity, float(np.percentile(norms, SHORT)))


def _classes(heard: Sequence[Heard]) -> list[str]:
    """What is told apart: the categories, those that often come together, and harmless."""
    counts = Counter(",".join(sorted(each.labels)) for each in heard if len(each.labels) > 1)
    together = sorted(labels for labels, count in counts.items() if count >= FEWEST_TOGETHER)
    return [*CATEGORIES, *together, HARMLESS]


def _fit(
    vocabulary: _Vocabulary, classes: Sequence[str], heard: Sequence[Heard]
) -> tuple[Doubles, Doubles]:
    """Weights [cues, classes] and bias [classes] of a softmax regression.

    Raises:
        ConfigurationError: scikit-learn is not installed.
    """
    try:
        from scipy.sparse import csr_matrix  # noqa: PLC0415
        from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415
        from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    except ImportError as err:
        raise ConfigurationError("learning needs scikit-learn: pip install scikit-learn") from err
    rows, values = zip(*(vocabulary.values(each.cues) for each in heard), strict=True)
    ends = np.cumsum([0, *map(len, rows)])
    shape = (len(heard), len(vocabulary.names))
    matrix = csr_matrix(
        (np.concatenate(values).astype(np.float32), np.concatenate(rows), ends), shape=shape
    )
    labelled = [(i, name) for i, each in enumerate(heard) for name in _names(each, classes)]
    texts = [row for row, _ in labelled]
    wanted = np.array([classes.index(label) for _, label in labelled])
    model = LogisticRegression(
        C=REGULARISATION, max_iter=ITERATIONS, tol=TOLERANCE, random_state=SEED
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(matrix[texts], wanted, np.array([heard[row].counts for row in texts]))
    # A category without a sentence is never found.
    weights, bias = np.zeros((shape[1], len(classes))), np.full(len(classes), -np.inf)
    weights[:, model.classes_], bias[model.classes_] = model.coef_.T, model.intercept_
    return weights, bias


def _names(heard: Heard, classes: Sequence[str]) -> Sequence[str]:
    """The classes of a text; what seldom comes together stands for each of its categories."""
    together = ",".join(sorted(heard.labels))
    return [together] if together in classes else heard.labels


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
