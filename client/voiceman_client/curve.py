"""A run's course over time in a bounded number of points, however many days it takes.

Readings fall into spans of equal length. When there are too many spans, each two become one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby

MOST_POINTS = 2000
FIRST_SPAN_S = 2.0
# Where a peak is what counts: two hours at 60 °C do not undo a minute at 86.
PEAKS = frozenset({"temperature_celsius", "memory_share", "process_bytes", "gpu_memory_bytes"})


@dataclass(frozen=True)
class Spread:
    """What many readings come to."""

    count: int = 0
    total: float = 0.0
    most: float = float("-inf")

    @property
    def mean(self) -> float:
        """Of at least one reading."""
        return self.total / self.count

    def joined(self, other: "Spread") -> "Spread":
        """That of the readings of both."""
        return Spread(
            self.count + other.count, self.total + other.total, max(self.most, other.most)
        )


def joined(one: Mapping[str, Spread], other: Mapping[str, Spread]) -> dict[str, Spread]:
    """Spreads of both, by name."""
    names = {**one, **other}
    return {name: one.get(name, Spread()).joined(other.get(name, Spread())) for name in names}


def spreads(values: Mapping[str, float]) -> dict[str, Spread]:
    """Of one reading each."""
    return {name: Spread(1, value, value) for name, value in values.items()}


@dataclass(frozen=True)
class Point:
    """A run in one span of time.

    Attributes:
        at_s: the middle of the span, since the run began.
        rtfx: seconds of audio a second, since the span before.
        values: of the readings by name: the highest of `PEAKS`, the mean of others.
    """

    at_s: float
    rtfx: float
    values: dict[str, float]


@dataclass(frozen=True)
class _Bin:
    number: int
    last_s: float
    audio_s: float  # done by then
    spreads: dict[str, Spread] = field(default_factory=dict[str, Spread])

    def joined(self, later: "_Bin", number: int) -> "_Bin":
        return _Bin(number, later.last_s, later.audio_s, joined(self.spreads, later.spreads))


class Curve:
    """Collects readings; for one thread at a time."""

    def __init__(self, most: int = MOST_POINTS, span_s: float = FIRST_SPAN_S) -> None:
        """Start with nothing.

        Args:
            most: points that are kept.
            span_s: of the first points; doubles whenever there are too many.
        """
        self._most = most
        self._span_s = span_s
        self._bins: list[_Bin] = []

    @property
    def span_s(self) -> float:
        """Length of the spans by now."""
        return self._span_s

    def add(self, at_s: float, audio_s: float, values: Mapping[str, float]) -> None:
        """Take readings in; they come in the order of time.

        Args:
            at_s: since the run began.
            audio_s: seconds of audio done by then.
            values: by name.
        """
        new = _Bin(int(at_s / self._span_s), at_s, audio_s, spreads(values))
        if self._bins and self._bins[-1].number >= new.number:
            last = self._bins.pop()
            new = last.joined(new, last.number)
        self._bins.append(new)
        while len(self._bins) > self._most:
            self._span_s *= 2
            self._bins = _halved(self._bins)

    def points(self) -> list[Point]:
        """The course so far."""
        found: list[Point] = []
        before = _Bin(-1, 0.0, 0.0)
        for bin_ in self._bins:
            passed_s = bin_.last_s - before.last_s
            rtfx = (bin_.audio_s - before.audio_s) / passed_s if passed_s > 0 else 0.0
            values = {
                name: spread.most if name in PEAKS else spread.mean
                for name, spread in bin_.spreads.items()
            }
            found.append(Point((bin_.number + 0.5) * self._span_s, rtfx, values))
            before = bin_
        return found


def _halved(bins: Iterable[_Bin]) -> list[_Bin]:
    found: list[_Bin] = []
    for number, pair in groupby(bins, key=lambda bin_: bin_.number // 2):
        first, *others = pair
        whole = _Bin(number, first.last_s, first.audio_s, first.spreads)
        for other in others:
            whole = whole.joined(other, number)
        found.append(whole)
    return found
