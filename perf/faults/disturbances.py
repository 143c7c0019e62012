"""What is done to a run, by kind; false where there was nothing to do it to."""

import random
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass

import psutil

from perf.faults.processes import Client, Server, send
from perf.faults.proxy import Proxy

STOPPED_S = 20.0
_CUT_S = (1.0, 5.0)


@dataclass
class Scene:
    """All that can be disturbed.

    Attributes:
        server: of the campaign.
        client: of the run that goes on.
        proxy: between the two.
        rng: chooses victims and lengths.
    """

    server: Server
    client: Client
    proxy: Proxy
    rng: random.Random

    def one_of(self, processes: list[psutil.Process]) -> psutil.Process | None:
        """One of them by lot."""
        return self.rng.choice(processes) if processes else None


def kill_client(scene: Scene) -> bool:
    """SIGKILL of the client; who drives the run submits again."""
    scene.client.process.kill()
    return True


def kill_worker(scene: Scene) -> bool:
    """SIGKILL of one of the client's decoders."""
    victim = scene.one_of(scene.client.workers())
    return victim is not None and send(victim, signal.SIGKILL)


def kill_stub(scene: Scene) -> bool:
    """SIGKILL of the process of one model."""
    victim = scene.one_of([stub.process for stub in scene.server.stubs()])
    return victim is not None and send(victim, signal.SIGKILL)


def kill_triton(scene: Scene) -> bool:
    """SIGKILL of tritonserver."""
    victim = scene.server.triton()
    return victim is not None and send(victim, signal.SIGKILL)


def restart_server(scene: Scene) -> bool:
    """SIGTERM to voiceman-server; it is started again when it has ended."""
    if not scene.server.runs:  # killed too often, it has given up
        return False
    if code := scene.server.stop():
        raise AssertionError(f"voiceman-server ended with exit code {code} after SIGTERM")
    scene.server.start()
    return True


def cut_connection(scene: Scene) -> bool:
    """The connection breaks, and none can be made for some seconds."""
    scene.proxy.cut()
    threading.Timer(scene.rng.uniform(*_CUT_S), scene.proxy.mend).start()
    return True


def stop_stub(scene: Scene) -> bool:
    """SIGSTOP of the process of one model for 20 s, unless it is replaced before."""
    return _stop(scene.one_of([stub.process for stub in scene.server.stubs()]))


def stop_triton(scene: Scene) -> bool:
    """SIGSTOP of tritonserver for 20 s."""
    return _stop(scene.server.triton())


def _stop(victim: psutil.Process | None) -> bool:
    if victim is None or not send(victim, signal.SIGSTOP):
        return False
    threading.Timer(STOPPED_S, send, (victim, signal.SIGCONT)).start()
    return True


KILLS: dict[str, Callable[[Scene], bool]] = {
    "client killed": kill_client,
    "decoder killed": kill_worker,
    "model process killed": kill_stub,
    "tritonserver killed": kill_triton,
}
OTHERS: dict[str, Callable[[Scene], bool]] = {
    "server stopped and started": restart_server,
    "connection cut": cut_connection,
    "model process stopped for 20 s": stop_stub,
    "tritonserver stopped for 20 s": stop_triton,
}
ALL = KILLS | OTHERS
