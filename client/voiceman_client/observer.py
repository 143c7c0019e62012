"""Looks at a run every second while it goes on: for its curve, its dashboard and its watchers."""

import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from voiceman_client.entries import State
from voiceman_client.submit import Submission
from voiceman_client.telemetry import Telemetry
from voiceman_client.vitals import Readings, Vitals
from voiceman_client.vitals_file import VitalsFile

log = logging.getLogger(__name__)

BEAT_S = 1.0


class Observer:
    """Looks in a thread of its own; a context manager. What fails here never ends the run."""

    def __init__(
        self,
        telemetry: Telemetry,
        folder: Path,
        show: Callable[[Vitals], None],
        *,
        read: Callable[[], Readings] = Readings,
        states: Callable[[], Mapping[State, int]] = dict[State, int],
        beat_s: float = BEAT_S,
    ) -> None:
        """Look at nothing yet.

        Args:
            telemetry: of the run.
            folder: of the results; exists.
            show: shows how the run stands.
            read: measures machine and server; must answer at once.
            states: recordings of the folder by state.
            beat_s: between two looks.
        """
        self.run: Submission | None = None
        self._telemetry = telemetry
        self._file = VitalsFile(folder)
        self._show, self._read, self._states = show, read, states
        self._beat_s = beat_s
        self._over = threading.Event()
        self._failed = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._go_on, daemon=True)

    def follow(self, run: Submission) -> None:
        """Read from a run that begins, and look at once."""
        self.run, self._read = run, run.readings
        self.beat()

    def __enter__(self) -> Self:
        self.beat()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, at: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        self.beat()
        self._file.remove()

    def beat(self) -> None:
        """Look now."""
        try:
            with self._lock:
                vitals = self._telemetry.sample(self._read(), self._states())
                self._file.write(vitals)
                self._show(vitals)
        except Exception:
            if not self._failed:
                log.exception("the run cannot be shown; it goes on")
            self._failed = True

    def _go_on(self) -> None:
        while not self._over.wait(self._beat_s):
            self.beat()
