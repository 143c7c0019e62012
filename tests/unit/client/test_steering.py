"""Signals and refusals reach the places in flight; all in made-up time."""

import asyncio

from clockwork import run, settle

from voiceman_client.admission import InFlight
from voiceman_client.pacing import Bounds, Signals
from voiceman_client.steering import Steering


def steer(
    signals: Signals, bounds: Bounds | None = None, flight: InFlight | None = None
) -> Steering:
    async def sense() -> Signals:
        return signals

    clock = asyncio.get_running_loop().time
    bounds = bounds or Bounds()
    return Steering(
        flight or InFlight(bounds.windows), bounds, sense, clock=clock, draw=lambda: 0.5
    )


def test_signals_set_the_places_within_a_second():
    async def play() -> None:
        now = [Signals(500)]

        async def sense() -> Signals:
            return now[0]

        steering = Steering(InFlight(32), Bounds(), sense, clock=asyncio.get_running_loop().time)
        assert steering.allowed.windows == 4
        task = asyncio.create_task(steering.run())
        await settle()
        assert steering.allowed.windows == 32
        now[0] = Signals(500, memory_share=0.7)
        await asyncio.sleep(1.0)
        await settle()
        assert steering.allowed.windows == 16
        task.cancel()

    run(play())


def test_a_refusal_stops_new_windows_at_once_and_half_of_them_go_on_after_the_wait():
    async def play() -> None:
        steering = steer(Signals(500))
        task = asyncio.create_task(steering.run())
        await settle()
        steering.refused()
        steering.refused()
        assert steering.allowed.windows == 0
        await asyncio.sleep(0.49)
        assert steering.allowed.windows == 0
        await asyncio.sleep(0.02)
        assert steering.allowed.windows == 16
        for _ in range(1000):
            steering.answered()
        await asyncio.sleep(1.0)
        assert steering.allowed.windows == 32
        task.cancel()

    run(play())


def test_everything_refused_is_sent_in_the_end():
    """A server that refuses at random loses nothing: the places only come later."""

    async def play() -> None:
        flight = InFlight(8, asyncio.get_running_loop().time)
        steering = steer(Signals(500), Bounds(8), flight)
        task = asyncio.create_task(steering.run())
        await settle()
        calls, done = 0, []

        async def window(number: int) -> None:
            nonlocal calls
            while number not in done:
                async with flight.window(10.0):
                    calls += 1
                    await asyncio.sleep(0.1)
                    if calls % 3 == 0:
                        steering.refused()
                        continue
                    steering.answered()
                    done.append(number)

        await asyncio.gather(*(window(number) for number in range(50)))
        assert sorted(done) == list(range(50))
        task.cancel()

    run(play())
