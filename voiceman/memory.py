"""How full the main memory is, of the machine or of the container."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

MEMINFO = Path("/proc/meminfo")
CGROUP = Path("/sys/fs/cgroup")
UNLIMITED = "max"


@dataclass(frozen=True)
class Reading:
    """What is used of a memory, in bytes."""

    used: int
    total: int

    @property
    def share(self) -> float:
        """Used of total, 0 to 1."""
        return self.used / self.total


Meter = Callable[[], Reading]


def host_memory(meminfo: Path = MEMINFO, cgroup: Path = CGROUP) -> Reading:
    """The machine's memory, or the container's where that is the fuller one.

    Where CPU and GPU share one memory (GB10) this is the GPU's too: CUDA's own figure counts
    the page cache as used. File pages that nobody maps for writing are free at need, so
    they do not count here.

    Raises:
        OSError: this system has no /proc/meminfo.
    """
    lines = (line.split() for line in meminfo.read_text().splitlines())
    kib = {words[0].rstrip(":"): int(words[1]) for words in lines}
    host = Reading((kib["MemTotal"] - kib["MemAvailable"]) * 1024, kib["MemTotal"] * 1024)
    container = _container(cgroup)
    return max(host, container, key=lambda r: r.share) if container else host


def _container(cgroup: Path) -> Reading | None:
    """What the control group (version 2) of this process allows; None: it has no limit."""
    try:
        limit = (cgroup / "memory.max").read_text().strip()
        statistics = dict(
            line.split() for line in (cgroup / "memory.stat").read_text().splitlines()
        )
        current = int((cgroup / "memory.current").read_text())
    except OSError:
        return None
    if limit == UNLIMITED:
        return None
    return Reading(current - int(statistics["inactive_file"]), int(limit))
