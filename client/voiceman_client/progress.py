"""Progress on standard error: a bar on a terminal, plain lines elsewhere."""

import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from voiceman_client.processing import Progress as Step
from voiceman_client.submit import Outcome

_LINE_EVERY_S = 10.0


class ProgressDisplay:
    """Shows recordings done, audio seconds per second and the time left.

    How much audio there is becomes known as recordings are decoded; until then the mean of
    those decoded stands for the others.
    """

    def __init__(self, recordings: int, console: Console | None = None) -> None:
        self._console = console or Console(file=sys.stderr)
        self._recordings = recordings
        self._started_s = self._last_line_s = time.monotonic()
        self._lock = threading.Lock()
        self._planned: dict[Path, float] = {}
        self._done: dict[Path, float] = {}
        self._finished = 0
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:3.0f} %"),
            console=self._console,
            disable=not self._console.is_terminal,
            # Lines of data go above the bar on the same terminal, and elsewhere untouched.
            redirect_stdout=sys.stdout.isatty(),
        )
        self._task = self._bar.add_task(self._text(), total=1.0)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, at: TracebackType | None
    ) -> None:
        self._bar.stop()
        if not self._console.is_terminal:
            self._line()

    def step(self, step: Step) -> None:
        """A recording was decoded or a window answered; may come from another thread."""
        if step.decoding:
            return
        with self._lock:
            self._planned.setdefault(step.path, 0.0)
            self._planned[step.path] += step.planned_s
            self._done[step.path] = self._done.get(step.path, 0.0) + step.done_s
        self._update()

    def finish(self, outcome: Outcome) -> None:
        """A recording is finished; a failed one is no work done and none to do."""
        with self._lock:
            self._finished += 1
            planned_s = self._planned.get(outcome.path, 0.0)
            if outcome.error is not None:
                planned_s = min(planned_s, self._done.get(outcome.path, 0.0))
            self._planned[outcome.path] = self._done[outcome.path] = planned_s
        self._update()

    def say(self, message: str) -> None:
        """A line above the bar, as it is."""
        self._console.print(message, markup=False, highlight=False, soft_wrap=True)

    def _update(self) -> None:
        done_s, total_s = self._seconds()
        share = done_s / total_s if total_s else 0.0
        self._bar.update(self._task, completed=share, description=self._text())
        now_s = time.monotonic()
        if not self._console.is_terminal and now_s - self._last_line_s >= _LINE_EVERY_S:
            self._last_line_s = now_s
            self._line()

    def _seconds(self) -> tuple[float, float]:
        """Audio seconds done and expected."""
        with self._lock:
            done_s, planned_s = sum(self._done.values()), sum(self._planned.values())
            known = len(self._planned)
        unknown = max(0, self._recordings - known)
        return done_s, planned_s * (1 + unknown / known) if known else 0.0

    def _text(self) -> str:
        done_s, total_s = self._seconds()
        rtfx = done_s / max(time.monotonic() - self._started_s, 1e-3)
        left = f", {_span((total_s - done_s) / rtfx)} left" if rtfx and done_s < total_s else ""
        return (
            f"{self._finished} of {self._recordings} recordings, {_span(done_s)} of audio, "
            f"{rtfx:.1f} x real time{left}"
        )

    def _line(self) -> None:
        self.say(self._text())


def _span(seconds: float) -> str:
    """Hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
