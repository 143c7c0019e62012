"""Signs of life of one model, and when their absence means that it is stuck.

A busy model is not stuck, however long its queue: requests end, or at least its process works.
"""

from dataclasses import dataclass

# Uncalibrated: what a process that only keeps its threads and metrics alive stays below.
IDLE_SHARE = 0.05
# A process that calculates may be at a very large batch; one in an endless loop looks the same.
WORKING_FACTOR = 10


@dataclass
class Pulse:
    """What is known of one model.

    Attributes:
        ended: requests that had ended well at the last look that saw one end.
        canaries: our own requests that may have ended since.
        owes_since_s: when it was asked without any sign of life since; None: it owes nothing.
        work_s: CPU seconds that its processes had used then.
        failures: canaries that failed one after the other.
    """

    ended: int = -1
    canaries: int = 0
    owes_since_s: float | None = None
    work_s: float = 0.0
    failures: int = 0

    def look(self, ended: int) -> bool:
        """Compare Triton's count of requests that ended well; true if more than canaries did.

        The count begins anew when the model is loaded anew.
        """
        alive = not 0 <= ended - self.ended <= self.canaries
        if alive:
            self.ended, self.canaries = ended, 0
            self.answered()
        return alive

    def asked(self, now_s: float, work_s: float) -> None:
        """A canary was sent."""
        self.canaries += 1
        if self.owes_since_s is None:
            self.owes_since_s, self.work_s = now_s, work_s

    def answered(self) -> None:
        """A canary, or something else, was answered well."""
        self.owes_since_s, self.failures = None, 0

    def failed(self) -> None:
        """A canary was answered with an error."""
        self.owes_since_s = None
        self.failures += 1

    def is_stuck(self, now_s: float, work_s: float, stuck_after_s: float) -> bool:
        """Whether it owes an answer and has not given a sign of life for too long.

        Args:
            now_s: point of the clock that `asked` was told.
            work_s: CPU seconds that its processes have used by now.
            stuck_after_s: what is too long for one that does nothing.
        """
        if self.owes_since_s is None:
            return False
        silent_s = now_s - self.owes_since_s
        idle = work_s - self.work_s < IDLE_SHARE * silent_s
        return silent_s >= stuck_after_s * (1 if idle else WORKING_FACTOR)
