"""What is done to a decoded recording before any model hears it, and how to undo it.

A constant offset is taken away, and what is quiet is made louder by one factor for the whole
recording, so that levels stay comparable between its channels and passages. Loud recordings are
left alone: making them quieter brings back nothing that clipping took.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from voiceman.audio import Int16Waveform
from voiceman_client.denoise import DENOISING, Denoising, denoise

# dBFS; one below full scale leaves room for what a later resampler overshoots (EBU R 128).
_TARGET_PEAK_DBFS = -1.0
_MAX_GAIN_DB = 30.0  # uncalibrated; more would make speech of a silent line's rounding noise
_FULL_SCALE = 32768.0
_BLOCK = 1 << 20  # samples that are held in a wider type at a time


@dataclass(frozen=True)
class Preparation:
    """What was done; a sample of the file is sample / 10^(gain_db / 20) + offset, rounded.

    Attributes:
        offsets: taken from each waveform, in steps of INT16.
        gain_db: given to all waveforms.
        denoising: how noise was taken away, before the gain; None: it was not, and only then
            does the formula hold.
    """

    offsets: tuple[int, ...]
    gain_db: float
    denoising: Denoising | None


def prepare(
    waveforms: Sequence[Int16Waveform], *, level: bool = True, denoised: bool = False
) -> tuple[tuple[Int16Waveform, ...], Preparation]:
    """Prepare the waveforms [n] of one recording.

    The offset is the mean over the whole waveform: a high-pass filter would also take away the
    lowest part of male voices, or shift its phase, on which jitter and shimmer rest.

    Args:
        waveforms: of one recording; they are not changed.
        level: take the offset away and raise the peak to -1 dBFS, by 30 dB at most.
        denoised: gate steady noise, see `voiceman_client.denoise`.
    """
    offsets = tuple(round(float(np.mean(x))) if level and len(x) else 0 for x in waveforms)
    prepared = tuple(
        _shifted(x, offset) if offset else x for x, offset in zip(waveforms, offsets, strict=True)
    )
    if denoised:
        prepared = tuple(map(denoise, prepared))
    gain_db = _gain_db(max(map(_peak, prepared))) if level else 0.0
    if gain_db:
        prepared = tuple(_amplified(x, 10 ** (gain_db / 20)) for x in prepared)
    return prepared, Preparation(offsets, gain_db, DENOISING if denoised else None)


def _gain_db(peak: int) -> float:
    """Decibels that lift a peak to the target; never less than 0."""
    if peak == 0:
        return 0.0
    wanted_db = _TARGET_PEAK_DBFS - 20 * np.log10(peak / _FULL_SCALE)
    # A hundredth of a decibel down, so that what is written down is what was done.
    return float(np.floor(100 * np.clip(wanted_db, 0.0, _MAX_GAIN_DB)) / 100)


def _peak(waveform: Int16Waveform) -> int:
    return max(int(waveform.max(initial=0)), -int(waveform.min(initial=0)))


def _shifted(waveform: Int16Waveform, offset: int) -> Int16Waveform:
    shifted = np.empty_like(waveform)
    for part in _blocks(len(waveform)):
        shifted[part] = np.clip(waveform[part].astype(np.int32) - offset, -32768, 32767)
    return shifted


def _amplified(waveform: Int16Waveform, factor: float) -> Int16Waveform:
    amplified = np.empty_like(waveform)
    for part in _blocks(len(waveform)):
        amplified[part] = np.rint(waveform[part] * factor)
    return amplified


def _blocks(length: int) -> Iterator[slice]:
    return (slice(start, start + _BLOCK) for start in range(0, length, _BLOCK))
