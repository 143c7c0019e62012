"""How many windows may be with the server: a pure function of what is known just now.

Requests are not batches: a window goes out alone and the server's models batch what they find.
The requirements' steps therefore count *windows in flight*, and their queue depth is *all work
that is known to wait*: the windows that wait in the client for a place and those that wait in
the server. A job of hours so stands at more than 100 and gets 32 places from its first minute to
its last; a single recording of five minutes, ten windows, gets 4.

Four in flight do not keep a server busy: measured on two cores, 16 gave 9.1 seconds of audio a
second and 4 gave 6.6. So where the server says how many slots its engine has and memory is no
concern, the steps never go below two windows a slot: one in it, and one on its way through the
other models or in the line. Where the server does not say, the steps stand as they are.

What a recording's length costs is memory in the client: samples and answers stay until the last
window is answered. So the halving for recordings over ten minutes is by their share of the
waiting work: half where all of it belongs to such recordings, nothing where none does. Neither
this nor the halving above 60 % of the memory goes below the 4 that stay above 80 %.

In the end the caller's upper bound and the server's refusals each cap the number, and heat does
so by itself, see `voiceman_client.admission`.
"""

import math
from dataclasses import dataclass, replace

from voiceman.audio import MAX_WINDOW_SAMPLES, SAMPLE_RATE_HZ

STEPS = ((100, 32), (50, 16), (10, 8))  # windows in flight above so many that wait
MIN_WINDOWS = 4  # at a depth of 10 and less, and above `MEMORY_FULL`
MEMORY_FULL, MEMORY_TIGHT, MEMORY_ROOMY = 0.80, 0.60, 0.40
LONG_RECORDING_S = 600.0
WINDOW_S = MAX_WINDOW_SAMPLES / SAMPLE_RATE_HZ
_WINDOWS_PER_SLOT = 2
_FIRST_BACKOFF_S = 0.5
_MAX_BACKOFF_S = 20.0  # half as much again with the jitter: 30 s, by which a server recovers


@dataclass(frozen=True)
class Bounds:
    """What the caller allows at most.

    Attributes:
        windows: in flight (`--in-flight`).
        audio_s: seconds of audio in flight; by default as much as the windows can hold.
    """

    windows: int = 32
    audio_s: float = math.inf


@dataclass(frozen=True)
class Signals:
    """What is known just now; None: not known.

    Attributes:
        waiting: windows that wait for a place in the client, those expected of recordings that
            are not decoded yet included, and those that wait in the server.
        long_share: 0 to 1, which share of the waiting work is of recordings over 10 minutes.
        slots: windows that the server's engine works on at once.
        memory_share: 0 to 1, used of the fullest memory that counts: of this machine or the GPU.
    """

    waiting: int
    long_share: float = 0.0
    slots: int | None = None
    memory_share: float | None = None


@dataclass(frozen=True)
class Refusals:
    """What the server's refusals have taught: additive increase, multiplicative decrease.

    Every answer gives back `1 / windows` of a window, so a round of them gives one; a refusal
    halves what was allowed and stops new windows for a while that doubles each time
    (Chiu and Jain, "Analysis of the increase and decrease algorithms for congestion avoidance
    in computer networks", 1989). Nothing is dropped: what was refused is sent again.

    Attributes:
        windows: allowed at most; infinite before the first refusal.
        in_a_row: refusals without an answer since.
        until_s: when new windows may go out again, on the caller's clock.
    """

    windows: float = math.inf
    in_a_row: int = 0
    until_s: float = -math.inf

    def refused(self, allowed: int, now_s: float, draw: float) -> "Refusals":
        """After a refusal (full queue, nobody there, RESOURCE_EXHAUSTED, UNAVAILABLE).

        Those that come while new windows are held back anyway are of the same event: they change
        nothing.

        Args:
            allowed: windows that were allowed in flight.
            now_s: on the caller's clock.
            draw: 0 to 1, evenly distributed; spreads clients that were refused together.
        """
        if now_s < self.until_s:
            return self
        backoff_s = min(_MAX_BACKOFF_S, _FIRST_BACKOFF_S * 2 ** min(self.in_a_row, 30))
        return Refusals(
            windows=max(1.0, min(self.windows, allowed) / 2),
            in_a_row=self.in_a_row + 1,
            until_s=now_s + backoff_s * (0.5 + draw),
        )

    def answered(self) -> "Refusals":
        """After an answer."""
        return replace(self, windows=self.windows + 1 / self.windows, in_a_row=0)


@dataclass(frozen=True)
class Allowance:
    """What may be in flight.

    Attributes:
        windows: 0: nothing new.
        audio_s: seconds of audio; a window alone may be longer.
    """

    windows: int
    audio_s: float


def by_steps(signals: Signals) -> int:
    """Windows in flight by the requirements' steps, before any bound of the caller's."""
    memory = signals.memory_share
    if memory is not None and memory > MEMORY_FULL:
        return MIN_WINDOWS
    step = next((windows for above, windows in STEPS if signals.waiting > above), MIN_WINDOWS)
    factor = 1 - signals.long_share / 2
    if memory is not None and memory > MEMORY_TIGHT:
        return max(MIN_WINDOWS, int(step * factor / 2))
    if memory is not None and memory < MEMORY_ROOMY:
        factor *= 2
    return max(MIN_WINDOWS, int(step * factor), _WINDOWS_PER_SLOT * (signals.slots or 0))


def allow(bounds: Bounds, signals: Signals, refusals: Refusals, now_s: float) -> Allowance:
    """What may be in flight now.

    Args:
        bounds: of the caller.
        signals: of the server, the machine and the job.
        refusals: of the server.
        now_s: on the clock of `refusals`.
    """
    if now_s < refusals.until_s:
        return Allowance(0, 0.0)
    windows = max(1, int(min(by_steps(signals), bounds.windows, refusals.windows)))
    return Allowance(windows, min(bounds.audio_s, windows * WINDOW_S))
