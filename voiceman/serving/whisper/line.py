"""Where windows wait for a slot: first come, first served, and nobody waits for a lost cause."""

import threading
from collections import deque

from voiceman.errors import VoicemanError
from voiceman.serving.whisper.job import Job


class Line:
    """A queue of jobs between callers and drivers; every method is thread-safe."""

    def __init__(self, limit: int) -> None:
        """Make a line; a caller that waits is held up while it has `limit` jobs or more."""
        self._limit = limit
        self._jobs: deque[Job] = deque()
        self._closed = False
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return len(self._jobs)

    def put(self, job: Job, *, wait: bool) -> None:
        """Join the end; with `wait`, only once the line is shorter than its limit."""
        with self._changed:
            self._changed.wait_for(lambda: not wait or len(self._jobs) < self._limit)
            self._jobs.append(job)
            self._changed.notify_all()

    def take(self, *, wait: bool) -> Job | None:
        """The first job; None where there is none, with `wait` only once the line is closed."""
        with self._changed:
            self._changed.wait_for(lambda: not wait or self._jobs or self._closed)
            if not self._jobs:
                return None
            self._changed.notify_all()
            return self._jobs.popleft()

    def sweep(self) -> list[tuple[Job, VoicemanError]]:
        """Take out the jobs that nobody wants any more, each with the reason."""
        with self._changed:
            found = [(job, job.why_unwanted()) for job in self._jobs]
            self._jobs = deque(job for job, why in found if why is None)
            self._changed.notify_all()
            return [(job, why) for job, why in found if why is not None]

    def close(self) -> None:
        """Say that nothing follows."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def ended(self) -> bool:
        """Whether it is closed and empty."""
        with self._changed:
            return self._closed and not self._jobs
