import numpy as np
import pytest

from voiceman.analysis.intensity import (
    NUCLEI_FLOOR_HZ,
    intensity_contour,
    level_sd_db,
    mean_level_db,
    sounding_parts,
)
from voiceman.analysis.pitch import track_pitch
from voiceman.audio import SAMPLE_RATE_HZ


def tone(seconds: float, amplitude: float = 0.5, f0_hz: float = 200.0) -> np.ndarray:
    times_s = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return (amplitude * np.sin(2 * np.pi * f0_hz * times_s)).astype(np.float32)


def syllables(count: int, rate_hz: float = 4.0) -> np.ndarray:
    """A tone whose amplitude swells `count` times, as syllables do."""
    times_s = np.arange(round(count / rate_hz * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    swell = 0.05 + 0.95 * np.sin(np.pi * rate_hz * times_s) ** 2
    return (0.5 * swell * np.sin(2 * np.pi * 150.0 * times_s)).astype(np.float32)


def listen(waveform: np.ndarray):
    contour = intensity_contour(waveform, NUCLEI_FLOOR_HZ)
    return sounding_parts(contour, track_pitch(waveform))


@pytest.mark.parametrize("amplitude", [1.0, 0.5, 0.01])
def test_a_sine_has_the_level_of_its_power(amplitude):
    expected_db = 10 * np.log10(amplitude**2 / 2 / 2e-5**2)
    contour = intensity_contour(tone(1.0, amplitude))
    np.testing.assert_allclose(contour.levels_db, expected_db, atol=0.01)
    assert mean_level_db(contour) == pytest.approx(expected_db, abs=0.01)
    assert level_sd_db(contour) == pytest.approx(0.0, abs=0.01)


def test_the_mean_is_one_of_energy():
    half_silent = np.concatenate([tone(2.0), np.zeros(2 * SAMPLE_RATE_HZ, np.float32)])
    loss_db = mean_level_db(intensity_contour(tone(2.0))) - mean_level_db(
        intensity_contour(half_silent)
    )
    assert loss_db == pytest.approx(10 * np.log10(2), abs=0.1)


def test_an_offset_is_no_sound():
    contour = intensity_contour(np.full(SAMPLE_RATE_HZ, 0.3, np.float32))
    assert contour.levels_db.max() < 0


def test_digital_silence_has_no_level():
    contour = intensity_contour(np.zeros(SAMPLE_RATE_HZ, np.float32))
    assert np.isnan(mean_level_db(contour))
    assert np.isnan(level_sd_db(contour))
    assert listen(np.zeros(SAMPLE_RATE_HZ, np.float32)).sounding_s == 0.0


@pytest.mark.parametrize("count", [1, 2, 5, 12])
def test_syllables_are_counted(count):
    assert len(listen(syllables(count)).nuclei_s) == count


def test_swells_of_noise_are_no_syllables():
    noise = np.random.default_rng(0).normal(0, 0.3, SAMPLE_RATE_HZ * 3).astype(np.float32)
    envelope = np.abs(syllables(12))[: len(noise)]
    assert len(listen(noise * envelope).nuclei_s) <= 1


def test_pauses_are_found_where_they_are():
    pause = np.zeros(int(0.6 * SAMPLE_RATE_HZ), np.float32)
    sounding = listen(np.concatenate([tone(1.0), pause, tone(1.0), pause, tone(1.0)]))
    np.testing.assert_allclose(sounding.pauses_s, [[1.0, 1.6], [2.6, 3.2]], atol=0.07)
    assert sounding.sounding_s == pytest.approx(3.0, abs=0.2)


def test_gaps_shorter_than_a_pause_are_bridged():
    gap = np.zeros(int(0.2 * SAMPLE_RATE_HZ), np.float32)
    assert len(listen(np.concatenate([tone(1.0), gap, tone(1.0)])).pauses_s) == 0


def test_silence_at_the_edges_is_no_pause():
    edge = np.zeros(SAMPLE_RATE_HZ, np.float32)
    sounding = listen(np.concatenate([edge, tone(1.0), edge]))
    assert len(sounding.pauses_s) == 0
    assert sounding.sounding_s == pytest.approx(1.0, abs=0.15)
