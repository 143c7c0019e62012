"""A run for whoever sits at a terminal: progress, signals, what is left, exit code."""

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from voiceman.errors import ConfigurationError, InvalidRequestError, VoicemanError
from voiceman_client.command_line import FAILED, exit_code
from voiceman_client.dashboard import Dashboard
from voiceman_client.job import Tally, carry_out
from voiceman_client.order import Order
from voiceman_client.stopping import Stop, heeding_signals

if TYPE_CHECKING:
    from voiceman_client.signing import Signer

_OF_A_SIGNAL = 128  # what shells add to the number of a signal that ended a command

sign_option = click.option(
    "--sign",
    "key",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="KEY",
    help="Private key to sign the run with; see `keygen`.",
)


def run(context: click.Context, order: Order) -> None:
    """Carry an order out, print the path of every result, and end the command.

    Exit codes are those of `voiceman_client.cli`, and 130 or 143 where SIGINT or SIGTERM ended
    the run.
    """
    tally, stop = Tally(), Stop()
    try:
        with heeding_signals(stop), Dashboard() as display:
            carry_out(order, display, _print_path, tally, stop)
    except (ConfigurationError, InvalidRequestError) as err:  # before anything was sent
        raise click.UsageError(str(err)) from err
    except VoicemanError as err:
        tally.failures.append(err)
        click.echo(f"failed: {err}", err=True)
    left = len(order.recordings) - tally.finished
    if stop.reason:
        click.echo(f"{stop.reason}: {left} recordings are left; submit again to go on", err=True)
        context.exit(_code(stop.reason))
    if left:
        click.echo(f"{left} recordings were not finished; submit them again", err=True)
    context.exit(exit_code(tally.failures))


def read_signer(key: Path | None) -> "Signer | None":
    """The signer with a private key; None: nobody signs.

    Raises:
        UsageError: the key cannot be used.
    """
    if key is None:
        return None
    try:
        from voiceman_client.signing import Signer  # noqa: PLC0415  # needs cryptography

        return Signer(key)
    except ConfigurationError as err:
        raise click.UsageError(str(err)) from err


def _code(reason: str) -> int:
    if reason in signal.Signals.__members__:
        return _OF_A_SIGNAL + signal.Signals[reason]
    return FAILED


def _print_path(path: Path) -> None:
    sys.stdout.write(f"{path}\n")  # not click.echo: the bar gives way to sys.stdout only
    sys.stdout.flush()
