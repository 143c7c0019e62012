"""Places are bounded in windows and seconds, first come first served, and never lost."""

import asyncio
import math

from clockwork import run, settle
from hypothesis import given
from hypothesis import strategies as st

from voiceman_client.in_flight import InFlight
from voiceman_client.pacing import Allowance

LENGTHS = st.floats(0.1, 30.0)
STEPS = st.one_of(
    st.tuples(st.just("enter"), LENGTHS),
    st.tuples(st.just("leave"), st.integers(0, 50)),
    st.tuples(st.just("cancel"), st.integers(0, 50)),
    st.tuples(st.just("allow"), st.tuples(st.integers(0, 6), st.floats(0.0, 100.0))),
    st.tuples(st.just("settle"), st.none()),
)


class Crowd:
    """Tasks that want a place, keep it until told, and say when they got it."""

    def __init__(self, places: InFlight) -> None:
        self.places = places
        self.seconds: list[float] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.doors: list[asyncio.Event] = []
        self.inside: list[int] = []
        self.admitted: list[int] = []
        self.times: list[float] = []

    async def _stay(self, number: int) -> None:
        async with self.places.place(self.seconds[number]):
            self.admitted.append(number)
            self.times.append(asyncio.get_running_loop().time())
            self.inside.append(number)
            try:
                await self.doors[number].wait()
            finally:
                self.inside.remove(number)

    async def enter(self, seconds: float) -> None:
        self.seconds.append(seconds)
        self.doors.append(asyncio.Event())
        self.tasks.append(asyncio.create_task(self._stay(len(self.tasks))))
        await asyncio.sleep(0)  # it stands in the line

    async def leave(self, number: int) -> None:
        self.doors[number].set()
        await settle()

    def end(self) -> None:
        for task in self.tasks:
            task.cancel()


@given(st.lists(STEPS, max_size=60))
def test_whatever_happens_bounds_hold_order_holds_and_nobody_is_forgotten(steps):
    async def play() -> None:
        allowed = Allowance(3, 60.0)
        crowd = Crowd(InFlight(allowed))
        for what, value in steps:
            before = set(crowd.admitted)
            if what == "enter":
                await crowd.enter(value)
            elif what == "leave" and crowd.inside:
                crowd.doors[crowd.inside[value % len(crowd.inside)]].set()
            elif what == "cancel" and crowd.tasks:
                crowd.tasks[value % len(crowd.tasks)].cancel()
            elif what == "allow":
                # Places of the bounds before are taken before they count no more.
                await settle()
                before = set(crowd.admitted)
                allowed = Allowance(*value)
                crowd.places.allow(allowed)
            if what == "settle":
                await settle()
            if set(crowd.admitted) - before:
                assert crowd.places.windows <= allowed.windows
                assert crowd.places.audio_s <= allowed.audio_s or crowd.places.windows == 1
        await settle()
        assert crowd.places.windows == len(crowd.inside)
        assert math.isclose(
            crowd.places.audio_s, sum(crowd.seconds[n] for n in crowd.inside), abs_tol=1e-6
        )
        assert crowd.admitted == sorted(crowd.admitted)
        line = [
            n for n, task in enumerate(crowd.tasks) if not task.done() and n not in crowd.inside
        ]
        assert crowd.places.waiting == len(line)
        if line:  # whoever is first has a reason to wait
            full = crowd.places.windows >= allowed.windows
            long = crowd.places.audio_s + crowd.seconds[line[0]] > allowed.audio_s
            assert full or (long and crowd.places.windows > 0)
        crowd.end()
        await settle()
        assert (crowd.places.windows, crowd.places.audio_s, crowd.places.waiting) == (0, 0.0, 0)

    run(play())


def test_growing_lets_the_waiting_in_at_once_and_shrinking_takes_nothing_back():
    async def play() -> None:
        crowd = Crowd(InFlight(Allowance(2, math.inf)))
        for _ in range(6):
            await crowd.enter(30.0)
        assert crowd.inside == [0, 1]
        crowd.places.allow(Allowance(5, math.inf))
        await settle()
        assert crowd.inside == [0, 1, 2, 3, 4]
        crowd.places.allow(Allowance(2, math.inf))
        await crowd.leave(0)
        assert crowd.places.windows == 4
        for number in (1, 2):
            await crowd.leave(number)
        assert crowd.inside == [3, 4]
        await crowd.leave(3)
        assert crowd.inside == [4, 5]
        crowd.end()

    run(play())


