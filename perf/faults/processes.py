"""The processes of a long trial: one server that heals itself, and one client after the other."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from perf.record import ROOT
from voiceman.profile import Profile
from voiceman.server.settings import Ports
from voiceman.server.stubs import Stub, find_stubs

START_S = 400.0  # a server on a machine that is busy with other things
_BIN = Path(sys.executable).parent
_EXIT_TIMEOUT_S = 5
_ANSWERED = 'nv_inference_request_success{model="forensic"'


class Server:
    """`voiceman-server`, started again by whoever stops it."""

    def __init__(self, folder: Path, profile: Profile) -> None:
        """Choose ports; nothing is started yet.

        Args:
            folder: for its log.
            profile: see `voiceman.profile`.
        """
        self.ports = Ports.automatic().resolve("127.0.0.1")
        self.prefix = f"trial-{os.getpid()}"
        self._profile = profile
        self.told: list[dict[str, object]] = []
        self.answered = 0  # windows that its processes answered, as far as it was looked at
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None
        self._seen = 0

    def start(self) -> None:
        """Start it; returns when it is ready."""
        options = {
            "model-repository": ROOT / "model_repository",
            "grpc-port": self.ports.grpc,
            "http-port": self.ports.http,
            "metrics-port": self.ports.metrics,
            "watch-metrics-port": self.ports.watch_metrics,
            "shm-prefix": self.prefix,
            "exit-timeout": _EXIT_TIMEOUT_S,
            "profile": self._profile,
            "log-file": self._folder / "triton.log",
        }
        with (self._folder / "server.log").open("a") as log:
            self._process = subprocess.Popen(
                [
                    _BIN / "voiceman-server",
                    *(f"--{name}={value}" for name, value in options.items()),
                ],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        before = len(self.told)
        threading.Thread(target=self._listen, args=(self._process,), daemon=True).start()
        wait_until(lambda: len(self.told) > before or not self.runs, START_S)
        if not self.runs:
            sys.exit((self._folder / "server.log").read_text())

    def stop(self) -> int:
        """Stop it as an operator would; its exit code."""
        if self._process is None:
            return 0
        self._process.terminate()
        return self._process.wait(120)

    @property
    def address(self) -> str:
        """Host and port of gRPC."""
        return f"127.0.0.1:{self.ports.grpc}"

    @property
    def runs(self) -> bool:
        """Whether it has not ended, or given up."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Its process number; 0 before the first start."""
        return self._process.pid if self._process else 0

    def triton(self) -> psutil.Process | None:
        """The tritonserver at this moment."""
        with suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self.pid).children():
                if child.name() == "tritonserver" and child.status() != psutil.STATUS_ZOMBIE:
                    return child
        return None

    def stubs(self) -> list[Stub]:
        """The processes behind its models."""
        triton = self.triton()
        return find_stubs(triton.pid) if triton else []

    def look(self) -> None:
        """Read how many windows it has answered; its count begins anew with every process."""
        try:
            page = urllib.request.urlopen(
                f"http://127.0.0.1:{self.ports.metrics}/metrics", timeout=0.5
            )
            with page:
                lines = page.read().decode().splitlines()
        except OSError:
            return
        now = sum(int(float(line.split()[-1])) for line in lines if line.startswith(_ANSWERED))
        self.answered += now - self._seen if now >= self._seen else now
        self._seen = now

    def _listen(self, process: subprocess.Popen[str]) -> None:
        if process.stdout:
            self.told.extend(json.loads(line) for line in process.stdout)


class Client:
    """`voiceman-client submit`, one run."""

    def __init__(self, recordings: Path, results: Path, server: str, metrics: int) -> None:
        """Start it.

        Args:
            recordings: folder of what to work on.
            results: its output folder; what it says goes into a file beside it.
            server: host:port of gRPC.
            metrics: port of the metrics page.
        """
        self.said = results.with_suffix(".log")
        with self.said.open("a") as said:
            self.process = subprocess.Popen(
                [
                    *(_BIN / "voiceman-client", "submit", recordings, "--output", results),
                    *("--server", server, "--metrics", f"127.0.0.1:{metrics}"),
                    *("--heat-sensor", "none", "--heat-policy", "ignore"),
                ],
                env={**os.environ, "VOICEMAN_CACHE_SIZE": "0"},
                stdout=subprocess.DEVNULL,
                stderr=said,
            )

    def workers(self) -> list[psutil.Process]:
        """Its decoders."""
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(self.process.pid).children()
        return []


class Census:
    """Every process that a campaign ever had, so that those left over can be told."""

    def __init__(self) -> None:
        """Nobody was seen yet."""
        self._seen: set[psutil.Process] = set()

    def count(self, *roots: int) -> None:
        """See these and all below them."""
        for pid in roots:
            with suppress(psutil.NoSuchProcess):
                root = psutil.Process(pid)
                self._seen |= {root, *root.children(recursive=True)}

    def left(self) -> list[str]:
        """Those that are still there."""
        return [str(one) for one in self._seen if _is_alive(one)]


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def send(process: psutil.Process, number: signal.Signals) -> bool:
    """Send a signal; false where nobody is there any more."""
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return False
    return True


def wait_until(condition: Callable[[], bool], limit_s: float, every_s: float = 0.05) -> bool:
    """Wait for a condition; false if it does not come to hold in time."""
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(every_s)
    return True


@contextmanager
def running_server(folder: Path, profile: Profile = "reproducible") -> Iterator[Server]:
    """A server that is ready, and is stopped in the end."""
    server = Server(folder, profile)
    try:
        server.start()
        yield server
    finally:
        server.stop()
