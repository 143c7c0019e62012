"""The command `voiceman-client`.

Standard output carries data only; progress, failures and logs go to standard error.
Exit codes: 0 all done, 1 some recordings or models failed, 2 usage, 3 server unreachable.
"""

import io
import json
import logging
import sys
from contextlib import closing
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import click
from rich.console import Console
from rich.table import Table

from voiceman.errors import (
    ConfigurationError,
    InvalidRequestError,
    ResultNotWrittenError,
    RunLogError,
    ServerNotReadyError,
    ServerUnreachableError,
    VoicemanError,
)
from voiceman_client.channels import CHANNEL_MODES
from voiceman_client.client import Client
from voiceman_client.completeness import untold
from voiceman_client.cores import read_cores
from voiceman_client.delivery import deliver
from voiceman_client.explain import explain as explained
from voiceman_client.inputs import find_recordings
from voiceman_client.integrity_commands import keygen, verify
from voiceman_client.names_parameter import Names
from voiceman_client.naming import result_names
from voiceman_client.patterns import check_patterns
from voiceman_client.progress import ProgressDisplay
from voiceman_client.report.command import report
from voiceman_client.run_log import RunLog
from voiceman_client.status import ModelStatus
from voiceman_client.submit import Limits, OptionValues, SubmitOptions
from voiceman_client.transport import DEFAULT_SERVER
from voiceman_client.writers import FORMATS, Written

if TYPE_CHECKING:
    from voiceman_client.signing import Signer

FAILED, USAGE, UNREACHABLE = 1, 2, 3

server_option = click.option(
    "--server",
    envvar="VOICEMAN_SERVER",
    default=DEFAULT_SERVER,
    show_default=True,
    show_envvar=True,
    metavar="HOST:PORT",
    help="gRPC address of the server.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="voiceman", prog_name="voiceman-client")
def main() -> None:
    """Transcribe and analyse recordings on a voiceman server."""
    for stream in (sys.stdin, sys.stdout):  # names of files need not be UTF-8
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="surrogateescape")
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s"
    )


main.add_command(report)
main.add_command(verify)
main.add_command(keygen)


