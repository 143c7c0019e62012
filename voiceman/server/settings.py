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
    """The three TCP ports of a tritonserver; 0 stands for any free one."""

    grpc: int = 8001
    http: int = 8000
    metrics: int = 8002

    @classmethod
    def automatic(cls) -> "Ports":
        """Any three free ports: several servers run side by side."""
        return cls(0, 0, 0)

    def by_name(self) -> dict[str, int]:
        """The ports by what they are for."""
        return {"gRPC": self.grpc, "HTTP": self.http, "metrics": self.metrics}

    def resolve(self, address: str) -> "Ports":
        """The same ports with every 0 replaced by a port that is free at this moment.

        Raises:
            EnvironmentCheckError: the numeric address is not this machine's.
        """
        # All sockets stay open until the last port is known, so that the three differ.
        with ExitStack() as stack:
            try:
                sockets = [stack.enter_context(bind(address, 0)) for _ in range(3)]
            except OSError as err:
                raise EnvironmentCheckError(
                    f"{address}: {err.strerror}; set --host to an address of this machine"
                ) from err
            free = [one.getsockname()[1] for one in sockets]
        grpc, http, metrics = (
            wanted or found for wanted, found in zip(self.by_name().values(), free, strict=True)
        )
        return Ports(grpc, http, metrics)


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

    def model_names(self) -> list[str]:
        """The models that will be asked for: those named, or every folder of the repository."""
        return sorted(self.models) or sorted(
            folder.name for folder in self.model_repository.iterdir() if folder.is_dir()
        )
