import tomllib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceman.analysis.pattern_tables import DATA_FOLDER
from voiceman.analysis.recording_score import highest
from voiceman.analysis.scoring import Observed, combine, score_utterance
from voiceman.analysis.scoring_tables import COMPONENT_NAMES, load_assessment, load_scoring
from voiceman.errors import WeightsError
from voiceman.evidence import DISCLAIMER, Component, Finding, Score, Stress

TABLES = load_scoring(DATA_FOLDER.parent)
shares = st.floats(0, 1)
outputs = st.floats(-0.5, 1.5)
values = st.one_of(st.none(), shares)


def component(name: str, value: float | None, weight: float = 0.3) -> Component:
    return Component(name=name, value=value, weight=weight, reason="")


components = st.lists(
    st.builds(component, st.just("any"), values, st.floats(0.01, 1)), min_size=1, max_size=6
)


def finding(severity: float, weight: float) -> Finding:
    return Finding(
        category="threat",
        pattern_id="ko-threat-kill",
        start=0,
        end=2,
        text="죽여",
        severity=severity,
        weight=weight,
        context="said directly",
    )


def observed_as(findings, dimensional=None, categorical=None, unavailable=None, stress=None):
    """An utterance of 5 to 9 s, its findings a second each."""
    times = [(5.0 + index, 6.0 + index) for index in range(len(findings or ()))]
    return Observed(5.0, 9.0, findings, times, dimensional, categorical, stress, unavailable or {})


def with_findings(observed: Observed, findings) -> Observed:
    times = observed_as(findings).finding_times
    return replace(observed, findings=findings, finding_times=times)


def stressed(value: float | None) -> Stress:
    named = {"feature": "f0_mean_hz", "value": 1.0, "baseline": 1.0, "z": 3.0}
    contributions = [] if value is None else [{**named, "contribution": value}]
    return Stress(value=value, reason="beside 9 others", contributions=contributions)


@st.composite
def observations(draw) -> Observed:
    def emotion(*names):
        return draw(st.one_of(st.none(), st.fixed_dictionaries(dict.fromkeys(names, outputs))))

    hits = st.lists(st.builds(finding, shares, shares), max_size=5)
    return observed_as(
        draw(st.one_of(st.none(), hits)),
        emotion("arousal", "dominance", "valence"),
        emotion("neutral", "anger", "happiness", "sadness"),
        stress=draw(st.one_of(st.none(), st.builds(stressed, values))),
    )


@given(observations())
def test_scores_are_bounded_and_explained(observed):
    score = score_utterance(observed, TABLES.weights)
    assert tuple(part["name"] for part in score["components"]) == COMPONENT_NAMES
    assert all(part["reason"] for part in score["components"])
    assert 0 <= score["coverage"] <= 1
    known = [part["value"] for part in score["components"] if part["value"] is not None]
    assert all(0 <= value <= 1 for value in known)
    if known:
        assert 0 <= score["value"] <= 100
    else:
        assert (score["value"], score["coverage"]) == (None, 0)


@given(observations())
def test_the_points_of_the_evidence_are_the_score_largest_first(observed):
    score = score_utterance(observed, TABLES.weights)
    points = [item["points"] for item in score["evidence"]]
    assert points == sorted(points, reverse=True)
    assert sum(points) == pytest.approx(score["value"] or 0, abs=0.06)
    for item in score["evidence"]:
        assert 5.0 <= item["start"] <= item["end"]
        assert item["detail"]


@given(observations(), st.randoms(use_true_random=False))
def test_the_order_of_findings_changes_nothing(observed, random):
    order = list(range(len(observed.findings or ())))
    random.shuffle(order)
    shuffled = replace(
        observed,
        findings=None if observed.findings is None else [observed.findings[i] for i in order],
        finding_times=[observed.finding_times[i] for i in order],
    )
    first, second = (score_utterance(o, TABLES.weights) for o in (observed, shuffled))
    assert first["value"] == second["value"]
    assert first["evidence"] == second["evidence"]


def test_findings_have_their_own_times_and_equal_ones_equal_points():
    twice = observed_as([finding(0.95, 1.0), finding(0.95, 1.0)], None, {"anger": 0.5})
    score = score_utterance(twice, TABLES.weights)
    first, second, anger = score["evidence"]
    assert (first["start"], first["end"]) == (5.0, 6.0)
    assert (second["start"], second["end"]) == (6.0, 7.0)
    assert first["points"] == second["points"] > 35
    assert (anger["component"], anger["start"], anger["end"]) == ("anger", 5.0, 9.0)


@given(observations(), shares)
def test_stress_that_becomes_known_never_lowers_the_score(observed, value):
    before = score_utterance(replace(observed, stress=None), TABLES.weights)
    after = score_utterance(replace(observed, stress=stressed(value)), TABLES.weights)
    assert after["value"] >= (before["value"] or 0)
    assert after["coverage"] > before["coverage"]


def test_stress_is_counted_with_the_features_that_departed():
    score = score_utterance(observed_as([], stress=stressed(0.5)), TABLES.weights)
    part = score["components"][-1]
    assert (part["name"], part["value"]) == ("voice_stress", 0.5)
    assert part["reason"] == "f0_mean_hz z +3.0 (beside 9 others)"
    missing = score_utterance(observed_as([], stress=stressed(None)), TABLES.weights)
    assert missing["components"][-1]["reason"] == "beside 9 others"


