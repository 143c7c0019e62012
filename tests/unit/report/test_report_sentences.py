"""Every sentence that the core writes into results has a translation for Korean reports."""

import ast
import re
import string
import tomllib
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from voiceman.analysis.assessment import assess
from voiceman.analysis.pattern_tables import DATA_FOLDER
from voiceman.analysis.scoring_tables import load_assessment
from voiceman_client.report.messages import LANGUAGES, Messages, names
from voiceman_client.report.sentences import translated, why_failed

ROOT = Path(__file__).parents[3]
TABLE = tomllib.loads(
    (files("voiceman_client.report") / "sentences.toml").read_text(encoding="utf-8")
)["sentence"]
WRITERS = [
    *sorted((ROOT / "voiceman" / "analysis").glob("*.py")),
    ROOT / "voiceman" / "evidence.py",
    ROOT / "voiceman" / "status.py",
    ROOT / "voiceman" / "serving" / "emotion.py",
    ROOT / "voiceman" / "serving" / "whisper" / "transcript.py",
    *(ROOT / "client" / "voiceman_client" / f"{n}.py" for n in ("decode", "result", "voices")),
]
# What reads like a sentence and stands in no result: parts of error messages, and of `check`.
ELSEWHERE = {
    "number {}",
    "concept {}",
    "a part",
    "{}: must be a finding: {}",
    "{}: must be harmless, found {}: {}",
    "PyAV {}",
    "OPTIONS: patterns",
}
# What says why a recording failed.
FAILING = [
    ROOT / "client" / "voiceman_client" / f"{name}.py"
    for name in ("decode", "damage", "decoder_worker", "decoding", "inputs", "incoming")
]
PLACE = "{}"
SENTENCE = re.compile(r"[A-Za-z]{2,}[:;,]? [a-z{“]|} [A-Za-z]{2,}")
WORD = re.compile(r"[A-Za-z]{3,}")
KOREAN = Messages("ko")
TABLES = load_assessment(DATA_FOLDER.parent)


def skeleton(template: str) -> str:
    """A template with {} for every place."""
    parts = string.Formatter().parse(template)
    return "".join(text + (PLACE if name is not None else "") for text, name, *_ in parts)


def written(node: ast.AST) -> Iterator[str]:
    """The strings in a piece of code that are neither docstrings nor parts of errors or logs."""
    match node:
        case ast.Raise() | ast.Expr(value=ast.Constant()):
            return
        case ast.Call(func=ast.Attribute(value=ast.Name(id="log"))):
            return
        case ast.JoinedStr():
            yield "".join(p.value if isinstance(p, ast.Constant) else PLACE for p in node.values)
            children = [p for p in node.values if isinstance(p, ast.FormattedValue)]
        case ast.Constant(value=str()):
            yield node.value
            return
        case _:
            children = ast.iter_child_nodes(node)
    for child in children:
        yield from written(child)


@pytest.mark.parametrize("path", WRITERS, ids=lambda path: path.name)
def test_every_sentence_in_the_code_is_in_the_table(path):
    known = "\n".join(skeleton(entry["en"]) for entry in TABLE)
    found = {s for s in written(ast.parse(path.read_text(encoding="utf-8"))) if SENTENCE.search(s)}
    unknown = [
        sentence
        for sentence in found - ELSEWHERE
        if not re.search("[^\n]*".join(map(re.escape, sentence.split(PLACE))), known)
    ]
    assert unknown == [], "add them to client/voiceman_client/report/sentences.toml"


