import numpy as np
import pytest

from voiceman.analysis.harmonicity import hnr_frames_db
from voiceman.analysis.perturbation import jitter, shimmer
from voiceman.analysis.pitch import track_pitch
from voiceman.analysis.pulses import find_pulses
from voiceman.analysis.spectral_tilt import spectral_tilt_db
from voiceman.analysis.voice_features import measure
from voiceman.audio import SAMPLE_RATE_HZ

SECOND = np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
NOISE = np.random.default_rng(0).normal(0, 1, SAMPLE_RATE_HZ)


def sine(f0_hz: float, amplitude: float = 0.3) -> np.ndarray:
    return (amplitude * np.sin(2 * np.pi * f0_hz * SECOND)).astype(np.float32)


def pulse_train(pulses_s: np.ndarray, amplitudes: np.ndarray | float = 0.5) -> np.ndarray:
    """Smooth pulses, 2 ms wide, at these instants."""
    apart_s = (np.arange(SAMPLE_RATE_HZ) + 0.5)[:, np.newaxis] / SAMPLE_RATE_HZ - pulses_s
    return (amplitudes * np.exp(-0.5 * (apart_s / 0.0005) ** 2)).sum(axis=1).astype(np.float32)


def pulses_of(waveform: np.ndarray) -> np.ndarray:
    return find_pulses(waveform, track_pitch(waveform))


@pytest.mark.parametrize("f0_hz", [90.0, 133.3, 210.0, 333.0])
def test_one_pulse_per_period(f0_hz):
    pulses_s = pulses_of(sine(f0_hz))
    np.testing.assert_allclose(np.diff(pulses_s), 1 / f0_hz, rtol=2e-3)
    assert len(pulses_s) >= 0.9 * f0_hz


def test_pulses_lie_where_the_sound_has_them():
    made_s = 0.05 + np.arange(90) * 0.01
    found_s = pulses_of(pulse_train(made_s))
    nearest_s = np.abs(found_s[:, np.newaxis] - made_s).min(axis=1)
    assert len(found_s) >= 85
    assert nearest_s.max() < 1e-4


def test_no_pulses_without_a_voice():
    assert len(pulses_of(np.zeros(SAMPLE_RATE_HZ, np.float32))) == 0
    assert len(pulses_of((0.01 * NOISE[:300]).astype(np.float32))) == 0


def test_jitter_of_known_periods():
    alternating_s = np.cumsum(np.tile([0.010, 0.011], 20))
    found = jitter(alternating_s)
    mean_s = np.diff(alternating_s).mean()
    assert found.local == pytest.approx(0.001 / mean_s)
    assert found.rap == pytest.approx(0.001 * 2 / 3 / mean_s)  # from the mean of three
    assert found.ppq5 == pytest.approx(0.001 * 2 / 5 / mean_s)


def test_what_is_no_period_takes_no_part():
    regular_s = np.arange(10) * 0.01
    pause_between = np.concatenate([regular_s, 1 + regular_s])
    assert jitter(pause_between).local == pytest.approx(0, abs=1e-12)
    octave_jump = np.concatenate([regular_s, regular_s[-1] + 0.005 * np.arange(1, 10)])
    assert jitter(octave_jump).local == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("pulses", [0, 1, 2])
def test_two_periods_are_needed_for_jitter(pulses):
    assert np.isnan(jitter(np.arange(pulses) * 0.01).local)
    assert np.isnan(shimmer(sine(100.0), np.arange(pulses) * 0.01 + 0.1).local)


def test_shimmer_of_known_amplitudes():
    made_s = 0.05 + np.arange(90) * 0.01
    found = shimmer(pulse_train(made_s, np.tile([0.5, 0.4], 45)), made_s)
    assert found.local == pytest.approx(0.1 / 0.45, rel=0.01)
    assert found.apq3 == pytest.approx(0.1 * 2 / 3 / 0.45, rel=0.01)
    assert found.apq11 == pytest.approx(0.1 * 6 / 11 / 0.45, rel=0.01)


@pytest.mark.parametrize("hnr_db", [5.0, 10.0, 20.0])
def test_harmonicity_is_that_of_the_mixture(hnr_db):
    noisy = np.sin(2 * np.pi * 150 * SECOND) + NOISE * np.sqrt(0.5) * 10 ** (-hnr_db / 20)
    assert hnr_frames_db((0.2 * noisy).astype(np.float32)).mean() == pytest.approx(hnr_db, abs=0.8)


def test_tilt_is_the_level_of_the_high_part_less_that_of_the_low():
    # 1 kHz and 3 kHz wide bands with one sine each: powers are spread over band widths.
    both = sine(500.0) + sine(2000.0, amplitude=0.03)
    assert spectral_tilt_db(both) == pytest.approx(-20 - 10 * np.log10(3), abs=0.1)
    assert spectral_tilt_db(both + np.float32(0.4)) == pytest.approx(
        spectral_tilt_db(both), abs=0.01
    )
    assert np.isnan(spectral_tilt_db(np.zeros(1000, np.float32)))


@pytest.mark.parametrize("samples", [400, 640, 2400, 2401, 16_000])
@pytest.mark.parametrize(
    "sound",
    [
        np.zeros(SAMPLE_RATE_HZ),
        np.full(SAMPLE_RATE_HZ, 0.7),
        np.sign(sine(140.0)),
        np.clip(3 * NOISE, -1, 1),
        np.where(SECOND < 0.02, 0.5, 0),
        sine(140.0) * (SECOND > 0.5),
        np.eye(1, SAMPLE_RATE_HZ, 200)[0],
    ],
    ids=["silence", "offset", "square", "clipped noise", "step", "late", "click"],
)
@pytest.mark.filterwarnings("error")
def test_no_sound_raises(sound, samples):
    waveform = sound[:samples].astype(np.float32)
    pulses_s = pulses_of(waveform)
    assert np.isfinite(pulses_s).all()
    assert not np.isinf(list(vars(jitter(pulses_s)).values())).any()
    assert not np.isinf(list(vars(shimmer(waveform, pulses_s)).values())).any()
    assert np.isfinite(hnr_frames_db(waveform)).all()
    if samples >= 2400:
        measure(waveform, track_pitch(waveform))
