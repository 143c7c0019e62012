"""A folder for as long as one server runs, and no trace of the server afterwards.

Its name begins the names of the server's regions in /dev/shm. Its lock is held by every process
of the server (a child inherits it), so it is free exactly when all of them are gone, however
they went; a process number alone could belong to somebody else by then, or to another
container.
"""

import fcntl
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from voiceman.errors import EnvironmentCheckError
from voiceman.server.checks import SHARED_MEMORY
from voiceman.server.stubs import kill_orphans

_LOCK = "lock"
_PREFIX = re.compile("[A-Za-z0-9_-]{0,64}")


@dataclass(frozen=True)
class RunFolder:
    """The folder of one server.

    Attributes:
        path: the folder.
        lock: descriptor that the server's processes must inherit.
    """

    path: Path
    lock: int

    @property
    def prefix(self) -> str:
        """First part of the names of the server's regions in /dev/shm."""
        # The dot ends it: a server "a" must not take the regions of a server "ab" for its own.
        return f"{self.path.name}."

    def remove_regions(self) -> None:
        """Remove the server's regions in /dev/shm."""
        for region in SHARED_MEMORY.glob(f"{self.prefix}*"):
            region.unlink(missing_ok=True)


@contextmanager
def run_folder(prefix: str = "") -> Generator[RunFolder]:
    """Make the folder; on leaving remove it and the server's regions in /dev/shm.

    Args:
        prefix: of the regions' names; empty: a unique one.

    Raises:
        EnvironmentCheckError: the prefix is no name, or a running server has it.
    """
    if not _PREFIX.fullmatch(prefix):
        raise EnvironmentCheckError(
            f"{prefix}: no name for shared memory; letters, digits, - and _ are allowed in "
            "--shm-prefix"
        )
    remove_leftovers()
    root = _root()
    path = root / (prefix or f"voiceman-{os.getpid()}-{secrets.token_hex(4)}")
    # Made under a name that no other server looks at, until its lock is held.
    new = Path(tempfile.mkdtemp(prefix=".new-", dir=root))
    lock = os.open(new / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            new.rename(path)
        except OSError as err:
            shutil.rmtree(new)
            raise EnvironmentCheckError(
                f"{prefix}: a running server has this prefix; choose another with --shm-prefix"
            ) from err
        try:
            yield RunFolder(path, lock)
        finally:
            _remove(RunFolder(path, lock))
    finally:
        os.close(lock)


def remove_leftovers() -> list[str]:
    """Remove what servers left behind that could not clean up; returns their prefixes."""
    removed: list[str] = []
    for path in _root().glob("[!.]*"):
        try:
            lock = os.open(path / _LOCK, os.O_RDWR)
        except FileNotFoundError:  # its server is removing it at this moment
            continue
        try:
            if _take(lock) or (kill_orphans(f"{path.name}.") and _take(lock)):
                _remove(RunFolder(path, lock))
                removed.append(path.name)
        finally:
            os.close(lock)
    return removed


def _take(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _root() -> Path:
    root = Path(tempfile.gettempdir()) / f"voiceman-{os.getuid()}"
    root.mkdir(mode=0o700, exist_ok=True)
    # Programs are started from here, and whoever owned it could put others in their place.
    if root.is_symlink() or root.stat().st_uid != os.getuid():
        raise EnvironmentCheckError(f"{root}: belongs to somebody else; set TMPDIR")
    return root


def _remove(folder: RunFolder) -> None:
    folder.remove_regions()
    shutil.rmtree(folder.path, ignore_errors=True)
