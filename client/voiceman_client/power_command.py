"""The command `power`: power modes of this machine's GPUs."""

from pathlib import Path

import click
import pynvml

from voiceman.errors import ConfigurationError, EnvironmentCheckError
from voiceman_client.power import DEFAULT_STATE, MODES, restore, set_mode

_FAILED = 1


@click.command()
@click.option("--mode", type=click.Choice(list(MODES)), help="What to set on every GPU.")
@click.option("--restore", "back", is_flag=True, help="Put everything back as it was found.")
@click.option(
    "--state",
    type=click.Path(path_type=Path, dir_okay=False),
    default=DEFAULT_STATE,
    show_default=True,
    help="File that holds what was found.",
)
@click.pass_context
def power(context: click.Context, /, mode: str | None, state: Path, *, back: bool) -> None:
    """Set a power mode on the GPUs of this machine, or put back what was there.

    Power limit where there is one, else the highest clock; fans where they can be set. What cannot
    be set is said. Needs the rights of root, and lasts until the machine restarts. Nothing else of
    voiceman touches these settings.
    """
    if (mode is None) != back:
        raise click.UsageError("give either --mode or --restore")
    try:
        lines = restore(pynvml, state) if mode is None else set_mode(mode, pynvml, state)
    except (ConfigurationError, EnvironmentCheckError) as err:
        click.echo(str(err), err=True)
        context.exit(_FAILED)
    for line in lines:
        click.echo(line)
