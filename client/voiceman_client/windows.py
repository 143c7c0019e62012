"""From speech regions to windows: what is asked of the server, and how its answers join.

A recording is shown to `voice_activity` in overlapping pieces; the answers are stitched in
the middle of each overlap. Windows of up to 30 s then run from pause to pause, as long as
fits, because Whisper wants well-filled windows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count, pairwise

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
        The same in seconds of the recording, sorted; spans that a seam cut are joined again.
        A speaker keeps the number over a seam that cuts a turn; otherwise no number is used
        in two pieces.
    """
    seams = [(right.start_s + left.end_s) / 2 for left, right in pairwise(pieces)]
    joined: list[list[float]] = []
    unused = count()
    for index, (piece, answer) in enumerate(zip(pieces, answers, strict=True)):
        low = seams[index - 1] if index else 0.0
        high = seams[index] if index < len(seams) else piece.end_s
        cut = [span for span in joined if low - span[1] <= _SEAM_S]
        numbers: dict[float, float] = {}  # by number in the piece
        for start_s, end_s, *speaker in sorted(answer.astype(np.float64).tolist()):
            start, end = max(piece.start_s + start_s, low), min(piece.start_s + end_s, high)
            if end <= start:
                continue
            if index and start - low <= _SEAM_S and cut:
                begun = cut.pop(0)
                begun[1] = end
                numbers.update(zip(speaker, begun[2:], strict=True))
            else:
                for number in speaker:
                    numbers.setdefault(number, next(unused))
                joined.append([start, end, *(numbers[number] for number in speaker)])
    return np.array(sorted(joined), np.float64).reshape(-1, answers[0].shape[1])


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
