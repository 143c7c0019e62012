"""The processes behind Python models: Triton starts one for each instance and none again.

A dead one stays a zombie, because tritonserver does not wait for it: a look at it tells more,
and sooner, than a request through the model.
"""

import logging
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from voiceman.server.checks import SHARED_MEMORY
from voiceman.server.installation import STUB

log = logging.getLogger(__name__)

KILL_S = 10  # until a killed process is gone


@dataclass(frozen=True)
class Stub:
    """The process of one instance of a model.

    Attributes:
        process: the process.
        model: name of its model.
        region: name of its region in /dev/shm.
    """

    process: psutil.Process
    model: str
    region: str

    def is_alive(self) -> bool:
        """Whether it has not ended; one that is stopped or hangs is alive."""
        try:
            return self.process.is_running() and self.process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    def work_s(self) -> float:
        """CPU seconds that it has used so far; 0 once it is dead."""
        try:
            times = self.process.cpu_times()
        except psutil.Error:
            return 0.0
        return times.user + times.system

    def kill(self) -> None:
        """Kill it and remove the name of its region, which Triton may keep for ever."""
        with suppress(psutil.NoSuchProcess):
            self.process.kill()
        (SHARED_MEMORY / self.region).unlink(missing_ok=True)


def find_stubs(server_pid: int) -> list[Stub]:
    """All that are alive of one tritonserver."""
    try:
        children = psutil.Process(server_pid).children()
    except psutil.NoSuchProcess:
        return []
    return [stub for child in children if (stub := _stub(child))]


def kill_orphans(prefix: str) -> bool:
    """Kill the processes that a dead tritonserver has left; true if there were any.

    Usually they notice and end by themselves; one that waited for it at that moment, or was
    stopped, stays for ever and keeps its memory.

    Args:
        prefix: first part of the names of that server's regions.
    """
    orphans: list[psutil.Process] = []
    for process in psutil.process_iter():
        stub = _stub(process)
        with suppress(psutil.Error):
            parent = process.parent()
            if (
                stub
                and stub.region.startswith(prefix)
                and not (parent and parent.name() == "tritonserver")
            ):
                log.warning("%s: its process %d is left over", stub.model, process.pid)
                process.kill()
                orphans.append(process)
    psutil.wait_procs(orphans, timeout=KILL_S)
    return bool(orphans)


def _stub(process: psutil.Process) -> Stub | None:
    try:
        words = process.cmdline()
    except psutil.Error:  # it ended meanwhile, or has and is a zombie
        return None
    # Its words: the program, .../MODEL/VERSION/model.py, the name of its region, ...
    if len(words) < 3 or Path(words[0]).name != STUB:
        return None
    return Stub(process, Path(words[1]).parent.parent.name, Path(words[2]).name)