@main.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@server_option
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="VOICEMAN_OUTPUT",
    default=Path("results"),
    show_default=True,
    show_envvar=True,
    help="Folder for the results; made when missing.",
)
@click.option(
    "--format",
    "formats",
    type=Names(FORMATS),
    default="json",
    show_default=True,
    metavar="LIST",
    help=f"Files to write per recording, comma-separated: {', '.join(FORMATS)}.",
)
@click.option(
    "--language",
    envvar="VOICEMAN_LANGUAGE",
    default="auto",
    show_default=True,
    show_envvar=True,
    metavar="CODE",
    help="Language spoken, ISO 639-1; auto: detected in every window.",
)
@click.option(
    "--initial-prompt",
    default="",
    metavar="TEXT",
    help="Text that stands before every window: its spelling and style are taken up.",
)
@click.option(
    "--hotwords", default="", metavar="WORDS", help="Names and terms that are likely to be said."
)
@click.option(
    "--channels",
    type=click.Choice(CHANNEL_MODES),
    default="auto",
    show_default=True,
    help="Two channels: mix them, split them, or split when each carries one speaker.",
)
@click.option("--speakers", type=click.IntRange(1), help="Number of speakers, when known.")
@click.option("--min-speakers", type=click.IntRange(1), help="Fewest speakers.")
@click.option("--max-speakers", type=click.IntRange(1), help="Most speakers.")
@click.option(
    "--patterns",
    type=click.Path(exists=True, dir_okay=False),
    help="File of crime-language patterns on top of the server's own; see `patterns check`.",
)
@click.option(
    "--voices",
    type=click.Path(exists=True, dir_okay=False),
    help="File of enrolled voices to compare the speakers with; see `enroll`.",
)
@click.option(
    "--denoise", is_flag=True, help="Turn steady noise down first; may cost or spoil words."
)
@click.option(
    "--in-flight",
    type=click.IntRange(1, 512),
    envvar="VOICEMAN_IN_FLIGHT",
    default=Limits.in_flight,
    show_default=True,
    show_envvar=True,
    help="Windows sent to the server at a time.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    envvar="VOICEMAN_WORKERS",
    default=lambda: read_cores().workers,
    show_default="efficiency cores, or at most 10 of cores that are alike",
    show_envvar=True,
    help="Decoder processes.",
)
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(0, min_open=True),
    envvar="VOICEMAN_TIMEOUT",
    default=Limits.timeout_s,
    show_default=True,
    show_envvar=True,
    metavar="SECONDS",
    help="Time for each request, waiting in the server's queue included.",
)
@click.option(
    "--sign",
    "key",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="KEY",
    help="Private key to sign the run with; see `keygen`.",
)
@click.pass_context
def submit(
    context: click.Context,
    /,
    *,
    paths: tuple[str, ...],
    server: str,
    output: Path,
    formats: tuple[str, ...],
    in_flight: int,
    workers: int,
    timeout_s: float,
    key: Path | None,
    **options: Unpack[OptionValues],
) -> None:
    """Transcribe and analyse recordings.

    PATH is a file, a folder (searched to any depth), a glob pattern, or - for a list of paths
    on standard input, one per line. Prints the path of each result as soon as it is written.
    Every step goes into run_log.jsonl in the output folder; see `verify`.
    """
    try:
        SubmitOptions(**options)
        signer = _signer(key) if key else None
    except (InvalidRequestError, ConfigurationError) as err:
        raise click.UsageError(str(err)) from err
    listed = sys.stdin if "-" in paths else ()
    recordings, missing = find_recordings(paths, listed)
    failures: list[VoicemanError] = list(missing)
    names = result_names(recordings, output, formats)
    finished = 0
    try:
        with (
            RunLog(output) as log,
            Client(server, Limits(in_flight, workers, timeout_s)) as client,
            ProgressDisplay(len(recordings)) as display,
            closing(
                client.process_batch(
                    recordings, display.step, partial(log.append, sync=False), **options
                )
            ) as outcomes,
        ):
            for err in missing:
                display.say(f"failed: {err}")
            for outcome in outcomes:
                finished += 1
                display.finish(outcome)
                written, error = deliver(outcome, log, output, names[outcome.path], formats)
                if error:
                    failures.append(error)
                    display.say(f"failed: {error}")
                elif outcome.result:
                    _print_path(written)
                    if line := untold(outcome.result):
                        display.say(f"{outcome.path}: {line}")
                if isinstance(error, ServerUnreachableError):
                    break
            for err in missing:
                log.append("recording_failed", {"error": type(err).__name__, "why": str(err)})
            counts = {"finished": finished, "given": len(recordings), "failed": len(failures)}
            display.say(f"seal: {log.seal(counts, signer)}")
    except ConfigurationError as err:
        raise click.UsageError(str(err)) from err
    except (ServerUnreachableError, ServerNotReadyError, RunLogError, ResultNotWrittenError) as err:
        failures.append(err)
        click.echo(f"failed: {err}", err=True)
    unfinished = len(recordings) - finished
    if unfinished:
        click.echo(f"{unfinished} recordings were not finished; submit them again", err=True)
    context.exit(_exit_code(failures))


def _signer(key: Path) -> "Signer":
    from voiceman_client.signing import Signer  # noqa: PLC0415  # needs the package cryptography

    return Signer(key)


def _print_path(written: list[Written]) -> None:
    paths = [file.path for file in written]
    shown = next((path for path in paths if path.suffix == ".json"), paths[0])
    sys.stdout.write(f"{shown}\n")  # not click.echo: the bar gives way to sys.stdout only
    sys.stdout.flush()


def _exit_code(failures: list[VoicemanError]) -> int:
    if any(isinstance(err, ServerUnreachableError) for err in failures):
        return UNREACHABLE
    return FAILED if failures else 0


@main.command()
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
            context.exit(_exit_code([err]))
    click.echo(f"{voices}: {name}, {voice.speech:.1f} s of speech", err=True)


@main.group()
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


@main.command()
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

    For the recording, its speakers and its most notable utterances: components, weights, the
    evidence with its times, stress, and how words and voice fit. Needs no server.
    """
    try:
        click.echo(explained(path, number, top), nl=False)
    except InvalidRequestError as err:
        raise click.UsageError(str(err)) from err
    except VoicemanError as err:
        click.echo(str(err), err=True)
        context.exit(_exit_code([err]))


@main.command()
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
            context.exit(_exit_code([err]))
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


@main.command()
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
            context.exit(_exit_code([err]))
    for name, why in broken.items():
        click.echo(f"{name}: {why}", err=True)
    click.echo("half-ready" if broken else "ready")
    context.exit(FAILED if broken else 0)
