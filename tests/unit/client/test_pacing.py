"""Windows in flight by queue depth, memory, heat and refusals: the requirements' numbers."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceman_client.pacing import (
    MIN_WINDOWS,
    Bounds,
    Refusals,
    Signals,
    allow,
    by_steps,
)

NEVER = Refusals()
shares = st.one_of(st.none(), st.floats(0, 1))
signals = st.builds(
    Signals,
    waiting=st.integers(0, 10_000),
    long_share=st.floats(0, 1),
    slots=st.one_of(st.none(), st.integers(1, 64)),
    memory_share=shares,
)


@pytest.mark.parametrize(
    ("waiting", "windows"),
    [(0, 4), (10, 4), (11, 8), (50, 8), (51, 16), (100, 16), (101, 32), (9999, 32)],
)
def test_the_deeper_the_queue_the_more_is_in_flight(waiting: int, windows: int):
    assert by_steps(Signals(waiting)) == windows


@pytest.mark.parametrize(
    ("memory", "windows"),
    [(None, 16), (0.3, 32), (0.4, 16), (0.6, 16), (0.61, 8), (0.8, 8), (0.81, 4), (1.0, 4)],
)
def test_the_fuller_the_memory_the_less_is_in_flight(memory: float | None, windows: int):
    assert by_steps(Signals(60, memory_share=memory)) == windows


def test_recordings_over_ten_minutes_count_half_by_their_share_of_the_work():
    assert by_steps(Signals(101, long_share=1.0)) == 16
    assert by_steps(Signals(101, long_share=0.5)) == 24


def test_a_shallow_queue_does_not_starve_the_slots_that_the_server_says_it_has():
    assert by_steps(Signals(5, slots=8)) == 16
    assert by_steps(Signals(5, slots=8, memory_share=0.59)) == 16
    assert by_steps(Signals(5, slots=8, memory_share=0.7)) == MIN_WINDOWS
    assert by_steps(Signals(500, slots=8)) == 32


def test_a_job_with_much_to_come_keeps_32_in_flight_to_its_last_hundred_windows():
    assert by_steps(Signals(183 * 30)) == by_steps(Signals(101)) == 32


def test_the_callers_bounds_are_never_passed():
    assert allow(Bounds(16), Signals(500), NEVER, 0.0).windows == 16
    assert allow(Bounds(16, audio_s=120.0), Signals(500), NEVER, 0.0).audio_s == 120.0
    assert allow(Bounds(16), Signals(500), NEVER, 0.0).audio_s == 480.0


@given(signals, st.integers(1, 512), st.floats(1, 1e5))
def test_what_is_allowed_lies_within_all_bounds(signal: Signals, most: int, audio_s: float):
    allowed = allow(Bounds(most, audio_s), signal, NEVER, 0.0)
    assert allowed.audio_s <= audio_s
    assert allowed.windows <= most
    assert allowed.windows >= 1


@given(signals, st.integers(0, 1000), st.floats(0, 1))
def test_more_work_never_allows_less_and_more_memory_never_more(
    signal: Signals, more: int, lower: float
):
    steps = by_steps(signal)
    assert by_steps(replace(signal, waiting=signal.waiting + more)) >= steps
    if signal.memory_share is not None:
        assert by_steps(replace(signal, memory_share=signal.memory_share * lower)) >= steps


def test_a_refusal_halves_and_holds_back_then_answers_give_one_window_a_round_back():
    taught = NEVER.refused(allowed=32, now_s=100.0, draw=0.5)
    assert allow(Bounds(), Signals(500), taught, 100.4).windows == 0
    assert allow(Bounds(), Signals(500), taught, 100.5).windows == 16
    for _ in range(17):
        taught = taught.answered()
    assert allow(Bounds(), Signals(500), taught, 101.0).windows == 17


def test_refusals_of_one_burst_count_once():
    taught = NEVER.refused(32, 100.0, 0.5)
    assert taught.refused(0, 100.2, 0.9) is taught


def test_refusals_in_a_row_wait_longer_and_longer_up_to_half_a_minute():
    taught, now_s, waits = NEVER, 0.0, []
    for _ in range(40):
        taught = taught.refused(32, now_s, draw=1.0)
        waits.append(taught.until_s - now_s)
        now_s = taught.until_s
    assert waits[:4] == pytest.approx([0.75, 1.5, 3.0, 6.0])
    assert max(waits) == pytest.approx(30.0)
    assert taught.windows == 1.0
    assert taught.answered().refused(4, now_s, 0.5).until_s == pytest.approx(now_s + 0.5)


@given(st.floats(0, 1, exclude_max=True))
def test_the_jitter_spreads_clients_over_as_long_as_they_wait(draw: float):
    assert 0.25 <= NEVER.refused(32, 0.0, draw).until_s <= 0.75


def test_answers_alone_teach_nothing():
    assert NEVER.answered().windows == math.inf
