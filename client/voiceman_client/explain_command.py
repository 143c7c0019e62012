"""The command `explain`."""

from pathlib import Path

import click

from voiceman.errors import InvalidRequestError, VoicemanError
from voiceman_client.command_line import exit_code
from voiceman_client.explain import explain as explained


@click.command()
@click.argument("path", metavar="RESULT", type=click.Path(path_type=Path))
@click.option(
    "--utterance",
    "number",
    type=click.IntRange(1),
    help="Only this utterance, counted from 1 in the order of the result.",
)
@click.option(
    "--top",
    type=click.IntRange(0),
    default=3,
    show_default=True,
    help="How many utterances, highest score first.",
)
@click.pass_context
def explain(context: click.Context, /, path: Path, number: int | None, top: int) -> None:
    """Say step by step how the scores of RESULT, a .json that submit wrote, came about.

    Language, speakers and findings first; then for the recording, its speakers and its most
    notable utterances: components, weights, the evidence with its times, stress, and how words
    and voice fit. Needs no server.
    """
    try:
        click.echo(explained(path, number, top), nl=False)
    except InvalidRequestError as err:
        raise click.UsageError(str(err)) from err
    except VoicemanError as err:
        click.echo(str(err), err=True)
        context.exit(exit_code([err]))
