"""The command `watch`: a run as another terminal sees it."""

import json
import sys
import time
from pathlib import Path

import click
from rich.console import Console

from voiceman.errors import VoicemanError
from voiceman_client.command_line import FAILED
from voiceman_client.dashboard import Dashboard, dashboard
from voiceman_client.peek import Peek, peek
from voiceman_client.vitals import Vitals
from voiceman_client.vitals_file import read_vitals

_LOOK_EVERY_S = 1.0


@click.command()
@click.argument(
    "folder", metavar="DIR", type=click.Path(path_type=Path, exists=True, file_okay=False)
)
@click.option("--once", is_flag=True, help="Say how it stands now, and end.")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="json: a line with everything for each look, one a second.",
)
@click.pass_context
def watch(context: click.Context, /, *, folder: Path, once: bool, kind: str) -> None:
    """Watch the run that writes into DIR, until it ends.

    Where no run is going on, says what the ledger in DIR holds. Nothing in DIR is changed, and
    the run takes no notice.
    """
    try:
        if once or kind == "json":
            seen = _print(folder, kind)
            while seen and not once:
                time.sleep(_LOOK_EVERY_S)
                seen = _print(folder, kind)
        else:
            _follow(folder)
            _print(folder, kind)
    except VoicemanError as err:
        click.echo(f"failed: {err}", err=True)
        context.exit(FAILED)
    except KeyboardInterrupt:  # the usual end of watching
        pass


def _follow(folder: Path) -> None:
    """Show the run until it ends."""
    vitals = read_vitals(folder)
    if vitals is None:
        return
    with Dashboard(Console()) as screen:
        while vitals:
            screen.show(vitals)
            time.sleep(_LOOK_EVERY_S)
            vitals = read_vitals(folder)


def _print(folder: Path, kind: str) -> bool:
    """Say how it stands; returns whether a run is going on."""
    vitals = read_vitals(folder)
    found = None if vitals else peek(folder)
    if kind == "json":
        _print_json(vitals, found)
    elif vitals:
        Console(file=sys.stdout).print(dashboard(vitals))
    else:
        click.echo(_at_rest(folder, found))
    return vitals is not None


def _print_json(vitals: Vitals | None, found: Peek | None) -> None:
    known = json.loads(vitals.to_json()) if vitals else {}
    if found:
        known = {"states": found.states, "errors": found.errors}
    click.echo(json.dumps({"running": vitals is not None, **known}, ensure_ascii=False))


def _at_rest(folder: Path, found: Peek | None) -> str:
    if found is None:
        return f"{folder}: no run is going on, and it holds no ledger of one"
    states = ", ".join(f"{count} {state}" for state, count in found.states.items() if count)
    return "\n".join(
        [
            f"{folder}: no run is going on; recordings: {states or 'none'}",
            *(f"failed: {why}" for why in found.errors),
        ]
    )
