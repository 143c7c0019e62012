"""Collects what a run does: for its dashboard, its metrics and its performance report."""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from voiceman.errors import VoicemanError
from voiceman_client.curve import Curve, Point, Spread, joined, spreads
from voiceman_client.entries import State
from voiceman_client.inputs import printable
from voiceman_client.processing import Progress
from voiceman_client.submit import Outcome
from voiceman_client.vitals import Active, Readings, Vitals

_LAST_ERRORS = 5
_RECENT_S = 300.0  # what the present speed is the mean of: some windows of a slow server
_RECENT_SAMPLES = 100


@dataclass(frozen=True)
class Account:
    """What a recording took.

    Attributes:
        file: its path, as `printable` writes it.
        state: completed, recalled (an earlier run had done it) or failed.
        audio_s: its length; None: it was not decoded.
        seconds: from its beginning to its files; None: it was not begun.
        memory_start_bytes: that this process held when it began; None: not known.
        memory_end_bytes: and when it was done.
        gpu_memory_start_bytes: in use of the fullest GPU when it began; None: not known.
        gpu_memory_end_bytes: and when it was done.
    """

    file: str
    state: str
    audio_s: float | None
    seconds: float | None
    memory_start_bytes: int | None
    memory_end_bytes: int | None
    gpu_memory_start_bytes: int | None
    gpu_memory_end_bytes: int | None


@dataclass(frozen=True)
class Failure:
    """What failed: `why` says what to do."""

    file: str
    error: str
    why: str


@dataclass(frozen=True)
class Course:
    """All that was collected.

    Attributes:
        began_unix_s: when the run began.
        end: how it stands now.
        accounts: of the finished recordings.
        failures: in the order in which they came.
        languages: of the results, how often each.
        spreads: of the readings over the whole run, by name.
        first: the first readings.
        points: the curve.
        span_s: that each point stands for.
    """

    began_unix_s: float
    end: Vitals
    accounts: tuple[Account, ...]
    failures: tuple[Failure, ...]
    languages: Mapping[str, int]
    spreads: Mapping[str, Spread]
    first: Readings
    points: tuple[Point, ...]
    span_s: float


@dataclass
class _Begun:
    at_s: float
    readings: Readings
    audio_s: float | None = None
    done_s: float = 0.0


