import numpy as np
import pytest

from voiceman.analysis.pitch import CEILING_HZ, FLOOR_HZ, TIME_STEP_S, track_pitch
from voiceman.audio import SAMPLE_RATE_HZ


def tone(f0_hz: float, seconds: float = 1.0) -> np.ndarray:
    times_s = np.arange(int(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return (0.3 * np.sin(2 * np.pi * f0_hz * times_s)).astype(np.float32)


def harmonics(f0_hz: float, seconds: float = 1.0) -> np.ndarray:
    """A band-limited pulse train: all harmonics up to 4 kHz, falling by 1 / k."""
    times_s = np.arange(int(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    numbers = np.arange(1, int(4000 / f0_hz) + 1)[:, np.newaxis]
    waves = np.cos(2 * np.pi * f0_hz * numbers * times_s) / numbers
    return (0.1 * waves.sum(axis=0)).astype(np.float32)


@pytest.mark.parametrize("f0_hz", [80.0, 101.3, 137.7, 220.0, 311.1, 440.0, 590.0])
@pytest.mark.parametrize("sound", [tone, harmonics])
def test_known_f0_is_found(sound, f0_hz):
    pitch = track_pitch(sound(f0_hz))
    assert pitch.voiced.all()
    np.testing.assert_allclose(pitch.f0_hz, f0_hz, rtol=1e-3)


def test_a_missing_fundamental_is_heard():
    times_s = np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    telephone = harmonics(120.0) - 0.1 * np.cos(2 * np.pi * 120.0 * times_s).astype(np.float32)
    np.testing.assert_allclose(track_pitch(telephone).f0_hz, 120.0, rtol=1e-3)


def test_a_glide_is_followed():
    times_s = np.arange(2 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    phase = 2 * np.pi * (100 * times_s + 25 * times_s**2)  # 100 Hz to 200 Hz in 2 s
    pitch = track_pitch(np.sin(phase).astype(np.float32))
    np.testing.assert_allclose(pitch.f0_hz, 100 + 50 * pitch.times_s, rtol=5e-3)


def test_silence_and_noise_have_no_pitch():
    noise = np.random.default_rng(0).normal(0, 0.1, SAMPLE_RATE_HZ).astype(np.float32)
    assert not track_pitch(np.zeros(SAMPLE_RATE_HZ, np.float32)).voiced.any()
    assert track_pitch(noise).voiced.mean() < 0.05


def test_quiet_parts_of_a_loud_utterance_are_unvoiced():
    quiet_then_loud = np.concatenate([0.001 * tone(150.0), tone(150.0)])
    pitch = track_pitch(quiet_then_loud)
    assert not pitch.voiced[pitch.times_s < 0.9].any()
    assert pitch.voiced[pitch.times_s > 1.1].all()


def test_level_and_offset_change_nothing():
    speechlike = harmonics(130.0)
    louder = track_pitch(3.0 * speechlike + 0.2)
    np.testing.assert_allclose(louder.f0_hz, track_pitch(speechlike).f0_hz, rtol=1e-4)


@pytest.mark.parametrize("samples", [0, 1, 639, 640, 641, 1000])
def test_short_waveforms_have_few_or_no_frames(samples):
    pitch = track_pitch(tone(200.0)[:samples])
    assert len(pitch.times_s) == len(pitch.f0_hz) == max(0, (samples - 640) // 160 + 1)


def test_f0_stays_in_range_and_frames_lie_inside():
    rng = np.random.default_rng(1)
    for _ in range(5):
        sound = np.cumsum(rng.normal(size=8000)).astype(np.float32)  # brown noise
        pitch = track_pitch(sound)
        found = pitch.f0_hz[pitch.voiced]
        assert ((found > FLOOR_HZ - 1) & (found < CEILING_HZ)).all()
        np.testing.assert_allclose(np.diff(pitch.times_s), TIME_STEP_S)
        assert 0 < pitch.times_s[0] < pitch.times_s[-1] < len(sound) / SAMPLE_RATE_HZ
