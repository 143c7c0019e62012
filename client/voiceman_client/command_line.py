"""What commands have in common: their exit codes, and the option that names the server."""

from collections.abc import Sequence

import click

from voiceman.errors import ServerUnreachableError, VoicemanError
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


def exit_code(failures: Sequence[VoicemanError]) -> int:
    """The code that a command ends with after these failures."""
    if any(isinstance(err, ServerUnreachableError) for err in failures):
        return UNREACHABLE
    return FAILED if failures else 0