class Telemetry:
    """Takes in what goes on in a run. Threads may use it at the same time.

    It holds an account for each recording and a curve of bounded length, whatever the run's.
    """

    def __init__(
        self,
        recordings: int,
        clock_s: Callable[[], float] = time.monotonic,
        now_unix_s: Callable[[], float] = time.time,
    ) -> None:
        """Begin a run.

        Args:
            recordings: that it was given.
            clock_s: seconds from anywhere.
            now_unix_s: the time of day.
        """
        self._recordings = recordings
        self._clock_s, self._now_unix_s = clock_s, now_unix_s
        self._began_s, self._began_unix_s = clock_s(), now_unix_s()
        self._lock = threading.Lock()
        self._begun: dict[Path, _Begun] = {}
        self._accounts: list[Account] = []
        self._failures: list[Failure] = []
        self._states = Counter[str]()
        self._languages = Counter[str]()
        self._decoded = self._undecoded = self._windows = self._retries = 0
        self._done_s = self._audio_s = 0.0
        self._readings = self._first = Readings()
        self._folder: dict[str, int] = {}
        self._spreads: dict[str, Spread] = {}
        self._curve = Curve()
        self._recent = deque([(self._began_s, 0.0)], maxlen=_RECENT_SAMPLES)

    def step(self, step: Progress) -> None:
        """A recording was begun or decoded, or a window of it answered."""
        with self._lock:
            begun = self._begin(step.path)
            if step.planned_s:
                begun.audio_s = (begun.audio_s or 0.0) + step.planned_s
                self._audio_s += step.planned_s
                self._decoded += 1
            if step.done_s:
                begun.done_s += step.done_s
                self._done_s += step.done_s
                self._windows += 1

    def retried(self) -> None:
        """A request was sent again."""
        with self._lock:
            self._retries += 1

    def ended(self, outcome: Outcome, error: VoicemanError | None) -> None:
        """A recording is finished: its files are there, or there are none.

        Args:
            outcome: of the recording.
            error: why there is no result; None: there is one.
        """
        file = printable(outcome.path)
        state = "failed" if error else "recalled" if outcome.result is None else "completed"
        with self._lock:
            begun = self._begun.pop(outcome.path, None)
            if begun is None or begun.audio_s is None:
                self._undecoded += 1
            else:  # of one that failed, no more is left to do
                done_s = begun.done_s if error else begun.audio_s
                self._audio_s += done_s - begun.audio_s
                self._done_s += done_s - begun.done_s
            self._states[state] += 1
            if outcome.result and outcome.result["language"]:
                self._languages[outcome.result["language"]] += 1
            self._accounts.append(
                Account(
                    file,
                    state,
                    begun.audio_s if begun else None,
                    self._clock_s() - begun.at_s if begun else None,
                    begun.readings.process_bytes if begun else None,
                    self._readings.process_bytes,
                    begun.readings.gpu_memory_bytes if begun else None,
                    self._readings.gpu_memory_bytes,
                )
            )
        if error:
            self.failed(error, file)

    def failed(self, error: VoicemanError, file: str = "") -> None:
        """Something failed: a recording, or an argument that names none."""
        with self._lock:
            self._failures.append(Failure(file, type(error).__name__, printable(str(error))))

    def sample(self, readings: Readings, folder: Mapping[State, int] | None = None) -> Vitals:
        """Take in what was measured; every second or few.

        Args:
            readings: of machine and server.
            folder: recordings of the results folder by state; None: as before.
        """
        with self._lock:
            now_s, values = self._clock_s(), readings.numbers()
            if self._first == Readings():
                self._first = readings
            self._readings = readings
            if folder is not None:
                self._folder = {str(state): count for state, count in folder.items()}
            self._spreads = joined(self._spreads, spreads(values))
            self._curve.add(now_s - self._began_s, self._done_s, values)
            if now_s - self._recent[-1][0] >= _RECENT_S / _RECENT_SAMPLES:
                self._recent.append((now_s, self._done_s))
            return self._vitals(now_s)

    def vitals(self) -> Vitals:
        """How the run stands now, with the last readings."""
        with self._lock:
            return self._vitals(self._clock_s())

    def course(self) -> Course:
        """All that was collected."""
        with self._lock:
            return Course(
                self._began_unix_s,
                self._vitals(self._clock_s()),
                tuple(self._accounts),
                tuple(self._failures),
                dict(self._languages),
                dict(self._spreads),
                self._first,
                tuple(self._curve.points()),
                self._curve.span_s,
            )

    def _begin(self, path: Path) -> _Begun:
        return self._begun.setdefault(path, _Begun(self._clock_s(), self._readings))

    def _vitals(self, now_s: float) -> Vitals:
        unknown = max(0, self._recordings - self._decoded - self._undecoded)
        return Vitals(
            unix_s=self._now_unix_s(),
            elapsed_s=now_s - self._began_s,
            recordings=self._recordings,
            finished=len(self._accounts),
            failed=len(self._failures),
            recalled=self._states["recalled"],
            audio_done_s=self._done_s,
            audio_expected_s=self._audio_s * (1 + unknown / self._decoded)
            if self._decoded
            else 0.0,
            windows=self._windows,
            retries=self._retries,
            recent_rtfx=self._recent_rtfx(now_s),
            states=self._folder,
            active=tuple(
                Active(printable(path), begun.audio_s or 0.0, begun.done_s)
                for path, begun in self._begun.items()
            ),
            errors=tuple(failure.why for failure in self._failures[-_LAST_ERRORS:]),
            readings=self._readings,
        )

    def _recent_rtfx(self, now_s: float) -> float | None:
        while len(self._recent) > 1 and now_s - self._recent[0][0] > _RECENT_S:
            self._recent.popleft()
        since_s, done_s = self._recent[0]
        if now_s - since_s < _RECENT_S / 2:
            return None
        return (self._done_s - done_s) / (now_s - since_s)
