"""The command `clean`: give back the disk that finished work does not need any more."""

from pathlib import Path
from typing import Never

import click

from voiceman.errors import VoicemanError
from voiceman_client.command_line import FAILED, folder_argument, open_ledger
from voiceman_client.incoming import end_all
from voiceman_client.ledger import remove_ledger
from voiceman_client.run_log import claimed, half_files


@click.command()
@folder_argument
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Remove the whole ledger: states, attempts and answers of unfinished recordings too.",
)
@click.pass_context
def clean(context: click.Context, /, folder: Path, *, everything: bool) -> None:
    """Forget the server's answers about completed recordings in DIR, and what a crash left.

    Results, their summary and the log stay as they are. A run that is going on is not disturbed:
    there is nothing to clean until it ends.
    """
    try:
        with claimed(folder):
            with open_ledger(folder) as ledger:
                forgotten = ledger.clean()
            if everything:
                remove_ledger(folder)
            halves = half_files(folder)
            for half in halves:
                half.unlink()
            end_all(folder)
    except OSError as err:
        _fail(context, f"{err.filename}: cannot be removed ({err.strerror})")
    except VoicemanError as err:
        _fail(context, str(err))
    what = "the ledger is removed" if everything else f"{forgotten} answers are forgotten"
    click.echo(f"{folder}: {what}, {len(halves)} unfinished files are removed", err=True)


def _fail(context: click.Context, why: str) -> Never:
    click.echo(why, err=True)
    context.exit(FAILED)