@given(components, st.data())
def test_a_higher_value_never_lowers_the_score(parts, data):
    index = data.draw(st.integers(0, len(parts) - 1))
    raised = [dict(part) for part in parts]
    raised[index]["value"] = data.draw(st.floats(parts[index]["value"] or 0, 1))
    assert combine(raised)["value"] >= (combine(parts)["value"] or 0)


@given(components, st.permutations(range(6)))
def test_order_changes_nothing(parts, order):
    shuffled = [parts[index] for index in order if index < len(parts)]
    assert combine(shuffled)["value"] == combine(parts)["value"]
    assert combine(shuffled)["coverage"] == pytest.approx(combine(parts)["coverage"], abs=1e-3)


@given(observations(), shares, shares)
def test_another_finding_never_lowers_the_score(observed, severity, weight):
    before = score_utterance(observed, TABLES.weights)["value"] or 0
    more = with_findings(observed, [*(observed.findings or []), finding(severity, weight)])
    assert score_utterance(more, TABLES.weights)["value"] >= before


@given(observations(), st.fixed_dictionaries({"anger": outputs}))
def test_a_model_that_becomes_available_never_lowers_the_score(observed, categorical):
    without = replace(observed, emotion_categorical=None)
    before = score_utterance(without, TABLES.weights)
    after = score_utterance(replace(observed, emotion_categorical=categorical), TABLES.weights)
    assert after["value"] >= (before["value"] or 0)
    assert after["coverage"] > before["coverage"]


def test_a_calm_threat_stays_a_threat_and_a_mention_weighs_less():
    calm = observed_as(
        [finding(0.95, 1.0)],
        {"arousal": 0.3, "dominance": 0.5, "valence": 0.6},
        {"neutral": 0.97, "anger": 0.01, "happiness": 0.01, "sadness": 0.01},
    )
    mention = with_findings(calm, [finding(0.95, 0.2)])
    nothing = with_findings(calm, [])
    scores = [score_utterance(o, TABLES.weights)["value"] for o in (nothing, mention, calm)]
    assert scores[0] == 0
    assert 0 < scores[1] < 30
    assert scores[2] > 75


def test_missing_components_say_why_and_lower_the_coverage():
    observed = observed_as([], unavailable={"emotion_categorical": "no weights"})
    score = score_utterance(observed, TABLES.weights)
    reasons = {part["name"]: part["reason"] for part in score["components"]}
    assert reasons["anger"] == "no weights"
    assert reasons["arousal"] == "no answer from emotion_dimensional"
    assert "whole recordings" in reasons["voice_stress"]
    total = sum(weight.weight for weight in TABLES.weights.values())
    expected = TABLES.weights["crime_language"].weight / total
    assert score["coverage"] == pytest.approx(expected, abs=1e-4)


def test_reasons_let_a_person_check():
    angry = observed_as([finding(0.95, 1.0)], None, {"anger": 0.85})
    reasons = [part["reason"] for part in score_utterance(angry, TABLES.weights)["components"]]
    assert "threat (ko-threat-kill) at 0-2 “죽여”: severity 0.95" in reasons[0]
    assert reasons[1] == "anger 0.85, counted from 0.25 to 1"


def test_many_score_as_their_highest_and_silence_scores_nothing():
    low, high, none = (combine([component("any", value)]) for value in (0.1, 0.9, None))
    assert highest([low, none, high, low]) == high
    assert (
        highest([none])
        == highest([])
        == Score(value=None, coverage=0.0, components=[], evidence=[])
    )


def test_every_weight_is_marked_uncalibrated_and_the_score_says_what_it_is_not():
    assert all("uncalibrated" in weight.uncalibrated for weight in TABLES.weights.values())
    assert "no verdict" in DISCLAIMER
    assert "no proof" in DISCLAIMER


@pytest.mark.parametrize(
    "broken",
    [
        ("weight = 0.85", "weight = 1.85"),
        ("from = 0.25", "from = 1.0"),
        ("[components.anger]", "[components.rage]"),
        ("weight = 0.85", 'weight = "much"'),
        ("weight = 0.85", "weight ="),
        ("[baseline]", "[base]"),
        ("max_overlap_share = 0.1", "max_overlap_share = 2"),
        ("min_utterances = 8", "min_utterances = 0"),
        ("from = 2.0", "from = 6.0"),
        ("[stress.hnr_db]", "[stress.hoarse]"),
        ('direction = "up"', 'direction = "sideways"'),
        ("floor = 0.4", "floor = 0.0"),
        ("[cross_validation.readings.stress]", "[cross_validation.readings.fear]"),
        ("calm = 0.25", "calm = 25"),
    ],
)
def test_a_broken_table_is_refused_by_name(tmp_path, broken):
    with pytest.raises(WeightsError, match="missing"):
        load_scoring(tmp_path)
    text = (DATA_FOLDER.parent / "scoring.toml").read_text("utf-8")
    (tmp_path / "scoring.toml").write_text(text.replace(*broken), "utf-8")
    for load in (load_scoring, load_assessment):
        with pytest.raises(WeightsError, match=r"scoring\.toml"):
            load(tmp_path)


def test_the_tables_that_come_with_voiceman_name_their_sources():
    values = tomllib.loads((DATA_FOLDER.parent / "scoring.toml").read_text("utf-8"))
    assert all(entry["source"] for entry in values["stress"].values())
    entries = [*values["stress"].values(), *values["cross_validation"]["readings"].values()]
    entries += [values["baseline"], values["cross_validation"]]
    assert all("ncalibrated" in entry["uncalibrated"] for entry in entries)
