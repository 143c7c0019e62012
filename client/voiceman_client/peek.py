"""A look into the ledger of a results folder from outside: nothing is written there."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from voiceman.errors import LedgerError
from voiceman_client.entries import State
from voiceman_client.ledger import LEDGER_NAME

_BUSY_S = 5.0
_LAST_ERRORS = 5


@dataclass(frozen=True)
class Peek:
    """What a ledger holds.

    Attributes:
        states: recordings by state.
        errors: why the last ones failed, latest last.
    """

    states: dict[str, int]
    errors: tuple[str, ...]


def peek(folder: Path) -> Peek | None:
    """Look into the ledger; None: there is none.

    Raises:
        LedgerError: it cannot be read.
    """
    path = folder / LEDGER_NAME
    if not path.exists():
        return None
    # A ledger that nobody has open is one file, which even a folder without write permission
    # lets be read as it is; beside a run its companions must be read as well.
    going = path.with_name(f"{LEDGER_NAME}-wal").exists()
    address = f"file:{quote(str(path.absolute()))}?{'mode=ro' if going else 'immutable=1'}"
    try:
        with closing(sqlite3.connect(address, _BUSY_S, uri=True)) as database:
            counts = database.execute(
                "SELECT state, count(*) FROM recordings GROUP BY state"
            ).fetchall()
            failed = database.execute(
                "SELECT why FROM recordings WHERE state = ? ORDER BY changed_unix_s DESC LIMIT ?",
                (State.FAILED, _LAST_ERRORS),
            ).fetchall()
    except (sqlite3.Error, UnicodeError) as err:
        raise LedgerError(f"{path}: cannot be read ({err})") from err
    found = dict(counts)
    states = {str(state): int(found.get(state, 0)) for state in State}
    return Peek(states, tuple(str(why) for (why,) in reversed(failed)))
