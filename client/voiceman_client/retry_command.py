"""The command `retry`: once more what has no result."""

from pathlib import Path

import click

from voiceman.errors import VoicemanError
from voiceman_client.at_terminal import read_signer, run, sign_option
from voiceman_client.command_line import FAILED, folder_argument, open_ledger
from voiceman_client.entries import State
from voiceman_client.inputs import unprinted
from voiceman_client.order import kept_order


@click.command()
@folder_argument
@sign_option
@click.pass_context
def retry(context: click.Context, /, folder: Path, key: Path | None) -> None:
    """Submit again what has no result in DIR: failed, cancelled, or interrupted.

    Server, options and formats are those of the last `submit` into DIR. Windows that were
    answered are not sent again.
    """
    signer = read_signer(key)
    try:
        with open_ledger(folder, read_only=True) as ledger:
            open_states = (state for state in State if state != State.COMPLETED)
            recordings = [unprinted(entry.path) for entry in ledger.entries(*open_states)]
            order = kept_order(ledger, folder, recordings, signer)
    except VoicemanError as err:
        click.echo(str(err), err=True)
        context.exit(FAILED)
    if not recordings:
        click.echo(f"{folder}: every recording is completed", err=True)
        return
    run(context, order)
