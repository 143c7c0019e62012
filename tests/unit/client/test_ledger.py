"""What was answered is on the disk, whole and once; what happens to the disk is named."""

import multiprocessing
import os
import signal
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from voiceman.errors import LedgerError, NoAudioError, ResultNotWrittenError
from voiceman_client.entries import State
from voiceman_client.ledger import LEDGER_FILES, LEDGER_NAME, Ledger
from voiceman_client.planning import ChannelPlan, Plan
from voiceman_client.window_answer import WindowAnswer
from voiceman_client.windows import Span

WINDOW = Span(0, 160_000)


def answer(text="{}", seed=0):
    vectors = np.random.default_rng(seed).standard_normal((2, 192)).astype(np.float32)
    return WindowAnswer(text, vectors)


def begin(ledger, path, work="w"):
    ledger.begin(path, sha256="a" * 64, made="m", work=work, duration_s=10.0)


@pytest.fixture
def file(tmp_path):
    return tmp_path / LEDGER_NAME


@pytest.fixture
def call(tmp_path):
    return tmp_path / "call.wav"


def test_a_recording_goes_through_its_states(file, call):
    with Ledger(file) as ledger:
        assert ledger.entry(call) is None
        ledger.expect([call], "m")
        assert ledger.entry(call).state == State.PENDING
        begin(ledger, call)
        entry = ledger.entry(call)
        assert (entry.state, entry.attempts, entry.duration_s) == (State.STT, 1, 10.0)
        for state in (State.FORENSIC, State.REPORT, State.COMPLETED):
            ledger.advance(call, state)
            assert ledger.entry(call).state == state
        assert ledger.counts()[State.COMPLETED] == 1
        assert sum(ledger.counts().values()) == 1


def test_a_failure_says_why_until_the_recording_is_begun_again(file, call):
    with Ledger(file) as ledger:
        begin(ledger, call)
        ledger.fail(call, NoAudioError("no sound track"))
        entry = ledger.entry(call)
        assert (entry.state, entry.error) == (State.FAILED, "NoAudioError")
        assert entry.why == "no sound track"
        begin(ledger, call)
        entry = ledger.entry(call)
        assert (entry.error, entry.why, entry.attempts) == ("", "", 2)


def test_another_run_expects_again_what_is_not_completed(file, tmp_path):
    paths = [tmp_path / name for name in ("done.wav", "failed.wav", "cut.wav", "new.wav")]
    with Ledger(file) as ledger:
        for path in paths[:3]:
            begin(ledger, path, work=path.name)
        ledger.advance(paths[0], State.COMPLETED)
        ledger.fail(paths[1], NoAudioError("none"))
        ledger.keep_answer("cut.wav", None, WINDOW, answer())
    with Ledger(file) as ledger:
        ledger.expect(paths, "m")
        states = [ledger.entry(path).state for path in paths]
        assert states == [State.COMPLETED, State.PENDING, State.PENDING, State.PENDING]
        assert list(ledger.answers("cut.wav")) == [(None, WINDOW)]
        assert ledger.answered() == {"cut.wav": 1}
        ledger.expect(paths, "other options, or other models")
        assert ledger.entry(paths[0]).state == State.PENDING


def test_cancelling_takes_back_what_is_not_final(file, tmp_path):
    paths = [tmp_path / f"{state}.wav" for state in State]
    with Ledger(file) as ledger:
        ledger.expect(paths, "m")
        for path, state in zip(paths, State, strict=True):
            ledger.advance(path, state)
        assert ledger.cancel() == 4
        assert ledger.counts()[State.CANCELLED] == 5
        assert [entry.state for entry in ledger.entries(State.FAILED)] == [State.FAILED]


def test_a_window_is_answered_once_and_the_first_answer_counts(file):
    first, second = answer('{"n": 1}', 1), answer('{"n": 2}', 2)
    with Ledger(file) as ledger:
        assert ledger.keep_answer("w", 0, WINDOW, first) is first
        assert ledger.keep_answer("w", 0, WINDOW, second).evidence == first.evidence
        ledger.keep_answer("w", 1, WINDOW, second)
        ledger.keep_answer("w", None, WINDOW, second)
        ledger.keep_answer("other", 0, WINDOW, second)
        kept = ledger.answers("w")
        assert set(kept) == {(0, WINDOW), (1, WINDOW), (None, WINDOW)}
        assert kept[0, WINDOW].evidence == '{"n": 1}'


