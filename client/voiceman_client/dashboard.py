"""A run on the screen: a live dashboard on a terminal, plain lines elsewhere."""

import logging
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from voiceman_client.documents import shown
from voiceman_client.vitals import Active, Vitals, in_a_line, span

LINE_EVERY_S = 10.0
_PAINT_EVERY_S = 0.25
_MOST_ERRORS = 3
_FIXED_ROWS = 10  # of the dashboard, beside those of recordings and errors
_MOST_ACTIVE = 12
_GB = 1e9


class Dashboard:
    """Shows vitals; a context manager. On a terminal it is painted four times a second at most."""

    def __init__(
        self, console: Console | None = None, clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        """Show nothing yet.

        Args:
            console: where to; None: standard error.
            clock_s: seconds from anywhere.
        """
        self._console = console or Console(file=sys.stderr)
        self._clock_s = clock_s
        self._painted_s = float("-inf")
        self._line_s = clock_s()
        self._last: Vitals | None = None
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            # Lines of data go above the dashboard on the same terminal, and elsewhere untouched.
            redirect_stdout=sys.stdout.isatty(),
            vertical_overflow="crop",
        )
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._stack.enter_context(self._live)
            self._stack.enter_context(_logs_above(self._console))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, at: TracebackType | None
    ) -> None:
        if not self._console.is_terminal:
            if self._last:
                self.say(in_a_line(self._last))
            return
        if self._last:
            self._paint(self._last)
        self._stack.close()

    def show(self, vitals: Vitals) -> None:
        """The run stands so; may come from another thread, as often as it likes."""
        self._last, now_s = vitals, self._clock_s()
        if self._console.is_terminal:
            if now_s - self._painted_s >= _PAINT_EVERY_S:
                self._painted_s = now_s
                self._paint(vitals)
        elif now_s - self._line_s >= LINE_EVERY_S:
            self._line_s = now_s
            self.say(in_a_line(vitals))

    def say(self, message: str) -> None:
        """A line above the dashboard, as it is."""
        self._console.print(message, markup=False, highlight=False, soft_wrap=True)

    def _paint(self, vitals: Vitals) -> None:
        room = self._console.height - _FIXED_ROWS - _MOST_ERRORS
        self._live.update(dashboard(vitals, max(1, min(_MOST_ACTIVE, room))), refresh=True)


@contextmanager
def _logs_above(console: Console) -> Generator[None]:
    """Let logs that go to the console go above the dashboard, and not across it.

    Where something is live on a console, rich stands in for `sys.stderr`; logging holds the
    stream that was there before.
    """
    moved = [
        (handler, handler.stream)
        for handler in logging.getLogger().handlers
        if isinstance(handler, logging.StreamHandler) and handler.stream is console.file
    ]
    for handler, _ in moved:
        handler.setStream(sys.stderr)
    try:
        yield
    finally:
        for handler, stream in moved:
            handler.setStream(stream)


def dashboard(vitals: Vitals, most_active: int = _MOST_ACTIVE) -> RenderableType:
    """The whole picture; names and errors that are too long end in an ellipsis.

    Args:
        vitals: to show.
        most_active: recordings that are worked on to show.
    """
    return Group(
        _overall(vitals),
        *(Text(shown(text)) for text in _told(vitals)),
        _recordings(vitals.active, most_active),
        *(_error(error) for error in vitals.errors[-_MOST_ERRORS:]),
    )


def _overall(vitals: Vitals) -> Table:
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(no_wrap=True)
    table.add_column(ratio=1)
    table.add_column(no_wrap=True, justify="right")
    table.add_row(
        Text(f"{vitals.finished} of {vitals.recordings} recordings", "bold"),
        ProgressBar(total=1.0, completed=vitals.share),
        f"{100 * vitals.share:.0f} %",
    )
    return table


def _told(vitals: Vitals) -> Iterator[str]:
    """The lines between the bar and the recordings."""
    readings, left_s = vitals.readings, vitals.left_s
    ends = _clock_time(vitals.unix_s + left_s) if left_s is not None else ""
    yield _joined(
        f"{span(vitals.audio_done_s)} of {span(vitals.audio_expected_s)} audio",
        f"RTFx {vitals.rtfx:.1f}",
        f"{vitals.recent_rtfx:.1f} lately" if vitals.recent_rtfx is not None else "",
        f"{span(vitals.elapsed_s)} gone",
        f"{span(left_s)} left, until {ends}" if left_s is not None else "",
    )
    allowed = f" of {readings.allowed} allowed" if readings.allowed is not None else ""
    yield _joined(
        f"{vitals.windows} windows answered",
        f"{readings.in_flight} in flight{allowed}" if readings.in_flight is not None else "",
        f"{readings.waiting} wait here" if readings.waiting is not None else "",
        f"{readings.queue_depth} in the server's queue" if readings.queue_depth is not None else "",
        f"{vitals.retries} sent again" if vitals.retries else "",
        f"{vitals.failed} failed" if vitals.failed else "",
    )
    celsius, used = readings.temperature_celsius, readings.gpu_utilisation
    machine = _joined(
        f"GPU {celsius:.0f} °C" if celsius is not None else "",
        f"GPU {100 * used:.0f} % busy" if used is not None else "",
        f"memory {100 * readings.memory_share:.0f} %" if readings.memory_share is not None else "",
        f"client {readings.process_bytes / _GB:.2f} GB" if readings.process_bytes else "",
        readings.heat,
    )
    states = _joined(*(f"{count} {state}" for state, count in vitals.states.items() if count))
    yield from (line for line in (machine, states) if line)


def _recordings(active: tuple[Active, ...], most: int) -> Table:
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=3)
    table.add_column(ratio=1)
    table.add_column(no_wrap=True, justify="right")
    for one in active[:most]:
        share = one.done_s / one.audio_s if one.audio_s else 0.0
        table.add_row(
            Text(shown(one.file.rpartition("/")[2])),
            ProgressBar(total=1.0, completed=min(share, 1.0)),
            f"{span(one.done_s)} of {span(one.audio_s)}" if one.audio_s else "decoding",
        )
    if len(active) > most:
        table.add_row(f"and {len(active) - most} more", "", "")
    return table


def _error(text: str) -> Text:
    return Text(f"✗ {' '.join(shown(text).split())}", "red", no_wrap=True, overflow="ellipsis")


def _joined(*parts: str) -> str:
    return " · ".join(part for part in parts if part)


def _clock_time(unix_s: float) -> str:
    """Day and time in this machine's time zone."""
    return datetime.fromtimestamp(unix_s).astimezone().strftime("%a %H:%M")
