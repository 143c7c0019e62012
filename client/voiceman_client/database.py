"""An SQLite file that several threads and processes use: all of a change happens, or nothing."""

import os
import sqlite3
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from voiceman.errors import LedgerError, ResultNotWrittenError

_BUSY_S = 10.0  # another process may be reading or cleaning


class Database:
    """A connection to the database of a ledger. Threads may use it at the same time.

    Attributes:
        is_new: it was begun by this connection.
    """

    def __init__(
        self, path: Path | None, schema: str, version: int, *, read_only: bool = False
    ) -> None:
        """Open it, or begin it.

        Args:
            path: of the file; None: it is kept in memory.
            schema: statements that make what is missing.
            version: that a file must have.
            read_only: change nothing, while another process may be writing; it must be there.

        Raises:
            LedgerError: the file is damaged, or of another version.
            ResultNotWrittenError: disk full, or no permission.
        """
        self._path = path
        self._lock = threading.Lock()
        with self._naming():
            if path is not None and not read_only:
                path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                _address(path, read_only=read_only),
                _BUSY_S,
                isolation_level=None,
                check_same_thread=False,
                uri=True,
            )
            try:
                self.is_new = self._is_empty(version)
                if not read_only:
                    self._set_up(schema)
                    if self.is_new:
                        self._connection.execute(f"PRAGMA user_version = {version}")
            except BaseException:
                self._connection.close()
                raise

    def close(self) -> None:
        """End the connection."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def read(self) -> Generator[sqlite3.Connection]:
        """The connection, to ask something; see the constructor for errors."""
        with self._naming(), self._lock:
            yield self._connection

    @contextmanager
    def change(self) -> Generator[sqlite3.Connection]:
        """The connection in a transaction; see the constructor for errors."""
        with self._naming(), self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def _is_empty(self, version: int) -> bool:
        self._connection.row_factory = sqlite3.Row
        found = int(self._connection.execute("PRAGMA user_version").fetchone()[0])
        if found not in (0, version):
            raise LedgerError(
                f"{self._path}: of version {found}, this voiceman knows {version}; give another "
                "--output"
            )
        return not found

    def _set_up(self, schema: str) -> None:
        self._connection.execute("PRAGMA journal_mode = WAL")
        # A power cut may take nothing that counted as done.
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.executescript(schema)

    @contextmanager
    def _naming(self) -> Generator[None]:
        """Errors of the database and of the disk below it, in our own words."""
        try:
            yield
        except sqlite3.OperationalError as err:  # full, read-only, an error of the disk, locked
            raise ResultNotWrittenError(
                f"{self._path}: the ledger cannot be used ({err}); make room, or give another "
                "--output"
            ) from err
        except sqlite3.DatabaseError as err:
            raise LedgerError(
                f"{self._path}: the ledger is damaged ({err}); remove it, finished results stay "
                "as they are"
            ) from err
        except OSError as err:
            raise ResultNotWrittenError(
                f"{self._path}: {err.strerror}; give another --output"
            ) from err


def _address(path: Path | None, *, read_only: bool) -> str:
    """The database as SQLite's URI."""
    if path is None:
        return ":memory:"
    address = f"file:{quote(os.fsencode(path.absolute()))}"
    if not read_only:
        return address
    # Without this companion nothing is pending: then a folder that nobody may write into can be
    # read as well.
    pending = path.with_name(f"{path.name}-wal").exists()
    return f"{address}?mode=ro" if pending else f"{address}?mode=ro&immutable=1"
