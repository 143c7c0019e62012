"""How many recordings may be decoded and wait for their windows to be sent."""

import asyncio
import itertools
from dataclasses import dataclass

from voiceman_client.pacing import LONG_RECORDING_S

PAUSE_AT, RESUME_BELOW = 5, 3  # recordings that wait: the requirements' E4 and S5


@dataclass
class _Prepared:
    """A recording between decoding and its last window's sending."""

    windows: int
    long: bool


class Intake:
    """Lets recordings in, first come, first served by its one caller.

    A recording waits from the end of its preparation (decoding, finding speech) until its last
    window was sent. With five that wait intake pauses, and resumes with fewer than three. Those
    being prepared are counted in advance: they may all have to wait, and more than five never do.
    """

    def __init__(self, recordings: int, workers: int) -> None:
        """Nothing waits yet.

        Args:
            recordings: of the run.
            workers: recordings that may be prepared at a time; more than five never are.
        """
        self._workers = workers
        self._to_come = recordings
        self._preparing = 0
        self._prepared: dict[int, _Prepared] = {}  # by ticket
        self._seen = self._seen_windows = 0
        self._tickets = itertools.count()
        self._paused = self._held = False
        self._changed = asyncio.Event()

    async def enter(self) -> int:
        """Wait until one more recording may be prepared, for one caller only; its ticket."""
        while not self._open():
            self._changed.clear()
            await self._changed.wait()
        self._preparing += 1
        self._to_come -= 1
        return next(self._tickets)

    def prepared(self, ticket: int, windows: int, duration_s: float) -> None:
        """A recording is planned (or failed, with no windows)."""
        self._preparing -= 1
        self._prepared[ticket] = _Prepared(windows, duration_s > LONG_RECORDING_S)
        self._seen += 1
        self._seen_windows += windows
        self._update()

    def sent(self, ticket: int) -> None:
        """A window of this recording does not wait any more."""
        self._prepared[ticket].windows -= 1
        self._update()

    def finished(self, ticket: int) -> None:
        """Nothing of this recording waits any more."""
        self._prepared.pop(ticket, None)
        self._update()

    def hold(self, *, held: bool) -> None:
        """Let nobody in while memory is short, unless nothing else would free any."""
        self._held = held
        self._update()

    @property
    def waiting(self) -> int:
        """Recordings that wait."""
        return sum(recording.windows > 0 for recording in self._prepared.values())

    @property
    def paused(self) -> bool:
        """Whether intake paused because too many recordings wait."""
        return self._paused

    @property
    def backlog(self) -> int:
        """Windows that wait, and as many as recordings have in the mean for each to come.

        Until one was prepared a recording counts as one window.
        """
        windows = sum(recording.windows for recording in self._prepared.values())
        mean = self._seen_windows / self._seen if self._seen else 1.0
        return windows + round(mean * (self._to_come + self._preparing))

    @property
    def long_share(self) -> float:
        """Which share (0 to 1) of the windows that wait is of recordings over ten minutes."""
        windows = sum(recording.windows for recording in self._prepared.values())
        long = sum(recording.windows for recording in self._prepared.values() if recording.long)
        return long / windows if windows else 0.0

    def _open(self) -> bool:
        if self._held and self._preparing + len(self._prepared):
            return False
        places = min(self._workers, PAUSE_AT - self.waiting)
        return not self._paused and self._preparing < places

    def _update(self) -> None:
        self._paused = self.waiting >= (RESUME_BELOW if self._paused else PAUSE_AT)
        self._changed.set()