@given(
    vectors=arrays.arrays(
        np.float32, st.tuples(st.integers(0, 3), st.just(192)), elements=st.floats(width=32)
    ),
    text=st.text(st.characters(exclude_categories=["Cs"])),
)
def test_answers_come_back_bit_for_bit(vectors, text):
    with Ledger() as ledger:
        ledger.keep_answer("w", None, WINDOW, WindowAnswer(text, vectors))
        kept = ledger.answers("w")[None, WINDOW]
    assert kept.evidence == text
    assert kept.embeddings.tobytes() == vectors.tobytes()
    assert kept.embeddings.shape == vectors.shape


@given(
    turns=arrays.arrays(
        np.float64,
        st.tuples(st.integers(0, 4), st.just(3)),
        elements=st.floats(0, 86_400),
    ),
    channel=st.sampled_from([None, 0, 1]),
)
def test_plans_come_back_bit_for_bit(turns, channel):
    weights = {"voice_activity": {"name": "segmentation", "sha256": "b" * 64}}
    plan = Plan((ChannelPlan(channel, (WINDOW, Span(160_000, 480_000)), turns),), weights)
    with Ledger() as ledger:
        assert ledger.plan("w") is None
        ledger.keep_plan(Path("call.wav"), "w", plan)
        kept = ledger.plan("w")
    assert kept.weights == weights
    (part,) = kept.channels
    assert (part.channel, part.spans) == (channel, plan.channels[0].spans)
    assert part.turns.dtype == np.float64
    assert part.turns.tobytes() == turns.tobytes()


def test_the_plan_says_how_many_windows_there_are(file, call):
    turns = np.zeros((0, 3), np.float32)
    plan = Plan((ChannelPlan(None, (WINDOW, Span(160_000, 320_000)), turns),), {})
    with Ledger(file) as ledger:
        begin(ledger, call)
        ledger.keep_plan(call, "w", plan)
        assert ledger.entry(call).windows == 2


def test_cleaning_forgets_completed_recordings_only(file, tmp_path):
    done, cut = tmp_path / "done.wav", tmp_path / "cut.wav"
    with Ledger(file) as ledger:
        for path in (done, cut):
            begin(ledger, path, work=path.name)
            for end in (160_000, 320_000):
                ledger.keep_answer(path.name, None, Span(0, end), answer())
        ledger.advance(done, State.COMPLETED)
        assert ledger.clean() == 2
        assert ledger.answered() == {"cut.wav": 2}
        assert ledger.entry(done).state == State.COMPLETED
        assert ledger.clean() == 0


def test_facts_and_names_are_kept(file, call):
    with Ledger(file) as ledger:
        ledger.expect([call], "m")
        ledger.state_fact({"order": "{}", "cancel": ""})
        ledger.state_fact({"cancel": "1"})
        ledger.keep_names({call: "call-12345678"})
    with Ledger(file, read_only=True) as ledger:
        assert (ledger.fact("order"), ledger.fact("cancel"), ledger.fact("no")) == ("{}", "1", None)
        assert ledger.names() == {str(call): "call-12345678"}


def test_a_ledger_that_nothing_came_into_leaves_no_file(file):
    Ledger(file).close()
    assert list(file.parent.iterdir()) == []


def test_an_empty_ledger_that_another_process_uses_stays(file, call):
    """`cancel` may look into that of a run which still waits for its server."""
    with Ledger(file) as of_the_run:
        Ledger(file).close()
        of_the_run.expect([call], "m")
    with Ledger(file, read_only=True) as ledger:
        assert [entry.state for entry in ledger.entries()] == [State.PENDING]


class Faulty:
    """A connection whose disk fails at a statement."""

    def __init__(self, connection, at, message):
        self._connection, self._at, self._message = connection, at, message

    def execute(self, statement, *arguments):
        if self._at in statement:
            raise sqlite3.OperationalError(self._message)
        return self._connection.execute(statement, *arguments)

    def __getattr__(self, name):
        return getattr(self._connection, name)