def test_a_window_longer_than_all_seconds_allowed_goes_alone_and_is_not_overtaken():
    async def play() -> None:
        crowd = Crowd(InFlight(Allowance(4, 20.0)))
        for seconds in (10.0, 30.0, 1.0):
            await crowd.enter(seconds)
        assert crowd.inside == [0]
        await crowd.leave(0)
        assert crowd.inside == [1]
        await crowd.leave(1)
        assert crowd.inside == [2]
        crowd.end()

    run(play())


def test_who_leaves_the_line_makes_way_for_a_shorter_one():
    async def play() -> None:
        crowd = Crowd(InFlight(Allowance(4, 20.0)))
        for seconds in (10.0, 15.0, 5.0):
            await crowd.enter(seconds)
        crowd.tasks[1].cancel()
        await settle()
        assert crowd.inside == [0, 2]
        crowd.end()

    run(play())


def test_a_place_that_comes_at_the_moment_of_cancellation_goes_to_the_next():
    async def play() -> None:
        crowd = Crowd(InFlight(Allowance(1, math.inf)))
        for _ in range(3):
            await crowd.enter(1.0)
        crowd.doors[0].set()
        while crowd.places.windows and crowd.inside:
            await asyncio.sleep(0)
        assert crowd.places.windows == 1, "given to 1, who has not gone on yet"
        crowd.tasks[1].cancel()
        await settle()
        assert crowd.admitted == [0, 2]
        crowd.end()

    run(play())


def test_nothing_goes_while_all_is_stopped_and_all_goes_on_after():
    async def play() -> None:
        crowd = Crowd(InFlight(Allowance(0, 0.0)))
        await crowd.enter(1.0)
        await asyncio.sleep(3600)
        assert crowd.inside == []
        crowd.places.allow(Allowance(1, 30.0))
        await settle()
        assert crowd.inside == [0]
        crowd.end()

    run(play())


def rounds(allowance: Allowance, windows: int, work_s: float) -> list[float]:
    """When so many windows of so much work each got their places."""

    async def play() -> list[float]:
        places, times = InFlight(allowance), []

        async def work() -> None:
            async with places.place(1.0):
                times.append(asyncio.get_running_loop().time())
                await asyncio.sleep(work_s)

        await asyncio.gather(*(work() for _ in range(windows)))
        return times

    return run(play())


def test_heat_makes_rounds_with_pauses_in_which_nothing_is_worked_on():
    assert rounds(Allowance(2, math.inf, pause_s=2.0), 5, 10.0) == [0, 0, 12, 12, 24]
    assert rounds(Allowance(2, math.inf), 5, 10.0) == [0, 0, 10, 10, 20]


def test_when_it_is_cool_again_the_pause_ends_at_once_and_for_good():
    async def play() -> None:
        hot = Allowance(1, math.inf, pause_s=2.0)
        crowd = Crowd(InFlight(hot))
        for _ in range(3):
            await crowd.enter(1.0)
        await crowd.leave(0)
        await asyncio.sleep(1.0)
        assert crowd.inside == []
        crowd.places.allow(Allowance(1, math.inf))
        await settle()
        assert crowd.inside == [1]
        crowd.places.allow(hot)
        await asyncio.sleep(0.5)
        await crowd.leave(1)
        await asyncio.sleep(1.0)  # the pause that was ended would have ended by itself by now
        assert crowd.inside == []
        await asyncio.sleep(1.0)
        await settle()
        assert crowd.inside == [2]
        crowd.end()

    run(play())


def test_a_round_that_shrinks_below_what_it_gave_ends():
    async def play() -> None:
        crowd = Crowd(InFlight(Allowance(4, math.inf, pause_s=2.0)))
        for _ in range(2):
            await crowd.enter(1.0)
        for number in (0, 1):
            await crowd.leave(number)
        crowd.places.allow(Allowance(2, math.inf, pause_s=2.0))
        await crowd.enter(1.0)
        assert crowd.inside == []
        await asyncio.sleep(2.0)
        await settle()
        assert crowd.inside == [2]
        crowd.end()

    run(play())


def test_the_first_round_begins_with_what_is_in_flight():
    async def play() -> None:
        crowd = Crowd(InFlight(Allowance(2, math.inf)))
        for _ in range(8):
            await crowd.enter(1.0)
        for number in range(7):
            await crowd.leave(number)
        crowd.places.allow(Allowance(3, math.inf, pause_s=2.0))
        for _ in range(3):
            await crowd.enter(1.0)
        assert crowd.inside == [7, 8, 9]
        for number in crowd.inside.copy():
            await crowd.leave(number)
        assert crowd.inside == []
        await asyncio.sleep(2.0)
        await settle()
        assert crowd.inside == [10]
        crowd.end()

    run(play())
