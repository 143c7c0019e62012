"""Cuts an utterance out of its window, or says why there is nothing to analyse."""

import numpy as np
import numpy.typing as npt

from voiceman.analysis.overlap import Spans
from voiceman.audio import SAMPLE_RATE_HZ, Int16Waveform, Waveform, to_float32

NOTHING: Spans = np.zeros((0, 2))


def cut_utterance(
    waveform: Int16Waveform,
    span: npt.NDArray[np.float32],
    shortest_s: float,
    without: Spans = NOTHING,
) -> Waveform | str:
    """The samples of one utterance.

    Args:
        waveform: INT16 [n] of the window.
        span: [2] start and end, seconds; what lies outside of the window is left out.
        shortest_s: the least length that can be analysed, seconds.
        without: [k, 2] start and end in seconds of what is left out; the rest moves together.

    Returns:
        float32 [m] in [-1, 1), or the reason why there is none: the times are no numbers, too
        short, or digital silence.
    """
    if not np.isfinite(span).all():
        return "start or end is not a number"
    edges = np.clip(span.astype(np.float64), 0, len(waveform) / SAMPLE_RATE_HZ)
    first, last = (edges * SAMPLE_RATE_HZ).round().astype(int)
    cut = waveform[first : max(first, last)]
    if len(without):
        kept = np.ones(len(cut), bool)
        for start, end in (without * SAMPLE_RATE_HZ).round().astype(int) - first:
            kept[max(start, 0) : max(end, 0)] = False
        cut = cut[kept]
    if len(cut) < shortest_s * SAMPLE_RATE_HZ:
        sound = "sound of one person alone" if len(without) else "sound"
        return f"too short: {len(cut) / SAMPLE_RATE_HZ:.2f} s of {sound}, {shortest_s} s are needed"
    if not cut.any():
        return "digital silence"
    return to_float32(cut)
