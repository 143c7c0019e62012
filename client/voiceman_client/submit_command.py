"""The command `submit`: its options, and what it prints while a run goes on."""

import sys
from pathlib import Path
from typing import Unpack

import click
from click.core import ParameterSource

from voiceman.errors import InvalidRequestError
from voiceman_client.at_terminal import read_signer, run, sign_option
from voiceman_client.cache_commands import cache_size_option
from voiceman_client.channels import CHANNEL_MODES
from voiceman_client.command_line import server_option
from voiceman_client.cores import read_cores
from voiceman_client.heat import Policy
from voiceman_client.incoming import waiting
from voiceman_client.inputs import find_recordings
from voiceman_client.layout import Layout
from voiceman_client.names_parameter import Names
from voiceman_client.options import Limits, OptionValues, SubmitOptions
from voiceman_client.order import Means, Order
from voiceman_client.own_metrics import PageAddress
from voiceman_client.writers import FORMATS


@click.command()
@click.argument("paths", nargs=-1, metavar="[PATH]...")
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
    "--job",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="In place of -o: a folder with incoming/, processing/, completed/ and failed/. Every PATH "
    "is linked into DIR/incoming; without PATH, all that is there is submitted.",
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
    type=click.Path(exists=True, dir_okay=False, resolve_path=True),
    help="File of crime-language patterns on top of the server's own; see `patterns check`.",
)
@click.option(
    "--voices",
    type=click.Path(exists=True, dir_okay=False, resolve_path=True),
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
    "--server-away",
    "away_s",
    type=click.FloatRange(0),
    envvar="VOICEMAN_SERVER_AWAY",
    default=Limits.away_s,
    show_default=True,
    show_envvar=True,
    metavar="SECONDS",
    help="For how long the server may be away (it restarts, or loads a model) before work fails.",
)
@click.option(
    "--metrics",
    envvar="VOICEMAN_METRICS",
    show_default="port 8002 of the server",
    show_envvar=True,
    metavar="HOST:PORT",
    help="The server's metrics page: how much waits there, and its GPU.",
)
@click.option(
    "--heat-sensor",
    envvar="VOICEMAN_HEAT_SENSOR",
    default="auto",
    show_default=True,
    show_envvar=True,
    metavar="SENSOR",
    help="Where the temperature is read: nvml, none, the http address of a metrics page, or auto.",
)
@click.option(
    "--heat-policy",
    type=click.Choice(["cautious", "ignore", "stop"]),
    envvar="VOICEMAN_HEAT_POLICY",
    default="cautious",
    show_default=True,
    show_envvar=True,
    help="Without a temperature to believe: work as if it were hot, at full speed, or not at all.",
)
@cache_size_option
@sign_option
@click.option(
    "--metrics-port",
    type=click.IntRange(0, 65535),
    default=PageAddress.port,
    show_default=True,
    help="TCP port of a page of metrics about this run, for Prometheus; 0: none.",
)
@click.option(
    "--metrics-host",
    default=PageAddress.host,
    show_default=True,
    metavar="ADDRESS",
    help="Address that this page is served at.",
)
@click.pass_context
def submit(
    context: click.Context,
    /,
    *,
    paths: tuple[str, ...],
    server: str,
    output: Path,
    job: Path | None,
    formats: tuple[str, ...],
    key: Path | None,
    in_flight: int,
    workers: int,
    timeout_s: float,
    away_s: float,
    metrics: str | None,
    heat_sensor: str,
    heat_policy: Policy,
    cache_size_gb: float | None,
    metrics_port: int,
    metrics_host: str,
    **options: Unpack[OptionValues],
) -> None:
    """Transcribe and analyse recordings.

    PATH is a file, a folder (searched to any depth), a glob pattern, or - for a list of paths
    on standard input, one per line. Prints the path of each result as soon as it is written.
    Every step goes into run_log.jsonl in the output folder; see `verify`. A run that ended early,
    in whatever way, goes on where it was when it is submitted again.
    """
    _check(context, options, paths, job)
    signer = read_signer(key)
    if paths or job is None:
        found = find_recordings(paths, sys.stdin if "-" in paths else ())
    else:
        found = waiting(job)
    if left_out := found.left_out():
        click.echo(left_out, err=True)
    if not found.recordings:
        nothing = f"no recordings in {', '.join(paths) or job}"
        raise click.UsageError("\n".join([nothing, *map(str, found.errors)]))
    order = Order(
        found.recordings,
        found.errors,
        Layout.job(job, formats) if job else Layout.flat(output, formats),
        server,
        Limits(in_flight, workers, timeout_s, away_s),
        options,
        signer,
        Means(heat_sensor, heat_policy, metrics, cache_size_gb),
        PageAddress(metrics_port, metrics_host),
    )
    run(context, order)


def _check(
    context: click.Context, options: OptionValues, paths: tuple[str, ...], job: Path | None
) -> None:
    if job and context.get_parameter_source("output") == ParameterSource.COMMANDLINE:
        raise click.UsageError("give --output or --job, and not both")
    if not paths and job is None:
        raise click.UsageError("Missing argument 'PATH...'.")
    try:
        SubmitOptions(**options)
    except InvalidRequestError as err:
        raise click.UsageError(str(err)) from err