def said_of_files(path: Path) -> Iterator[str]:
    """Errors about a file, without its name: "{path}: what is wrong; what to do"."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr):
            (text,) = list(written(node))[:1]
            if text.startswith("{}: ") and WORD.search(text):
                yield text.removeprefix("{}: ")


@pytest.mark.parametrize("path", FAILING, ids=lambda path: path.name)
def test_every_reason_for_a_failure_has_a_translation(path):
    reasons = list(said_of_files(path))
    assert reasons
    shown = [why_failed(f"call.wav: {reason.replace(PLACE, '7')}", KOREAN) for reason in reasons]
    clauses = {part for text in shown for part in text.removeprefix("call.wav: ").split("; ")}
    assert {part for part in clauses if not re.search("[가-힣]", part)} == set()


@pytest.mark.parametrize(
    ("english", "korean"),
    [
        (
            "rec/a.m4a: not a sound file, or damaged beyond reading (Invalid data found when "
            "processing input); 40000 bytes; check that it plays",
            "rec/a.m4a: 소리 파일이 아니거나 읽을 수 없게 손상됨 (Invalid data found when "
            "processing input); 40000바이트; 재생되는지 확인하십시오",
        ),
        ("b.zip: a ZIP archive; unpack it first", "b.zip: 압축 파일(ZIP archive); 먼저 푸십시오"),
        (
            "c.wav: window 0.0 to 29.8 s: 127.0.0.1:8001: forensic: no answer in 600 s; raise "
            "--timeout or lower --in-flight",
            "c.wav: 0.0~29.8초 구간: 127.0.0.1:8001: forensic: 600초 안에 답이 없음; --timeout을 "
            "늘리거나 --in-flight를 줄이십시오",
        ),
        ("d.wav: ZeroDivisionError: bug", "d.wav: ZeroDivisionError: bug"),
        ("no colon", "no colon"),
    ],
)
def test_failures_are_told_in_korean_with_their_names_as_they_are(english, korean):
    assert why_failed(english, KOREAN) == korean
    assert why_failed(english, Messages("en")) == english


@pytest.mark.parametrize("path", sorted(DATA_FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_every_reason_of_the_pattern_tables_is_in_the_table(path):
    reasons = {rule["reason"] for rule in tomllib.loads(path.read_text("utf-8"))["context"]}
    assert reasons <= {entry["en"] for entry in TABLE}


def test_both_languages_have_the_same_places_and_kinds_are_known():
    for entry in TABLE:
        assert set(entry) == set(LANGUAGES)
        places = {name: kind for _, name, kind, _ in string.Formatter().parse(entry["en"]) if name}
        assert set(places) == {n for _, n, *_ in string.Formatter().parse(entry["ko"]) if n}, entry
        for kind in places.values():
            assert kind.rstrip("+") in {"number", "text", "sentence"} or names(kind.rstrip("+"))
    english = [entry["en"] for entry in TABLE]
    assert len(set(english)) == len(english)


def test_in_english_everything_stays_as_it_is():
    assert translated("said directly", Messages("en")) == "said directly"


@pytest.mark.parametrize("sentence", ["", "reason of stress", "a (b); c", "((((" * 5000, "“" * 99])
def test_what_is_unknown_stays_as_it_is(sentence):
    assert translated(sentence, KOREAN) == sentence


@pytest.mark.parametrize(
    ("english", "korean"),
    [
        ("said directly; negated", "직접 한 말; 부정하는 말"),
        ("my own rule; negated", "my own rule; 부정하는 말"),
        (
            "threat (en-1) at 0-13 “kill (; you”: severity 0.95, weight 1, said directly; fraud "
            "(x) at 14-20 “pay”: severity 0.5, weight 0.4, the means of threat "
            "(utterance at 30.0 s; mean 0.09 over 11 of 11 utterances, 33.0 s)",
            "협박 (en-1), 글자 0–13 “kill (; you”: 심각도 0.95, 가중치 1, 직접 한 말; 사기 (x), "
            "글자 14–20 “pay”: 심각도 0.5, 가중치 0.4, 협박의 수단 "
            "(30.0초의 발화; 발화 11개 중 11개, 33.0초의 평균 0.09)",
        ),
        (
            "compared: arousal, stress; without emotion_categorical (no weights: run "
            "voiceman-export emotion-categorical --checkpoint FOLDER_OR_NAME), voice_stress "
            "(no baseline: 2 other utterances of the speaker, 3.4 s, with each feature; "
            "5 and 20 s are needed)",
            "견준 것: 각성도, 긴장도; 빠진 것: 감정 분류 (가중치 없음: voiceman-export "
            "emotion-categorical --checkpoint FOLDER_OR_NAME 을 실행하십시오), 목소리 긴장 "
            "(기준이 없음: 같은 화자의 다른 발화 2개, 3.4초; 특징마다 5개, 20초가 필요함)",
        ),
        (
            "words: sentiment -0.60; voice: happiness 0.90, high from 0.6",
            "말: 정서 -0.60; 목소리: 기쁨 0.90, 0.6부터 높음",
        ),
        (
            "no voiced frames: no f0_mean_hz, f0_sd_hz; too few regular periods in a row: "
            "no jitter_local",
            "유성음 구간이 없음: 기본 주파수 평균 (Hz), 기본 주파수 표준편차 (Hz) 없음; "
            "고르게 이어지는 주기가 너무 적음: 지터 (local) 없음",
        ),
    ],
)
def test_sentences_in_sentences_are_translated_too(english, korean):
    assert translated(english, KOREAN) == korean


def spoken(start, text, f0_hz, **more):
    return {
        "start": start,
        "end": start + 3.0,
        "text": text,
        "words": [],
        "overlap": 0.0,
        "findings": [],
        "emotion_dimensional": {"arousal": 0.9, "dominance": 0.1, "valence": 0.1},
        "emotion_categorical": {"neutral": 0.1, "anger": 0.7, "happiness": 0.1, "sadness": 0.1},
        "voice_features": {"f0_mean_hz": f0_hz, "pause_total_s": 0.0},
        "unavailable": {},
    } | more


def test_what_the_core_says_of_a_recording_has_no_english_word_left():
    hit = {"category": "threat", "pattern_id": "ko-1", "start": 0, "end": 2, "text": "너"}
    hit |= {"severity": 0.9, "weight": 1.0, "context": "said directly"}
    said = [spoken(3.0 * n, "정말 고마워요 사랑해요", 120.0 + n) for n in range(10)]
    said += [
        spoken(30.0, "너 죽어", 190.0, findings=[hit]),
        spoken(33.0, "", 120.0, end=33.2),
        spoken(36.0, "세 시에 만나요", 120.0, overlap=3.0, emotion_categorical=None),
        spoken(39.0, "세 시에 만나요", 120.0, voice_features=None),
    ]
    speakers = [("SPEAKER_00", None)] * 13 + [("UNKNOWN", None)]
    sentences = set()
    for found in assess(said, ["ko"] * len(said), speakers, TABLES):
        sentences |= {found["stress"]["reason"], found["cross_validation"]["reason"]}
        sentences |= {item["detail"] for item in found["cross_validation"]["discrepancies"]}
        sentences |= {part["reason"] for part in found["score"]["components"]}
        sentences |= {item["detail"] for item in found["score"]["evidence"]}
    assert len(sentences) > 12
    kept = {sentence: translated(sentence, KOREAN) for sentence in sentences}
    left = {sentence: text for sentence, text in kept.items() if WORD.search(text)}
    assert left == {}
