"""What processes hold while they rest: memory of their own, descriptors, threads, shared memory."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from voiceman_client.memory_watch import own_bytes

_LOOKS = 3
_BETWEEN_S = 0.3


@dataclass(frozen=True)
class Held:
    """What a process holds.

    Attributes:
        memory_bytes: main memory for itself alone, see `voiceman_client.memory_watch`.
        descriptors: open files, sockets and pipes.
        threads: running or not.
    """

    memory_bytes: int
    descriptors: int
    threads: int


def read_held(process: psutil.Process) -> Held:
    """Look at a process once; raises psutil.NoSuchProcess or OSError where it has ended."""
    memory_bytes = own_bytes(Path("/proc") / str(process.pid))
    return Held(memory_bytes, process.num_fds(), process.num_threads())


def read_resting(processes: Mapping[str, psutil.Process]) -> dict[str, Held]:
    """What processes hold for good: the least of several looks.

    A server that is watched gets a request of its watch now and then; what that takes for a moment
    is not held.

    Args:
        processes: by name; all are alive.
    """
    looks: list[dict[str, Held]] = []
    for number in range(_LOOKS):
        time.sleep(_BETWEEN_S if number else 0.0)
        looks.append({name: read_held(process) for name, process in processes.items()})
    return {
        name: Held(
            min(look[name].memory_bytes for look in looks),
            min(look[name].descriptors for look in looks),
            min(look[name].threads for look in looks),
        )
        for name in processes
    }


def regions(is_ours: Callable[[str], bool]) -> list[str]:
    """Names in /dev/shm, sorted.

    Args:
        is_ours: whether a name counts.
    """
    names = (path.name for path in Path("/dev/shm").iterdir())  # noqa: S108  # Triton's choice
    return sorted(name for name in names if is_ours(name))
