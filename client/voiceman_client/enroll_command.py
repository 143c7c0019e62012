"""The command `enroll`."""

from pathlib import Path

import click

from voiceman.errors import VoicemanError
from voiceman_client.client import Client
from voiceman_client.command_line import exit_code, server_option


@click.command()
@click.argument("name")
@click.argument("paths", nargs=-1, required=True, metavar="FILE...", type=click.Path())
@server_option
@click.option(
    "--voices",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("voices.json"),
    show_default=True,
    help="File that holds the voices; made when missing.",
)
@click.pass_context
def enroll(
    context: click.Context, /, name: str, paths: tuple[str, ...], server: str, voices: Path
) -> None:
    """Store the voice of NAME, the only one who speaks in the recordings.

    At least 10 s of speech are needed, from one recording or from several. A voice of the same
    name is replaced. `submit --voices` then says which speakers are like it. The file holds
    biometric data: it is readable by its owner only.
    """
    with Client(server) as client:
        try:
            voice = client.enrol(name, paths, voices)
        except VoicemanError as err:
            click.echo(str(err), err=True)
            context.exit(exit_code([err]))
    click.echo(f"{voices}: {name}, {voice.speech:.1f} s of speech", err=True)
