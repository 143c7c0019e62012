"""The commands about files of crime-language patterns: `patterns check`."""

from pathlib import Path

import click

from voiceman.errors import VoicemanError
from voiceman_client.command_line import FAILED
from voiceman_client.patterns import check_patterns


@click.group()
def patterns() -> None:
    """Work on files of crime-language patterns."""


@patterns.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.pass_context
def check(context: click.Context, /, file: Path) -> None:
    """Try every pattern of FILE on its own examples, on top of the shipped tables.

    Prints one line for each pattern. Exit code 0: all examples hold; 1: some do not, or the file
    breaks the format.
    """
    failed = False
    try:
        for checked in check_patterns(file):
            click.echo(f"{file}: {checked.id}: {'broken' if checked.broken else 'holds'}")
            for sentence in checked.broken:
                failed = True
                click.echo(f"{file}: {sentence}", err=True)
    except VoicemanError as err:
        click.echo(str(err), err=True)
        failed = True
    context.exit(FAILED if failed else 0)
