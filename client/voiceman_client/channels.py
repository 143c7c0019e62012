"""Two-channel calls: does each channel carry a speaker of its own?"""

from collections.abc import Iterator, Sequence

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
_BLOCK = 1 << 16  # samples or frames that are held in a wider type at a time
_MAX_CORRELATION = 0.5  # of the samples; cross-talk stays below, a room does not


def select_channels(
    sound: Sequence[Int16Waveform], mode: str = "auto"
) -> tuple[tuple[Int16Waveform, ...], tuple[int | None, ...]]:
    """The waveforms to work on and the numbers of their channels.

    Args:
        sound: one channel [n], or two.
        mode: one of CHANNEL_MODES.

    Returns:
        ([n],) and (None,) for a mixdown, ([n], [n]) and (0, 1) for channels kept apart.
    """
    if len(sound) == 1:
        return (sound[0],), (None,)
    if mode == "split" or (mode == "auto" and carries_speaker_per_channel(sound)):
        return (sound[0], sound[1]), (0, 1)
    mixed = np.empty_like(sound[0])
    for part in _blocks(len(mixed)):
        mixed[part] = (sound[0][part].astype(np.int32) + sound[1][part]) // 2
    return (mixed,), (None,)


def carries_speaker_per_channel(sound: Sequence[Int16Waveform]) -> bool:
    """Whether two channels [n] are the two ends of a call.

    On such a call the channels take turns: nearly always one of them is much louder than the
    other, each of them is the louder one for some of the time, and their samples are not
    correlated.
    """
    frames = len(sound[0]) // _FRAME_SAMPLES
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
    power = np.empty(frames, np.float32)
    framed = channel[: frames * _FRAME_SAMPLES].reshape(frames, _FRAME_SAMPLES)
    for part in _blocks(frames):
        power[part] = np.mean(np.square(framed[part].astype(np.float32)), axis=1)
    return power


def _correlation(sound: Sequence[Int16Waveform]) -> float:
    """Correlation of the samples of two channels; 0 when one is silent."""
    together = left_power = right_power = 0.0
    for part in _blocks(len(sound[0])):
        left, right = (channel[part].astype(np.float32) for channel in sound)
        together += float(np.dot(left, right))
        left_power += float(np.dot(left, left))
        right_power += float(np.dot(right, right))
    scale = float(np.sqrt(left_power * right_power))
    return together / scale if scale else 0.0


def _blocks(length: int) -> Iterator[slice]:
    """Slices that bound what a wider copy of a long recording takes."""
    return (slice(start, start + _BLOCK) for start in range(0, length, _BLOCK))
