"""What the engine knows of one window, without an engine."""

import re
import time
from concurrent.futures import Future, wait
from types import SimpleNamespace

import numpy as np
import pytest
from tiny_whisper import FIRST_TIMESTAMP, IDS

from voiceman.errors import DeadlineExceededError, RequestCancelledError
from voiceman.options import WindowOptions
from voiceman.serving.whisper import job as job_module
from voiceman.serving.whisper.batch import RowOutput
from voiceman.serving.whisper.checkpoint import Checkpoint
from voiceman.serving.whisper.job import NO_SLOT, Job
from voiceman.serving.whisper.transcript import Decode
from voiceman.serving.whisper.window import Window

SOUND = np.linspace(-0.5, 0.5, 10 * 16000, dtype=np.float32)
END = IDS["<|endoftext|>"]


def new_job(language: str | None = "ko", **options: object) -> Job:
    return Job(Window(SOUND, options=WindowOptions(**options)), language, [])


def output(tokens: list[int], logprob: float = -0.1, language: int = -1) -> RowOutput:
    return RowOutput(tokens, [logprob] * len(tokens), language, 0.75, 0.25)


def test_a_caller_is_asked_now_and_then_but_its_future_at_every_look() -> None:
    asked: list[bool] = []
    job = new_job()
    job.is_cancelled = lambda: bool(asked.append(True))
    for _ in range(1000):
        assert job.why_unwanted() is None
    assert 1 <= len(asked) < 1000
    job.future.cancel()
    assert isinstance(job.why_unwanted(), RequestCancelledError)


def test_a_deadline_counts_from_its_own_moment_and_0_means_none() -> None:
    assert new_job(deadline_unix_s=0.0).why_unwanted() is None
    assert new_job(deadline_unix_s=time.time() + 60).why_unwanted() is None
    why = new_job(deadline_unix_s=time.time() - 10).why_unwanted()
    assert isinstance(why, DeadlineExceededError)
    assert re.search(r"passed 1\d\.\d s ago", str(why))


@pytest.mark.parametrize("jump_s", [-86_400, -3_600, 3_600, 86_400])
def test_a_clock_that_jumps_moves_no_deadline(monkeypatch, jump_s: float) -> None:
    job = new_job(deadline_unix_s=time.time() + 60, timeout_s=60)
    now = SimpleNamespace(time=lambda: time.time() + jump_s, monotonic=time.monotonic)
    monkeypatch.setattr(job_module, "time", now)
    assert job.why_unwanted() is None
    # A client's clock that is behind, or was set back, gives nobody more time than it asked for.
    behind = new_job(deadline_unix_s=now.time() + 86_400, timeout_s=60)
    now.monotonic = lambda: time.monotonic() + 61
    assert isinstance(job.why_unwanted(), DeadlineExceededError)
    assert isinstance(behind.why_unwanted(), DeadlineExceededError)


def test_a_timeout_counts_from_the_arrival() -> None:
    assert new_job(timeout_s=60).why_unwanted() is None
    late = new_job(timeout_s=0.001)
    time.sleep(0.002)
    assert isinstance(late.why_unwanted(), DeadlineExceededError)


def test_an_answer_reaches_the_caller_and_whoever_waits_for_one_that_was_cancelled() -> None:
    job, failed, cancelled = new_job(), new_job(), new_job()
    futures: list[Future] = [each.future for each in (job, failed, cancelled)]
    cancelled.future.cancel()
    for each in (failed, cancelled):
        each.answer(RuntimeError("no"))
    assert wait(futures, timeout=0).not_done == {job.future}
    assert str(failed.future.exception()) == "no"


def test_what_was_handed_over_for_an_earlier_row_is_stale() -> None:
    job = new_job()
    job.enter(3)
    job.start_row()
    rows, admitted_s = job.rows, job.admitted_s
    job.leave()
    assert (job.slot, job.running) == (NO_SLOT, False)
    job.enter(1)
    job.start_row()
    assert job.rows > rows
    assert job.admitted_s == admitted_s  # the line was left once


def test_a_good_attempt_is_kept_and_a_bad_one_asks_for_another(tiny: Checkpoint) -> None:
    job = new_job(None, temperatures=(0.0, 0.5))
    assert job.keep_attempt(output([72, 105, END], -5.0, language=1), tiny) is None
    assert job.language == list(tiny.special.languages)[1]
    assert job.language_probability == 0.75
    kept = job.keep_attempt(output([72, 111, END], -0.2, language=-1), tiny)
    assert kept is not None
    assert (kept.tokens, kept.temperature, kept.ended) == ((72, 111), 0.5, True)
    assert job.language == list(tiny.special.languages)[1]  # not that of the second, which has none


def test_a_row_that_ran_out_of_tokens_has_not_ended(tiny: Checkpoint) -> None:
    kept = new_job().keep_attempt(output([72, 105]), tiny)
    assert kept is not None
    assert (kept.tokens, kept.ended) == ((72, 105), False)


def test_the_last_attempt_is_the_last(tiny: Checkpoint) -> None:
    job = new_job(temperatures=(0.0, 0.5, 1.0))
    bad = output([72, END], -9.0)
    assert [job.keep_attempt(bad, tiny) is None for _ in range(3)] == [True, True, False]


def test_the_rest_of_a_window_has_no_attempts_yet(tiny: Checkpoint) -> None:
    job = new_job()
    said = job.keep_attempt(output([FIRST_TIMESTAMP, 72, *[FIRST_TIMESTAMP + 200] * 2, END]), tiny)
    assert said is not None
    split = job.split(said, tiny)
    assert split.resume_s == pytest.approx(4.0)
    attention = np.zeros((1, 200), np.float32)
    decode = Decode(0.0, split.reach_s, said, 1, split.spans, True, attention)
    job.keep(decode, split.resume_s)
    assert job.offset_s == pytest.approx(4.0)
    assert job.sound_s == pytest.approx(6.0)
    assert job.attempts == []
    assert np.array_equal(job.placement(tiny).sound, SOUND[4 * 16000 :])
