"""A leak is told from noise, with a stated chance of a false alarm."""

import numpy as np
import pytest

from voiceman_client.leak import SIGNIFICANCE, growth

MB = 10**6


def readings(count: int, mb_each: float, noise_mb: float, seed: int = 0):
    """One a minute, on top of 500 MB."""
    noise = np.random.default_rng(seed).normal(0, noise_mb, count)
    used = 500 + mb_each * np.arange(count) + noise
    return [60.0 * n for n in range(count)], (used * MB).astype(int).tolist()


def test_a_leak_under_noise_is_found_with_its_rate():
    found = growth(*readings(180, mb_each=0.5, noise_mb=10))
    assert found is not None
    assert found.mb_per_hour == pytest.approx(30, rel=0.1)
    assert found.beyond_noise
    assert found.noise_mb == pytest.approx(10, rel=0.2)
    assert found.readings == 135


def test_one_wild_reading_in_four_changes_little():
    times_s, used = readings(100, mb_each=1.0, noise_mb=1)
    used[::4] = [value + 900 * MB for value in used[::4]]
    found = growth(times_s, used)
    assert found is not None
    assert found.mb_per_hour == pytest.approx(60, rel=0.1)


def test_noise_alone_alarms_no_more_often_than_stated():
    alarms = 0
    for seed in range(400):
        found = growth(*readings(60, 0.0, noise_mb=20, seed=seed))
        assert found is not None
        alarms += found.beyond_noise
    assert alarms <= 400 * SIGNIFICANCE


def test_readings_that_depend_on_the_one_before_rarely_alarm():
    alarms = 0
    for seed in range(200):
        draws = np.random.default_rng(seed).normal(0, 5, 80)
        used = [draws[0]]
        for draw in draws[1:]:
            used.append(0.7 * used[-1] + draw)
        found = growth(range(80), [int((500 + value) * MB) for value in used])
        assert found is not None
        alarms += found.beyond_noise
    assert alarms <= 200 * 0.02


def test_growth_to_a_plateau_is_warm_up():
    times_s, used = readings(80, 0.0, noise_mb=1)
    used = [value - 300 * MB // (1 + n) if n < 20 else value for n, value in enumerate(used)]
    found = growth(times_s, used)
    assert found is not None
    assert not found.beyond_noise


def test_memory_that_falls_or_stays_is_no_leak():
    falling = growth(*readings(60, mb_each=-2, noise_mb=1))
    still = growth(*readings(60, mb_each=0, noise_mb=0))
    assert falling is not None
    assert still is not None
    assert falling.p_value > 0.99
    assert (still.mb_per_hour, still.p_value, still.beyond_noise) == (0.0, 1.0, False)


def test_few_readings_say_nothing():
    assert growth(*readings(13, 50, 0)) is None
    assert growth(*readings(14, 50, 0)) is not None
    assert growth([5.0] * 40, list(range(40))) is None
    assert growth([], []) is None


def test_thousands_of_recordings_are_thinned_out():
    found = growth(*readings(5000, 0.01, noise_mb=1))
    assert found is not None
    assert found.beyond_noise
    assert found.readings <= 1000


def test_the_score_is_that_of_kendalls_tau():
    """Against the definition, ties included: scipy's tau-b has the same score and variance."""
    stats = pytest.importorskip("scipy.stats")
    values = np.random.default_rng(3).integers(0, 12, 40) * MB
    found = growth(range(40), values.tolist())
    assert found is not None
    kept = values[10:]
    tau = stats.kendalltau(np.arange(30), kept, method="asymptotic", alternative="greater")
    assert found.p_value == pytest.approx(tau.pvalue, abs=0.02)  # scipy corrects no continuity
