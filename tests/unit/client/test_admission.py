"""How many windows are in flight, when the next round begins, and who is woken."""

import asyncio
import math
import selectors

import pytest

from voiceman_client.admission import Admission, InFlight


def fill(admission, now_s):
    sent = 0
    while admission.wait_s(now_s) == 0.0:
        admission.enter(now_s, 30.0)
        sent += 1
    return sent


def test_the_share_bounds_what_is_in_flight():
    admission = Admission(16)
    assert fill(admission, 0.0) == 16
    admission.allow(0.75, 0.0)
    for _ in range(5):
        admission.leave(1.0, 1.0, 30.0)
    assert fill(admission, 1.0) == 1
    assert admission.in_flight == 12


def test_nothing_enters_while_stopped_and_what_is_in_flight_stays():
    admission = Admission(16)
    fill(admission, 0.0)
    admission.allow(0.0, 2.0)
    admission.leave(1.0, 1.0, 30.0)
    assert admission.wait_s(1.0) == math.inf
    assert admission.in_flight == 15


def test_between_rounds_it_pauses():
    admission = Admission(4)
    admission.allow(0.5, 2.0)
    assert fill(admission, 0.0) == 2
    admission.leave(10.0, 10.0, 30.0)  # the round of two is over
    assert admission.wait_s(10.0) == 2.0
    admission.leave(11.0, 11.0, 30.0)
    assert admission.wait_s(11.0) == 1.0
    assert fill(admission, 12.0) == 2
    assert admission.wait_s(12.0) == math.inf
    admission.allow(1.0, 0.0)
    assert fill(admission, 12.0) == 2  # no pause any more


def test_a_round_that_becomes_smaller_when_all_are_answered_holds_nobody_back():
    admission = Admission(32)
    admission.allow(0.5, 2.0)
    for _ in range(10):
        admission.enter(0.0, 30.0)
    for _ in range(10):
        admission.leave(1.0, 1.0, 30.0)
    admission.bound(4)
    assert admission.wait_s(2.0) == 0.0
    admission.enter(2.0, 30.0)
    assert admission.wait_s(2.0) == math.inf
    admission.leave(3.0, 1.0, 30.0)
    assert admission.wait_s(3.0) == 2.0  # the pause was only put off


def test_less_than_one_window_is_one_with_rests():
    admission = Admission(2)
    admission.allow(0.25, 0.0)
    assert fill(admission, 0.0) == 1
    admission.leave(10.0, 10.0, 30.0)
    assert admission.wait_s(10.0) == 10.0


def test_a_large_window_in_flight_grows_with_the_answers():
    admission = Admission(64)
    assert fill(admission, 0.0) == 16
    admission.leave(2.0, 2.0, 30.0)
    assert fill(admission, 2.0) == 2


def test_a_look_tells_what_went_through():
    admission = Admission(4)
    admission.enter(0.0, 30.0)
    admission.enter(0.0, 30.0)
    admission.leave(2.5, 2.5, 30.0)
    flow = admission.look(5.0)
    assert flow.busy == pytest.approx((2.5 * 2 + 2.5) / (5 * 4))
    assert (flow.block.seconds, flow.block.windows) == (5.0, 1)
    assert (flow.block.audio_s, flow.block.in_flight_s) == (30.0, 7.5)
    assert flow.drain_s == 2.5
    assert admission.look(10.0).block.windows == 0


def run_instantly(work):
    """Run a coroutine function in a loop in which waiting takes no time; it is given the clock."""
    skipped_s = [0.0]

    class Skipping(selectors.SelectSelector):
        def select(self, timeout=None):
            skipped_s[0] += timeout or 0.0
            return super().select(0)

    loop = asyncio.SelectorEventLoop(Skipping())
    loop.time = lambda: skipped_s[0]
    try:
        return loop.run_until_complete(work(loop.time))
    finally:
        loop.close()


def test_a_pause_is_waited_for_and_windows_keep_their_order():
    async def work(clock):
        flight = InFlight(2, clock)
        flight.allow(1.0, 2.0)
        began = []

        async def window(index):
            async with flight.window(30.0):
                began.append((index, clock()))
                await asyncio.sleep(10.0)

        await asyncio.gather(*(window(index) for index in range(6)))
        return began

    began = run_instantly(work)
    assert [index for index, _ in began] == list(range(6))
    assert [at for _, at in began] == pytest.approx([0, 0, 12, 12, 24, 24], abs=0.01)


def test_who_waits_is_woken_at_once_and_who_gives_up_leaves_no_trace():
    async def work(clock):
        flight = InFlight(2, clock)
        flight.allow(0.0, 2.0)
        entered = []

        async def window(index):
            async with flight.window(30.0):
                entered.append((index, clock()))

        first, second = (asyncio.create_task(window(index)) for index in range(2))
        await asyncio.sleep(100.0)
        assert entered == []
        first.cancel()
        flight.allow(1.0, 0.0)
        await second
        assert flight.admission.in_flight == 0
        return entered

    [(index, at_s)] = run_instantly(work)
    assert (index, at_s) == (1, pytest.approx(100.0, abs=0.01))
