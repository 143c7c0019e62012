"""What the ledger holds counts as long as it is what the run's log says; else it is asked again."""

import asyncio
import json
import sqlite3

import pytest
from media import tone, write_sound
from run_folders import chained, command, findings

from voiceman.audio import SAMPLE_RATE_HZ
from voiceman.errors import DeadlineExceededError
from voiceman_client.chain import read_chain
from voiceman_client.ledger import LEDGER_NAME, Ledger
from voiceman_client.run_log import LOG_NAME, RunLog
from voiceman_client.window_answer import WindowAnswer


@pytest.fixture
def recording(tmp_path):
    return write_sound(tmp_path / "talk.wav", tone(95))


@pytest.fixture
def interrupted(server, recording, tmp_path):
    """The folder of a run whose last window failed after the others were answered."""
    folder = tmp_path / "results"
    forensic = server.forensic

    async def fail_last(inputs):
        if 2 * SAMPLE_RATE_HZ < len(inputs["WAVEFORM"]) < 20 * SAMPLE_RATE_HZ:
            while events(folder).count("window_answered") < 3:
                await asyncio.sleep(0.01)
            raise DeadlineExceededError("too slow")
        return await forensic(inputs)

    server.forensic = fail_last
    done = command("submit", recording, "-o", folder)
    assert done.exit_code == 1, done.output
    server.forensic = forensic
    server.windows.clear()
    return folder


def change_ledger(folder, statement, *values):
    with sqlite3.connect(folder / LEDGER_NAME) as database:
        assert database.execute(statement, values).rowcount > 0


def resume(server, recording, folder):
    """Submit again; how many windows are asked for, and the text of the result."""
    done = command("submit", recording, "-o", folder)
    assert done.exit_code == 0, done.output
    assert findings(folder) == {}
    result = json.loads((folder / "talk.json").read_text())
    heard = [window for window in server.windows if window["WAVEFORM"].any()]  # no probes
    return len(heard), " ".join(segment["text"] for segment in result["segments"])


def events(folder):
    return [line.event for line in read_chain((folder / LOG_NAME).read_bytes()).lines]


def test_answers_that_the_log_knows_are_not_asked_for_again(server, recording, interrupted):
    assert resume(server, recording, interrupted) == (1, "a a a a")
    assert "answer_doubted" not in events(interrupted)


@pytest.mark.parametrize(
    "change",
    [
        """UPDATE windows SET evidence = replace(evidence, '"a"', '"forged"')""",
        "UPDATE windows SET embeddings = randomblob(length(embeddings))",
        "UPDATE windows SET embeddings = x'00'",
        "UPDATE windows SET sha256 = 'none'",
        "UPDATE windows SET first = first + 1600",
    ],
)
def test_changed_answers_are_asked_for_again(server, recording, interrupted, change):
    change_ledger(interrupted, change)
    assert resume(server, recording, interrupted) == (4, "a a a a")
    assert events(interrupted).count("answer_doubted") == 3


def test_answers_that_bear_a_matching_hash_must_be_in_the_log(server, recording, interrupted):
    with Ledger(interrupted / LEDGER_NAME) as ledger:
        (entry,) = ledger.entries()
        (channel, span), answer = sorted(ledger.answers(entry.work).items(), key=str)[0]
    forged = WindowAnswer(answer.evidence.replace('"a"', '"forged"'), answer.embeddings)
    assert forged.evidence != answer.evidence
    change_ledger(
        interrupted,
        "UPDATE windows SET evidence = ?, sha256 = ? WHERE first = ?",
        forged.evidence,
        forged.sha256(entry.work, channel, span),
        span.start,
    )
    assert resume(server, recording, interrupted) == (2, "a a a a")
    assert events(interrupted).count("answer_doubted") == 1


def test_a_changed_plan_hides_no_window(server, recording, interrupted):
    with sqlite3.connect(interrupted / LEDGER_NAME) as database:
        plan = json.loads(database.execute("SELECT plan FROM plans").fetchone()[0])
    plan["channels"][0]["spans"] = plan["channels"][0]["spans"][1:]
    change_ledger(interrupted, "UPDATE plans SET plan = ?", json.dumps(plan))
    assert resume(server, recording, interrupted) == (1, "a a a a")


@pytest.mark.parametrize("plan", ["", "{}", "[]", '{"channels": [{}], "weights": {}}'])
def test_a_damaged_plan_is_made_again(server, recording, interrupted, plan):
    change_ledger(interrupted, "UPDATE plans SET plan = ?", plan)
    assert resume(server, recording, interrupted) == (1, "a a a a")


def test_without_its_log_a_ledger_counts_for_nothing(server, recording, interrupted):
    (interrupted / LOG_NAME).unlink()
    assert resume(server, recording, interrupted) == (4, "a a a a")


def test_a_log_knows_what_it_was_told(tmp_path):
    with RunLog(tmp_path) as log:
        log.append("window_answered", {"file": "a.wav", "answer_sha256": "1"})
        log.append("speech_found", {"file": "a.wav", "plan_sha256": "2"})
        log.append("decoded", {"file": "a.wav", "answer_sha256": "3"})
        assert [log.knows(sha256) for sha256 in "123"] == [True, True, False]
    with RunLog(tmp_path) as log:
        assert [log.knows(sha256) for sha256 in "123"] == [True, True, False]


def answered(folder, *evidence, between=()):
    """The folder of a run that answered the same window with each evidence."""
    with RunLog(folder) as log:
        for number, sha256 in enumerate(evidence):
            for event in between if number else ("run_started",):
                log.append(event, {"outputs": {}})
            window = {"file": "a.wav", "channel": None, "start": 0.0, "end": 5.0}
            log.append("window_answered", {**window, "evidence_sha256": sha256})
        log.seal({})
    return folder


def test_a_run_that_answers_one_window_in_two_ways_is_found(tmp_path):
    found = findings(answered(tmp_path, "1" * 64, "2" * 64))
    assert "a.wav" in found[LOG_NAME]
    assert "two answers" in found[LOG_NAME]


def test_other_runs_may_hear_something_else(tmp_path):
    again = ("run_finished", "run_started")
    assert findings(answered(tmp_path / "sealed", "1" * 64, "2" * 64, between=again)) == {}
    killed = ("run_started",)
    assert findings(answered(tmp_path / "killed", "1" * 64, "2" * 64, between=killed)) == {}
    assert findings(answered(tmp_path / "same", "1" * 64, "1" * 64)) == {}


def test_a_log_of_strange_facts_is_no_error(tmp_path):
    folder = answered(tmp_path, "1" * 64)
    lines = read_chain((folder / LOG_NAME).read_bytes()).lines
    for line in lines:
        if line.event == "window_answered":
            line.facts["start"] = {"file": []}
    (folder / LOG_NAME).write_bytes(chained(lines))
    assert findings(folder) == {}
