"""The command `voiceman-server`."""

import json
import logging
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

import click

from voiceman.errors import EnvironmentCheckError, VoicemanError
from voiceman.profile import PROFILES
from voiceman.profile import VARIABLE as PROFILE_VARIABLE
from voiceman.server.settings import Ports, ServerSettings
from voiceman.server.watch import serve

_FOLDER = click.Path(path_type=Path)
_PORT = click.IntRange(0, 65535)


@click.command(context_settings={"show_default": True, "max_content_width": 100})
@click.option(
    "--model-repository",
    type=_FOLDER,
    default=Path("model_repository"),
    envvar="VOICEMAN_MODEL_REPOSITORY",
    show_envvar=True,
    help="Folder that holds one folder per model.",
)
@click.option(
    "--models",
    default="",
    envvar="VOICEMAN_MODELS",
    show_envvar=True,
    help="Load only these models, separated by commas, and those they are composed of.",
)
@click.option(
    "--host",
    default="127.0.0.1",
    envvar="VOICEMAN_HOST",
    show_envvar=True,
    help="Address to listen on. Anyone who reaches it may send requests.",
)
@click.option(
    "--grpc-port",
    type=_PORT,
    default=8001,
    envvar="VOICEMAN_GRPC_PORT",
    show_envvar=True,
    help="TCP port of gRPC; 0: any free one.",
)
@click.option(
    "--http-port",
    type=_PORT,
    default=8000,
    envvar="VOICEMAN_HTTP_PORT",
    show_envvar=True,
    help="TCP port of HTTP; 0: any free one.",
)
@click.option(
    "--metrics-port",
    type=_PORT,
    default=8002,
    envvar="VOICEMAN_METRICS_PORT",
    show_envvar=True,
    help="TCP port of the metrics page; 0: any free one.",
)
@click.option(
    "--watch-metrics-port",
    type=_PORT,
    default=8003,
    envvar="VOICEMAN_WATCH_METRICS_PORT",
    show_envvar=True,
    help="TCP port of the page that counts heals and restarts; 0: any free one.",
)
@click.option(
    "--ports",
    type=click.Choice(["fixed", "auto"]),
    default="fixed",
    help="auto: any free ports instead of those above.",
)
@click.option(
    "--tritonserver",
    type=_FOLDER,
    envvar="VOICEMAN_TRITONSERVER",
    show_envvar=True,
    help="tritonserver to start, /opt/tritonserver/bin/tritonserver in NVIDIA's images. "
    "Without it: the one of the nvidia-pytriton package.",
)
@click.option(
    "--backend-directory",
    type=_FOLDER,
    envvar="VOICEMAN_BACKEND_DIRECTORY",
    show_envvar=True,
    help="Backends of --tritonserver. Without it: those it was installed with.",
)
@click.option(
    "--python",
    type=_FOLDER,
    default=Path(sys.executable),
    show_default="the one that runs this command",
    envvar="VOICEMAN_PYTHON",
    show_envvar=True,
    help="Interpreter whose packages the models see.",
)
@click.option(
    "--shm-prefix",
    default="",
    show_default="a unique one",
    envvar="VOICEMAN_SHM_PREFIX",
    show_envvar=True,
    help="First part of the names of its regions in /dev/shm.",
)
@click.option(
    "--exit-timeout",
    type=click.IntRange(min=0),
    default=30,
    envvar="VOICEMAN_EXIT_TIMEOUT",
    show_envvar=True,
    help="Seconds that requests in flight may still take after SIGTERM.",
)
@click.option(
    "--ready-timeout",
    type=click.FloatRange(min=0),
    default=600.0,
    envvar="VOICEMAN_READY_TIMEOUT",
    show_envvar=True,
    help="Seconds that loading, warm-up and canary requests may take together.",
)
@click.option(
    "--watch-interval",
    "watch_interval_s",
    type=click.FloatRange(min=0),
    default=10.0,
    envvar="VOICEMAN_WATCH_INTERVAL",
    show_envvar=True,
    help="Seconds between two looks at the models, with a canary request to those that ended "
    "nothing in between; 0: nothing is healed, and a dead tritonserver ends the command.",
)
@click.option(
    "--stuck-after",
    "stuck_after_s",
    type=click.FloatRange(min=1),
    default=120.0,
    envvar="VOICEMAN_STUCK_AFTER",
    show_envvar=True,
    help="Seconds that a model may owe an answer while its process does nothing.",
)
@click.option(
    "--log-file",
    type=_FOLDER,
    envvar="VOICEMAN_SERVER_LOG_FILE",
    show_envvar=True,
    help="File for Triton's log. Without it: standard error.",
)
@click.option(
    "--profile",
    type=click.Choice(PROFILES),
    default=PROFILES[0],
    envvar=PROFILE_VARIABLE,
    show_envvar=True,
    help="reproducible: the same input with the same models gives the same result to the byte, "
    "more slowly: fixed batch shapes, and no other device where memory is short.",
)
@click.option("--verbose", is_flag=True, help="Log information, not only warnings and errors.")
def main(
    *,
    models: str,
    grpc_port: int,
    http_port: int,
    metrics_port: int,
    watch_metrics_port: int,
    ports: str,
    exit_timeout: int,
    ready_timeout: float,
    verbose: bool,
    **settings: Path | str | float | None,
) -> None:
    """Serve the model repository until SIGTERM or Ctrl-C.

    When a request has gone through every model, one line of JSON with the addresses and the
    command that submits to them appears on standard output. SIGHUP: models that changed in the
    repository are loaded and take the place of the old ones without a request lost; another line
    of JSON says how it went. A model that died or is stuck is loaded anew, a dead tritonserver
    started again on the same ports; a line of JSON tells of each. Exit: 0 after SIGTERM or Ctrl-C,
    1 if the server could not be started or ended too often, 2 for wrong usage.
    """
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        format="voiceman-server: %(message)s",
        stream=sys.stderr,
    )
    signal.signal(signal.SIGTERM, _interrupt_once)
    signal.signal(signal.SIGINT, _interrupt_once)
    changed = threading.Event()
    signal.signal(signal.SIGHUP, lambda signum, frame: changed.set())
    try:
        serve(
            ServerSettings(
                models=tuple(name.strip() for name in models.split(",") if name.strip()),
                ports=Ports.automatic()
                if ports == "auto"
                else Ports(grpc_port, http_port, metrics_port, watch_metrics_port),
                exit_timeout_s=exit_timeout,
                ready_timeout_s=ready_timeout,
                verbose=verbose,
                **settings,  # type: ignore[arg-type]  # click made them from the options above
            ),
            lambda line: click.echo(json.dumps(line)),
            changed,
        )
    except KeyboardInterrupt:
        return
    except EnvironmentCheckError as err:
        for line in str(err).splitlines():
            click.echo(f"voiceman-server: {line}", err=True)
        sys.exit(1)
    except VoicemanError as err:
        click.echo(f"voiceman-server: {err}", err=True)
        sys.exit(1)


def _interrupt_once(signum: int, frame: FrameType | None) -> None:
    """End the server at the first signal; further ones must not disturb its cleaning up."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt
