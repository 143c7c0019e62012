"""What a ledger says of each recording.

A recording goes through these states:

    PENDING      given, not begun
    STT          decoded; its windows are with the server
    FORENSIC     every window is answered; its speakers are told apart and it is scored
    REPORT       its result is being written
    COMPLETED    its files are on the disk, and in the run's log
    FAILED       there is no result, and `why` says for what reason
    CANCELLED    it was taken back before it was done
"""

import sqlite3
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How far a recording is; see the module."""

    PENDING = "PENDING"
    STT = "STT"
    FORENSIC = "FORENSIC"
    REPORT = "REPORT"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


FINAL = (State.COMPLETED, State.FAILED, State.CANCELLED)


@dataclass(frozen=True)
class Entry:
    """A recording in the ledger.

    Attributes:
        path: as `printable` writes it.
        state: how far it is.
        sha256: of the file; empty until it was read.
        made: hash of what it was worked on with: models, options, versions.
        work: what its answers are filed under; empty until it was decoded.
        duration_s: its length.
        windows: how many it has, once they are known.
        attempts: how often it was begun.
        error: name of the error that it failed with.
        why: its message.
        changed_unix_s: when it last changed its state.
    """

    path: str
    state: State
    sha256: str
    made: str
    work: str
    duration_s: float
    windows: int
    attempts: int
    error: str
    why: str
    changed_unix_s: float


def entry_of(path: str, row: sqlite3.Row) -> Entry:
    """The entry that a row of the table of recordings is.

    Args:
        path: of the recording, as `printable` writes it.
        row: its columns in the order of `Entry`.
    """
    _, state, *others = row
    return Entry(path, State(state), *others)
