"""CPU time of a server's processes, and of a client's from its start to its end."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from tritonclient.grpc import InferenceServerClient

from perf.faults.processes import Server

_TICK_S = 0.02
_LOOK_EVERY = 10  # ticks
_DECODER = "decoder_worker"


@dataclass(frozen=True)
class ClientRun:
    """What one client used.

    Attributes:
        wall_s: from its start to its end, as its user sees it.
        main_s: CPU seconds, without the decoders.
        decoders_s: CPU seconds of its decoder processes.
    """

    wall_s: float
    main_s: float
    decoders_s: float

    @property
    def cpu_s(self) -> float:
        """CPU seconds in all."""
        return self.main_s + self.decoders_s


def cpu_s(process: psutil.Process) -> float:
    """CPU seconds, user and system, that a process has used so far."""
    times = process.cpu_times()
    return times.user + times.system


def run_client(command: Sequence[str | Path], log: Path, variables: Mapping[str, str]) -> ClientRun:
    """Run a client to its end; decoders are looked at five times a second.

    Args:
        command: its words.
        log: file for what it says.
        variables: of its environment, on top of this process's.

    Raises:
        SystemExit: its exit code is not 0.
    """
    decoders: dict[psutil.Process, float] = {}
    began_s = time.monotonic()
    with log.open("w") as said:
        process = subprocess.Popen(
            command, env=os.environ | dict(variables), stdout=subprocess.DEVNULL, stderr=said
        )
        watched = psutil.Process(process.pid)
        ticks = 0
        while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
            if ticks % _LOOK_EVERY == 0:
                _look_at(watched, decoders)
            ticks += 1
            time.sleep(_TICK_S)
    wall_s = time.monotonic() - began_s
    process.returncode = os.waitstatus_to_exitcode(ended[1])
    if process.returncode:
        raise SystemExit(f"the client ended with {process.returncode}: {log.read_text()}")
    used = ended[2]  # of it and of all that it waited for
    decoders_s = sum(decoders.values())
    return ClientRun(wall_s, used.ru_utime + used.ru_stime - decoders_s, decoders_s)


def _look_at(client: psutil.Process, decoders: dict[psutil.Process, float]) -> None:
    """Note what its decoders have used by now."""
    with suppress(psutil.Error):  # the client or one of them ends at this moment
        for child in client.children():
            if any(_DECODER in word for word in child.cmdline()):
                decoders[child] = cpu_s(child)


@dataclass(frozen=True)
class Used:
    """CPU seconds of the server.

    Attributes:
        tritonserver: without the models.
        watch: voiceman-server.
        models: processes of the models, by name.
    """

    tritonserver: float
    watch: float
    models: dict[str, float]

    def since(self, before: "Used") -> "Used":
        """What was used since another look."""
        models = {name: s - before.models[name] for name, s in self.models.items()}
        return Used(self.tritonserver - before.tritonserver, self.watch - before.watch, models)

    def divided(self, seconds: float) -> "Used":
        """Of each second."""
        models = {name: s / seconds for name, s in self.models.items()}
        return Used(self.tritonserver / seconds, self.watch / seconds, models)


def look(server: Server) -> Used:
    """What the server has used so far."""
    triton = server.triton()
    if triton is None:
        sys.exit("tritonserver has ended")
    models = {stub.model: stub.work_s() for stub in server.stubs()}
    return Used(cpu_s(triton), cpu_s(psutil.Process(server.pid)), models)


def compute_s(server: Server) -> dict[str, float]:
    """Seconds of `compute_infer` of every model since the server's start."""
    with InferenceServerClient(server.address) as client:
        stats = client.get_inference_statistics(as_json=True)
    return {
        model["name"]: int(model["inference_stats"]["compute_infer"].get("ns", 0)) / 1e9
        for model in stats["model_stats"]
    }
