"""`explain` says in plain words how a score came about; the numbers can be checked by hand."""

import json
import math
import re

import pytest
from click.testing import CliRunner
from test_result import MADE, heard, recording, segment, summary, utterance
from test_result import assessment as canned

from voiceman.analysis.assessment import assess
from voiceman.analysis.pattern_tables import DATA_FOLDER
from voiceman.analysis.recording_score import Scored, score_many
from voiceman.analysis.scoring_tables import load_assessment
from voiceman_client.cli import main
from voiceman_client.result import assemble
from voiceman_client.writers import to_json

TABLES = load_assessment(DATA_FOLDER.parent)
THREAT = {
    "category": "threat",
    "pattern_id": "en-threat-kill",
    "start": 0,
    "end": 13,
    "text": "I'll kill you",
    "severity": 0.95,
    "weight": 1.0,
    "context": "said directly",
}


def spoken(start, text, f0_hz, findings=()):
    said = utterance(start, start + 3.0, text)
    return said | {
        "findings": list(findings),
        "emotion_dimensional": {"arousal": 0.8, "dominance": 0.5, "valence": 0.4},
        "voice_features": {"f0_mean_hz": f0_hz, "pause_total_s": 0.0},
        "unavailable": {"emotion_categorical": "no weights"},
    }


@pytest.fixture
def result():
    said = [spoken(3.0 * n, "we meet at three", 120.0 + n) for n in range(10)]
    said.append(spoken(30.0, "I'll kill you", 190.0, [THREAT]))
    window = heard(0, 40, [segment(0, 33, "x", [])], said)
    names = ["SPEAKER_00"] * len(said)
    assessments = assess(said, ["en"] * len(said), [(name, None) for name in names], TABLES)
    parts = zip(names, said, assessments, strict=True)
    scored = [Scored(name, u["start"], 3.0, a["score"]) for name, u, a in parts]
    whole = summary(*names) | {"utterance_assessments": assessments, "score": score_many(scored)}
    whole["speakers"][0]["score"] = whole["score"]
    return assemble(recording(40.0), [window], whole, MADE)


def run(path, *options):
    return CliRunner().invoke(main, ["explain", str(path), *options])


@pytest.fixture
def file(result, tmp_path):
    path = tmp_path / "call.json"
    path.write_text(to_json(result), "utf-8")
    return path


def test_the_derivation_holds_everything_and_says_what_it_is_not(file, result):
    shown = run(file)
    assert shown.exit_code == 0
    assert "It is no verdict and no proof" in shown.stdout
    top = result["utterances"][-1]
    assert f"Recording: {top['score']['value']:.1f} of 100" in shown.stdout
    assert "Utterance 11, 30.0 to 33.0 s, SPEAKER_00: “I'll kill you”" in shown.stdout
    assert "threat (en-threat-kill) at 0-13" in shown.stdout
    assert "anger in the voice: not available, left out: no weights" in shown.stdout
    assert "f0_mean_hz 190, otherwise 124.5: " in shown.stdout
    assert "arousal: the words let" in shown.stdout
    assert shown.stdout.count("Utterance ") == 3


def test_what_was_heard_and_found_stands_first(file, result):
    shown = run(file, "--top", "0").stdout
    assert f"Language: {result['language']}, speakers: 1, utterances: 11, speech: " in shown
    assert (
        "Findings: 1, mentions: 0\n    30.0 to 33.0 s SPEAKER_00, threat: “I'll kill you”" in shown
    )


def test_what_is_to_be_distrusted_is_said_of_recording_and_utterance(result, tmp_path):
    result["flags"] = [
        {"kind": "low_confidence", "start": 30.0, "end": 33.0, "detail": "logprob -1.2"},
        *({"kind": "gap", "start": 40.0 + n, "end": 41.0 + n, "detail": ""} for n in range(5)),
    ]
    path = tmp_path / "call.json"
    path.write_text(to_json(result), "utf-8")
    shown = run(path, "--top", "1").stdout
    assert "To distrust: 6\n    30.0 to 33.0 s, Low confidence: logprob -1.2\n" in shown
    assert "    43.0 to 44.0 s, Gap\n    and 1 more\n" in shown
    assert "“I'll kill you”\n  To distrust: Low confidence: logprob -1.2\n  Score:" in shown


