import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voiceman.analysis.f0_contour import contour_of
from voiceman.analysis.voice_features import measure_utterances
from voiceman.audio import SAMPLE_RATE_HZ, to_int16
from voiceman.contracts import VOICE_FEATURE_NAMES


def swelling_tone(seconds: float, f0_hz: float, rate_hz: float = 4.0) -> np.ndarray:
    times_s = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    swell = 0.05 + 0.95 * np.sin(np.pi * rate_hz * times_s) ** 2
    return to_int16((0.5 * swell * np.sin(2 * np.pi * f0_hz * times_s)).astype(np.float32))


def spans(*pairs: tuple[float, float]) -> np.ndarray:
    return np.array(pairs, np.float32).reshape(-1, 2)


def by_name(row: np.ndarray) -> dict[str, float]:
    return dict(zip(VOICE_FEATURE_NAMES, map(float, row), strict=True))


def test_features_of_a_known_sound():
    voices = measure_utterances(swelling_tone(3.0, 180.0), spans((0, 3)))
    features, reasons = voices.features, voices.missing
    found = by_name(features[0])
    assert reasons == {}
    assert found["f0_mean_hz"] == pytest.approx(180.0, rel=1e-3)
    assert found["f0_sd_hz"] < 1.0
    assert found["f0_p5_hz"] <= found["f0_mean_hz"] <= found["f0_p95_hz"]
    assert found["f0_range_semitones"] < 0.1
    assert found["jitter_local"] < 1e-3
    assert found["hnr_db"] > 20
    assert found["syllable_count"] == 12
    assert found["speaking_rate_syllables_per_s"] == pytest.approx(4.0)
    assert found["articulation_rate_syllables_per_s"] == pytest.approx(4.0, rel=0.1)
    assert found["pause_count"] == 0


def test_each_utterance_is_measured_by_itself():
    two_voices = np.concatenate([swelling_tone(1.0, 120.0), swelling_tone(1.0, 240.0)])
    features = measure_utterances(two_voices, spans((0, 1), (1, 2), (0, 1))).features
    alone = measure_utterances(swelling_tone(1.0, 240.0), spans((0, 1))).features
    np.testing.assert_array_equal(features[1], alone[0])
    np.testing.assert_array_equal(features[0], features[2])


@pytest.mark.parametrize("count", [0, 1, 40])
def test_any_number_of_utterances(count):
    waveform = swelling_tone(20.0, 150.0)
    pairs = [(0.5 * i, 0.5 * i + 0.5) for i in range(count)]
    voices = measure_utterances(waveform, spans(*pairs))
    features, reasons = voices.features, voices.missing
    assert features.shape == (count, len(VOICE_FEATURE_NAMES))
    assert features.dtype == np.float32
    assert reasons == {}
    assert np.isfinite(features).all()


@pytest.mark.parametrize(
    ("span", "reason"),
    [
        ((0.0, 0.0), "too short"),
        ((0.5, 0.2), "too short"),
        ((0.2, 0.3), "too short"),
        ((9.0, 12.0), "too short"),
        ((math.nan, 1.0), "not a number"),
        ((1.0, 2.0), "digital silence"),
    ],
)
def test_what_cannot_be_measured_is_nan_with_a_reason(span, reason):
    waveform = np.concatenate([swelling_tone(1.0, 150.0), np.zeros(SAMPLE_RATE_HZ, np.int16)])
    voices = measure_utterances(waveform, spans(span))
    features, reasons = voices.features, voices.missing
    assert np.isnan(features).all()
    assert reason in reasons[0]


def test_hiss_has_a_level_but_no_f0():
    noise = np.random.default_rng(0).normal(0, 0.1, SAMPLE_RATE_HZ)
    hiss = to_int16(np.diff(noise, n=3, prepend=[0, 0, 0]).astype(np.float32))
    voices = measure_utterances(hiss, spans((0, 1)))
    features, reasons = voices.features, voices.missing
    found = by_name(features[0])
    assert np.isfinite(found["intensity_mean_db"])
    assert math.isnan(found["f0_mean_hz"])
    assert found["voiced_fraction"] == found["syllable_count"] == 0
    assert "no voiced frames" in reasons[0]


def test_the_contour_follows_every_voice_in_times_of_the_window():
    pause = np.zeros(SAMPLE_RATE_HZ, np.int16)
    window = np.concatenate([swelling_tone(1.0, 120.0), pause, swelling_tone(1.0, 240.0)])
    contour = measure_utterances(window, spans((-0.5, 1), (1, 1.9), (1.5, 3))).contour
    assert contour.dtype == np.float32
    assert set(contour[:, 0]) == {0, 2}
    for utterance, (start_s, end_s, f0_hz) in {0: (0, 1, 120), 2: (2, 3, 240)}.items():
        own = contour[contour[:, 0] == utterance]
        assert (own[:, 1] >= start_s).all()
        assert (own[:, 1] <= end_s).all()
        np.testing.assert_allclose(own[:, 2], f0_hz, rtol=1e-2)


def test_a_contour_in_the_evidence_has_gaps_where_nothing_is_voiced():
    voiced = [(1, 2.00, 150.0), (1, 2.02, 151.04), (1, 2.03, 9.0), (1, 2.06, 152.0)]
    rows = np.array([(0, 1.0, 99.0), *voiced], np.float32)
    assert contour_of(rows, 1) == {
        "start": 2.0,
        "step": 0.02,
        "f0_hz": [150.0, 151.0, None, 152.0],
    }
    assert contour_of(rows, 2) is None


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    samples=st.integers(0, 24_000),
    start=st.floats(-1, 2, width=32),
    end=st.floats(-1, 2, width=32),
    amplitude=st.floats(0, 4, width=32),
)
def test_features_stay_in_their_bounds(seed, samples, start, end, amplitude):
    rng = np.random.default_rng(seed)
    sound = to_int16(
        (amplitude * np.sin(np.cumsum(rng.uniform(0, 0.4, samples)))).astype(np.float32)
    )
    voices = measure_utterances(sound, spans((start, end)))
    features, reasons = voices.features, voices.missing
    found = by_name(features[0])
    if np.isnan(features).any():
        assert 0 in reasons
    if np.isnan(features).all():
        return
    assert 0 <= found["voiced_fraction"] <= 1
    assert found["syllable_count"] >= 0
    assert 0 <= found["pause_total_s"] <= samples / SAMPLE_RATE_HZ
    assert not found["f0_mean_hz"] < 74
    assert not found["f0_mean_hz"] > 600
    assert not found["f0_range_semitones"] < 0
    assert not any(found[name] < 0 for name in found if name.startswith(("jitter", "shimmer")))
    assert not np.isinf(features).any()
