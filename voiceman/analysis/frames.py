"""Where the frames of a short-term analysis lie, in Praat's own arithmetic.

Frames lie centred in the sound. With an odd number of samples every centre falls on a sample,
and rounding decides which one counts as the next: in a rough voice a frame one sample off may
have another pitch, hence the same operations in the same order.
"""

import numpy as np
import numpy.typing as npt

from voiceman.audio import SAMPLE_RATE_HZ

Floats = npt.NDArray[np.float64]

_SAMPLE_S = 1 / SAMPLE_RATE_HZ
_FIRST_SAMPLE_S = 0.5 * _SAMPLE_S  # a sample stands for the time around it


def frame_times_s(n: int, window_s: float, step_s: float) -> Floats:
    """Centres [t] of the frames of a waveform.

    Args:
        n: samples of the waveform, 16 kHz.
        window_s: what has to fit around every centre.
        step_s: from one centre to the next.
    """
    duration_s = n * _SAMPLE_S
    if duration_s < window_s:
        return np.zeros(0)
    count = int((duration_s - window_s) / step_s) + 1
    first_s = 0.5 * duration_s - 0.5 * (count * step_s) + 0.5 * step_s
    return first_s + np.arange(count) * step_s


def sample_after(times_s: Floats) -> npt.NDArray[np.int64]:
    """Index of the first sample after each time."""
    return np.floor((times_s - _FIRST_SAMPLE_S) / _SAMPLE_S + 1).astype(np.int64)
