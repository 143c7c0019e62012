"""How full the memories are during a run: alerts, accounts of recordings, and leaks.

The GPU's is what the temperature's sensor reads, of this machine or of the server's. On GB10
NVML does not tell it: it is the machine's, see `voiceman.memory`.
"""

import logging
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypedDict, TypeVar

from voiceman.memory import Meter, Reading, host_memory
from voiceman_client.leak import Growth, growth
from voiceman_client.pacing import MEMORY_FULL, MEMORY_TIGHT

log = logging.getLogger(__name__)

NO_MORE = 0.90  # above it no further recording is decoded
# Of the memory, and what happens above.
THRESHOLDS = (
    (MEMORY_TIGHT, "half as many windows are in flight"),
    (MEMORY_FULL, "4 windows are in flight"),
    (NO_MORE, "no further recording is decoded until there is room"),
)
_BACK_BELOW = 0.02  # so far below a threshold a memory must fall to cross it again
_PROC = Path("/proc")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_GB = 1e9

T = TypeVar("T")

# The GPU's memory; None: there is none, or it does not tell.
GpuMeter = Callable[[], Reading | None]


class MemoryFacts(TypedDict):
    """Memories at one moment, in bytes; None: not known.

    `process` is what this process and its workers keep in main memory. Files that several of
    them map (libraries) count for each.
    """

    process: int | None
    host_used: int | None
    host_total: int | None
    gpu_used: int | None
    gpu_total: int | None


_SERIES = ("process", "host_used", "gpu_used")  # where growth is looked for


def no_gpu() -> None:
    """The `GpuMeter` of a machine whose GPU, if any, does not tell."""
    return


class MemoryWatch:
    """Looks at the memories when told to. Threads may use it at the same time."""

    def __init__(
        self,
        gpu: GpuMeter = no_gpu,
        *,
        host: Meter = host_memory,
        process: Callable[[], int] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Look at nothing yet.

        Args:
            gpu: meter of the GPU's memory.
            host: meter of the machine's.
            process: bytes of this process and its workers; None: `process_bytes`.
            clock: seconds from anywhere, for growth per hour.
        """
        self._gpu = gpu
        self._host = host
        self._process = process or process_bytes
        self._clock = clock
        self._lock = threading.Lock()
        self._passed: dict[str, int] = defaultdict(int)  # thresholds, by memory
        self._times_s: list[float] = []
        self._ends: list[MemoryFacts] = []
        self._said_unreadable = False
        self._share: float | None = None

    @property
    def share(self) -> float | None:
        """0 to 1, of the fullest memory at the last look; None: none could be read."""
        return self._share

    @property
    def full(self) -> bool:
        """Whether no further recording may be decoded, by the last look."""
        return self._share is not None and self._share > NO_MORE

    def look(self) -> MemoryFacts:
        """Read all memories; a threshold that one has passed upwards is logged, once."""
        with self._lock:
            return self._look()

    def _look(self) -> MemoryFacts:
        host, gpu = self._read(self._host), self._gpu()
        shares: list[float] = []
        for name, reading in (("memory", host), ("GPU memory", gpu)):
            if reading:
                self._alert(name, reading)
                shares.append(reading.share)
        self._share = max(shares, default=None)
        return MemoryFacts(
            process=self._read(self._process),
            host_used=host and host.used,
            host_total=host and host.total,
            gpu_used=gpu and gpu.used,
            gpu_total=gpu and gpu.total,
        )

    def recording_ended(self) -> MemoryFacts:
        """`look`, and keep what was read to find leaks; whether the recording failed or not."""
        with self._lock:
            facts = self._look()
            self._times_s.append(self._clock())
            self._ends.append(facts)
        return facts

    def growths(self) -> dict[str, Growth]:
        """How each memory grew from end to end of recordings.

        By field of `MemoryFacts`; one is not there if it was read too seldom.
        That of the host and the GPU is everybody's, not only this program's.
        """
        found: dict[str, Growth] = {}
        for name in _SERIES:
            known = [
                (time_s, used)
                for time_s, facts in zip(self._times_s, self._ends, strict=True)
                if (used := facts[name]) is not None
            ]
            if grown := growth([time_s for time_s, _ in known], [used for _, used in known]):
                found[name] = grown
        return found

    def _alert(self, name: str, reading: Reading) -> None:
        before = self._passed[name]
        passed = sum(reading.share > threshold for threshold, _ in THRESHOLDS)
        if passed > before:
            threshold, effect = THRESHOLDS[passed - 1]
            log.warning(
                "%s: %.0f %% of %.1f GB are in use, more than %.0f %%: %s",
                name,
                100 * reading.share,
                reading.total / _GB,
                100 * threshold,
                effect,
            )
        kept = sum(reading.share > threshold - _BACK_BELOW for threshold, _ in THRESHOLDS)
        self._passed[name] = max(passed, min(before, kept))

    def _read(self, meter: Callable[[], T]) -> T | None:
        try:
            return meter()
        except (OSError, KeyError, ValueError) as err:
            if not self._said_unreadable:
                self._said_unreadable = True
                log.warning("memory cannot be read (%s); the run goes on without", err)
            return None


def process_bytes(proc: Path = _PROC) -> int:
    """What this process and all that it started hold of main memory for themselves.

    Pages that are mapped from files (weights, libraries) or shared between processes do not
    count: they are given back at need, or would be counted once for each process.

    Raises:
        OSError: this system has no /proc.
    """
    own = own_bytes(proc / "self")
    return own + sum(_of_those_alive(proc, _children(proc / "self")))


def _of_those_alive(proc: Path, processes: list[str]) -> Iterator[int]:
    for process in processes:
        try:
            yield own_bytes(proc / process)
            yield from _of_those_alive(proc, _children(proc / process))
        except OSError:  # it ended meanwhile
            continue


def own_bytes(folder: Path) -> int:
    """What one process holds of main memory for itself; see `process_bytes`.

    Args:
        folder: of the process in /proc.

    Raises:
        OSError: it has ended.
    """
    _, resident, shared, *_ = map(int, (folder / "statm").read_text().split())
    return (resident - shared) * _PAGE_BYTES


def _children(folder: Path) -> list[str]:
    found: list[str] = []
    for path in folder.glob("task/*/children"):
        try:
            found += path.read_text().split()
        except OSError:  # a thread that ended meanwhile
            continue
    return found
