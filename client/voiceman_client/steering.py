"""Keeps the places in flight at what is allowed, while a run goes on."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

from voiceman_client.admission import InFlight
from voiceman_client.pacing import Allowance, Bounds, Refusals, Signals, allow

LOOK_EVERY_S = 1.0  # heat is answered within a second


class Steering:
    """Looks at the signals every second and sets what may be in flight; for one event loop.

    Refusals take effect at once.
    """

    def __init__(
        self,
        flight: InFlight,
        bounds: Bounds,
        sense: Callable[[], Awaitable[Signals]],
        *,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """Start with what the steps allow a job of which nothing is known.

        Args:
            flight: what is bounded.
            bounds: of the caller.
            sense: reads the signals; raises nothing.
            clock: seconds from anywhere.
            draw: 0 to 1, evenly distributed, for the jitter.
        """
        self._flight = flight
        self._bounds = bounds
        self._sense = sense
        self._clock = clock
        self._draw = draw
        self._signals = Signals(waiting=0)
        self._refusals = Refusals()
        self.allowed = self._allowance()
        self._set()

    async def run(self) -> None:
        """Look and set, until cancelled."""
        while True:
            self._signals = await self._sense()
            self._set()
            await asyncio.sleep(LOOK_EVERY_S)

    def refused(self) -> None:
        """The server refused a window, or nobody was there; it is to be sent again."""
        before = self._refusals
        self._refusals = before.refused(self.allowed.windows, self._clock(), self._draw())
        if self._refusals is not before:
            self._set()
            wait_s = self._refusals.until_s - self._clock()
            asyncio.get_running_loop().call_later(wait_s, self._set)

    def answered(self) -> None:
        """The server answered a window."""
        self._refusals = self._refusals.answered()

    def _set(self) -> None:
        self.allowed = self._allowance()
        self._flight.bound(self.allowed.windows, self.allowed.audio_s)

    def _allowance(self) -> Allowance:
        return allow(self._bounds, self._signals, self._refusals, self._clock())
