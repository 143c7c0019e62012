"""What a caller may choose about a server."""

import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from voiceman.errors import EnvironmentCheckError
from voiceman.profile import Profile
from voiceman.server.address import bind


@dataclass(frozen=True)
class Ports:
    """TCP ports: three of a tritonserver, one of who watches it; 0 stands for any free one."""

    grpc: int = 8001
    http: int = 8000
    metrics: int = 8002
    watch_metrics: int = 8003

    @classmethod
    def automatic(cls) -> "Ports":
        """Any free ports: several servers run side by side."""
        return cls(0, 0, 0, 0)

    def by_name(self) -> dict[str, int]:
        """The ports by what they are for."""
        return {
            "gRPC": self.grpc,
            "HTTP": self.http,
            "metrics": self.metrics,
            "watch-metrics": self.watch_metrics,
        }

    def resolve(self, address: str) -> "Ports":
        """The same ports with every 0 replaced by a port that is free at this moment.

        Raises:
            EnvironmentCheckError: the numeric address is not this machine's.
        """
        wanted = self.by_name().values()
        # All sockets stay open until the last port is known, so that they differ.
        with ExitStack() as stack:
            try:
                sockets = [stack.enter_context(bind(address, 0)) for _ in wanted]
            except OSError as err:
                raise EnvironmentCheckError(
                    f"{address}: {err.strerror}; set --host to an address of this machine"
                ) from err
            free = [one.getsockname()[1] for one in sockets]
        return Ports(*(port or found for port, found in zip(wanted, free, strict=True)))


@dataclass(frozen=True)
class ServerSettings:
    """Everything that decides how a tritonserver is started.

    Attributes:
        model_repository: folder that holds one folder per model.
        models: names of the models to load, with what they are composed of; empty: all.
        host: name or address (IPv4, IPv6) to listen on; anyone who reaches it may send requests.
        ports: TCP ports.
        python: interpreter whose packages the models see; its folder must hold `python3`.
        tritonserver: executable to start; None: the one of the nvidia-pytriton package.
        backend_directory: backends of `tritonserver`; None: those it was installed with.
        shm_prefix: first part of the names of its regions in /dev/shm; empty: a unique one.
        exit_timeout_s: how long requests in flight may still take after SIGTERM.
        ready_timeout_s: how long loading, warm-up and canary may take together.
        log_file: where Triton's log goes; None: standard error.
        profile: reproducible: the same input gives the same bytes, more slowly.
        verbose: let Triton log information too, not only warnings and errors.
        watch_interval_s: how often who watches looks at models that end nothing; 0: nobody
            watches.
        stuck_after_s: how long a model may owe an answer and do nothing before it counts as
            stuck (uncalibrated).
    """

    model_repository: Path
    models: tuple[str, ...] = ()
    host: str = "127.0.0.1"
    ports: Ports = field(default_factory=Ports)
    python: Path = field(default_factory=lambda: Path(sys.executable))
    tritonserver: Path | None = None
    backend_directory: Path | None = None
    shm_prefix: str = ""
    exit_timeout_s: int = 30
    ready_timeout_s: float = 600.0
    log_file: Path | None = None
    profile: Profile = "default"
    verbose: bool = False
    watch_interval_s: float = 10.0
    stuck_after_s: float = 120.0

    def model_names(self) -> list[str]:
        """The models that will be asked for: those named, or every folder of the repository."""
        return sorted(self.models) or sorted(
            folder.name for folder in self.model_repository.iterdir() if folder.is_dir()
        )
