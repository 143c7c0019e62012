"""The command `status`: how far the job in a folder is, by its ledger alone."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import click

from voiceman.errors import VoicemanError
from voiceman_client.command_line import FAILED, folder_argument, open_ledger
from voiceman_client.entries import Entry, State
from voiceman_client.run_log import is_in_use


@click.command()
@folder_argument
@click.option(
    "--format",
    "style",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="Lines to read, or one JSON object.",
)
@click.pass_context
def status(context: click.Context, /, folder: Path, style: str) -> None:
    """Show how far the job in DIR is: counts by state, and every recording.

    A recording is PENDING, in STT (its windows are with the server), FORENSIC (told apart and
    scored), REPORT (being written), COMPLETED, FAILED or CANCELLED. No server is asked, and a run
    that is going on is not disturbed.
    """
    try:
        with open_ledger(folder, read_only=True) as ledger:
            counts, entries, answered = ledger.counts(), ledger.entries(), ledger.answered()
    except VoicemanError as err:
        click.echo(str(err), err=True)
        context.exit(FAILED)
    going = is_in_use(folder)
    if style == "json":
        recordings = [
            vars(entry) | {"windows_answered": _answered(entry, answered)} for entry in entries
        ]
        click.echo(json.dumps({"running": going, "counts": counts, "recordings": recordings}))
        return
    click.echo("a run is going on" if going else "no run is going on")
    click.echo(", ".join(f"{count} {state}" for state, count in counts.items()) + "\n")
    header = ("state", "windows", "attempts", "seconds", "recording")
    click.echo(_columns([header, *(_row(entry, answered) for entry in entries)]))


def _row(entry: Entry, answered: Mapping[str, int]) -> tuple[str, ...]:
    windows = f"{_answered(entry, answered)}/{entry.windows}" if entry.windows else ""
    seconds = f"{entry.duration_s:.0f}" if entry.duration_s else ""
    why = f"{entry.path}: {entry.why.removeprefix(f'{entry.path}: ')}" if entry.why else entry.path
    return (entry.state, windows, str(entry.attempts), seconds, why)


def _answered(entry: Entry, answered: Mapping[str, int]) -> int:
    """How many of its windows are answered; `clean` forgets those of what is completed."""
    if entry.state == State.COMPLETED:
        return entry.windows
    return answered.get(entry.work, 0)


def _columns(rows: Iterable[tuple[str, ...]]) -> str:
    """Rows below each other; rich takes seconds for thousands of them."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    widths[-1] = 0  # nothing follows it
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
