"""The course of the pitch: as rows of the F0_CONTOUR tensor, and as it stands in the evidence."""

import numpy as np
import numpy.typing as npt

from voiceman.analysis.pitch import TIME_STEP_S, PitchTrack
from voiceman.audio import MAX_WINDOW_S
from voiceman.evidence import F0Contour

Float32s = npt.NDArray[np.float32]

COLUMNS = 3  # utterance, seconds in the window, Hz
# Every second frame: melody changes more slowly, and a document has room for much else.
EVIDENCE_STEP_S = 2 * TIME_STEP_S


def contour_rows(utterance: int, start_s: float, pitch: PitchTrack) -> Float32s:
    """The voiced frames of an utterance.

    Args:
        utterance: its index in the window.
        start_s: where it starts in the window.
        pitch: its pitch, times from its own start.

    Returns:
        [f, 3] utterance index, seconds in the window, f0 in Hz.
    """
    times_s, f0_hz = pitch.times_s[pitch.voiced] + start_s, pitch.f0_hz[pitch.voiced]
    return np.column_stack([np.full(len(times_s), utterance), times_s, f0_hz]).astype(np.float32)


def contour_of(rows: Float32s, utterance: int) -> F0Contour | None:
    """The contour of an utterance as it stands in the evidence.

    Args:
        rows: [f, 3] F0_CONTOUR of the window; what is no number or lies outside of any window
            is left out.
        utterance: its index.

    Returns:
        Times in the window; None where no frame is voiced.
    """
    own = rows[rows[:, 0] == utterance].astype(np.float64)
    own = own[np.isfinite(own).all(axis=1) & (own[:, 1] >= 0) & (own[:, 1] <= MAX_WINDOW_S)]
    if not len(own):
        return None
    start_s = own[:, 1].min()
    steps = np.round((own[:, 1] - start_s) / TIME_STEP_S).astype(int)
    frames = np.full(steps.max() + 1, np.nan)
    frames[steps] = own[:, 2]
    return F0Contour(
        start=round(float(start_s), 3),
        step=EVIDENCE_STEP_S,
        f0_hz=[round(float(f0), 1) if np.isfinite(f0) else None for f0 in frames[::2]],
    )
