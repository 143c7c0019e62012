"""The commands about the server itself: `models` and `health`."""

import json
import sys
from dataclasses import asdict

import click
from rich.console import Console
from rich.table import Table

from voiceman.errors import VoicemanError
from voiceman_client.client import Client
from voiceman_client.command_line import FAILED, exit_code, server_option
from voiceman_client.status import ModelStatus


@click.command()
@server_option
@click.option(
    "--format",
    "style",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="A table, or one JSON object per line.",
)
@click.pass_context
def models(context: click.Context, /, server: str, style: str) -> None:
    """Show the server's models: version, state, tensors and batches since its start."""
    with Client(server) as client:
        try:
            found = client.models()
        except VoicemanError as err:
            click.echo(str(err), err=True)
            context.exit(exit_code([err]))
    if style == "json":
        for model in found:
            click.echo(json.dumps(asdict(model) | {"mean_batch": round(model.mean_batch, 2)}))
    else:
        width = None if sys.stdout.isatty() else 200
        Console(width=width).print(_table(found))


def _table(found: list[ModelStatus]) -> Table:
    table = Table("model", "version", "state", "inputs", "outputs", "inferences", "mean batch")
    for model in found:
        table.add_row(
            model.name,
            model.version,
            model.state,
            " ".join(model.inputs),
            " ".join(model.outputs),
            str(model.inferences),
            f"{model.mean_batch:.2f}" if model.executions else "",
        )
    return table


@click.command()
@server_option
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(0, min_open=True),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="Time for each model's answer.",
)
@click.pass_context
def health(context: click.Context, /, server: str, timeout_s: float) -> None:
    """Send a short silence through every model.

    Exit code 0: all answer; 1: some do not (named on standard error); 3: nobody answers.
    """
    with Client(server) as client:
        try:
            broken = client.health(timeout_s)
        except VoicemanError as err:
            click.echo(str(err), err=True)
            context.exit(exit_code([err]))
    for name, why in broken.items():
        click.echo(f"{name}: {why}", err=True)
    click.echo("half-ready" if broken else "ready")
    context.exit(FAILED if broken else 0)
