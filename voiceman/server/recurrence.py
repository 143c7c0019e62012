"""How often something has happened of late, and how long to wait before it is tried again."""

from collections import deque

WINDOW_S = 300.0
LONGEST_PAUSE_S = 16.0


class Recurrence:
    """Points in time at which one thing was done, as far as they count."""

    def __init__(self) -> None:
        self._times: deque[float] = deque()

    def add(self, now_s: float) -> int:
        """It is done now; returns how often it was within the last five minutes, now included."""
        self._times.append(now_s)
        while self._times[0] <= now_s - WINDOW_S:
            self._times.popleft()
        return len(self._times)

    def wait_until_s(self) -> float:
        """When it may be done again: at once after the first time, then 1, 2, 4 s later."""
        if len(self._times) < 2:
            return 0.0
        return self._times[-1] + min(2.0 ** (len(self._times) - 2), LONGEST_PAUSE_S)
