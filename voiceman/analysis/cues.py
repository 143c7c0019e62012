"""What a sentence as a whole says about crime: cues learned from labelled sentences.

Patterns find what was thought of; people say it otherwise. So a linear model (softmax regression)
weighs the words of a sentence, their parts and neighbours, and what the patterns found. Its cues
are as readable as a pattern: the ones that decided are named with every hit. They were learned
from sentences written for this project (`voiceman-export learn-cues`), and are uncalibrated.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from voiceman.analysis.morphemes import Units
from voiceman.analysis.pieces import Span, stretches, windows
from voiceman.analysis.word_parts import parts, stem
from voiceman.errors import WeightsError

Floats = npt.NDArray[np.float32]

FEWEST_WORDS = 3  # of a sentence in which cues alone may find something
# Probability from which a window or a sentence out of several says something by itself: what
# stands around it may turn it. Chosen on sentences of writers who were held out.
OUT_OF_CONTEXT = 0.6
# Cues that are named with a hit.
NAMED = 3
_LETTERS = (2, 3, 4)  # lengths of runs of Hangul
_PATTERN_CUE = "pattern:"
_BEGIN, _END = "<", ">"
PART = "^"  # begins a cue that is a part of a word
_RUN = "~"  # begins a cue that is a run of letters
_NO_WORDS = (PART, _RUN, _PATTERN_CUE)  # cues that are no reason to name


@dataclass(frozen=True)
class Verdict:
    """What a piece of a text says.

    Attributes:
        span: the piece, in characters.
        probabilities: by category; what they lack to 1 is harmless.
        reasons: for each category the places in the text that speak for it most.
    """

    span: Span
    probabilities: Mapping[str, float]
    reasons: Mapping[str, Sequence[Span]]


@dataclass(frozen=True)
class Cues:
    """The learned model of one language.

    Attributes:
        categories: of the columns; the last column is "harmless" and has no name.
        index: row of every cue.
        rarity: [f] how much a cue counts before a sentence is normed to length 1.
        shortest: sentences of a smaller norm stay as short as they are: a word or two decide
            nothing.
        weights: [f, c + 1]. bias: [c + 1].
        threshold: probability from which a category is found.
    """

    categories: tuple[str, ...]
    index: Mapping[str, int]
    rarity: Floats
    shortest: float
    weights: Floats
    bias: Floats
    threshold: float

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
        starts = [start for start, _ in units.spans]
        firm = max(self.threshold, OUT_OF_CONTEXT)
        judged = [(span, self.threshold) for span in stretches(text)]
        judged += [(span, firm) for span in windows(text, units)]
        for (start, end), threshold in judged:
            part = forms[bisect_left(starts, start) : bisect_left(starts, end)]
            near = [(c, finding) for (s, e), c, finding in found if s < end and e > start]
            cues = cues_of(text, language, (start, end), part, near)
            yield self._verdict((start, end), cues, threshold)

    def _verdict(self, span: Span, cues: Mapping[str, Span], threshold: float) -> Verdict:
        known = [name for name in cues if name in self.index]
        rows = [self.index[name] for name in known]
        rarity = self.rarity[rows]
        scaled = rarity / max(float(np.sqrt(rarity @ rarity)), self.shortest)
        weights = self.weights[rows]  # [k, c + 1]
        logits = self.bias + scaled @ weights
        odds = np.exp(logits - logits.max())
        chances: list[float] = (odds / odds.sum()).tolist()
        reasons: dict[str, list[Span]] = {}
        for column, category in enumerate(self.categories):
            if chances[column] >= threshold:
                shares = scaled * weights[:, column]
                order = np.argsort(-shares, kind="stable")
                speaking = (known[k] for k in order if shares[k] > 0)
                words = (cues[name] for name in speaking if not name.startswith(_NO_WORDS))
                reasons[category] = list(islice(words, 4 * NAMED))
        return Verdict(span, dict(zip(self.categories, chances, strict=False)), reasons)


def cues_of(
    text: str,
    language: str,
    span: Span,
    units: Sequence[tuple[str, Span]],
    found: Sequence[tuple[str, bool]],
) -> dict[str, Span]:
    """The cues of a piece with the place of each.

    Args:
        text: the whole text.
        language: of the text.
        span: the piece.
        units: form/tag and place of its units.
        found: category and "is a finding" of what the patterns hit in it.
    """
    said = [(form, place) for form, place in units if not _is_sign(form)]
    words = [(_form(form, language), place) for form, place in said]
    cues = dict(reversed(words))
    if words:  # the first and the last two stand beside an edge
        words = [(_BEGIN, words[0][1]), *words, (_END, words[-1][1])]
    for i, (form, (start, _)) in enumerate(words):
        for behind, gap in ((1, " "), (2, " _ ")):
            if i + behind < len(words):
                other, (_, last) = words[i + behind]
                cues.setdefault(f"{form}{gap}{other}", (start, last))
    if language == "ko":
        cues |= _runs(text, span)
    else:
        for form, place in said:
            for part in parts(form.rpartition("/")[0]):
                cues.setdefault(f"{PART}{part}", place)
    for category, finding in found:
        cues[f"{_PATTERN_CUE}{category}:{finding}"] = span
    return cues


def load_cues(path: Path) -> Cues:
    """Read what `voiceman-export learn-cues` wrote.

    Raises:
        WeightsError: the file is unreadable or holds something else.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            names = bytes(file["cues"]).decode().split("\n")
            weights = file["weights"].astype(np.float32) * file["scale"]
            return Cues(
                tuple(bytes(file["categories"]).decode().split("\n")),
                {name: row for row, name in enumerate(names)},
                file["rarity"].astype(np.float32),
                float(file["shortest"]),
                weights,
                file["bias"],
                float(file["threshold"]),
            )
    except (OSError, ValueError, KeyError) as err:
        raise WeightsError(f"{path}: not a table of cues: {err}") from err


def _runs(text: str, span: Span) -> dict[str, Span]:
    """Runs of letters without regard to blanks: recognisers put these anywhere."""
    places = [i for i in range(*span) if text[i].isalnum()]
    letters = "".join([text[i] for i in places])
    return {
        _RUN + letters[i : i + length]: (places[i], places[i + length - 1] + 1)
        for length in _LETTERS
        for i in range(len(places) - length, -1, -1)
    }


def _form(form: str, language: str) -> str:
    """Korean: the form with the first letter of its tag; else the stem of the word."""
    word, _, tag = form.rpartition("/")
    return f"{word}/{tag[:1]}" if language == "ko" else stem(word)


def _is_sign(form: str) -> bool:
    tag = form.rpartition("/")[2]
    return tag == "P" or tag.startswith("S")
