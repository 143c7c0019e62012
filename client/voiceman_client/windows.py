"""From speech regions to windows: what is asked of the server, and how its answers join.

A recording is shown to `voice_activity` in overlapping pieces; the answers are stitched in
the middle of each overlap. Windows of up to 30 s then run from pause to pause, as long as
fits, because Whisper wants well-filled windows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count, pairwise, permutations, product

import numpy as np
import numpy.typing as npt

from voiceman.audio import (
    MAX_PIECE_SAMPLES,
    MAX_WINDOW_SAMPLES,
    MIN_WAVEFORM_SAMPLES,
    SAMPLE_RATE_HZ,
    Int16Waveform,
)

# [k, 2 or 3] start and end, seconds; of turns the speaker's number as well. Not float32: after an
# hour that counts in quarter milliseconds.
Spans = npt.NDArray[np.float64]

OVERLAP_SAMPLES = 10 * SAMPLE_RATE_HZ  # as long as the segmentation model's own window
_SEAM_S = 0.1  # regions this near to a seam on both sides are one region that it cut
_MOST = 0.5  # of what a speaker says in an overlap; uncalibrated
_MARGIN_SAMPLES = SAMPLE_RATE_HZ // 5  # kept before and after speech: onsets are quiet
_SEARCH_SAMPLES = 10 * SAMPLE_RATE_HZ  # where to look for a quiet place to cut
_FRAME_SAMPLES = SAMPLE_RATE_HZ // 20  # 50 ms; quieter for this long is a gap between words
_MIN_TURN_S = 0.02  # one frame of the alignment


@dataclass(frozen=True)
class Span:
    """Samples `start` to `end` (excluded) of a recording's channel."""

    start: int
    end: int

    @property
    def start_s(self) -> float:
        """Start in seconds."""
        return self.start / SAMPLE_RATE_HZ

    @property
    def end_s(self) -> float:
        """End in seconds."""
        return self.end / SAMPLE_RATE_HZ

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return (self.end - self.start) / SAMPLE_RATE_HZ


def plan_pieces(samples: int) -> list[Span]:
    """Pieces of at most 300 s that cover a recording, neighbours overlapping by 10 s.

    A last piece would be shorter than the models' least input only when the overlap already
    covers it, so every piece can be sent.
    """
    pieces = [Span(0, min(samples, MAX_PIECE_SAMPLES))]
    while pieces[-1].end < samples:
        start = pieces[-1].end - OVERLAP_SAMPLES
        pieces.append(Span(start, min(samples, start + MAX_PIECE_SAMPLES)))
    return pieces


def stitch(pieces: Sequence[Span], answers: Sequence[npt.NDArray[np.float32]]) -> Spans:
    """Join what was found in overlapping pieces.

    Args:
        pieces: from `plan_pieces`.
        answers: for each piece [k, 2] or [k, 3], start and end in seconds of the piece; of
            SPEAKER_TURNS the speaker as well, whose number holds within the piece only.

    Returns:
        The same in seconds of the recording, sorted; spans that a seam cut are joined again,
        turns only with turns of the same speaker. A speaker keeps the number over a seam whose
        two sides both hear the speaker in what they share; otherwise no number is used in two
        pieces.
    """
    seams = [(right.start_s + left.end_s) / 2 for left, right in pairwise(pieces)]
    width = answers[0].shape[1]
    joined: list[list[float]] = []
    unused = count()
    numbers: dict[float, float] = {}  # by number in the piece
    before = np.zeros((0, 3))
    for index, (piece, answer) in enumerate(zip(pieces, answers, strict=True)):
        low = seams[index - 1] if index else 0.0
        high = seams[index] if index < len(seams) else piece.end_s
        here = np.zeros((len(answer), 3))  # speech counts as that of one speaker, number 0
        here[:, :width] = answer
        here[:, :2] += piece.start_s
        if width > 2 and index:
            same = _same_speakers(before, here, piece.start_s, pieces[index - 1].end_s)
            numbers = {mine: numbers[theirs] for mine, theirs in same.items() if theirs in numbers}
        cut = {span[2]: span for span in joined if low - span[1] <= _SEAM_S}
        for start_s, end_s, speaker in sorted(here.tolist()):
            start, end = max(start_s, low), min(end_s, high)
            if end <= start:
                continue
            if speaker not in numbers:
                numbers[speaker] = next(unused)
            begun = cut.pop(numbers[speaker], None) if start - low <= _SEAM_S else None
            if begun:
                begun[1] = end
            else:
                joined.append([start, end, numbers[speaker]])
        before = here
    return np.array(sorted(joined), np.float64).reshape(-1, 3)[:, :width]