def test_a_result_without_findings_says_what_was_looked_at_and_what_was_not(tmp_path):
    quiet = spoken(0.0, "we meet at three", 120.0) | {"emotion_dimensional": None}
    quiet["unavailable"] |= {"emotion_dimensional": "no weights"}
    assessed = assess([quiet], ["en"], [("A", None)], TABLES)
    whole = summary("A") | {
        "utterance_assessments": assessed,
        "score": score_many([Scored("A", 0.0, 3.0, assessed[0]["score"])]),
        "unavailable": {"emotion_dimensional": "no weights"},
    }
    window = heard(0, 9, [segment(0, 3, "x", [])], [quiet])
    path = tmp_path / "quiet.json"
    path.write_text(to_json(assemble(recording(9.0), [window], whole, MADE)), "utf-8")
    shown = run(path).stdout
    assert "Recording: 0.0 of 100" in shown
    assert "    what the words say: weight 0.85 × value 0: no pattern matched (utterance " in shown
    assert "    agitation in the voice: not available, left out: no weights\n" in shown
    assert "What was available found nothing, in any utterance, so the score is 0." in shown
    assert "What was not available was not looked at" in shown
    assert "Not computed:\n    Emotion dimensions: no weights\n" in shown


def test_mentions_are_counted_and_many_findings_too(result, tmp_path):
    for said in result["utterances"][:7]:
        said["findings"] = [THREAT]
    result["utterances"][7]["findings"] = [THREAT | {"weight": 0.2}]
    path = tmp_path / "call.json"
    path.write_text(to_json(result), "utf-8")
    shown = run(path, "--top", "0").stdout
    assert "Findings: 8, mentions: 1\n" in shown
    assert "    and 3 more\n" in shown


def test_the_formulas_can_be_computed_again(file):
    formulas = re.findall(r"(?:100 × \()?1 - (.*?)\)? = ([\d.]+)\n", run(file).stdout)
    assert len(formulas) >= 4
    for product, value in formulas:
        factors = re.findall(r"1 - ([\d.e-]+)(?: × ([\d.e-]+))?", product)
        rest = math.prod(1 - float(a) * float(b or 1) for a, b in factors)
        hundred = 100 if float(value) > 1 else 1
        assert hundred * (1 - rest) == pytest.approx(float(value), abs=0.06)


def test_one_utterance_or_as_many_as_wanted(file):
    assert "Utterance 2, 3.0 to" in run(file, "--utterance", "2").stdout
    assert run(file, "--utterance", "2").stdout.count("Utterance ") == 1
    assert run(file, "--top", "5").stdout.count("Utterance ") == 5
    assert "Utterance" not in run(file, "--top", "0").stdout


def test_what_is_missing_is_said(tmp_path):
    silent = assemble(recording(5.0), [], None, MADE)
    path = tmp_path / "silent.json"
    path.write_text(to_json(silent), "utf-8")
    assert "Recording: no score" in run(path).stdout
    nothing = {"value": None, "reason": "no baseline", "contributions": []}
    lost = canned() | {"stress": nothing}
    lost["cross_validation"] |= {"agreement": None, "reason": "no words", "comparisons": []}
    whole = summary("A") | {"utterance_assessments": [lost]}
    said = assemble(recording(9.0), [heard(0, 9, [], [utterance(0, 2, "")])], whole, MADE)
    path.write_text(to_json(said), "utf-8")
    shown = run(path, "--utterance", "1").stdout
    assert "Stress: not measured: no baseline" in shown
    assert "Words and voice: not compared: no words" in shown
    assert "1 of 1 utterances have no score" in shown


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read as a result"),
        ("[]", "its schema is None, expected is 'voiceman.result/1'"),
        ('{"schema": "voiceman.result/9"}', "its schema is 'voiceman.result/9'"),
        ('{"schema": "voiceman.result/1"}', "not a complete result (it lacks flags, language"),
        (b"\xff", "cannot be read as a result"),
    ],
)
def test_other_files_are_refused_by_name(tmp_path, content, message):
    path = tmp_path / "other.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    shown = run(path)
    assert shown.exit_code == 1
    assert shown.stdout == ""
    assert f"{path}: {message}" in shown.stderr


def test_a_result_of_an_older_client_is_not_complete(file, result):
    del result["utterances"][0]["score"]
    file.write_text(json.dumps(result), "utf-8")
    assert "submit the recording again" in run(file).stderr


def test_wrong_use(file, tmp_path):
    assert run(tmp_path / "none.json").exit_code == 1
    beyond = run(file, "--utterance", "12")
    assert beyond.exit_code == 2
    assert "there is no utterance 12, it holds 11" in beyond.stderr
    assert run(file, "--utterance", "0").exit_code == 2
