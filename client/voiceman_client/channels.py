"""Two-channel calls: does each channel carry a speaker of its own?"""

import numpy as np
import numpy.typing as npt

from voiceman.audio import SAMPLE_RATE_HZ, Int16Waveform

CHANNEL_MODES = ("auto", "mix", "split")

# Uncalibrated thresholds, chosen on synthetic sounds and on one real call whose speakers were
# parted into two channels.
_FRAME_SAMPLES = SAMPLE_RATE_HZ // 50  # 20 ms
_ACTIVE_BELOW_PEAK_DB = 30.0  # a frame is active when it is this near to the loud frames
_DOMINANCE_DB = 10.0  # one channel is this much louder: somebody speaks there and only there
_MIN_DOMINATED = 0.6  # share of the active frames that one channel dominates
_MIN_SHARE = 0.05  # of the active frames, for each channel
_MAX_CORRELATION = 0.5  # of the samples; cross-talk stays below, a room does not


def select_channels(
    sound: npt.NDArray[np.int16], mode: str = "auto"
) -> tuple[tuple[Int16Waveform, ...], tuple[int | None, ...]]:
    """The waveforms to work on and the numbers of their channels.

    Args:
        sound: [c, n] with c 1 or 2.
        mode: one of CHANNEL_MODES.

    Returns:
        ([n],) and (None,) for a mixdown, ([n], [n]) and (0, 1) for channels kept apart.
    """
    if len(sound) == 1:
        return (sound[0],), (None,)
    if mode == "split" or (mode == "auto" and carries_speaker_per_channel(sound)):
        return (sound[0], sound[1]), (0, 1)
    mixed = (sound[0].astype(np.int32) + sound[1]) // 2
    return (mixed.astype(np.int16),), (None,)


def carries_speaker_per_channel(sound: npt.NDArray[np.int16]) -> bool:
    """Whether two channels [2, n] are the two ends of a call.

    On such a call the channels take turns: nearly always one of them is much louder than the
    other, each of them is the louder one for some of the time, and their samples are not
    correlated.
    """
    frames = sound.shape[1] // _FRAME_SAMPLES
    if frames == 0:
        return False
    power = np.stack([_frame_power(channel, frames) for channel in sound])
    level_db = 10 * np.log10(power + 1.0)  # + 1: digital silence is 0 dB
    loudest_db = level_db.max(axis=0)
    active = loudest_db > max(np.percentile(loudest_db, 95) - _ACTIVE_BELOW_PEAK_DB, 10.0)
    if not active.any():
        return False
    difference_db = (level_db[0] - level_db[1])[active]
    shares = (
        float(np.mean(difference_db > _DOMINANCE_DB)),
        float(np.mean(difference_db < -_DOMINANCE_DB)),
    )
    return (
        min(shares) >= _MIN_SHARE
        and sum(shares) >= _MIN_DOMINATED
        and abs(_correlation(sound)) <= _MAX_CORRELATION
    )


def _frame_power(channel: Int16Waveform, frames: int) -> npt.NDArray[np.float32]:
    """Mean square [frames] of 20 ms frames."""
    framed = channel[: frames * _FRAME_SAMPLES].reshape(frames, _FRAME_SAMPLES)
    return np.mean(np.square(framed.astype(np.float32)), axis=1)


def _correlation(sound: npt.NDArray[np.int16]) -> float:
    """Correlation of the samples of two channels; 0 when one is silent."""
    left, right = sound[0].astype(np.float32), sound[1].astype(np.float32)
    scale = float(np.sqrt(np.dot(left, left) * np.dot(right, right)))
    return float(np.dot(left, right)) / scale if scale else 0.0
