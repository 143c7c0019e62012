"""Slots are taken from below, and what is computed shrinks with what is left."""

from collections.abc import Callable

import numpy as np
import pytest
from tiny_whisper import Oracle

from voiceman.audio import Waveform
from voiceman.options import WindowOptions
from voiceman.serving.whisper.batch import Batch, Look
from voiceman.serving.whisper.checkpoint import Checkpoint
from voiceman.serving.whisper.engine import Engine
from voiceman.serving.whisper.job import NO_SLOT, Job
from voiceman.serving.whisper.slots import Slots
from voiceman.serving.whisper.window import Window


def job() -> Job:
    return Job(Window(np.zeros(1, np.float32)), "ko", [])


def test_the_highest_job_moves_into_the_lowest_gap() -> None:
    slots, jobs = Slots(4), [job() for _ in range(3)]
    assert slots.gap() is None
    for each in jobs:
        slots.put(each)
    assert slots.gap() is None  # the free slot is above them
    slots.remove(jobs[0])
    assert jobs[0].slot == NO_SLOT
    assert slots.gap() == (jobs[2], 0)
    slots.move(jobs[2], 0)
    assert slots.jobs() == [jobs[2], jobs[1]]
    assert slots.gap() is None
    assert slots.free == 2
    assert slots.clear() == [jobs[2], jobs[1]]
    assert slots.gap() is None


def test_no_row_is_computed_that_nobody_is_in(
    tiny: Checkpoint,
    oracle: Oracle,
    sounds: list[Waveform],
    engine_of: Callable[..., Engine],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Windows of many lengths end one by one; a row that moves says the same on."""
    computed, launch = list[int](), Batch.launch

    def count(batch: Batch, rows: int, steps: int, furthest: int) -> Look:
        computed.append(rows * steps)
        return launch(batch, rows, steps, furthest)

    monkeypatch.setattr(Batch, "launch", count)
    engine = engine_of(tiny, slots=len(sounds), line=len(sounds))
    limits = [5 + 11 * index for index in range(len(sounds))]  # the lowest slots end first
    options = [
        WindowOptions(timestamps=False, max_new_tokens=limit, temperatures=(0.0,))
        for limit in limits
    ]
    futures = [
        engine.submit(Window(sound, options=each))
        for sound, each in zip(sounds, options, strict=True)
    ]
    tokens = [list(future.result(timeout=60).tokens[0]) for future in futures]
    whole = [oracle.tokens(sound, timestamps=False) for sound in sounds]
    assert tokens == [each[:limit] for each, limit in zip(whole, limits, strict=True)]
    # At most one row a turn moves down; no other one is computed in vain.
    assert sum(computed) - engine.counters().rows <= len(sounds)
