"""What words claim, what a voice says, and where the two do not fit."""

import json
import tomllib
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voiceman.analysis.crime_patterns import CATEGORIES
from voiceman.analysis.cross_validation import cross_validate
from voiceman.analysis.pattern_tables import DATA_FOLDER
from voiceman.analysis.scoring_tables import READING_NAMES, load_assessment
from voiceman.analysis.sentiment import load_lexicons, read_sentiment
from voiceman.errors import WeightsError

TABLES = load_assessment(DATA_FOLDER.parent)
FOLDER = DATA_FOLDER.parent / "sentiment"
CALM = {"arousal": 0.2, "dominance": 0.5, "valence": 0.5}
EXCITED = {"arousal": 0.9, "dominance": 0.9, "valence": 0.5}
CLASSES = ("neutral", "anger", "happiness", "sadness")
ORDINARY = "오늘 세 시에 만나기로 했어요"
THREAT = "너 죽여버릴 거야"
LOVE = "정말 사랑해요 "
FEAR = "너무 무섭고 괴로워요"


def finding(category="threat", severity=0.95, weight=1.0):
    return {"category": category, "severity": severity, "weight": weight}


def classes(**probabilities):
    return dict.fromkeys(CLASSES, 0.0) | probabilities


ANGRY = classes(anger=0.9)


def utterance(text, findings=(), dimensional=None, categorical=None, **unavailable):
    return {
        "text": text,
        "findings": list(findings),
        "emotion_dimensional": dimensional,
        "emotion_categorical": categorical,
        "unavailable": unavailable,
    }


def validate(said, stress=None, language="ko"):
    measured = {"value": stress, "reason": "no baseline", "contributions": []}
    rules, lexicons = TABLES.cross_validation, TABLES.lexicons
    found = cross_validate(said, measured, language, rules, lexicons)
    return json.loads(json.dumps(found, allow_nan=False))


def names(found):
    return [item["name"] for item in found["discrepancies"]]


@pytest.mark.parametrize(
    ("said", "stress", "name"),
    [
        (utterance(ORDINARY, [], EXCITED), None, "calm_words_high_arousal"),
        (utterance(ORDINARY, [], None, ANGRY), None, "calm_words_angry_voice"),
        (utterance(ORDINARY), 0.8, "calm_words_stressed_voice"),
        (utterance(THREAT, [finding()], CALM), None, "threatening_words_calm_voice"),
        (
            utterance(THREAT, [finding()], EXCITED | {"dominance": 0.1}),
            None,
            "threatening_words_submissive_voice",
        ),
        (
            utterance(LOVE, [], EXCITED | {"valence": 0.1}),
            None,
            "positive_words_negative_valence",
        ),
        (utterance(LOVE, [], None, ANGRY), None, "positive_words_angry_voice"),
        (utterance(LOVE, [], None, classes(sadness=0.8)), None, "positive_words_sad_voice"),
        (
            utterance(FEAR, [], EXCITED | {"valence": 0.9}),
            None,
            "negative_words_positive_valence",
        ),
        (utterance(FEAR, [], None, classes(happiness=0.9)), None, "negative_words_happy_voice"),
    ],
)
def test_what_does_not_fit_is_named(said, stress, name):
    found = validate(said, stress)
    assert names(found) == [name]
    assert found["agreement"] < 0.75
    assert "voice:" in found["discrepancies"][0]["detail"]


@pytest.mark.parametrize(
    "said",
    [
        utterance(ORDINARY, [], CALM, classes(neutral=1.0)),
        utterance(THREAT, [finding()], EXCITED | {"valence": 0.2}, ANGRY),
        utterance(LOVE, [], {"arousal": 0.7, "dominance": 0.5, "valence": 0.75}),
        utterance(FEAR, [], {"arousal": 0.7, "dominance": 0.3, "valence": 0.2}),
    ],
)
def test_words_and_voice_that_fit_agree(said):
    found = validate(said)
    assert names(found) == []
    assert found["agreement"] > 0.8


def test_the_agreement_follows_from_the_comparisons():
    found = validate(utterance(ORDINARY, [], EXCITED, classes(neutral=0.5, anger=0.4)), 0.3)
    parts = found["comparisons"]
    assert {part["reading"] for part in parts} == {"arousal", "valence", "anger", "stress"}
    away = sum(part["weight"] * abs(part["claimed"] - part["heard"]) for part in parts)
    total = sum(part["weight"] for part in parts)
    assert found["agreement"] == pytest.approx(1 - away / total, abs=1e-4)


def test_a_mention_is_no_menace_and_deceit_needs_no_anger():
    quoted = validate(utterance(ORDINARY, [finding(weight=0.2)], CALM))
    assert quoted["menace"] == pytest.approx(0.19)
    fraud = validate(utterance(ORDINARY, [finding("fraud")], CALM))
    assert fraud["menace"] == 0
    assert names(quoted) == names(fraud) == []


@pytest.mark.parametrize(
    ("said", "language", "reason"),
    [
        (utterance(""), "ko", "no words"),
        (utterance("bonjour à tous", crime_language="x"), "fr", "no lexicon for the language 'fr'"),
        (utterance("네"), "ko", "1 words, none of them in the lexicon"),
        (utterance(ORDINARY), "ko", "nothing to compare with"),
    ],
)
def test_what_cannot_be_compared_says_why(said, language, reason):
    found = validate(said, language=language)
    assert found["agreement"] is None
    assert reason in found["reason"]
    assert found["comparisons"] == found["discrepancies"] == []


