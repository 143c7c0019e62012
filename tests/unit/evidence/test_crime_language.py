import unicodedata
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceman.analysis.crime_language import (
    FINDING_WEIGHT,
    broken_examples,
    find,
    without_means,
)
from voiceman.analysis.crime_patterns import CATEGORIES
from voiceman.analysis.hits import Hit, without_overlaps
from voiceman.analysis.pattern_entries import lay_over, parse_entries
from voiceman.analysis.pattern_tables import default_tables, load_tables
from voiceman.errors import InvalidRequestError, WeightsError

PATTERN = """
language = "xx"
[[pattern]]
id = "xx-1"
category = "{category}"
severity = {severity}
all = ['{phrase}']
matches = ["boo"]
harmless = ["hello"]
source = "a test"
"""


def findings(text: str, language: str = "ko") -> set[str]:
    return {hit.category for hit in find(text, language) if hit.weight >= FINDING_WEIGHT}


@pytest.mark.parametrize("language", sorted(default_tables()))
def test_every_pattern_keeps_its_word(language):
    assert list(broken_examples(default_tables()[language])) == []


@pytest.mark.parametrize("language", ["ko", "en"])
def test_every_category_has_patterns(language):
    assert {pattern.category for pattern in default_tables()[language].patterns} == set(CATEGORIES)


@pytest.mark.parametrize(
    "text",
    [
        "네 고객님 본인 확인을 위해 성함과 생년월일 말씀해 주세요",
        "보이스피싱 예방을 위해 안내드립니다 저희는 비밀번호를 묻지 않습니다",
        "경찰은 필로폰을 판 일당을 검거했다고 밝혔습니다",
        "연체되시면 신용 점수가 떨어질 수 있습니다",
        "더워 죽겠다 배고파 죽겠네",
        "게임에서 그 보스를 죽여 버릴 거야",
        "이번 달 카드값 입금 안 하시면 이용이 정지됩니다",
    ],
)
def test_harmless_korean_is_no_finding(text):
    assert findings(text) == set()


@pytest.mark.parametrize(
    "text",
    [
        "Thank you for calling, could you verify your date of birth?",
        "If you don't pay by Friday we will have to close your account",
        "He was convicted because he said I'll kill you",
        "This traffic is killing me",
        "Your bank will never ask you to move money to a safe account",
    ],
)
def test_harmless_english_is_no_finding(text):
    assert findings(text, "en") == set()


def test_a_quoted_threat_is_a_mention_with_its_reason():
    (hit,) = find("걔가 나를 죽여버린다고 협박했어")
    assert hit.weight < FINDING_WEIGHT
    assert "reports what somebody said" in hit.context
    (direct,) = find("너 죽여버린다")
    assert (direct.weight, direct.context) == (1.0, "said directly")


def test_a_disclaimer_cancels_nothing():
    assert findings(
        "보이스피싱 아니고요 서울중앙지검 최 검사입니다 명의 도용 사건으로 전화드렸습니다"
    ) == {"fraud"}


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "If you don't send the money by tomorrow I will kill you"),
        ("en", "If you tell the police I'll kill you"),
        ("ko", "경찰에 신고하면 죽여 버린다"),
        ("ko", "돈 안 보내면 진짜 죽여 버린다"),
    ],
)
def test_a_threat_that_is_a_means_leaves_a_finding(language, text):
    assert findings(text, language) in ({"extortion"}, {"coercion"}, {"threat"})


CATEGORY_HITS = st.builds(
    Hit,
    category=st.sampled_from(CATEGORIES),
    pattern_id=st.just("x"),
    start=st.integers(0, 200),
    end=st.integers(201, 240),
    severity=st.floats(0.1, 1.0),
    weight=st.floats(0.0, 1.0),
    context=st.just("said directly"),
)


@given(st.lists(CATEGORY_HITS, max_size=8), st.sampled_from(["en", "ko"]))
def test_means_never_fall_without_an_end_that_stands(hits, language):
    hits = without_overlaps(hits)
    left = without_means(hits, default_tables()[language])
    assert [hit.category for hit in left] == [hit.category for hit in hits]
    assert any(h.weight >= FINDING_WEIGHT for h in hits) == any(
        h.weight >= FINDING_WEIGHT for h in left
    )


ASIDES = {
    "ko": ["어제 영화 봤어.", "우리 팀이 이겼네.", "책 다 읽었어.", "노래 좋더라.", "법을 공부해."],
    "en": ["I watched a movie.", "The printer works.", "My team won.", "The soup was good."],
}
CLEAR = {
    "ko": [
        "너 진짜 죽여 버린다.",
        "사진 퍼지기 싫으면 내일까지 삼백 보내.",
        "너 같은 쓰레기는 처음 본다.",
    ],
    "en": ["I'm going to stab you tonight.", "You stupid piece of shit.", "I just want to die."],
}


@pytest.mark.parametrize(
    ("language", "clear", "aside"),
    [(lang, clear, aside) for lang in CLEAR for clear in CLEAR[lang] for aside in ASIDES[lang]],
)
def test_a_harmless_sentence_beside_it_changes_no_finding(language, clear, aside):
    alone = findings(clear, language)
    assert alone
    assert findings(f"{aside} {clear}", language) == alone
    assert findings(f"{clear} {aside}", language) == alone


def test_a_wide_weak_hit_joins_no_two_findings():
    def hit(start: int, end: int, severity: float) -> Hit:
        return Hit("threat", "x", start, end, severity, 1.0, "said directly")

    first, wide, last = hit(0, 5, 0.9), hit(3, 30, 0.2), hit(25, 35, 0.8)
    assert without_overlaps([wide, last, first]) == [first, last]


