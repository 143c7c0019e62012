"""Stress is measured against the speaker's own voice, or not at all."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voiceman.analysis.leave_one_out import median_of_others
from voiceman.analysis.pattern_tables import DATA_FOLDER
from voiceman.analysis.scoring_tables import load_assessment
from voiceman.analysis.speakers import UNKNOWN
from voiceman.analysis.stress import MOST_Z, measure_stress

TABLES = load_assessment(DATA_FOLDER.parent)
ORDINARY = {
    "f0_mean_hz": 120,
    "f0_range_semitones": 11,
    "jitter_local": 0.01,
    "shimmer_local": 0.05,
    "hnr_db": 18,
    "spectral_tilt_db": -15,
    "intensity_mean_db": 65,
    "articulation_rate_syllables_per_s": 5,
    "pause_total_s": 0,
}


def utterance(seconds=3.0, overlap=0.0, start=0.0, **features):
    return {
        "start": start,
        "end": start + seconds,
        "overlap": overlap,
        "voice_features": {**ORDINARY, **features},
        "unavailable": {},
    }


def varied(count, seed=0, **features):
    """Utterances that vary by some per cent, as one person's do."""
    rng = np.random.default_rng(seed)
    return [
        utterance(**{name: v * rng.normal(1, 0.05) for name, v in ORDINARY.items()} | features)
        for _ in range(count)
    ]


def measure(utterances, speakers=None, **baseline):
    speakers = speakers or [("SPEAKER_00", None)] * len(utterances)
    found = measure_stress(
        utterances, speakers, replace(TABLES.baseline, **baseline), TABLES.stress
    )
    return json.loads(json.dumps(found, allow_nan=False))


def test_a_raised_voice_is_stress_and_every_feature_is_named():
    raised = utterance(f0_mean_hz=180, intensity_mean_db=80, spectral_tilt_db=-6)
    *calm, stressed = measure([*varied(12), raised])
    assert stressed["value"] > 0.5
    first = stressed["contributions"][:3]
    assert {part["feature"] for part in first} == {
        "f0_mean_hz",
        "intensity_mean_db",
        "spectral_tilt_db",
    }
    assert stressed["contributions"][0]["feature"] == "f0_mean_hz"  # the largest
    assert first[0]["value"] == 180
    assert first[0]["baseline"] == pytest.approx(120, rel=0.05)
    assert stressed["reason"] == (
        "9 of 9 features compared with 12 other utterances of the speaker, 36.0 s"
    )
    assert max(item["value"] for item in calm) < 0.3


def test_the_value_follows_from_the_contributions():
    for stress in measure(varied(30, f0_mean_hz=120) + varied(3, f0_mean_hz=150)):
        rest = np.prod([1 - part["contribution"] for part in stress["contributions"]])
        assert stress["value"] == pytest.approx(1 - rest, abs=1e-4)
        contributions = [part["contribution"] for part in stress["contributions"]]
        assert contributions == sorted(contributions, reverse=True)


def test_a_lowered_voice_is_no_stress():
    assert measure([*varied(12), utterance(f0_mean_hz=80)])[-1]["value"] < 0.05


def test_an_even_voice_does_not_make_trifles_large():
    same = [utterance() for _ in range(12)]
    trifle = utterance(f0_mean_hz=121, jitter_local=0.0101, pause_total_s=0.05)
    assert {item["value"] for item in measure([*same, trifle])} == {0.0}


def test_pauses_count_as_a_share_of_the_utterance():
    *_, short, long = measure(
        [*varied(12), utterance(3.0, pause_total_s=1.5), utterance(30.0, pause_total_s=1.5)]
    )
    shares = {part["feature"]: part for part in short["contributions"]}
    assert shares["pause_share"]["value"] == 0.5
    assert shares["pause_share"]["contribution"] == pytest.approx(0.1)
    assert "pause_share" not in {part["feature"] for part in long["contributions"]}


def test_nobody_is_his_own_baseline_or_somebody_elses():
    """Eight others are needed: with nine there are, with eight there are not."""
    assert all(item["value"] is not None for item in measure(varied(9)))
    eight = measure(varied(8))
    assert {item["value"] for item in eight} == {None}
    assert "7 other utterances" in eight[0]["reason"]
    assert "8 and 20 s are needed" in eight[0]["reason"]
    two = [("SPEAKER_00", None)] * 5 + [("SPEAKER_01", None)] * 5
    assert {item["value"] for item in measure(varied(10), two)} == {None}
    channels = [("SPEAKER_00", 0)] * 5 + [("SPEAKER_00", 1)] * 5
    assert {item["value"] for item in measure(varied(10), channels)} == {None}


