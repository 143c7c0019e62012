"""Whoever goes away gives the slot back within a look. Looks are counted, not seconds."""

import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, wait
from queue import Queue
from types import SimpleNamespace

import pytest

from voiceman.audio import Waveform
from voiceman.errors import DeadlineExceededError, RequestCancelledError, ServerError
from voiceman.options import WindowOptions
from voiceman.serving.whisper import job as job_module
from voiceman.serving.whisper.batch import Batch, Look
from voiceman.serving.whisper.checkpoint import Checkpoint
from voiceman.serving.whisper.engine import Engine
from voiceman.serving.whisper.window import Window

EngineOf = Callable[..., Engine]
ANSWER_S = 60
HOPELESS = WindowOptions(
    timestamps=False, max_new_tokens=400, min_avg_logprob=0.0, no_speech_threshold=1.0
)  # six decodes of up to 400 tokens
SHORT = WindowOptions(timestamps=False, max_new_tokens=12, temperatures=(0.0,))


class Looks:
    """Counts launches of steps, and does something at one of them."""

    def __init__(self) -> None:
        self.made = 0
        self.at: dict[int, Callable[[], object]] = {}


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    looks, launch = Looks(), Batch.launch

    def counting(batch: Batch, count: int, steps: int, furthest: int) -> Look:
        looks.made += 1
        looks.at.get(looks.made, bool)()
        return launch(batch, count, steps, furthest)

    monkeypatch.setattr(Batch, "launch", counting)
    monkeypatch.setattr(job_module, "ASK_EVERY_S", 0.0)
    return looks


def finish(engine: Engine) -> None:
    """Wait until everything is answered; nothing is left."""
    engine.close()
    assert (engine.busy(), engine.waiting()) == (0, 0)


@pytest.mark.parametrize("look", [1, 5, 40])
def test_cancelling_the_answer_frees_the_slot_within_a_look(
    tiny: Checkpoint, sounds: list[Waveform], engine_of: EngineOf, looks: Looks, look: int
) -> None:
    engine = engine_of(tiny, slots=1)
    handed: Queue[Future] = Queue()
    looks.at[look] = lambda: handed.get().cancel()
    future = engine.submit(Window(sounds[1], "ko", HOPELESS))
    handed.put(future)
    assert not wait([future], ANSWER_S).not_done
    finish(engine)
    assert future.cancelled()
    assert engine.counters().looks == look
    assert (engine.counters().cancelled, engine.counters().windows) == (1, 0)


@pytest.mark.parametrize("look", [1, 5, 40])
def test_a_caller_that_has_gone_away_frees_the_slot_within_a_look(
    tiny: Checkpoint, sounds: list[Waveform], engine_of: EngineOf, looks: Looks, look: int
) -> None:
    engine = engine_of(tiny, slots=1)
    future = engine.submit(Window(sounds[1], "ko", HOPELESS), lambda: looks.made >= look)
    with pytest.raises(RequestCancelledError, match="cancelled"):
        future.result(ANSWER_S)
    finish(engine)
    assert engine.counters().looks == look
    assert engine.counters().cancelled == 1


