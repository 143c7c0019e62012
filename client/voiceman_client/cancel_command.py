"""The command `cancel`: take back what is not done."""

import time
from pathlib import Path

import click

from voiceman.errors import VoicemanError
from voiceman_client.command_line import FAILED, folder_argument, open_ledger
from voiceman_client.entries import State
from voiceman_client.ledger import Ledger
from voiceman_client.run_log import is_in_use
from voiceman_client.stopping import CANCEL

_LOOK_EVERY_S = 0.2


@click.command()
@folder_argument
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(0, min_open=True),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="Time for a run to end.",
)
@click.pass_context
def cancel(context: click.Context, /, folder: Path, timeout_s: float) -> None:
    """Take back the recordings in DIR that are not done, and end the run that works on them.

    Whoever may write into DIR can end a run there, from another machine or container too. Windows
    that were answered stay; submit again, or `retry`, to go on.
    """
    try:
        with open_ledger(folder) as ledger:
            ended = _end_run(folder, ledger, time.monotonic() + timeout_s)
            if ended:
                ledger.cancel()
            count = ledger.counts()[State.CANCELLED]
    except VoicemanError as err:
        click.echo(str(err), err=True)
        context.exit(FAILED)
    if not ended:
        click.echo(f"{folder}: the run there did not end in {timeout_s:g} s", err=True)
        context.exit(FAILED)
    click.echo(f"{folder}: {count} recordings are cancelled", err=True)


def _end_run(folder: Path, ledger: Ledger, until_s: float) -> bool:
    """Wait until no run is going on; whether that came about."""
    while True:
        ledger.state_fact({CANCEL: "1"})  # again: a run that begins takes it for an older one
        if not is_in_use(folder):
            return True
        if time.monotonic() >= until_s:
            return False
        time.sleep(_LOOK_EVERY_S)