def test_missing_models_are_named_with_their_reason():
    said = utterance(ORDINARY, [], CALM, emotion_categorical="no weights")
    found = validate(said)
    assert found["reason"] == (
        "compared: arousal, valence; without emotion_categorical (no weights), "
        "voice_stress (no baseline)"
    )


def test_what_was_not_read_has_no_menace():
    said = utterance(ORDINARY, [], CALM, crime_language="no patterns")
    assert validate(said)["menace"] is None


def test_words_of_unknown_menace_are_not_called_calm():
    read = utterance(ORDINARY, [], EXCITED, ANGRY)
    assert set(names(validate(read))) == {"calm_words_high_arousal", "calm_words_angry_voice"}
    unread = utterance(ORDINARY, [], EXCITED, ANGRY, crime_language="no patterns")
    found = validate(unread)
    assert found["discrepancies"] == []
    assert "anger" not in {part["reading"] for part in found["comparisons"]}


outputs = st.floats(width=32)
emotions = st.one_of(st.none(), st.fixed_dictionaries(dict.fromkeys(CALM, outputs)))
probabilities = st.one_of(st.none(), st.fixed_dictionaries(dict.fromkeys(CLASSES, outputs)))
hits = st.lists(
    st.builds(finding, st.sampled_from(CATEGORIES), st.floats(0, 1), st.floats(0, 1)), max_size=4
)


texts = st.one_of(st.text(max_size=60), st.just(LOVE + FEAR))


@settings(max_examples=200, deadline=None)
@given(
    st.builds(utterance, texts, hits, emotions, probabilities),
    st.one_of(st.none(), st.floats(0, 1)),
    st.randoms(),
)
def test_anything_gives_bounded_numbers_or_reasons(said, stress, random):
    found = validate(said, stress)
    assert found["reason"]
    assert found["agreement"] is None or 0 <= found["agreement"] <= 1
    assert found["sentiment"] is None or -1 <= found["sentiment"] <= 1
    for part in found["comparisons"]:
        assert part["reading"] in READING_NAMES
        assert 0 <= part["claimed"] <= 1
        assert 0 <= part["heard"] <= 1
    shuffled = random.sample(said["findings"], len(said["findings"]))
    assert validate(said | {"findings": shuffled}, stress) == found


@pytest.mark.parametrize(
    ("language", "text", "positive", "negative"),
    [
        ("en", "I love it", 2, 0),
        ("en", "I really love it", 3, 0),
        ("en", "I don't love it", 0, 1),
        ("en", "I do not hate you", 1, 0),
        ("en", "It doesn\u2019t hurt", 1, 0),
        ("en", "The gloves are in the kitchen", 0, 0),
        ("ko", "사랑해", 2, 0),
        ("ko", "정말 고맙습니다", 1.5, 0),
        ("ko", "안 좋아", 0, 0.5),
        ("ko", "좋지 않아요", 0, 0.5),
        ("ko", "좋은데 않아요", 1, 0),  # negates verbs that end in 지 only
        ("ko", "무섭지 않아", 1, 0),
        ("ko", "밥 먹으러 가자", 0, 0),
    ],
)
def test_words_are_looked_up_with_their_negation(language, text, positive, negative):
    found = read_sentiment(text, TABLES.lexicons[language])
    assert (found.positive, found.negative) == (positive, negative)


def test_excited_words_are_no_feeling_but_not_calm():
    found = read_sentiment("당장 이리 와", TABLES.lexicons["ko"])
    assert (found.positive, found.negative, found.agitated) == (0, 0, 2)


def test_composed_and_decomposed_hangul_are_the_same():
    jamo = unicodedata.normalize("NFD", "사랑해")
    assert read_sentiment(jamo, TABLES.lexicons["ko"]).positive == 2


@pytest.mark.parametrize("language", ["ko", "en"])
def test_a_word_stands_once_in_a_lexicon(language):
    text = (FOLDER / f"{language}.toml").read_text("utf-8")
    assert "UNCALIBRATED" in text
    values = tomllib.loads(text)
    groups = [values[kind] for kind in ("positive", "negative", "agitated")]
    entries = [entry for group in groups for words in group.values() for entry in words]
    assert len(entries) == len(set(entries))
    assert all(entry == entry.lower().strip() for entry in entries)


@pytest.mark.parametrize(
    "broken",
    [
        ("[negation]", "[negations]"),
        ("reach = 3", "reach = 'far'"),
        ("strong =", "huge ="),
        ('"now"', '"*"'),
    ],
)
def test_a_broken_lexicon_is_refused_by_name(tmp_path, broken):
    with pytest.raises(WeightsError, match="no lexicons"):
        load_lexicons(tmp_path)
    text = (FOLDER / "en.toml").read_text("utf-8").replace('"hurry"', '"now"')
    (tmp_path / "en.toml").write_text(text.replace(*broken), "utf-8")
    with pytest.raises(WeightsError, match=r"en\.toml: not a lexicon"):
        load_lexicons(tmp_path)
