"""Places are bounded in windows and seconds, first come first served, and never lost."""

import asyncio
import math

from clockwork import run, settle
from hypothesis import given
from hypothesis import strategies as st

from voiceman_client.admission import InFlight

LENGTHS = st.floats(0.1, 30.0)
STEPS = st.one_of(
    st.tuples(st.just("enter"), LENGTHS),
    st.tuples(st.just("leave"), st.integers(0, 50)),
    st.tuples(st.just("cancel"), st.integers(0, 50)),
    st.tuples(st.just("allow"), st.tuples(st.integers(0, 6), st.floats(0.0, 100.0))),
    st.tuples(st.just("settle"), st.none()),
)


def bounded(windows: int, audio_s: float) -> InFlight:
    """Without regard to heat, and sooner than the first answers allow."""
    flight = InFlight(16, asyncio.get_running_loop().time)
    flight.bound(windows, audio_s)
    return flight


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

    @property
    def windows(self) -> int:
        return self.places.admission.in_flight

    @property
    def audio_s(self) -> float:
        return self.places.admission.audio_s

    async def _stay(self, number: int) -> None:
        async with self.places.window(self.seconds[number]):
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
        windows, audio_s = 3, 60.0
        crowd = Crowd(bounded(windows, audio_s))
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
                windows, audio_s = value
                crowd.places.bound(windows, audio_s)
            if what == "settle":
                await settle()
            if set(crowd.admitted) - before:
                assert crowd.windows <= windows
                assert crowd.audio_s <= audio_s or crowd.windows == 1
        await settle()
        assert crowd.windows == len(crowd.inside)
        assert math.isclose(
            crowd.audio_s, sum(crowd.seconds[n] for n in crowd.inside), abs_tol=1e-6
        )
        assert crowd.admitted == sorted(crowd.admitted)
        line = [
            n for n, task in enumerate(crowd.tasks) if not task.done() and n not in crowd.inside
        ]
        assert crowd.places.waiting == len(line)
        if line:  # whoever is first has a reason to wait
            full = crowd.windows >= windows
            long = crowd.audio_s + crowd.seconds[line[0]] > audio_s
            assert full or (long and crowd.windows > 0)
        crowd.end()
        await settle()
        assert (crowd.windows, crowd.audio_s, crowd.places.waiting) == (0, 0.0, 0)

    run(play())


def test_growing_lets_the_waiting_in_at_once_and_shrinking_takes_nothing_back():
    async def play() -> None:
        crowd = Crowd(bounded(2, math.inf))
        for _ in range(6):
            await crowd.enter(30.0)
        assert crowd.inside == [0, 1]
        crowd.places.bound(5, math.inf)
        await settle()
        assert crowd.inside == [0, 1, 2, 3, 4]
        crowd.places.bound(2, math.inf)
        await crowd.leave(0)
        assert crowd.windows == 4
        for number in (1, 2):
            await crowd.leave(number)
        assert crowd.inside == [3, 4]
        await crowd.leave(3)
        assert crowd.inside == [4, 5]
        crowd.end()

    run(play())


def test_a_window_longer_than_all_seconds_allowed_goes_alone_and_is_not_overtaken():
    async def play() -> None:
        crowd = Crowd(bounded(4, 20.0))
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
        crowd = Crowd(bounded(4, 20.0))
        for seconds in (10.0, 15.0, 5.0):
            await crowd.enter(seconds)
        crowd.tasks[1].cancel()
        await settle()
        assert crowd.inside == [0, 2]
        crowd.end()

    run(play())


def test_a_place_that_comes_at_the_moment_of_cancellation_goes_to_the_next():
    async def play() -> None:
        crowd = Crowd(bounded(1, math.inf))
        for _ in range(3):
            await crowd.enter(1.0)
        crowd.doors[0].set()
        while crowd.inside:
            await asyncio.sleep(0)
        crowd.tasks[1].cancel()
        await settle()
        assert crowd.admitted == [0, 2]
        crowd.end()

    run(play())


def test_nothing_goes_while_all_is_stopped_and_all_goes_on_after():
    async def play() -> None:
        crowd = Crowd(bounded(0, 0.0))
        await crowd.enter(1.0)
        await asyncio.sleep(3600)
        assert crowd.inside == []
        crowd.places.bound(1, 30.0)
        await settle()
        assert crowd.inside == [0]
        crowd.end()

    run(play())
