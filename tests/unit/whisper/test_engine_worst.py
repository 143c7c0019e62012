"""The worst that callers and devices do leaves no slot, no memory and no request behind."""

import gc
import logging
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from threading import Lock

import numpy as np
import psutil
import pytest
import torch

from voiceman.audio import Waveform
from voiceman.errors import (
    DeadlineExceededError,
    InvalidRequestError,
    RequestCancelledError,
)
from voiceman.options import WindowOptions
from voiceman.serving.whisper import job as job_module
from voiceman.serving.whisper.batch import Batch
from voiceman.serving.whisper.checkpoint import Checkpoint
from voiceman.serving.whisper.engine import Engine
from voiceman.serving.whisper.window import Window, WindowResult

EngineOf = Callable[..., Engine]
REQUESTS, WARM_UP = 1000, 300
ANSWER_S = 120
GROWTH_BYTES = 48 << 20  # the sounds alone, were they kept, would be five times as much
FAULTY = "this window's post-processing fails"
MEMORY_ENDS = {
    "launch": {150, 1200, 1201},
    "encode": {90},
    "output": {90},
    "attention": {90},
    "move": {9},
}
CHEAP = WindowOptions(timestamps=False, max_new_tokens=12, temperatures=(0.0,))


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Hundreds of expected tracebacks say nothing."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some windows fail after decoding, and now and then the device has no memory."""
    make_transcript = job_module.make_transcript

    def failing(*arguments):
        if arguments[-1].hotwords == FAULTY:
            raise RuntimeError(FAULTY)
        return make_transcript(*arguments)

    monkeypatch.setattr(job_module, "make_transcript", failing)
    monkeypatch.setattr(job_module, "ASK_EVERY_S", 0.0)
    for name, calls in MEMORY_ENDS.items():
        fail_at(monkeypatch, name, calls)


def fail_at(monkeypatch: pytest.MonkeyPatch, name: str, calls: set[int]) -> None:
    """Let a method of the batch run out of memory at some of its calls."""
    work, lock, made = getattr(Batch, name), Lock(), [0]

    def call(*arguments):
        with lock:
            made[0] += 1
            mine = made[0]
        if mine in calls:
            raise torch.OutOfMemoryError("out of memory")
        return work(*arguments)

    monkeypatch.setattr(Batch, name, call)


class Caller:
    """Hands in random windows and is rude to some of them; the same ones for the same seed."""

    def __init__(self, engine: Engine, sounds: list[Waveform]) -> None:
        self.engine, self.sounds = engine, sounds
        self.random = np.random.default_rng(11)
        self.windows: list[weakref.ref[Window]] = []
        self.futures: list[Future[WindowResult]] = []
        self.refused = 0

    def window(self) -> Window:
        """A window whose length, language or options may be impossible."""
        random = self.random
        sound = self.sounds[random.integers(len(self.sounds))]
        samples = int(random.choice([10, 400, 8000, 16000, 40000, 480000, 480001]))
        start = random.choice([0.0, 0.3])
        options = WindowOptions(
            timestamps=bool(random.integers(2)),
            max_new_tokens=int(
                random.choice([0, 1, 3, 8, 16, 40], p=[0.03, 0.2, 0.3, 0.3, 0.12, 0.05])
            ),
            hotwords=FAULTY if random.random() < 0.05 else "",
            initial_prompt=str(random.choice(["", "서울", "\ud800"], p=[0.8, 0.17, 0.03])),
            temperatures=((start,), (start, 1.0), (start, -1.0))[
                random.choice(3, p=[0.7, 0.27, 0.03])
            ],
            min_avg_logprob=float(random.choice([0.0, -1.0])),
            deadline_unix_s=float(
                random.choice([0.0, 1.0, time.time() + 0.05], p=[0.9, 0.05, 0.05])
            ),
        )
        language = str(random.choice(["", "ko", "EN", "xx"], p=[0.5, 0.25, 0.2, 0.05]))
        repeated = np.resize(sound, samples) if samples > len(sound) else sound[:samples]
        return Window(repeated.copy(), language, options)

    def hand_in(self) -> None:
        """One request; then somebody may lose patience."""
        left = int(self.random.integers(1, 40)) if self.random.random() < 0.1 else -1
        asked = iter(range(left)) if left > 0 else None
        try:
            window = self.window()
            future = self.engine.submit(
                window, lambda: asked is not None and next(asked, None) is None
            )
        except InvalidRequestError:
            self.refused += 1
            return
        self.windows.append(weakref.ref(window))
        self.futures.append(future)
        if self.random.random() < 0.1:
            self.futures[-int(self.random.integers(1, 4)) :][0].cancel()


def test_a_thousand_random_requests_leave_nothing_behind(
    tiny: Checkpoint, sounds: list[Waveform], engine_of: EngineOf, faults: None
) -> None:
    engine = engine_of(tiny, slots=10, line=4, workers=2)
    probe = Window(sounds[1], "ko", CHEAP)
    expected = engine.submit(probe).result(ANSWER_S).tokens
    caller, process = Caller(engine, sounds), psutil.Process()
    before = 0
    for index in range(REQUESTS):
        caller.hand_in()
        if index == WARM_UP:
            before = process.memory_info().rss
    assert not wait(caller.futures, ANSWER_S).not_done
    assert engine.submit(probe).result(ANSWER_S).tokens == expected
    engine.close()

    assert (engine.busy(), engine.waiting()) == (0, 0)
    counters, accepted = engine.counters(), len(caller.futures)
    assert accepted + caller.refused == REQUESTS
    assert counters.windows + counters.cancelled + counters.failed == accepted + 2
    assert min(counters.windows, counters.cancelled, counters.failed, caller.refused) > 10
    assert engine.slots() < 10  # the memory did run out
    errors = {
        str(future.exception())
        for future in caller.futures
        if not future.cancelled()
        and future.exception()
        and not isinstance(future.exception(), RequestCancelledError | DeadlineExceededError)
    }
    assert errors == {FAULTY}  # the injected one; nothing of the engine's own

    caller.futures.clear()
    gc.collect()
    assert [window for each in caller.windows if (window := each())] == []
    assert process.memory_info().rss - before < GROWTH_BYTES


def test_a_device_that_fails_at_everything_still_answers_everybody(
    tiny: Checkpoint,
    sounds: list[Waveform],
    engine_of: EngineOf,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As after a fault of a GPU: not even a row can be stopped, and the driver must not die."""
    engine = engine_of(tiny, slots=3, line=8)
    expected = engine.submit(Window(sounds[1], "ko", CHEAP)).result(ANSWER_S).tokens

    def dead(*_: object) -> None:
        raise RuntimeError("an illegal memory access was encountered")

    with monkeypatch.context() as patch:
        for name in ("launch", "stop"):
            patch.setattr(Batch, name, dead)
        futures = [engine.submit(Window(sounds[1], "ko", CHEAP)) for _ in range(8)]
        assert not wait(futures, ANSWER_S).not_done
        assert {str(future.exception()) for future in futures} == {
            "an illegal memory access was encountered"
        }
    assert engine.counters().failed == 8
    assert (engine.busy(), engine.waiting()) == (0, 0)
    assert engine.submit(Window(sounds[1], "ko", CHEAP)).result(ANSWER_S).tokens == expected
