"""Voice features of every utterance of a window: pitch, voice quality, level, rates, pauses."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from voiceman.analysis.cutting import cut_utterance
from voiceman.analysis.f0_contour import COLUMNS, contour_rows
from voiceman.analysis.harmonicity import hnr_frames_db
from voiceman.analysis.intensity import (
    NUCLEI_FLOOR_HZ,
    intensity_contour,
    level_sd_db,
    mean_level_db,
    sounding_parts,
)
from voiceman.analysis.perturbation import jitter, shimmer
from voiceman.analysis.pitch import PitchTrack, track_pitch
from voiceman.analysis.pulses import find_pulses
from voiceman.analysis.spectral_tilt import spectral_tilt_db
from voiceman.audio import SAMPLE_RATE_HZ, Int16Waveform, Waveform
from voiceman.contracts import VOICE_FEATURE_NAMES

Float32s = npt.NDArray[np.float32]

MIN_UTTERANCE_S = 0.15  # the window of the syllable contour is 0.128 s
NOTE = (
    "f0 by Boersma 1993 between 75 and 600 Hz; jitter, shimmer (shares) and HNR as Praat 6.1 with "
    "its default settings; level in dB re 2e-5 with full scale taken for 1 Pa, comparable within "
    "one recording only; spectral tilt: 1 to 4 kHz less 0 to 1 kHz; syllables and pauses (0.3 s "
    "and more) by de Jong & Wempe 2009"
)
# What a waveform has whether or not anybody speaks.
_OF_THE_SOUND = frozenset({"intensity_mean_db", "intensity_sd_db", "spectral_tilt_db"})


@dataclass(frozen=True)
class Voices:
    """How the utterances of a window sound.

    Attributes:
        features: [u, 21] in the order of VOICE_FEATURE_NAMES, NaN where a value cannot be
            computed.
        contour: [f, 3] utterance index, seconds in the window and f0 in Hz of voiced frames.
        missing: why values are missing, by utterance index.
    """

    features: Float32s
    contour: Float32s
    missing: dict[int, str]


def measure_utterances(waveform: Int16Waveform, utterances: Float32s) -> Voices:
    """Measure every utterance of a window by itself.

    Args:
        waveform: INT16 [n] of the window.
        utterances: [u, 2] start and end, seconds; u may be 0.
    """
    features = np.full((len(utterances), len(VOICE_FEATURE_NAMES)), np.nan, np.float32)
    contours = [np.zeros((0, COLUMNS), np.float32)]
    reasons: dict[int, str] = {}
    for index, span in enumerate(utterances):
        cut = cut_utterance(waveform, span, MIN_UTTERANCE_S)
        if isinstance(cut, str):
            reasons[index] = cut
            continue
        pitch = track_pitch(cut)
        values = measure(cut, pitch)
        features[index] = [values[name] for name in VOICE_FEATURE_NAMES]
        contours.append(contour_rows(index, max(float(span[0]), 0.0), pitch))
        if missing := [name for name, value in values.items() if np.isnan(value)]:
            reasons[index] = _reason(missing)
    return Voices(features, np.concatenate(contours), reasons)


def _reason(missing: list[str]) -> str:
    """What could not be measured, by its cause."""
    voiceless = "f0_mean_hz" in missing
    by_cause: dict[str, list[str]] = {}
    for name in missing:
        if name in _OF_THE_SOUND:
            cause = "no sound"
        elif name == "articulation_rate_syllables_per_s":
            cause = "nothing sounds long enough"
        else:
            cause = "no voiced frames" if voiceless else "too few regular periods in a row"
        by_cause.setdefault(cause, []).append(name)
    return "; ".join(f"{cause}: no {', '.join(names)}" for cause, names in by_cause.items())


def measure(waveform: Waveform, pitch: PitchTrack) -> dict[str, float]:
    """The features of one utterance by name; NaN where there is nothing to measure.

    f0 statistics are over voiced frames; the range is that of the middle 90 %. The speaking rate
    counts syllables over the whole utterance, the articulation rate over its sounding parts
    (de Jong & Wempe 2009).

    Args:
        waveform: [n] float32 at 16 kHz, 0.15 s or longer.
        pitch: of this waveform.
    """
    return _pitch(pitch) | _quality(waveform, pitch) | _flow(waveform, pitch)


def _pitch(pitch: PitchTrack) -> dict[str, float]:
    f0_hz = pitch.f0_hz[pitch.voiced]
    low, high = np.quantile(f0_hz, [0.05, 0.95]) if len(f0_hz) else (np.nan, np.nan)
    return {
        "f0_mean_hz": float(f0_hz.mean()) if len(f0_hz) else np.nan,
        "f0_sd_hz": float(f0_hz.std()) if len(f0_hz) else np.nan,
        "f0_p5_hz": float(low),
        "f0_p95_hz": float(high),
        "f0_range_semitones": float(12 * np.log2(high / low)),
        "voiced_fraction": float(pitch.voiced.mean()),
    }


def _quality(waveform: Waveform, pitch: PitchTrack) -> dict[str, float]:
    pulses_s = find_pulses(waveform, pitch)
    periods, amplitudes = jitter(pulses_s), shimmer(waveform, pulses_s)
    hnr_db = hnr_frames_db(waveform)
    return {
        "jitter_local": periods.local,
        "jitter_rap": periods.rap,
        "jitter_ppq5": periods.ppq5,
        "shimmer_local": amplitudes.local,
        "shimmer_apq3": amplitudes.apq3,
        "shimmer_apq11": amplitudes.apq11,
        "hnr_db": float(hnr_db.mean()) if len(hnr_db) else np.nan,
        "spectral_tilt_db": spectral_tilt_db(waveform),
    }


def _flow(waveform: Waveform, pitch: PitchTrack) -> dict[str, float]:
    level = intensity_contour(waveform)
    sounding = sounding_parts(intensity_contour(waveform, NUCLEI_FLOOR_HZ), pitch)
    syllables = len(sounding.nuclei_s)
    pauses_s = sounding.pauses_s[:, 1] - sounding.pauses_s[:, 0]
    return {
        "intensity_mean_db": mean_level_db(level),
        "intensity_sd_db": level_sd_db(level),
        "syllable_count": float(syllables),
        "speaking_rate_syllables_per_s": syllables * SAMPLE_RATE_HZ / len(waveform),
        "articulation_rate_syllables_per_s": (
            syllables / sounding.sounding_s if sounding.sounding_s > 0 else np.nan
        ),
        "pause_count": float(len(pauses_s)),
        "pause_total_s": float(pauses_s.sum()),
    }
