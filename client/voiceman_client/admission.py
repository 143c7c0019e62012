"""Which window may be sent now: bounds on what is in flight, smaller when the box is hot.

Two controls meet here: `voiceman_client.steering` bounds windows and seconds of audio by load,
memory and refusals; `voiceman_client.heat_watch` allows a share of the most that the caller
wants. The smaller counts. `Admission` decides and measures, without a clock; `InFlight` lets
coroutines wait for it.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from voiceman_client.drift import Block

_REMEMBERED = 64  # windows whose length counts for `drain_s`
_FIRST_SLOTS = 16  # one more with each answer: how much the server can do is not known at first
_FIRST_DRAIN_S = 20.0
_MAX_DRAIN_S = 120.0  # a window that waited for a server to come back says nothing about heat
_MAX_REST_S = 60.0


@dataclass(frozen=True)
class Flow:
    """What went through since the last look.

    Attributes:
        busy: mean share of the whole window in flight that was busy, 0 to 1.
        block: how long that was, and what was answered, for `voiceman_client.drift`.
        drain_s: for how long what is in flight goes on at most, by the windows before.
    """

    busy: float
    block: Block
    drain_s: float


class Admission:
    """The window in flight: how many are in it, and when the next one may enter."""

    def __init__(self, limit: int, now_s: float = 0.0) -> None:
        """Begin with all of the window.

        Args:
            limit: windows in flight at most.
            now_s: the time, of any clock that does not go back; so in every method.
        """
        self.limit = limit
        self.in_flight = 0
        self.audio_s = 0.0  # of the windows in flight
        self._bound, self._audio_bound_s = limit, math.inf
        self._share = 1.0
        self._pause_s = 0.0
        self._in_round = self._left = 0
        self._not_before_s = -math.inf
        self._durations: deque[float] = deque(maxlen=_REMEMBERED)
        self._looked_s = self._counted_s = now_s
        self._busy_s = self._answered_s = 0.0
        self._answered = 0

    @property
    def slots(self) -> int:
        """How many may be in flight now; 0: stopped."""
        if self._share <= 0.0:
            return 0
        shared = max(1, int(self._share * self.limit + 1e-9))
        return min(_FIRST_SLOTS + self._left, shared, self._bound)

    def bound(self, windows: int, audio_s: float = math.inf) -> None:
        """Bound what is in flight, in windows and seconds; 0 windows: nothing new is sent.

        What is in flight stays. A window longer than all seconds is sent when it would be alone.
        """
        self._bound, self._audio_bound_s = windows, audio_s

    def allow(self, share: float, pause_s: float) -> None:
        """Change the share of the window (0 to 1) and the pause between rounds in s.

        A share of less than one window leaves one, with rests in between that make up for it.
        """
        if (pause_s > 0.0) != (self._pause_s > 0.0):
            self._in_round, self._not_before_s = 0, -math.inf
        self._share, self._pause_s = share, pause_s

    def wait_s(self, now_s: float, audio_s: float = 0.0) -> float:
        """Seconds until the next, so long, may enter; 0: now; infinite: when something changes."""
        if self.in_flight and self.audio_s + audio_s > self._audio_bound_s:
            return math.inf
        # A round ends with its last answer; one that grew too long since then is over as well.
        in_round = self._in_round if self._pause_s > 0.0 and self.in_flight else 0
        if max(self.in_flight, in_round) >= self.slots:
            return math.inf
        return max(0.0, self._not_before_s - now_s)

    def enter(self, now_s: float, audio_s: float) -> None:
        """One is sent that holds so much audio."""
        self._count(now_s)
        self.in_flight += 1
        self.audio_s += audio_s
        self._in_round += 1

    def leave(self, now_s: float, duration_s: float, audio_s: float) -> None:
        """One is answered (or failed), after so long, and held so much audio."""
        self._count(now_s)
        self.in_flight -= 1
        # Sums of floats that were added and taken away in another order need not come to nothing.
        self.audio_s = self.audio_s - audio_s if self.in_flight else 0.0
        self._left += 1
        self._answered_s += audio_s
        self._answered += 1
        self._durations.append(duration_s)
        rest_s = 0.0
        wanted = self._share * self.limit
        if 0.0 < wanted < 1.0:
            rest_s = min(_MAX_REST_S, duration_s * (1.0 / wanted - 1.0))
        if self._pause_s > 0.0 and self._in_round >= self.slots:  # a round is over
            rest_s = max(rest_s, self._pause_s)
            self._in_round = 0
        if rest_s:
            self._not_before_s = now_s + rest_s

    def look(self, now_s: float) -> Flow:
        """What went through since the last look."""
        self._count(now_s)
        seconds = now_s - self._looked_s
        share = self.in_flight / self.limit
        busy = self._busy_s / self.limit / seconds if seconds else share
        block = Block(-1, seconds, self._busy_s, self._answered_s, self._answered)
        self._looked_s, self._busy_s, self._answered_s, self._answered = now_s, 0.0, 0.0, 0
        drain_s = min(_MAX_DRAIN_S, max(self._durations, default=_FIRST_DRAIN_S))
        return Flow(busy, block, drain_s)

    def _count(self, now_s: float) -> None:
        self._busy_s += self.in_flight * (now_s - self._counted_s)
        self._counted_s = now_s


class InFlight:
    """Coroutines wait here for their turn, in the order in which they came."""

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Let `limit` windows be in flight, until told otherwise."""
        self.admission = Admission(limit, clock())
        self.clock = clock
        self.waiting = 0
        self._turn = asyncio.Lock()
        self._changed = asyncio.Event()

    def allow(self, share: float, pause_s: float) -> None:
        """See `Admission.allow`; who waits looks again at once."""
        self.admission.allow(share, pause_s)
        self._changed.set()

    def bound(self, windows: int, audio_s: float = math.inf) -> None:
        """See `Admission.bound`; who waits looks again at once."""
        self.admission.bound(windows, audio_s)
        self._changed.set()

    def look(self) -> Flow:
        """What went through since the last look."""
        return self.admission.look(self.clock())

    async def not_stopped(self) -> None:
        """Wait while nothing at all may be sent, for what is no window and needs no place."""
        while not self.admission.slots:
            self._changed.clear()
            await self._changed.wait()

    @asynccontextmanager
    async def window(self, audio_s: float) -> AsyncGenerator[None, None]:
        """Wait for a place and hold it, for a window of so many seconds of audio."""
        self.waiting += 1
        try:
            async with self._turn:
                began_s = await self._enter(audio_s)
        finally:
            self.waiting -= 1
        try:
            yield
        finally:
            now_s = self.clock()
            self.admission.leave(now_s, now_s - began_s, audio_s)
            self._changed.set()

    async def _enter(self, audio_s: float) -> float:
        """Wait until there is room and take it; returns when."""
        while wait_s := self.admission.wait_s(self.clock(), audio_s):
            self._changed.clear()
            with suppress(TimeoutError):
                # An infinite timeout would overflow the event loop's clock.
                limit_s = None if math.isinf(wait_s) else wait_s
                await asyncio.wait_for(self._changed.wait(), limit_s)
        now_s = self.clock()
        self.admission.enter(now_s, audio_s)
        return now_s