def plan_windows(speech: Spans, waveform: Int16Waveform) -> list[Span]:
    """Windows of at most 30 s that hold all speech, from pause to pause, as long as fits.

    Speech without a pause for 30 s is cut at the quietest 50 ms of the last 10 s.

    Args:
        speech: [k, 2] speech regions in seconds, sorted; they may touch or overlap.
        waveform: [n] the channel, for its length and its quiet places.
    """
    regions = _with_margins(speech, len(waveform))
    windows: list[Span] = []
    index = 0
    while index < len(regions):
        start, end = regions[index].start, regions[index].end
        while index + 1 < len(regions) and regions[index + 1].end - start <= MAX_WINDOW_SAMPLES:
            index += 1
            end = regions[index].end
        if end - start > MAX_WINDOW_SAMPLES:
            end = _quiet_place(waveform, start)
            regions[index] = Span(end, regions[index].end)
        else:
            index += 1
        windows.append(_at_least(Span(start, end), len(waveform)))
    return windows


def clip_turns(turns: Spans, window: Span) -> npt.NDArray[np.float32]:
    """The speaker turns inside a window, [t, 2] in seconds of the window; t may be 0."""
    clipped = np.clip(turns[:, :2] - window.start_s, 0.0, window.seconds)
    kept = clipped[clipped[:, 1] - clipped[:, 0] >= _MIN_TURN_S]
    return kept.astype(np.float32).reshape(-1, 2)


def _same_speakers(left: Spans, right: Spans, start_s: float, end_s: float) -> dict[float, float]:
    """Which speaker of the left piece each speaker of the right one is.

    Of all one-to-one assignments the one with the most seconds in which both are active. Where
    the pieces agree and no two speakers are active at just the same times, no other has as many.
    A pair must share most of what the less active one says; less is what two speakers have in
    common who take turns.

    Args:
        left: [k, 3] turns in seconds of the recording; those of a speaker are disjoint.
        right: the same of the right piece.
        start_s: where what the pieces share starts.
        end_s: where it ends.

    Returns:
        Numbers in the left piece by numbers in the right one; speakers who are heard on one side
        only are missing.
    """
    left, right = (
        np.column_stack([np.clip(turns[:, :2], start_s, end_s), turns[:, 2]])
        for turns in (left, right)
    )
    theirs, mine = np.unique(left[:, 2]), np.unique(right[:, 2])
    size = max(len(theirs), len(mine))  # at most three: `voice_activity` tells no more apart
    shared_s = np.zeros((size, size))
    for (row, one), (column, other) in product(enumerate(theirs), enumerate(mine)):
        a, b = left[left[:, 2] == one], right[right[:, 2] == other]
        starts = np.maximum(a[:, None, 0], b[None, :, 0])
        ends = np.minimum(a[:, None, 1], b[None, :, 1])
        together_s = np.maximum(ends - starts, 0).sum()
        less_s = min(np.diff(a[:, :2]).sum(), np.diff(b[:, :2]).sum())
        shared_s[row, column] = together_s if together_s > _MOST * less_s else 0.0
    rows = np.arange(size)
    best = max(permutations(range(size)), key=lambda columns: shared_s[rows, list(columns)].sum())
    return {
        float(mine[column]): float(theirs[row])
        for row, column in enumerate(best)
        if shared_s[row, column] > 0
    }


def _with_margins(speech: Spans, samples: int) -> list[Span]:
    """Regions in samples, each widened by 0.2 s or half the pause; touching ones joined."""
    merged: list[Span] = []
    for start_s, end_s in speech.tolist():
        start = max(0, round(start_s * SAMPLE_RATE_HZ))
        end = min(samples, round(end_s * SAMPLE_RATE_HZ))
        if merged and start <= merged[-1].end:
            merged[-1] = Span(merged[-1].start, max(end, merged[-1].end))
        elif end > start:
            merged.append(Span(start, end))
    edges = [0, *((a.end + b.start) // 2 for a, b in pairwise(merged)), samples]
    return [
        Span(max(region.start - _MARGIN_SAMPLES, low), min(region.end + _MARGIN_SAMPLES, high))
        for region, low, high in zip(merged, edges, edges[1:], strict=False)
    ]


def _quiet_place(waveform: Int16Waveform, start: int) -> int:
    """Middle of the quietest 50 ms in the last 10 s of the 30 s from `start`."""
    latest = start + MAX_WINDOW_SAMPLES
    frames = waveform[latest - _SEARCH_SAMPLES : latest].reshape(-1, _FRAME_SAMPLES)
    power = np.mean(np.square(frames.astype(np.float32)), axis=1)
    quietest = len(power) - 1 - int(np.argmin(power[::-1]))  # of equals the latest
    return latest - _SEARCH_SAMPLES + quietest * _FRAME_SAMPLES + _FRAME_SAMPLES // 2


def _at_least(window: Span, samples: int) -> Span:
    """The window, widened where it is shorter than the models' least input."""
    missing = MIN_WAVEFORM_SAMPLES - (window.end - window.start)
    if missing <= 0:
        return window
    end = min(samples, window.end + missing)
    return Span(max(0, end - MIN_WAVEFORM_SAMPLES), end)
