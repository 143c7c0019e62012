"""`temperature.log`: a line for every reading, only ever appended to.

A disk that is full or hangs holds nothing up: lines wait, and are written once there is room.
"""

import asyncio
import logging
import os
from contextlib import suppress
from pathlib import Path

log = logging.getLogger(__name__)

LOG_NAME = "temperature.log"
MOST_WAITING = 10_000  # lines, 14 hours at one in 5 s and 4 MB; of more the oldest are dropped
_WRITE_WITHIN_S = 1.0


class TemperatureLog:
    """The log of a run; for one event loop."""

    def __init__(self, path: Path) -> None:
        """Write nothing yet.

        Args:
            path: of the file.
        """
        self._path = path
        self._lines: list[str] = []  # that are not written yet
        self._writing: asyncio.Task[None] | None = None
        self._fails = False

    async def add(self, line: str) -> None:
        """Write a line and what is not written yet, unless the disk hangs: then later.

        Args:
            line: with its end.
        """
        self._lines.append(line)
        if self._writing is None:
            del self._lines[:-MOST_WAITING]
            self._writing = asyncio.create_task(asyncio.to_thread(self._append))
        done, _ = await asyncio.wait({self._writing}, timeout=_WRITE_WITHIN_S)
        if done:
            self._writing = None

    def _append(self) -> None:
        count = len(self._lines)
        try:
            _append_whole(self._path, "".join(self._lines[:count]).encode())
        except OSError as err:
            if not self._fails:
                log.warning(
                    "%s: temperatures cannot be written (%s); tried again at each look",
                    self._path,
                    err.strerror,
                )
            self._fails = True
        else:
            del self._lines[:count]
            if self._fails:
                log.info("%s: temperatures are written again", self._path)
            self._fails = False


def _append_whole(path: Path, content: bytes) -> None:
    """Append all of it, or nothing; raises OSError."""
    with path.open("ab", buffering=0) as file:
        size_bytes = os.fstat(file.fileno()).st_size
        try:
            while content:  # the system may take a part only
                content = content[file.write(content) :]
        except OSError:
            with suppress(OSError):
                file.truncate(size_bytes)
            raise