def test_seconds_are_needed_as_well_as_utterances():
    short = [{**item, "end": 1.5} for item in varied(12)]
    assert {item["value"] for item in measure(short)} == {None}
    assert measure(short, min_speech_s=15.0)[0]["value"] is not None


@pytest.mark.parametrize(
    ("odd", "speaker", "reason"),
    [
        (utterance(0.5), "SPEAKER_00", "0.50 s long, 1 s are needed"),
        (utterance(3.0, 1.2), "SPEAKER_00", "several people talk for 1.2 of 3.0 s"),
        (utterance(), UNKNOWN, "nobody knows who speaks"),
        (
            {**utterance(), "voice_features": None, "unavailable": {"voice_features": "no sound"}},
            "SPEAKER_00",
            "no sound",
        ),
    ],
)
def test_what_cannot_be_measured_says_why_and_is_in_no_baseline(odd, speaker, reason):
    speakers = [("SPEAKER_00", None)] * 8 + [(speaker, None)]
    *others, last = measure([*varied(8), odd], speakers)
    assert last["value"] is None
    assert reason in last["reason"]
    assert last["contributions"] == []
    assert {item["value"] for item in others} == {None}  # seven others, not eight


def test_overlap_that_nobody_looked_for_is_none():
    assert measure([utterance(overlap=None) for _ in range(9)])[0]["value"] == 0


def test_single_missing_features_leave_the_others():
    some = varied(12, hnr_db=None)
    some[0]["voice_features"]["jitter_local"] = None
    first, second, *_ = measure(some)
    assert first["reason"].startswith("7 of 9 features")
    assert second["reason"].startswith("8 of 9 features")


numbers = st.one_of(st.none(), st.floats(width=32))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(numbers, numbers, st.floats(0, 9)), max_size=14), st.randoms())
def test_any_numbers_give_bounded_stress_in_any_order(rows, random):
    spoken = [
        utterance(seconds, f0_mean_hz=f0, pause_total_s=pauses) for f0, pauses, seconds in rows
    ]
    found = measure(spoken, min_utterances=2, min_speech_s=0.0)
    assert len(found) == len(rows)
    for stress in found:
        assert stress["reason"]
        assert stress["value"] is None or 0 <= stress["value"] <= 1
        assert all(0 <= part["contribution"] <= 1 for part in stress["contributions"])
        assert all(abs(part["z"]) <= MOST_Z for part in stress["contributions"])
    order = random.sample(range(len(rows)), len(rows))
    again = measure([spoken[index] for index in order], min_utterances=2, min_speech_s=0.0)
    assert [found[index]["value"] for index in order] == [item["value"] for item in again]


@given(st.floats(120, 600), st.floats(0, 300))
def test_a_further_departure_never_lowers_stress(f0_hz, more_hz):
    others = varied(12)
    lower, higher = (
        measure([*others, utterance(f0_mean_hz=f0)])[-1]["value"] for f0 in (f0_hz, f0_hz + more_hz)
    )
    assert higher >= lower


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(80, 200), min_size=1, max_size=12))
def test_a_baseline_is_the_median_and_deviation_of_the_others(pitches):
    column = np.array(pitches, float)[:, None]
    medians, deviations = median_of_others(column)
    for index in range(len(pitches)):
        others = np.delete(pitches, index)
        median = np.median(others) if len(others) else np.nan
        deviation = np.median(np.abs(others - median)) if len(others) else np.nan
        assert medians[index, 0] == pytest.approx(median, nan_ok=True)
        assert deviations[index, 0] == pytest.approx(deviation, nan_ok=True)


def test_departures_are_counted_in_robust_deviations_with_a_floor():
    pitches = [100, 101, 102, 103, 104, 105, 106, 107, 130]
    *_, high = measure([utterance(f0_mean_hz=f0) for f0 in pitches])
    (part,) = high["contributions"]
    floor = 0.03 * 103.5  # 1.4826 * 2 is less
    assert part["baseline"] == 103.5
    assert part["z"] == pytest.approx((130 - 103.5) / floor, abs=0.005)
    assert part["contribution"] == 0.4
