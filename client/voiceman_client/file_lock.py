"""A lock on the log of a folder: one run at a time writes there."""

import fcntl
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from voiceman.errors import RunLogError

_LOOKED_AT_S = 0.5


def lock(file: int, path: Path, kind: int = fcntl.LOCK_EX) -> None:
    """Lock an open log; a file system without locks lets everybody have it.

    Args:
        file: descriptor of the log.
        path: of the log.
        kind: `fcntl.LOCK_EX`, or `fcntl.LOCK_SH` to look whether somebody has it.

    Raises:
        RunLogError: another process has it.
    """
    # Who only asks whether a run goes on (`is_locked`) has the lock for a moment as well.
    until_s = time.monotonic() + (_LOOKED_AT_S if kind == fcntl.LOCK_EX else 0.0)
    while True:
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError as err:
            if time.monotonic() >= until_s:
                raise busy(path) from err
            time.sleep(_LOOKED_AT_S / 20)
        except OSError:
            return
        else:
            return


def is_locked(path: Path) -> bool:
    """Whether a process has locked a log; without a log nobody has."""
    try:
        with path.open("rb") as log:
            lock(log.fileno(), path, fcntl.LOCK_SH)
    except RunLogError:
        return True
    except OSError:
        pass
    return False


@contextmanager
def locked(path: Path) -> Generator[None]:
    """Have a log locked; where there is none, or nobody may read it, nothing is locked.

    Raises:
        RunLogError: another process has it.
    """
    with ExitStack() as opened:
        with suppress(OSError):
            log = opened.enter_context(path.open("rb"))
            lock(log.fileno(), path)
        yield


def busy(path: Path) -> RunLogError:
    """The error of a log that another run has."""
    return RunLogError(
        f"{path}: another run writes into this folder; wait, or give another --output"
    )
