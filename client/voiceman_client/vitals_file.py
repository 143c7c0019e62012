"""The vitals of a run in its results folder, for whoever watches from another terminal.

The file is written whole, and removed when the run ends. A run that was killed leaves it: what is
older than `STALE_S` is of no run.
"""

import contextlib
import logging
import time
from collections.abc import Callable
from pathlib import Path

from voiceman_client.vitals import Vitals
from voiceman_client.writers import TEMPORARY_PREFIX

log = logging.getLogger(__name__)

VITALS_NAME = ".vitals.json"
STALE_S = 15.0
_HALF_NAME = f"{TEMPORARY_PREFIX}vitals"  # the next run removes it, should a crash leave it


class VitalsFile:
    """Writes the file; a disk that is full or gone stops it, and not the run."""

    def __init__(self, folder: Path) -> None:
        """Write nothing yet; the folder exists."""
        self._path = folder / VITALS_NAME
        self._half = folder / _HALF_NAME
        self._failed = False

    def write(self, vitals: Vitals) -> None:
        """Replace what is there. Not synced: a power cut ends the run as well."""
        if self._failed:
            return
        try:
            self._half.write_text(vitals.to_json() + "\n", encoding="utf-8")
            self._half.replace(self._path)
        except OSError as err:
            self._failed = True
            log.warning("%s: cannot be written (%s); `watch` sees nothing", self._path, err)
            with contextlib.suppress(OSError):
                self._half.unlink()

    def remove(self) -> None:
        """The run is over."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)


def read_vitals(folder: Path, now_unix_s: Callable[[], float] = time.time) -> Vitals | None:
    """How the run into a folder stands; None: none is going on."""
    try:
        vitals = Vitals.from_json((folder / VITALS_NAME).read_bytes())
    except (OSError, ValueError):
        return None
    return vitals if abs(now_unix_s() - vitals.unix_s) <= STALE_S else None
