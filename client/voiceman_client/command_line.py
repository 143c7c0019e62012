"""What commands have in common: their exit codes, and the option that names the server."""

from collections.abc import Sequence
from pathlib import Path

import click

from voiceman.errors import LedgerError, ServerUnreachableError, VoicemanError
from voiceman_client.ledger import LEDGER_NAME, Ledger
from voiceman_client.transport import DEFAULT_SERVER

FAILED, USAGE, UNREACHABLE = 1, 2, 3

server_option = click.option(
    "--server",
    envvar="VOICEMAN_SERVER",
    default=DEFAULT_SERVER,
    show_default=True,
    show_envvar=True,
    metavar="HOST:PORT",
    help="gRPC address of the server.",
)


folder_argument = click.argument(
    "folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False, exists=True)
)


def open_ledger(folder: Path, *, read_only: bool = False) -> Ledger:
    """The ledger of a folder.

    Raises:
        LedgerError: there is none, it is damaged, or of another version.
        ResultNotWrittenError: disk full, or no permission.
    """
    path = folder / LEDGER_NAME
    if not path.exists():
        raise LedgerError(f"{path}: not there; give a folder that `submit` wrote into")
    return Ledger(path, read_only=read_only)


def exit_code(failures: Sequence[VoicemanError]) -> int:
    """The code that a command ends with after these failures."""
    if any(isinstance(err, ServerUnreachableError) for err in failures):
        return UNREACHABLE
    return FAILED if failures else 0