def test_positions_are_those_of_the_text_that_was_given():
    for form in ("NFC", "NFD"):
        text = unicodedata.normalize(form, "\u200b자, 너 진짜 죽여\n버릴 거야!")
        (hit,) = find(text)
        passage = unicodedata.normalize("NFC", text[hit.start : hit.end])
        assert passage == "죽여\n버릴 거야"


def test_one_passage_counts_once_per_category():
    hits = find("너 같은 개새끼")
    assert [hit.category for hit in hits] == ["insult"]


def test_a_language_without_patterns_is_said():
    with pytest.raises(InvalidRequestError, match=r"'ja'.*en, ko"):
        find("殺すぞ", "ja")


@given(st.text(max_size=300), st.sampled_from(["ko", "en"]))
def test_any_text_gives_hits_inside_it(text, language):
    for hit in find(text, language):
        assert 0 <= hit.start < hit.end <= len(text)
        assert 0 <= hit.weight <= 1
        assert 0 <= hit.severity <= 1


@given(st.permutations(["너 죽여버린다", "날씨가 좋네요", "필로폰 팔아요"]))
def test_the_order_of_sentences_changes_no_finding(sentences):
    assert findings(". ".join(sentences)) == {"threat", "drugs"}


@pytest.mark.parametrize(
    "text",
    ["가" * 100_000, "씨발 " * 33_000, "돈 안 주면 " * 14_000, "a\x00\u0301" * 33_000],
)
@pytest.mark.parametrize("language", ["ko", "en"])
@pytest.mark.timeout(120)  # in quadratic time it takes longer
def test_hostile_text_ends(text, language):
    for hit in find(text, language):
        assert 0 <= hit.start < hit.end <= len(text)


def test_a_table_is_read_and_checked(tmp_path):
    path = tmp_path / "xx.toml"
    path.write_text(PATTERN.format(category="threat", severity=0.5, phrase="boo"), "utf-8")
    tables = load_tables(tmp_path)
    assert [hit.pattern_id for hit in find("Boo!", "xx", tables)] == ["xx-1"]
    assert list(broken_examples(tables["xx"])) == []
    path.write_text(PATTERN.format(category="threat", severity=0.5, phrase="=h"), "utf-8")
    assert len(list(broken_examples(load_tables(tmp_path)["xx"]))) == 2


@pytest.mark.parametrize(
    ("category", "severity", "phrase", "named"),
    [
        ("murder", 0.5, "boo", "unknown category 'murder'"),
        ("threat", 1.5, "boo", "severity is 1.5"),
        ("threat", 0.5, "=(", "no regular expression"),
        ("threat", 0.5, "$NOTHING", r"no concept \$NOTHING"),
    ],
)
def test_broken_tables_are_refused_by_name(tmp_path, category, severity, phrase, named):
    path = tmp_path / "xx.toml"
    path.write_text(PATTERN.format(category=category, severity=severity, phrase=phrase), "utf-8")
    with pytest.raises(WeightsError, match=rf"xx\.toml: pattern xx-1: {named}"):
        load_tables(tmp_path)
    with pytest.raises(WeightsError, match="no pattern tables"):
        load_tables(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "text", ["너죽여버린다", "너 죽여 버릴게", "너 죽 여 버 린 다", "너 죽여버릴꺼야"]
)
def test_endings_spacing_and_spelling_hide_nothing(text):
    assert "threat" in findings(text)


def test_a_relayed_threat_is_a_threat_and_a_told_one_a_mention():
    assert findings("형님이 너 죽여버린대") == {"threat"}
    assert findings("걔가 나 죽여버린대") == set()


def test_a_demand_takes_the_threat_with_it():
    hits = find("돈 안 보내면 너 진짜 죽여버린다")
    assert {hit.category for hit in hits if hit.weight >= FINDING_WEIGHT} == {"extortion"}
    assert "threat" in {hit.category for hit in hits if hit.weight < FINDING_WEIGHT}


USERS = """
language = "ko"
[concepts]
FLOWER = ["장미|백합/N"]
[[pattern]]
id = "my-flowers"
category = "drugs"
severity = 0.5
all = ["$FLOWER", "팔/V"]
matches = ["장미 팔아요"]
harmless = ["장미가 예쁘네요"]
source = "a code word"
[[pattern]]
id = "ko-drugs-deal"
enabled = false
"""


def test_a_users_table_adds_and_takes_away():
    entries = parse_entries(USERS, "mine.toml", InvalidRequestError)
    table = lay_over(default_tables()["ko"], entries, "mine.toml", InvalidRequestError)
    assert [hit.pattern_id for hit in find("백합 팔았어", "ko", {"ko": table})] == ["my-flowers"]
    assert not any(pattern.id == "ko-drugs-deal" for pattern in table.patterns)
    assert find("백합 팔았어") == []


def test_a_users_phrase_cannot_hang_the_search():
    entries = parse_entries(
        USERS.replace("$FLOWER", "=(a+)+(a|aa)+b"), "mine.toml", InvalidRequestError
    )
    table = lay_over(default_tables()["ko"], entries, "mine.toml", InvalidRequestError)
    find("팔아 " + "ab" * 50 + "a" * 50_000, "ko", {"ko": table})  # backtracking would not end


@pytest.mark.parametrize("language", ["ko", "en"])
def test_the_filter_turns_no_hit_away(language):
    table = default_tables()[language]
    everything = tuple(frozenset[int]() for _ in table.patterns)
    unfiltered = replace(table, prefilter=replace(table.prefilter, needed=everything))
    for pattern in table.patterns:
        for text in pattern.matches + pattern.harmless:
            assert find(text, language) == find(text, language, {language: unfiltered})