def test_a_deadline_frees_the_slot_within_a_look(
    tiny: Checkpoint,
    sounds: list[Waveform],
    engine_of: EngineOf,
    looks: Looks,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = SimpleNamespace(time=time.time, monotonic=lambda: 1000.0 + (looks.made >= 7))
    monkeypatch.setattr(job_module, "time", now)
    engine = engine_of(tiny, slots=1)
    options = WindowOptions(max_new_tokens=400, timestamps=False, timeout_s=0.5)
    future = engine.submit(Window(sounds[1], "ko", options))
    with pytest.raises(DeadlineExceededError, match=r"0\.5 s ago"):
        future.result(ANSWER_S)
    finish(engine)
    assert engine.counters().looks == 7
    assert engine.counters().cancelled == 1


def test_neighbours_of_a_cancelled_window_say_what_they_would_have_said(
    tiny: Checkpoint, sounds: list[Waveform], engine_of: EngineOf, looks: Looks
) -> None:
    alone = engine_of(tiny, slots=1)
    window = Window(sounds[1], "ko", WindowOptions(timestamps=False, temperatures=(0.0,)))
    expected = alone.submit(window).result(ANSWER_S).tokens
    finish(alone)
    looks.made = 0
    handed: Queue[Future] = Queue()
    looks.at[5] = lambda: handed.get().cancel()
    engine = engine_of(tiny, slots=2)
    hopeless = Window(sounds[1], "ko", HOPELESS)
    futures = [engine.submit(each) for each in (hopeless, window, window, window)]
    handed.put(futures[0])
    assert [future.result(ANSWER_S).tokens for future in futures[1:]] == [expected] * 3
    finish(engine)


def test_what_is_cancelled_in_the_line_takes_no_slot(
    tiny: Checkpoint, sounds: list[Waveform], engine_of: EngineOf, looks: Looks
) -> None:
    engine = engine_of(tiny, slots=1, line=3)
    gone: list[bool] = []
    first = engine.submit(Window(sounds[1], "ko", WindowOptions(max_new_tokens=40)), lambda: False)
    waiting = [
        engine.submit(Window(sounds[1], "ko", SHORT)),
        engine.submit(Window(sounds[1], "ko", SHORT), lambda: bool(gone)),
        engine.submit(
            Window(sounds[1], "ko", WindowOptions(deadline_unix_s=time.time() - 1)), lambda: False
        ),
    ]
    gone.append(waiting[0].cancel())
    last = engine.submit(Window(sounds[1], "ko", SHORT))
    assert last.result(ANSWER_S).tokens
    finish(engine)
    assert first.result(0).tokens
    with pytest.raises(CancelledError):
        waiting[0].result(0)
    with pytest.raises(RequestCancelledError):
        waiting[1].result(0)
    with pytest.raises(DeadlineExceededError):
        waiting[2].result(0)
    counters = engine.counters()
    assert (counters.windows, counters.cancelled, counters.failed) == (2, 3, 0)
    assert counters.encodings == len(first.result(0).tokens) + 1


def test_cancelling_an_answer_that_is_there_changes_nothing(
    tiny: Checkpoint, sounds: list[Waveform], engine_of: EngineOf
) -> None:
    engine = engine_of(tiny, slots=1)
    future = engine.submit(Window(sounds[1], "ko", SHORT))
    result = future.result(ANSWER_S)
    assert not future.cancel()
    assert future.result() is result
    assert engine.submit(Window(sounds[1], "ko", SHORT)).result(ANSWER_S).tokens == result.tokens
    assert engine.counters().cancelled == 0


def test_a_fault_in_asking_whether_it_is_wanted_is_that_window_s_alone(
    tiny: Checkpoint, sounds: list[Waveform], engine_of: EngineOf, looks: Looks
) -> None:
    def is_cancelled() -> bool:
        if looks.made >= 3:
            raise OSError("the connection is lost")
        return False

    engine = engine_of(tiny, slots=2)
    faulty = engine.submit(Window(sounds[1], "ko", HOPELESS), is_cancelled)
    good = engine.submit(Window(sounds[1], "ko", SHORT))
    with pytest.raises(ServerError, match="lost"):
        faulty.result(ANSWER_S)
    assert good.result(ANSWER_S).tokens
    assert engine.counters().failed == 1


def test_whoever_goes_away_in_the_line_leaves_it_while_all_slots_are_busy(
    tiny: Checkpoint, sounds: list[Waveform], engine_of: EngineOf, looks: Looks
) -> None:
    engine = engine_of(tiny, slots=1, line=2)
    busy = engine.submit(Window(sounds[1], "ko", HOPELESS))
    late = WindowOptions(timestamps=False, deadline_unix_s=time.time() - 1)
    waiting = [
        engine.submit(Window(sounds[1], "ko", SHORT), lambda: True),
        engine.submit(Window(sounds[1], "ko", late), wait=False),
        engine.submit(Window(sounds[1], "ko", SHORT), wait=False),
    ]
    waiting[2].cancel()
    assert not wait(waiting, ANSWER_S).not_done
    assert not busy.done()
    assert isinstance(waiting[0].exception(), RequestCancelledError)
    assert isinstance(waiting[1].exception(), DeadlineExceededError)
    assert busy.result(ANSWER_S).tokens
    assert engine.counters().cancelled == 3
