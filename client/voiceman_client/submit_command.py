"""The command `submit`: its options, and what it prints while a run goes on."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import click

from voiceman.errors import (
    ConfigurationError,
    InvalidRequestError,
    VoicemanError,
)
from voiceman_client.cache_commands import cache_size_option
from voiceman_client.cache_size import open_cache
from voiceman_client.channels import CHANNEL_MODES
from voiceman_client.command_line import exit_code, server_option
from voiceman_client.cores import read_cores
from voiceman_client.dashboard import Dashboard
from voiceman_client.heat import HeatSettings, Policy
from voiceman_client.heat_watch import LOG_NAME as TEMPERATURE_LOG
from voiceman_client.inputs import find_recordings
from voiceman_client.job import Order, Tally, carry_out
from voiceman_client.names_parameter import Names
from voiceman_client.options import Limits, OptionValues, SubmitOptions
from voiceman_client.own_metrics import PageAddress
from voiceman_client.sensors import choose_sensor
from voiceman_client.server_load import MetricsPage, metrics_address
from voiceman_client.submit import Watched
from voiceman_client.writers import FORMATS

if TYPE_CHECKING:
    from voiceman_client.signing import Signer


@click.command()
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
@click.option(
    "--sign",
    "key",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="KEY",
    help="Private key to sign the run with; see `keygen`.",
)
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
    Every step goes into run_log.jsonl in the output folder; see `verify`.
    """
    _check(options)
    signer = _signer(key) if key else None
    recordings, missing = find_recordings(paths, sys.stdin if "-" in paths else ())
    tally = Tally()
    try:
        order = Order(
            recordings,
            missing,
            output,
            formats,
            server,
            Limits(in_flight, workers, timeout_s, away_s),
            options,
            Watched(
                choose_sensor(heat_sensor, server),
                HeatSettings(policy=heat_policy),
                output / TEMPERATURE_LOG,
                MetricsPage(metrics or metrics_address(server)),
            ),
            open_cache(cache_size_gb),
            signer,
            PageAddress(metrics_port, metrics_host),
        )
        with Dashboard() as display:
            carry_out(order, display, _print_path, tally)
    except ConfigurationError as err:
        raise click.UsageError(str(err)) from err
    except VoicemanError as err:
        tally.failures.append(err)
        click.echo(f"failed: {err}", err=True)
    if unfinished := len(recordings) - tally.finished:
        click.echo(f"{unfinished} recordings were not finished; submit them again", err=True)
    context.exit(exit_code(tally.failures))


def _check(options: OptionValues) -> None:
    try:
        SubmitOptions(**options)
    except InvalidRequestError as err:
        raise click.UsageError(str(err)) from err


def _signer(key: Path) -> "Signer":
    try:
        from voiceman_client.signing import Signer  # noqa: PLC0415  # needs cryptography

        return Signer(key)
    except ConfigurationError as err:
        raise click.UsageError(str(err)) from err


def _print_path(path: Path) -> None:
    sys.stdout.write(f"{path}\n")  # not click.echo: the bar gives way to sys.stdout only
    sys.stdout.flush()
