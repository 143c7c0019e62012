"""A look into the ledger of a results folder from outside: nothing is written there."""

from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

from voiceman_client.entries import State
from voiceman_client.ledger import LEDGER_NAME, Ledger

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
        LedgerError: it is damaged, or of another version.
        ResultNotWrittenError: it cannot be read.
    """
    path = folder / LEDGER_NAME
    if not path.exists():
        return None
    with Ledger(path, read_only=True) as ledger:
        states = {str(state): count for state, count in ledger.counts().items()}
        failed = sorted(ledger.entries(State.FAILED), key=attrgetter("changed_unix_s"))
    return Peek(states, tuple(entry.why for entry in failed[-_LAST_ERRORS:]))
