"""What a sentence as a whole says about crime: cues learned from labelled sentences.

Patterns find what was thought of; people say it otherwise. So a linear model (softmax regression)
weighs the words of a sentence, their parts and neighbours, and what the patterns found. Its cues
are as readable as a pattern: the ones that decided are named with every hit. They were learned
from sentences written for this project (`voiceman-export learn-cues`), and are uncalibrated.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from voiceman.analysis.morphemes import Units
from voiceman.analysis.pieces import Span, sentence_pieces, stretches, windows
from voiceman.analysis.text_cues import (
    WORDLESS,
    Cue,
    edge_cues,
    inner_cues,
    pattern_cues,
    spoken,
)
from voiceman.errors import WeightsError

Floats = npt.NDArray[np.float32]

FEWEST_WORDS = 3  # of a sentence in which cues alone may find something
# Cues that are named with a hit.
NAMED = 3


@dataclass(frozen=True)
class Verdict:
    """What a piece of a text says.

    Attributes:
        span: the piece, in characters.
        probabilities: by category; what they lack to 1 is harmless.
        threshold: probability from which it says a category by itself.
        reasons: for each category that it says the places in the text that speak for it most.
    """

    span: Span
    probabilities: Mapping[str, float]
    threshold: float
    reasons: Mapping[str, Sequence[Span]]


@dataclass(frozen=True)
class Weighing:
    """What cues weigh, where a piece is all that is said or where it is cut out of more.

    Attributes:
        weights: [f, k]. bias: [k].
        threshold: probability from which a category is found.
    """

    weights: Floats
    bias: Floats
    threshold: float


@dataclass(frozen=True)
class Cues:
    """The learned model of one language.

    Attributes:
        columns: of every category: that of what is this and nothing else, and one for each pair
            of categories that are often said at once. The last column of all is "harmless".
        index: row of every cue.
        wordless: [f] whether a cue is no word that could be named as a reason.
        rarity: [f] how much a cue counts before a sentence is normed to length 1.
        shortest: sentences of a smaller norm stay as short as they are: a word or two decide
            nothing.
        alone: weighs a text, or a long stretch of it, and its sentences; these by the threshold of
            `among`, because what stands around them may turn them.
        among: weighs windows, which hold parts of what is said and words that say nothing of it.
    """

    columns: Mapping[str, list[int]]
    index: Mapping[str, int]
    wordless: npt.NDArray[np.bool_]
    rarity: Floats
    shortest: float
    alone: Weighing
    among: Weighing

    def judge(
        self, text: str, language: str, units: Units, found: Sequence[tuple[Span, str, bool]]
    ) -> Iterator[Verdict]:
        """Judge every piece of a plain text.

        Args:
            text: composed, see `voiceman.analysis.morphemes.make_plain`.
            language: of the text.
            units: of the text.
            found: place, category and "is a finding" of what the patterns hit.
        """
        forms = list(zip(units.line.decode().split(), units.spans, strict=True))
        words = spoken(forms, language)
        inner = self._known(inner_cues(text, language, forms, words))
        starts = [start for _, (start, _) in words]
        in_context = replace(self.alone, threshold=self.among.threshold)
        judged = dict.fromkeys(windows(text), self.among)
        judged |= dict.fromkeys(sentence_pieces(text, units), in_context)
        judged |= dict.fromkeys(stretches(text), self.alone)
        for (start, end), weighing in judged.items():
            part = words[bisect_left(starts, start) : bisect_left(starts, end)]
            near = [(c, finding) for (s, e), c, finding in found if s < end and e > start]
            outer = self._known(chain(edge_cues(part), pattern_cues(near, (start, end))))
            yield self._verdict((start, end), inner.within(start, end) + outer, weighing)

    def _known(self, cues: Iterable[Cue]) -> "_Known":
        known = [(row, *place) for name, place in cues if (row := self.index.get(name)) is not None]
        return _Known(np.array(known, np.int64).reshape(-1, 3))

    def _verdict(self, span: Span, known: "_Known", weighing: Weighing) -> Verdict:
        rows, first = np.unique(known.cues[:, 0], return_index=True)
        rarity = self.rarity[rows]
        scaled = rarity / max(float(np.sqrt(rarity @ rarity)), self.shortest)
        weights = weighing.weights[rows]  # [n, k]
        logits = weighing.bias + scaled @ weights
        odds = np.exp(logits - logits.max())
        chances = odds / odds.sum()
        probabilities: dict[str, float] = {}
        reasons: dict[str, list[Span]] = {}
        for category, columns in self.columns.items():
            probabilities[category] = float(chances[columns].sum())
            if probabilities[category] >= weighing.threshold:
                speaking = weights[:, columns] @ chances[columns] / chances[columns].sum()
                shares = np.where(self.wordless[rows], 0.0, scaled * speaking)
                most = np.argsort(-shares, kind="stable")[: 4 * NAMED]
                places = known.cues[first[most[shares[most] > 0]], 1:]
                reasons[category] = [(start, end) for start, end in places.tolist()]
        return Verdict(span, probabilities, weighing.threshold, reasons)


@dataclass(frozen=True)
class _Known:
    """Cues that were learned, where they stand: [n, 3] row, start and end."""

    cues: npt.NDArray[np.int64]

    def within(self, start: int, end: int) -> "_Known":
        """Those that a part of the text holds."""
        return _Known(self.cues[(self.cues[:, 1] >= start) & (self.cues[:, 2] <= end)])

    def __add__(self, other: "_Known") -> "_Known":
        return _Known(np.concatenate([self.cues, other.cues]))


def load_cues(path: Path) -> Cues:
    """Read what `voiceman-export learn-cues` wrote.

    Raises:
        WeightsError: the file is unreadable or holds something else.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            names = bytes(file["cues"]).decode().split("\n")
            alone, among = (
                Weighing(weights.astype(np.float32) * scale, bias, float(threshold))
                for weights, scale, bias, threshold in zip(
                    *(file[part] for part in ("weights", "scale", "bias", "threshold")), strict=True
                )
            )
            return Cues(
                _columns(bytes(file["classes"]).decode().split("\n")),
                {name: row for row, name in enumerate(names)},
                np.array([name.startswith(WORDLESS) for name in names]),
                file["rarity"].astype(np.float32),
                float(file["shortest"]),
                alone,
                among,
            )
    except (OSError, ValueError, KeyError, TypeError, BadZipFile) as err:
        raise WeightsError(f"{path}: not a table of cues: {err}") from err


def _columns(classes: Sequence[str]) -> dict[str, list[int]]:
    """Which classes hold a category; a class is a comma-separated list of them."""
    held = [(name, column) for column, names in enumerate(classes) for name in names.split(",")]
    return {
        category: [column for name, column in held if name == category]
        for category, _ in held
        if category
    }
