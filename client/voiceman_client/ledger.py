"""What of a job is done: an SQLite database beside the results.

Every answer of the server is in it, on the disk, before it counts. So a run that was killed, or
whose power was cut, goes on where it was: `submit` with the same arguments asks for nothing twice
that the run's log knows. What somebody changed in the ledger meanwhile is asked for again.

The states that recordings go through are in `voiceman_client.entries`.

Answers are filed under what they depend on, their `work`: a hash of the recording, its decoded
sound, the models and the options. Another model or another option is other work.
"""

import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from voiceman.contracts import SPEAKER_EMBEDDING_SIZE
from voiceman.errors import VoicemanError
from voiceman_client.database import Database
from voiceman_client.entries import FINAL, Entry, State, entry_of
from voiceman_client.inputs import printable
from voiceman_client.known_paths import KnownPaths
from voiceman_client.planning import Plan
from voiceman_client.window_answer import WindowAnswer
from voiceman_client.windows import Span

LEDGER_NAME = "ledger.sqlite3"
# SQLite keeps the last two beside the first while it is open.
LEDGER_FILES = (LEDGER_NAME, f"{LEDGER_NAME}-wal", f"{LEDGER_NAME}-shm")
_VERSION = 2
_SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS recordings (
    path TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    sha256 TEXT NOT NULL DEFAULT '',
    made TEXT NOT NULL DEFAULT '',
    work TEXT NOT NULL DEFAULT '',
    duration_s REAL NOT NULL DEFAULT 0,
    windows INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    error TEXT NOT NULL DEFAULT '',
    why TEXT NOT NULL DEFAULT '',
    changed_unix_s REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS recordings_by_state ON recordings (state);
CREATE TABLE IF NOT EXISTS names (path TEXT PRIMARY KEY, name BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS plans (work TEXT PRIMARY KEY, plan TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS windows (
    work TEXT NOT NULL,
    channel INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    evidence TEXT NOT NULL,
    embeddings BLOB NOT NULL,
    sha256 TEXT NOT NULL,
    PRIMARY KEY (work, channel, first, last)
);
"""
_BY_PLACE = tuple(
    f"UPDATE OR REPLACE {table} SET path = substr(path, ?) WHERE substr(path, 1, ?) = ?"  # noqa: S608
    for table in ("recordings", "names")
)
_MIXDOWN = -1  # stands for no channel: NULL would make every row of a primary key another


class Ledger:
    """The ledger of a folder; a context manager. Threads may use it at the same time."""

    def __init__(self, path: Path | None = None, *, read_only: bool = False) -> None:
        """Open it, or begin it.

        Args:
            path: of the database; None: it is kept in memory, for a run that need not resume.
            read_only: change nothing, while a run may be writing; it must be there.

        Raises:
            LedgerError: the file is damaged, or of another version.
            ResultNotWrittenError: disk full, or no permission.
        """
        self._paths = KnownPaths(path and path.parent)
        self._database = Database(path, _SCHEMA, _VERSION, read_only=read_only)
        if not (self._database.is_new or read_only):
            self._know_by_place()
        # Of one that was there already, another process may be about to make use.
        self._begun = path if self._database.is_new and not read_only else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, at: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the database; one that was begun here for no recording at all is removed."""
        try:
            with self._database.read() as database:
                used = database.execute("SELECT 1 FROM recordings LIMIT 1").fetchone()
        except VoicemanError:  # a disk that fails; what is there stays
            used = True
        finally:
            self._database.close()
        if self._begun and not used:
            with suppress(OSError):  # an empty one does no harm
                remove_ledger(self._begun.parent)

    def known_as(self, path: Path) -> str:
        """What the ledger calls a recording, wherever its folder lies; see `KnownPaths`."""
        return self._paths.name(path)

    def expect(self, paths: Sequence[Path], made: str) -> None:
        """Say which recordings a run was given.

        Those that were not finished, or with something else, are PENDING again.

        Args:
            paths: of the recordings.
            made: what they are to be worked on with, see `Entry`.
        """
        now = time.time()
        rows = [(self._paths.name(path), State.PENDING, made, now) for path in paths]
        with self._database.change() as database:
            database.executemany(
                "INSERT INTO recordings (path, state, made, changed_unix_s) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (path) DO UPDATE SET state = excluded.state, error = '', why = '', "
                "changed_unix_s = excluded.changed_unix_s "
                "WHERE state != 'COMPLETED' OR made != excluded.made",
                rows,
            )

    def entry(self, path: Path) -> Entry | None:
        """The recording; None: it was never given."""
        with self._database.read() as database:
            row = database.execute(
                "SELECT * FROM recordings WHERE path = ?", (self._paths.name(path),)
            ).fetchone()
        return entry_of(self._paths.path(row["path"]), row) if row else None

    def entries(self, *states: State) -> list[Entry]:
        """The recordings in these states (none named: in all), by path."""
        with self._database.read() as database:
            rows = database.execute("SELECT * FROM recordings ORDER BY path").fetchall()
        return [
            entry_of(self._paths.path(row["path"]), row)
            for row in rows
            if not states or row["state"] in states
        ]

    def answered(self) -> dict[str, int]:
        """How many windows are answered and kept, by `Entry.work`."""
        with self._database.read() as database:
            rows = database.execute("SELECT work, count(*) FROM windows GROUP BY work").fetchall()
        return {work: int(count) for work, count in rows}

    def names(self, recordings: Iterable[Path] = ()) -> dict[str, str]:
        """The name of every recording's results, by path as `printable` writes it.

        Args:
            recordings: whose paths are wanted as they are, should they lead here another way.
        """
        with self._database.read() as database:
            rows = database.execute("SELECT path, name FROM names").fetchall()
        names = {row["path"]: os.fsdecode(row["name"]) for row in rows}
        known = {self._paths.path(called): name for called, name in names.items()}
        called = ((path, self._paths.name(path)) for path in recordings)
        return known | {
            printable(path.absolute()): names[name] for path, name in called if name in names
        }

    def keep_names(self, names: Mapping[Path, str]) -> None:
        """File the names of results, so that recordings keep them."""
        # Bytes: a name need not be UTF-8.
        rows = [(self._paths.name(path), os.fsencode(name)) for path, name in names.items()]
        with self._database.change() as database:
            database.executemany("INSERT OR REPLACE INTO names VALUES (?, ?)", rows)

    def counts(self) -> dict[State, int]:
        """How many recordings are in each state."""
        with self._database.read() as database:
            rows = database.execute("SELECT state, count(*) FROM recordings GROUP BY state")
            found = {State(state): int(count) for state, count in rows}
        return {state: found.get(state, 0) for state in State}

    def begin(self, path: Path, *, sha256: str, made: str, work: str, duration_s: float) -> None:
        """A recording was decoded: STT. For the arguments see `Entry`."""
        name = self._paths.name(path)
        with self._database.change() as database:
            database.execute(
                "INSERT INTO recordings (path, state, sha256, made, work, duration_s, windows, "
                "attempts, changed_unix_s) VALUES (?, ?, ?, ?, ?, ?, 0, 1, ?) "
                "ON CONFLICT (path) DO UPDATE SET state = excluded.state, "
                "sha256 = excluded.sha256, made = excluded.made, work = excluded.work, "
                "duration_s = excluded.duration_s, windows = 0, attempts = attempts + 1, "
                "error = '', why = '', changed_unix_s = excluded.changed_unix_s",
                (name, State.STT, sha256, made, work, duration_s, time.time()),
            )

    def advance(self, path: Path, state: State) -> None:
        """A recording is in another state."""
        self._set(path, state, "", "")

    def fail(self, path: Path, error: VoicemanError) -> None:
        """There will be no result."""
        self._set(path, State.FAILED, type(error).__name__, printable(str(error)))

    def plan(self, work: str) -> Plan | None:
        """What is to be heard; None: it is not known yet, or damaged."""
        with self._database.read() as database:
            row = database.execute("SELECT plan FROM plans WHERE work = ?", (work,)).fetchone()
        try:
            return Plan.from_json(row["plan"]) if row else None
        except (KeyError, TypeError, ValueError):
            return None

    def keep_plan(self, path: Path, work: str, plan: Plan) -> None:
        """File what is to be heard of a recording."""
        windows = sum(len(part.spans) for part in plan.channels)
        with self._database.change() as database:
            database.execute("INSERT OR REPLACE INTO plans VALUES (?, ?)", (work, plan.to_json()))
            database.execute(
                "UPDATE recordings SET windows = ?, changed_unix_s = ? WHERE path = ?",
                (windows, time.time(), self._paths.name(path)),
            )

    def answers(self, work: str) -> dict[tuple[int | None, Span], WindowAnswer]:
        """The windows that were answered, by channel and span."""
        with self._database.read() as database:
            rows = database.execute("SELECT * FROM windows WHERE work = ?", (work,)).fetchall()
        return {_window(row): _answer(row) for row in rows}

    def forget_doubtful(
        self, work: str, is_logged: Callable[[str], bool]
    ) -> list[tuple[int | None, Span]]:
        """Forget the answers that changed since they were kept, and those that no log knows.

        Args:
            work: that they are filed under.
            is_logged: whether the log knows an answer, by `WindowAnswer.sha256`.

        Returns:
            Channels and spans of the windows whose answers are forgotten.
        """
        with self._database.change() as database:
            rows = database.execute("SELECT * FROM windows WHERE work = ?", (work,)).fetchall()
            doubtful = [row for row in rows if not (_is_whole(row) and is_logged(row["sha256"]))]
            database.executemany(
                "DELETE FROM windows WHERE work = ? AND channel = ? AND first = ? AND last = ?",
                [(work, row["channel"], row["first"], row["last"]) for row in doubtful],
            )
        return [_window(row) for row in doubtful]

    def keep_answer(
        self, work: str, channel: int | None, span: Span, answer: WindowAnswer
    ) -> WindowAnswer:
        """File the answer about a window, for good.

        Returns:
            The answer that counts: the first one, should a window have been answered twice.
        """
        key = (work, _MIXDOWN if channel is None else channel, span.start, span.end)
        sha256 = answer.sha256(work, channel, span)
        with self._database.change() as database:
            done = database.execute(
                "INSERT OR IGNORE INTO windows VALUES (?, ?, ?, ?, ?, ?, ?)",
                (*key, answer.evidence, answer.embedding_bytes, sha256),
            )
        return answer if done.rowcount else self.answers(work)[channel, span]

    def fact(self, name: str) -> str | None:
        """Something said about the job."""
        with self._database.read() as database:
            row = database.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return row["value"] if row else None

    def state_fact(self, facts: Mapping[str, str]) -> None:
        """Say something about the job, in place of what was said under these names before."""
        with self._database.change() as database:
            database.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", facts.items())

    def cancel(self) -> int:
        """Take back every recording that is not done; returns how many."""
        with self._database.change() as database:
            done = database.execute(
                "UPDATE recordings SET state = ?, changed_unix_s = ? WHERE state NOT IN (?, ?, ?)",
                (State.CANCELLED, time.time(), *FINAL),
            )
        return done.rowcount

    def clean(self) -> int:
        """Forget the answers about recordings that are done; returns how many windows."""
        with self._database.change() as database:
            database.execute(
                "DELETE FROM plans WHERE work NOT IN "
                "(SELECT work FROM recordings WHERE state != 'COMPLETED')"
            )
            done = database.execute(
                "DELETE FROM windows WHERE work NOT IN "
                "(SELECT work FROM recordings WHERE state != 'COMPLETED')"
            )
        with self._database.read() as database:
            database.execute("VACUUM")
        return done.rowcount

    def _know_by_place(self) -> None:
        """Take up ledgers that know what lies in their folder by its absolute path."""
        with self._database.change() as database:
            for folder in self._paths.folders:
                of_it = (len(folder) + 1, len(folder), folder)
                for change in _BY_PLACE:
                    database.execute(change, of_it)

    def _set(self, path: Path, state: State, error: str, why: str) -> None:
        with self._database.change() as database:
            database.execute(
                "UPDATE recordings SET state = ?, error = ?, why = ?, changed_unix_s = ? "
                "WHERE path = ?",
                (state, error, why, time.time(), self._paths.name(path)),
            )


def remove_ledger(folder: Path) -> None:
    """Remove the ledger of a folder; nobody may have it open. Raises OSError."""
    for name in LEDGER_FILES:
        folder.joinpath(name).unlink(missing_ok=True)


def _window(row: sqlite3.Row) -> tuple[int | None, Span]:
    channel = None if row["channel"] == _MIXDOWN else int(row["channel"])
    return channel, Span(row["first"], row["last"])


def _answer(row: sqlite3.Row) -> WindowAnswer:
    embeddings = np.frombuffer(row["embeddings"], "<f4").reshape(-1, SPEAKER_EMBEDDING_SIZE)
    return WindowAnswer(row["evidence"], embeddings)


def _is_whole(row: sqlite3.Row) -> bool:
    try:
        return _answer(row).sha256(row["work"], *_window(row)) == row["sha256"]
    except (AttributeError, TypeError, ValueError):  # not even the types are what was kept
        return False
