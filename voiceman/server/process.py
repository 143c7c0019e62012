"""A tritonserver as a child process: started, made ready, drained, and never left behind."""

import ctypes
import http.client
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from voiceman.errors import EnvironmentCheckError, ServerError, ServerNotReadyError
from voiceman.server.address import find_address, for_http_server, in_url, reachable
from voiceman.server.canary import run_canary
from voiceman.server.checks import check_environment
from voiceman.server.control import ModelControl
from voiceman.server.installation import prepare_backends, server_environment
from voiceman.server.run_folder import RunFolder, run_folder
from voiceman.server.settings import Ports, ServerSettings

log = logging.getLogger(__name__)

POLL_S = 0.1
KILL_AFTER_S = 10  # beyond the exit timeout, in which Triton should have ended by itself
LAST_LINES = 20
_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
# What Triton logs as errors on every machine without a GPU, where nothing is wrong.
_MISSES_GPU = ("CudaDriverHelper", "pinned system memory", "CUDA driver version is insufficient")


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

    def wait(self) -> None:
        """Return never, unless with an exception.

        Raises:
            ServerError: tritonserver ended; with the last lines of its log.
        """
        self.process.wait()
        raise ServerError(_death(self.process, self.last_lines))


@contextmanager
def start(settings: ServerSettings) -> Generator[RunningServer]:
    """Start a server, wait until it is ready, and stop it on leaving.

    Must be called from a thread that lives as long as the server: Linux ends the server with
    the thread that started it.

    Raises:
        EnvironmentCheckError: it cannot run here; one line per problem.
        ServerNotReadyError: it ended or did not become ready in time.
    """
    triton, interpreter, notes = check_environment(settings)
    for note in notes:
        log.warning(note)
    deadline = time.monotonic() + settings.ready_timeout_s
    address = find_address(settings.host)
    host = reachable(address)
    with ExitStack() as stack:
        folder = stack.enter_context(run_folder(settings.shm_prefix))
        backends = prepare_backends(triton, interpreter, folder.path)
        ports = settings.ports.resolve(address)
        sink = stack.enter_context(_open_log(settings.log_file))
        control = ModelControl(settings.model_repository, settings.model_names())
        arguments = _arguments(settings, address, ports, backends, folder)
        process = _launch(
            [str(triton.executable), *arguments, *control.arguments()],
            server_environment(triton, interpreter, settings.profile),
            folder,
        )
        stack.callback(_stop, process, settings.exit_timeout_s)
        lines = _copy_log(process, sink)
        _wait_until_ready(process, lines, host, ports.http, deadline)
        models = run_canary(f"{in_url(host)}:{ports.grpc}", settings.model_names(), deadline)
        yield RunningServer(
            process, host, ports, folder.prefix, tuple(models), lines, settings, control
        )


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
    if not _has_gpu():
        options.append("--allow-gpu-metrics=false")
    return options


def _has_gpu() -> bool:
    return any(Path("/dev").glob("nvidia[0-9]*"))


def _launch(
    command: list[str], environment: dict[str, str], folder: RunFolder
) -> subprocess.Popen[str]:
    log.info("starting %s", command[0])
    return subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        pass_fds=(folder.lock,),
        # A Ctrl-C in the terminal is for us; Triton gets its SIGTERM from us, once.
        start_new_session=True,
        preexec_fn=_die_with(os.getpid()),  # noqa: PLW1509  # it only makes two system calls
    )


def _die_with(parent: int) -> Callable[[], None]:
    """A function for the child, after which the kernel kills it when its parent dies."""
    libc = ctypes.CDLL(None, use_errno=True)

    def set_death_signal() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the call
            os._exit(1)

    return set_death_signal


@contextmanager
def _open_log(path: Path | None) -> Generator[IO[str]]:
    if path is None:
        yield sys.stderr
        return
    try:
        file = path.open("a", encoding="utf-8", buffering=1)
    except OSError as err:
        raise EnvironmentCheckError(
            f"{path}: {err.strerror}; set --log-file to a file that can be written"
        ) from err
    with file:
        yield file


def _copy_log(process: subprocess.Popen[str], sink: IO[str]) -> deque[str]:
    """Pass on Triton's log in a thread of its own; returns its last lines, always up to date."""
    last_lines: deque[str] = deque(maxlen=LAST_LINES)
    source = process.stdout
    if source is None:
        raise ValueError("the process was started without a pipe")

    noise = () if _has_gpu() else _MISSES_GPU

    def copy() -> None:
        for line in source:
            if not any(words in line for words in noise):
                last_lines.append(line.rstrip())
                sink.write(line)

    threading.Thread(target=copy, name="triton-log", daemon=True).start()
    return last_lines


def _wait_until_ready(
    process: subprocess.Popen[str], lines: deque[str], host: str, port: int, deadline: float
) -> None:
    while not _is_ready(host, port):
        if process.poll() is not None:
            raise ServerNotReadyError(_death(process, lines))
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


def _death(process: subprocess.Popen[str], lines: deque[str]) -> str:
    # Its log thread may still hold the line that tells why.
    time.sleep(POLL_S)
    code = process.returncode
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit {code}"
    return "\n".join([f"tritonserver {how}; its last lines:", *lines])


def _stop(process: subprocess.Popen[str], exit_timeout_s: float) -> None:
    """Let Triton drain its requests and end, and make sure that nothing of it is left."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(exit_timeout_s + KILL_AFTER_S)
        except subprocess.TimeoutExpired:
            log.warning("tritonserver did not end by itself and is killed")
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
