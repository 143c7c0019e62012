from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceman.analysis.pattern_tables import DATA_FOLDER
from voiceman.analysis.scoring import (
    COMPONENT_NAMES,
    DISCLAIMER,
    Observed,
    combine,
    highest,
    load_scoring,
    score_utterance,
    with_patterns,
)
from voiceman.errors import InvalidRequestError, WeightsError
from voiceman.evidence import Component, Finding, Score

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


@st.composite
def observations(draw) -> Observed:
    def emotion(*names):
        return draw(st.one_of(st.none(), st.fixed_dictionaries(dict.fromkeys(names, outputs))))

    hits = st.lists(st.builds(finding, shares, shares), max_size=5)
    return Observed(
        draw(st.one_of(st.none(), hits)),
        emotion("arousal", "dominance", "valence"),
        emotion("neutral", "anger", "happiness", "sadness"),
        {},
    )


@given(observations())
def test_scores_are_bounded_and_explained(observed):
    score = score_utterance(observed, TABLES.weights)
    assert tuple(part["name"] for part in score["components"]) == COMPONENT_NAMES
    assert all(part["reason"] for part in score["components"])
    assert 0 <= score["coverage"] < 1  # the speaker's baseline is never there
    known = [part["value"] for part in score["components"] if part["value"] is not None]
    assert all(0 <= value <= 1 for value in known)
    if known:
        assert 0 <= score["value"] <= 100
    else:
        assert (score["value"], score["coverage"]) == (None, 0)


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
    more = replace(observed, findings=[*(observed.findings or []), finding(severity, weight)])
    assert score_utterance(more, TABLES.weights)["value"] >= before


@given(observations(), st.fixed_dictionaries({"anger": outputs}))
def test_a_model_that_becomes_available_never_lowers_the_score(observed, categorical):
    without = replace(observed, emotion_categorical=None)
    before = score_utterance(without, TABLES.weights)
    after = score_utterance(replace(observed, emotion_categorical=categorical), TABLES.weights)
    assert after["value"] >= (before["value"] or 0)
    assert after["coverage"] > before["coverage"]


def test_a_calm_threat_stays_a_threat_and_a_mention_weighs_less():
    calm = Observed(
        [finding(0.95, 1.0)],
        {"arousal": 0.3, "dominance": 0.5, "valence": 0.6},
        {"neutral": 0.97, "anger": 0.01, "happiness": 0.01, "sadness": 0.01},
        {},
    )
    mention = replace(calm, findings=[finding(0.95, 0.2)])
    nothing = replace(calm, findings=[])
    scores = [score_utterance(o, TABLES.weights)["value"] for o in (nothing, mention, calm)]
    assert scores[0] == 0
    assert 0 < scores[1] < 30
    assert scores[2] > 75


def test_missing_components_say_why_and_lower_the_coverage():
    observed = Observed([], None, None, {"emotion_categorical": "no weights"})
    score = score_utterance(observed, TABLES.weights)
    reasons = {part["name"]: part["reason"] for part in score["components"]}
    assert reasons["anger"] == "no weights"
    assert reasons["arousal"] == "no answer from emotion_dimensional"
    assert "baseline" in reasons["voice_stress"]
    total = sum(weight.weight for weight in TABLES.weights.values())
    expected = TABLES.weights["crime_language"].weight / total
    assert score["coverage"] == pytest.approx(expected, abs=1e-4)


def test_reasons_let_a_person_check():
    angry = Observed([finding(0.95, 1.0)], None, {"anger": 0.85}, {})
    reasons = [part["reason"] for part in score_utterance(angry, TABLES.weights)["components"]]
    assert "threat (ko-threat-kill) at 0-2 “죽여”: severity 0.95" in reasons[0]
    assert reasons[1] == "anger 0.85, counted from 0.25 to 1"


def test_many_score_as_their_highest_and_silence_scores_nothing():
    low, high, none = (combine([component("any", value)]) for value in (0.1, 0.9, None))
    assert highest([low, none, high, low]) == high
    assert highest([none]) == highest([]) == Score(value=None, coverage=0.0, components=[])


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
    ],
)
def test_a_broken_table_is_refused_by_name(tmp_path, broken):
    with pytest.raises(WeightsError, match="missing"):
        load_scoring(tmp_path)
    text = (DATA_FOLDER.parent / "scoring.toml").read_text("utf-8")
    (tmp_path / "scoring.toml").write_text(text.replace(*broken), "utf-8")
    with pytest.raises(WeightsError, match=r"scoring\.toml"):
        load_scoring(tmp_path)


def test_a_users_patterns_are_laid_over_the_shipped_ones():
    assert with_patterns(TABLES, "") is TABLES
    users = 'language = "ko"\n[[pattern]]\nid = "ko-drugs-deal"\nenabled = false\n'
    without = with_patterns(TABLES, users).patterns
    assert "ko-drugs-deal" not in {pattern.id for pattern in without["ko"].patterns}
    assert without["en"] is TABLES.patterns["en"]
    with pytest.raises(InvalidRequestError, match="patterns for 'xx'"):
        with_patterns(TABLES, 'language = "xx"')
