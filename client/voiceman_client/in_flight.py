"""Places for work in flight, bounded in windows and in seconds of audio at once.

The bounds may change at any time, which no semaphore of asyncio allows.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from voiceman_client.pacing import Allowance


class InFlight:
    """Gives places to windows, first come, first served; for one event loop.

    A window that is longer than all seconds allowed gets a place when nothing else has one. The
    first in line is never overtaken by a shorter one: it would wait for ever.

    Where the allowance asks for a pause, work goes in rounds of as many places as it allows:
    after the last place of a round was given back the pause begins, and then the next round. A
    pause in which the windows before it are still worked on would cool nothing.
    """

    def __init__(self, allowance: Allowance) -> None:
        """Start with nothing in flight."""
        self._allowed = allowance
        self._line: deque[tuple[asyncio.Future[None], float]] = deque()
        self._windows, self._audio_s = 0, 0.0
        self._round = 0  # places given since the last pause
        self._pause: asyncio.TimerHandle | None = None

    @property
    def windows(self) -> int:
        """Places given and not given back."""
        return self._windows

    @property
    def audio_s(self) -> float:
        """Seconds of audio in these places."""
        return self._audio_s

    @property
    def waiting(self) -> int:
        """Who stands in the line."""
        return sum(not ready.done() for ready, _ in self._line)

    @property
    def allowed(self) -> Allowance:
        """What was allowed last."""
        return self._allowed

    def allow(self, allowance: Allowance) -> None:
        """Change the bounds: more takes effect at once, less as places are given back."""
        if not allowance.pause_s:
            self._end_round()
        elif not self._allowed.pause_s:
            self._round = self._windows  # the first round began with what is in flight
        self._allowed = allowance
        self._give()
        self._rest_when_done()  # a smaller round may be done by now

    @asynccontextmanager
    async def place(self, seconds: float) -> AsyncGenerator[None]:
        """A place for a window of so many seconds, as long as the context lasts."""
        ready = asyncio.get_running_loop().create_future()
        self._line.append((ready, seconds))
        self._give()
        try:
            await ready
        except asyncio.CancelledError:
            if ready.cancelled():
                self._give()  # who comes next may be shorter
            else:  # the place came at the same moment
                self._take_back(seconds)
            raise
        try:
            yield
        finally:
            self._take_back(seconds)

    def _give(self) -> None:
        while self._line:
            ready, seconds = self._line[0]
            if ready.done():  # cancelled meanwhile
                self._line.popleft()
                continue
            if not self._fits(seconds):
                return
            self._line.popleft()
            self._windows += 1
            self._audio_s += seconds
            self._round += 1
            ready.set_result(None)

    def _fits(self, seconds: float) -> bool:
        allowed = self._allowed
        if self._windows >= allowed.windows:
            return False
        if allowed.pause_s and self._round >= allowed.windows:
            return False
        return self._windows == 0 or self._audio_s + seconds <= allowed.audio_s

    def _take_back(self, seconds: float) -> None:
        self._windows -= 1
        # Sums of floats that were added and taken away in another order need not come to nothing.
        self._audio_s = self._audio_s - seconds if self._windows else 0.0
        self._give()
        self._rest_when_done()

    def _rest_when_done(self) -> None:
        pause_s = self._allowed.pause_s
        if not pause_s or self._windows or self._pause or self._round < self._allowed.windows:
            return
        self._pause = asyncio.get_running_loop().call_later(pause_s, self._next_round)

    def _next_round(self) -> None:
        self._end_round()
        self._give()

    def _end_round(self) -> None:
        self._round = 0
        if self._pause:
            self._pause.cancel()
            self._pause = None
