"""Voice features of real utterances beside Praat's, in eleven languages and over the telephone."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from voiceman.analysis.intensity import NUCLEI_FLOOR_HZ, intensity_contour, sounding_parts
from voiceman.analysis.pitch import track_pitch
from voiceman.analysis.voice_features import measure
from voiceman.audio import SAMPLE_RATE_HZ, Waveform, to_float32
from voiceman_client.decode import decode

parselmouth = pytest.importorskip("parselmouth", reason="no wheel of praat-parselmouth here")

RECORDINGS = ("telephone-call", "korean-calls")
PER_RECORDING = 2
MIN_UTTERANCE_S, MAX_UTTERANCE_S = 1.0, 8.0
MIN_UTTERANCES = 50

# Largest deviation of any utterance: relative, for levels in dB. The bars of the requirement are
# 2 % for f0, 10 % for jitter and shimmer and 1 dB for HNR; that of the rest is ours.
RELATIVE = {
    "f0_mean_hz": 0.02,
    "jitter_local": 0.1,
    "jitter_rap": 0.1,
    "jitter_ppq5": 0.1,
    "shimmer_local": 0.1,
    "shimmer_apq3": 0.1,
    "shimmer_apq11": 0.1,
}
IN_DB = {"hnr_db": 1.0, "intensity_mean_db": 0.1, "spectral_tilt_db": 0.5}


def utterances_of(path: Path) -> list[Waveform]:
    """The first utterances of a recording, cut in the middle of its pauses."""
    sound = to_float32(decode(path).waveforms[0])
    contour = intensity_contour(sound, NUCLEI_FLOOR_HZ)
    pauses_s = sounding_parts(contour, track_pitch(sound)).pauses_s.mean(axis=1)
    edges = [0, *(pauses_s * SAMPLE_RATE_HZ).astype(int), len(sound)]
    cuts = [sound[start:end] for start, end in pairwise(edges)]
    fitting = [c for c in cuts if MIN_UTTERANCE_S <= len(c) / SAMPLE_RATE_HZ <= MAX_UTTERANCE_S]
    return fitting[:PER_RECORDING]


def praat(waveform: Waveform) -> dict[str, float]:
    """The same features by Praat itself, with the default settings of its commands."""
    call = parselmouth.praat.call
    sound = parselmouth.Sound(waveform.astype(np.float64), SAMPLE_RATE_HZ)
    pitch = sound.to_pitch_ac()
    pulses = call([sound, pitch], "To PointProcess (cc)")
    ltas = call(sound, "To Ltas", 100)
    limits = (0, 0, 0.0001, 0.02, 1.3)  # whole sound, periods of 0.1 to 20 ms, period factor
    found = {
        "f0_mean_hz": call(pitch, "Get mean", 0, 0, "Hertz"),
        "hnr_db": call(sound.to_harmonicity_cc(), "Get mean", 0, 0),
        "intensity_mean_db": call(sound.to_intensity(), "Get mean", 0, 0, "energy"),
        "spectral_tilt_db": call(ltas, "Get slope", 0, 1000, 1000, 4000, "energy"),
    }
    for kind in ("local", "rap", "ppq5"):
        found[f"jitter_{kind}"] = call(pulses, f"Get jitter ({kind})", *limits)
    for kind in ("local", "apq3", "apq11"):
        found[f"shimmer_{kind}"] = call([sound, pulses], f"Get shimmer ({kind})", *limits, 1.6)
    return found


def test_voice_features_of_real_speech_are_praats(speech):
    paths = [path for name in RECORDINGS for path in speech(name) if path.suffix == ".wav"]
    waveforms = [waveform for path in paths for waveform in utterances_of(path)]
    assert len(waveforms) >= MIN_UTTERANCES
    pairs = [(measure(waveform, track_pitch(waveform)), praat(waveform)) for waveform in waveforms]
    table, too_far = [f"{len(waveforms)} utterances"], []
    for name, limit in (RELATIVE | IN_DB).items():
        ours, theirs = np.array([(mine[name], their[name]) for mine, their in pairs]).T
        np.testing.assert_array_equal(np.isnan(ours), np.isnan(theirs), err_msg=name)
        apart = np.abs(ours - theirs)[~np.isnan(theirs)]
        if name in RELATIVE:
            apart /= theirs[~np.isnan(theirs)]
        table.append(
            f"{name:20} within {limit:<4} {(apart <= limit).mean():7.1%} of {len(apart)}"
            f"  median {np.median(apart):.1e}  largest {apart.max():.1e}"
        )
        if (apart > limit).any():
            too_far.append(name)
    print("\n".join(["", *table]))  # noqa: T201 - for `pytest -s`
    assert not too_far, "\n".join(table)