@pytest.mark.parametrize("message", ["database or disk is full", "disk I/O error"])
@pytest.mark.parametrize("at", ["UPDATE recordings SET windows", "COMMIT", "BEGIN"])
def test_a_change_that_fails_leaves_nothing_of_itself(file, call, at, message):
    plan = Plan((ChannelPlan(None, (WINDOW,), np.zeros((0, 3), np.float32)),), {})
    with Ledger(file) as ledger:
        begin(ledger, call)
        database = ledger._database
        whole = database._connection
        database._connection = Faulty(whole, at, message)
        with pytest.raises(ResultNotWrittenError, match=f"{LEDGER_NAME}.*{message}.*make room"):
            ledger.keep_plan(call, "w", plan)
        database._connection = whole
        assert ledger.plan("w") is None
        assert ledger.entry(call).windows == 0
        ledger.keep_plan(call, "w", plan)  # the next one is not the failed one's
        assert ledger.entry(call).windows == 1


def test_a_really_full_disk_is_named_and_what_was_there_stays(file, call):
    with Ledger(file) as ledger:
        begin(ledger, call)
        ledger.keep_answer("w", None, WINDOW, answer())
        with ledger._database.read() as database:
            pages = database.execute("PRAGMA page_count").fetchone()[0]
            database.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(ResultNotWrittenError, match="full"):
            ledger.keep_answer("w", 1, WINDOW, answer("x" * 100_000))
        assert list(ledger.answers("w")) == [(None, WINDOW)]


@pytest.mark.parametrize(
    "content", [b"no database at all" * 100, b"SQLite format 3\0" + b"x" * 4096]
)
def test_a_damaged_file_is_named(file, content):
    file.write_bytes(content)
    with pytest.raises(LedgerError, match=f"{LEDGER_NAME}.*damaged.*results stay"):
        Ledger(file)
    assert file.read_bytes() == content


def test_a_page_that_was_damaged_is_named(file, tmp_path):
    with Ledger(file) as ledger:
        ledger.expect([tmp_path / f"{n}.wav" for n in range(500)], "m")
    content = bytearray(file.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    file.write_bytes(content)
    with pytest.raises(LedgerError, match="damaged"), Ledger(file) as ledger:
        ledger.entries()


def test_a_ledger_of_another_version_is_left_alone(file):
    database = sqlite3.connect(file)
    database.execute("PRAGMA user_version = 7")
    database.close()
    before = file.read_bytes()
    for read_only in (False, True):
        with pytest.raises(LedgerError, match="of version 7, this voiceman knows 2"):
            Ledger(file, read_only=read_only)
    assert file.read_bytes() == before


def test_reading_changes_nothing(file, call):
    with Ledger(file) as ledger:
        begin(ledger, call)
        with Ledger(file, read_only=True) as reading:  # while another process writes
            assert reading.entry(call).state == State.STT
            ledger.advance(call, State.FORENSIC)
            assert reading.entry(call).state == State.FORENSIC
            with pytest.raises(ResultNotWrittenError):
                reading.expect([call], "m")
    before = file.read_bytes()
    with Ledger(file, read_only=True) as reading:
        assert reading.counts()[State.FORENSIC] == 1
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == [LEDGER_NAME]


def fill(file, channel, count):
    with Ledger(file) as ledger:
        for number in range(count):
            ledger.keep_answer("w", channel, Span(number, number + 1), answer())
            ledger.keep_answer("shared", None, Span(number, number + 1), answer(str(channel)))


def test_two_processes_write_at_once_and_lose_nothing(file, call):
    with Ledger(file) as ledger:
        begin(ledger, call)
    started = multiprocessing.get_context("spawn")
    writers = [started.Process(target=fill, args=(file, channel, 50)) for channel in (0, 1)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0, 0]
    with Ledger(file) as ledger:
        assert ledger.answered() == {"w": 100, "shared": 50}


def kill_oneself(file, count):
    ledger = Ledger(file)
    for number in range(count):
        ledger.keep_answer("w", None, Span(number, number + 1), answer())
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_process_loses_nothing_that_counted(file, call):
    with Ledger(file) as ledger:
        begin(ledger, call)
    dying = multiprocessing.get_context("spawn").Process(target=kill_oneself, args=(file, 20))
    dying.start()
    dying.join(60)
    assert dying.exitcode == -9
    assert file.with_name(LEDGER_FILES[1]).exists()
    with Ledger(file, read_only=True) as ledger:
        assert ledger.answered() == {"w": 20}
    with Ledger(file) as ledger:
        assert ledger.answered() == {"w": 20}
