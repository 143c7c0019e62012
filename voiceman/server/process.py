"""A server: prepared once, started, made ready, and started again if need be."""

import http.client
import logging
import subprocess
import time
from collections import deque
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from voiceman.errors import ServerNotReadyError
from voiceman.server.address import find_address, for_http_server, in_url, reachable
from voiceman.server.canary import run_canary
from voiceman.server.checks import check_environment
from voiceman.server.child import POLL_S, copy_log, death, has_gpu, launch, open_log, stop
from voiceman.server.control import ModelControl
from voiceman.server.installation import prepare_backends, server_environment
from voiceman.server.run_folder import RunFolder, run_folder
from voiceman.server.settings import Ports, ServerSettings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunningServer:
    """A server that is ready.

    Attributes:
        process: tritonserver.
        host: address that a client on this machine can use.
        ports: TCP ports.
        prefix: first part of the names of its regions in /dev/shm.
        models: models through which a canary request has gone.
        last_lines: the end of its log.
        settings: what it was started with.
        control: the right to load models.
    """

    process: subprocess.Popen[str]
    host: str
    ports: Ports
    prefix: str
    models: tuple[str, ...]
    last_lines: deque[str]
    settings: ServerSettings
    control: ModelControl

    @property
    def grpc_url(self) -> str:
        """Host and port of gRPC, as tritonclient takes them."""
        return f"{in_url(self.host)}:{self.ports.grpc}"

    @property
    def http_url(self) -> str:
        """Host and port of HTTP, as tritonclient takes them."""
        return f"{in_url(self.host)}:{self.ports.http}"

    @property
    def metrics_url(self) -> str:
        """Host and port of the metrics page."""
        return f"{in_url(self.host)}:{self.ports.metrics}"

    def load_changes(self) -> dict[str, str]:
        """Load what has changed in the model repository, without dropping a request.

        Returns:
            The models that changed: nothing, or why they could not be loaded; then the old ones
            go on.

        Raises:
            ServerNotReadyError: a model does not answer its canary request any more.
        """
        outcome = self.control.load_changes(self.grpc_url)
        deadline = time.monotonic() + self.settings.ready_timeout_s
        run_canary(self.grpc_url, self.settings.model_names(), deadline)
        return outcome

    def ended(self, timeout_s: float) -> str:
        """How tritonserver ended, with the last lines of its log; empty: it runs.

        Args:
            timeout_s: how long its end is waited for.
        """
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return ""
        return death(self.process, self.last_lines)


@dataclass(frozen=True)
class Preparation:
    """All that stays the same when the server is started again.

    Attributes:
        settings: what the caller chose.
        address: numeric address to listen on.
        ports: TCP ports, none of them 0.
        folder: the run folder, whose lock its processes hold.
        command: tritonserver and its arguments, without those that `ModelControl` adds.
        environment: its environment variables.
        sink: where its log goes.
    """

    settings: ServerSettings
    address: str
    ports: Ports
    folder: RunFolder
    command: list[str]
    environment: dict[str, str]
    sink: IO[str]


@contextmanager
def prepare(settings: ServerSettings) -> Generator[Preparation]:
    """Check the environment and make everything that a server is started from.

    Raises:
        EnvironmentCheckError: it cannot run here; one line per problem.
    """
    triton, interpreter, notes = check_environment(settings)
    for note in notes:
        log.warning(note)
    address = find_address(settings.host)
    with run_folder(settings.shm_prefix) as folder, open_log(settings.log_file) as sink:
        backends = prepare_backends(triton, interpreter, folder.path)
        ports = settings.ports.resolve(address)
        arguments = _arguments(settings, address, ports, backends, folder)
        yield Preparation(
            settings,
            address,
            ports,
            folder,
            [str(triton.executable), *arguments],
            server_environment(triton, interpreter, settings.profile),
            sink,
        )


@contextmanager
def run(prepared: Preparation) -> Generator[RunningServer]:
    """Start a server, wait until it is ready, and stop it on leaving.

    Must be called from a thread that lives as long as the server: Linux ends the server with
    the thread that started it.

    Raises:
        ServerNotReadyError: it ended or did not become ready in time.
    """
    settings, ports = prepared.settings, prepared.ports
    deadline = time.monotonic() + settings.ready_timeout_s
    host = reachable(prepared.address)
    control = ModelControl(settings.model_repository, settings.model_names())
    with ExitStack() as stack:
        stack.callback(prepared.folder.remove_regions)
        process = launch(
            [*prepared.command, *control.arguments()], prepared.environment, prepared.folder.lock
        )
        stack.callback(stop, process, settings.exit_timeout_s)
        lines = copy_log(process, prepared.sink)
        _wait_until_ready(process, lines, host, ports.http, deadline)
        models = run_canary(f"{in_url(host)}:{ports.grpc}", settings.model_names(), deadline)
        yield RunningServer(
            process, host, ports, prepared.folder.prefix, tuple(models), lines, settings, control
        )


@contextmanager
def start(settings: ServerSettings) -> Generator[RunningServer]:
    """Prepare and run a server that nobody watches; see `prepare` and `run`."""
    with prepare(settings) as prepared, run(prepared) as server:
        yield server


def _arguments(
    settings: ServerSettings, address: str, ports: Ports, backends: Path, folder: RunFolder
) -> list[str]:
    arguments = {
        "model-repository": settings.model_repository,
        "backend-directory": backends,
        "backend-config": f"python,shm-region-prefix-name={folder.prefix}",
        "grpc-address": in_url(address),
        "grpc-port": ports.grpc,
        "http-address": for_http_server(address),
        "http-port": ports.http,
        "metrics-address": for_http_server(address),
        "metrics-port": ports.metrics,
        "exit-timeout-secs": settings.exit_timeout_s,
        "log-info": str(settings.verbose).lower(),
    }
    # The configs are complete; completing them would start every model a second time.
    options = ["--disable-auto-complete-config"]
    options += [f"--{name}={value}" for name, value in arguments.items()]
    if not has_gpu():
        options.append("--allow-gpu-metrics=false")
    return options


def _wait_until_ready(
    process: subprocess.Popen[str], lines: deque[str], host: str, port: int, deadline: float
) -> None:
    while not _is_ready(host, port):
        if process.poll() is not None:
            raise ServerNotReadyError(death(process, lines))
        if time.monotonic() > deadline:
            last = "\n".join(lines)
            raise ServerNotReadyError(
                f"tritonserver is not ready in time; raise --ready-timeout? Its last lines:\n{last}"
            )
        time.sleep(POLL_S)


def _is_ready(host: str, port: int) -> bool:
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", "/v2/health/ready")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
