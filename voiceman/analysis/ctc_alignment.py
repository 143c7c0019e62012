"""Where the labels of a text lie in the emissions of a CTC model: the best path, batched.

Source: the trellis of M. Hira, "Forced alignment with Wav2Vec2" (PyTorch's tutorial after
Kürzinger et al. 2020, arXiv:2007.09127), which WhisperX (Bain et al. 2023, arXiv:2303.00747)
uses: a frame either enters the next label or stays by saying blank; the path ends where the last
label is entered best. The same paths are found, but for many segments at once: Python loops
over frames only.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from voiceman.analysis.ctc_labels import WILDCARD, Indices, Spelling
from voiceman.evidence import WhisperWord, Word

Emission = npt.NDArray[np.float32]

# Bounds the memory of one search: frames x segments x labels, 5 bytes each.
MAX_CELLS = 1 << 23


@dataclass(frozen=True)
class Placement:
    """Where the labels of a segment lie.

    Attributes:
        starts: [n] frame in which each label is entered; strictly increasing.
        ends: [n] frame before which it ends: where the next one is entered.
        probabilities: [n] of each label in the frame that enters it, 0 to 1.
    """

    starts: Indices
    ends: Indices
    probabilities: npt.NDArray[np.float32]


def place_labels(
    emissions: Sequence[Emission], labels: Sequence[Indices], blank: int
) -> list[Placement | str]:
    """Find the best path of every segment; what a segment gets does not depend on the others.

    Args:
        emissions: [frames, labels of the vocabulary] log-probabilities of every segment.
        labels: [n] label numbers of every segment; WILDCARD: any label but blank.
        blank: label number of blank.

    Returns:
        For every segment its placement, or the reason why there is none.
    """
    found: list[Placement | str] = [
        _why_impossible(emission, wanted)
        for emission, wanted in zip(emissions, labels, strict=True)
    ]
    possible = [index for index, reason in enumerate(found) if not reason]
    for group in _groups(possible, emissions, labels):
        placements = _best_paths([emissions[i] for i in group], [labels[i] for i in group], blank)
        for index, placement in zip(group, placements, strict=True):
            found[index] = placement
    return found


def time_words(
    words: Sequence[WhisperWord],
    spelling: Spelling,
    placement: Placement,
    start_s: float,
    frame_s: float,
) -> list[Word]:
    """Words with their times; a word without any label lies, without length, behind the last.

    Args:
        words: of the segment.
        spelling: of these words.
        placement: of the labels of this spelling.
        start_s: where the first frame begins, seconds.
        frame_s: seconds for each frame.

    Returns:
        The words; `score` is the mean probability of a word's labels, Whisper's own for a word
        without any.
    """
    own = np.flatnonzero(spelling.owners >= 0)
    owners = spelling.owners[own]
    firsts = np.searchsorted(owners, np.arange(len(words)), side="left")
    lasts = np.searchsorted(owners, np.arange(len(words)), side="right")
    timed: list[Word] = []
    end = round(start_s, 3)
    for word, first, last in zip(words, firsts, lasts, strict=True):
        start, score = end, word["score"]
        if last > first:
            labels = own[first:last]
            start = round(start_s + frame_s * float(placement.starts[labels[0]]), 3)
            end = round(start_s + frame_s * float(placement.ends[labels[-1]]), 3)
            score = float(placement.probabilities[labels].mean(dtype=np.float64))
        timed.append(Word(word=word["word"], start=start, end=end, score=score))
    return timed


def _why_impossible(emission: Emission, labels: Indices) -> str:
    if not len(labels):
        return "nothing to look for"
    if len(emission) < len(labels):
        return f"{len(labels)} labels do not fit into {len(emission)} frames"
    if not np.isfinite(emission).all():
        return "the network's output is not finite"
    return ""


def _groups(
    indices: Sequence[int], emissions: Sequence[Emission], labels: Sequence[Indices]
) -> Iterator[list[int]]:
    """Segments of like lengths, as many as the memory for one search allows."""
    group: list[int] = []
    most = 0
    for index in sorted(indices, key=lambda i: len(emissions[i])):
        widest = max(most, len(labels[index]))
        if group and len(emissions[index]) * (len(group) + 1) * widest > MAX_CELLS:
            yield group
            group, widest = [], len(labels[index])
        group.append(index)
        most = widest
    if group:
        yield group


def _best_paths(
    emissions: Sequence[Emission], labels: Sequence[Indices], blank: int
) -> list[Placement]:
    """One search over segments padded to the longest; padding is behind every path."""
    frames = np.array([len(emission) for emission in emissions])
    counts = np.array([len(wanted) for wanted in labels])
    entering = np.zeros((frames.max(), len(frames), counts.max()), np.float32)
    staying = np.zeros((frames.max(), len(frames), 1), np.float32)
    for row, (emission, wanted) in enumerate(zip(emissions, labels, strict=True)):
        entering[: frames[row], row, : counts[row]] = _entering(emission, wanted, blank)
        staying[: frames[row], row, 0] = emission[:, blank]
    entered, finished = _search(entering, staying, counts)
    finished[np.arange(len(finished))[:, np.newaxis] >= frames] = -np.inf
    ends = finished.argmax(axis=0)
    starts = _trace(entered, counts, ends)
    return [
        Placement(
            starts=(own := starts[row, :count]),
            ends=np.append(own[1:], ends[row] + 1),
            probabilities=np.exp(entering[own, row, np.arange(count)]),
        )
        for row, count in enumerate(counts)
    ]


def _entering(emission: Emission, labels: Indices, blank: int) -> Emission:
    """Log-probability of every wanted label in every frame, [frames, n]."""
    wanted = emission[:, labels]
    unknown = labels == WILDCARD
    if unknown.any():
        audible = np.delete(emission, blank, axis=1).max(axis=1)
        wanted[:, unknown] = audible[:, np.newaxis]
    return wanted


def _search(
    entering: Emission, staying: Emission, counts: Indices
) -> tuple[npt.NDArray[np.bool_], Emission]:
    """The trellis.

    Args:
        entering: [frames, rows, n] log-probability of each label.
        staying: [frames, rows, 1] log-probability of blank.
        counts: [rows] labels that are no padding.

    Returns:
        [frames, rows, n], whether the best path to a label in a frame enters it there, and
        [frames, rows], the score of the best path that has come to the last label.
    """
    frames, rows, most = entering.shape
    score = np.full((rows, most + 1), -np.inf, np.float32)
    score[:, 0] = 0.0
    entered = np.empty((frames, rows, most), bool)
    finished = np.empty((frames, rows), np.float32)
    row = np.arange(rows)
    for frame in range(frames):
        enter = score[:, :-1] + entering[frame]
        score += staying[frame]
        np.greater(enter, score[:, 1:], out=entered[frame])
        np.maximum(enter, score[:, 1:], out=score[:, 1:])
        finished[frame] = score[row, counts]
    return entered, finished


def _trace(entered: npt.NDArray[np.bool_], counts: Indices, ends: Indices) -> Indices:
    """The frame in which the best path enters each label, [rows, n], 0 for padding.

    Args:
        entered: [frames, rows, n] from the search.
        counts: [rows] labels of each row.
        ends: [rows] frame in which its path ends.
    """
    _, rows, most = entered.shape
    starts = np.zeros((rows, most), np.int64)
    row = np.arange(rows)
    left = counts.copy()
    for frame in range(int(ends.max()), -1, -1):
        # A row that is through looks at the label before its first one, and is masked.
        enters = entered[frame, row, left - 1] & (left > 0) & (frame <= ends)
        left -= enters
        starts[row[enters], left[enters]] = frame
    return starts
