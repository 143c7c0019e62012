"""From words and speaker turns to utterances: one speaker's connected speech in a window.

The utterances of a window never overlap, and the midpoint of every word lies in exactly one
of them: nothing that was said is lost, and nothing counts twice. Where turns overlap, a word
belongs to the turn that covers most of it; when that does not decide, to the turn that spoke
the word before, because Whisper writes down the dominant voice. A turn that lies inside
another one therefore becomes an utterance only if words fall to it.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from voiceman.errors import InvalidRequestError
from voiceman.evidence import Segment, Word

Spans = npt.NDArray[np.float32]

# Silence between two words from which on they belong to two utterances. Inter-pausal units are
# cut at 0.2 to 0.5 s (Heldner & Edlund, J. Phonetics 2010); the long end, because word times
# from cross-attention err by 0.1 to 0.2 s. Uncalibrated.
PAUSE_S = 0.5
# Turns, and gaps between the words of a turn, become utterances without words from this length
# on: shorter ones are breaths, laughs and hesitations. Uncalibrated.
MIN_WORDLESS_S = 1.0
# Around words where no turn says how far the speech reaches. Uncalibrated.
PADDING_S = 0.05
# Closer midpoints are not told apart: times travel as FP32.
_RESOLUTION_S = 1e-3


def check_turns(turns: Spans) -> None:
    """Refuse TURNS [t, 2] that hold anything but numbers.

    Raises:
        InvalidRequestError: a start or end is not finite.
    """
    if not np.isfinite(turns).all():
        raise InvalidRequestError("TURNS: a start or end is not a finite number; send seconds")


def words_of(segments: Sequence[Segment]) -> list[Word]:
    """All words of the segments in their order."""
    return [word for segment in segments for word in segment["words"]]


def find_utterances(
    segments: Sequence[Segment], duration: float, turns: Spans | None = None
) -> Spans:
    """Cut a window into utterances at speaker turns and pauses.

    With turns, an utterance reaches as far as its turn, cut where its words pause for
    `PAUSE_S` and halfway into an overlap with the next utterance. What the turns hold beside
    that is kept, without words, from `MIN_WORDLESS_S` on. Without turns, Whisper's segments
    take their place, but only as far as their words reach.

    Args:
        segments: aligned segments of the window.
        duration: of the window, seconds.
        turns: [t, 2] start and end in seconds, in any order, may overlap; rows that end
            before they start are ignored. None or no row: no turns are known.

    Returns:
        [u, 2] start and end in seconds, sorted, disjoint, within 0 and `duration`.

    Raises:
        InvalidRequestError: a turn is not a number.
    """
    known = _valid_turns(turns, duration)
    if duration <= 0:
        return np.zeros((0, 2), np.float32)
    numbered = [(word, i) for i, segment in enumerate(segments) for word in segment["words"]]
    numbered.sort(key=lambda pair: _midpoint(pair[0]))
    words = [word for word, _ in numbered]
    owners = _turn_of_each_word(words, known) if len(known) else [i for _, i in numbered]
    runs = _runs(words, owners)
    spans = _spans(words, owners, runs, known, duration)
    spans += _wordless(known, spans)
    return np.array(sorted(spans), np.float32).reshape(-1, 2)


def assign_words(words: Sequence[Word], utterances: Spans) -> list[list[Word]]:
    """Give every word to exactly one utterance.

    Args:
        words: words of the window.
        utterances: [u, 2] start and end in seconds.

    Returns:
        u lists of words in the order given. A word belongs to the utterance in which its
        midpoint lies (the first of several), otherwise to the nearest one.
    """
    assigned: list[list[Word]] = [[] for _ in range(len(utterances))]
    if not assigned:
        return assigned
    starts, ends = utterances[:, 0], utterances[:, 1]
    for word in words:
        middle = _midpoint(word)
        distance = np.maximum(np.maximum(starts - middle, middle - ends), 0.0)
        assigned[int(np.argmin(distance))].append(word)
    return assigned


def _midpoint(word: Word) -> float:
    return (word["start"] + word["end"]) / 2


def _valid_turns(turns: Spans | None, duration: float) -> npt.NDArray[np.float64]:
    if turns is None:
        return np.zeros((0, 2))
    check_turns(turns)
    clipped = np.clip(turns.astype(np.float64), 0.0, duration)
    clipped = clipped[clipped[:, 1] > clipped[:, 0]]
    return clipped[np.lexsort((clipped[:, 1], clipped[:, 0]))]


def _turn_of_each_word(words: Sequence[Word], turns: npt.NDArray[np.float64]) -> list[int]:
    """Index of the turn of every word; -1 for words further than PAUSE_S from all turns."""
    owners: list[int] = []
    for word in words:
        middle = _midpoint(word)
        distance = np.maximum(np.maximum(turns[:, 0] - middle, middle - turns[:, 1]), 0.0)
        covered = np.minimum(turns[:, 1], word["end"]) - np.maximum(turns[:, 0], word["start"])
        nearest = np.flatnonzero(distance <= distance.min() + _RESOLUTION_S)
        best = nearest[covered[nearest] >= covered[nearest].max() - _RESOLUTION_S]
        if distance.min() > PAUSE_S:
            owners.append(-1)
        elif owners and owners[-1] in best:
            owners.append(owners[-1])
        else:
            owners.append(int(best[0]))
    return owners


def _runs(words: Sequence[Word], owners: Sequence[int]) -> list[tuple[int, int]]:
    """Stretches [first, last) of words with one owner and without a pause."""
    cuts = [0] if words else []
    for i in range(1, len(words)):
        previous, word = words[i - 1], words[i]
        apart = _midpoint(word) - _midpoint(previous) > _RESOLUTION_S
        pause = word["start"] - previous["end"] >= PAUSE_S
        if apart and (pause or owners[i] != owners[i - 1]):
            cuts.append(i)
    return list(pairwise([*cuts, len(words)]))


def _spans(
    words: Sequence[Word],
    owners: Sequence[int],
    runs: Sequence[tuple[int, int]],
    turns: npt.NDArray[np.float64],
    duration: float,
) -> list[tuple[float, float]]:
    """Start and end of every run: as far as its turn reaches, but never into a neighbour."""
    starts: list[float] = []
    ends: list[float] = []
    for first, last in runs:
        start = min(word["start"] for word in words[first:last]) - PADDING_S
        end = max(word["end"] for word in words[first:last]) + PADDING_S
        owner = owners[first]
        if len(turns) and owner >= 0:
            if owner not in owners[:first]:
                start = min(float(turns[owner, 0]), start + PADDING_S)
            if owner not in owners[last:]:
                end = max(float(turns[owner, 1]), end - PADDING_S)
        starts.append(min(max(start, 0.0), duration))
        ends.append(max(min(end, duration), 0.0))
    for i in range(1, len(runs)):
        if ends[i - 1] > starts[i]:
            left, right = _midpoint(words[runs[i][0] - 1]), _midpoint(words[runs[i][0]])
            margin = (right - left) / 4
            cut = min(max((ends[i - 1] + starts[i]) / 2, left + margin), right - margin)
            ends[i - 1] = starts[i] = cut
    return [(start, end) for start, end in zip(starts, ends, strict=True) if start < end]


def _wordless(
    turns: npt.NDArray[np.float64], spans: Sequence[tuple[float, float]]
) -> list[tuple[float, float]]:
    """What of the turns no utterance covers, in pieces of at least MIN_WORDLESS_S."""
    taken = sorted(spans)
    pieces: list[tuple[float, float]] = []
    for start, end in turns.tolist():
        position = start
        for taken_start, taken_end in sorted(taken):
            if min(taken_start, end) - position >= MIN_WORDLESS_S:
                pieces.append((position, min(taken_start, end)))
            position = max(position, taken_end)
        if end - position >= MIN_WORDLESS_S:
            pieces.append((position, end))
        taken = sorted([*spans, *pieces])
    return pieces
