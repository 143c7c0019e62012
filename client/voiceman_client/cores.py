"""Which cores are efficient and which are fast, read from what Linux says of the processor.

Decoding is worth an efficiency core, preparation a performance core. On most machines all cores
are alike; then both kinds are all cores.
"""

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

# Bits 4 to 15 of MIDR_EL1, as Arm's Trusted Firmware states them: CORTEX_A725_MIDR 0x410FD870,
# CORTEX_X925_MIDR 0x410FD850. These are the two kinds of cores of NVIDIA's GB10.
_ARM = 0x41
_EFFICIENCY_PARTS = {(_ARM, 0xD87)}  # Cortex-A725
_PERFORMANCE_PARTS = {(_ARM, 0xD85)}  # Cortex-X925
_MOST_WORKERS = 10  # where all cores are alike: more decode faster than any server answers


@dataclass(frozen=True)
class Cores:
    """Numbers of the cores that this process may use, sorted.

    Attributes:
        efficiency: for decoding.
        performance: for preparation; the same as `efficiency` where all cores are alike.
    """

    efficiency: tuple[int, ...]
    performance: tuple[int, ...]

    @property
    def two_kinds(self) -> bool:
        """Whether the processor has cores of both kinds."""
        return self.efficiency != self.performance

    @property
    def workers(self) -> int:
        """How many recordings to decode at a time."""
        return len(self.efficiency) if self.two_kinds else min(_MOST_WORKERS, len(self.efficiency))


def read_cores(usable: Collection[int] | None = None, root: Path = Path("/")) -> Cores:
    """The cores of this machine.

    Args:
        usable: numbers of the cores that may be used; None: those of this process.
        root: the folder that holds `proc` and `sys`.
    """
    usable = os.sched_getaffinity(0) if usable is None else usable
    capacities: dict[int, int] = {}
    for file in (root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpu_capacity"):
        capacities[int(file.parent.name.removeprefix("cpu"))] = int(_text(file) or 0)
    return sort_cores(_text(root / "proc/cpuinfo"), capacities, usable)


def sort_cores(cpuinfo: str, capacities: Mapping[int, int], usable: Collection[int]) -> Cores:
    """Sort cores by their part numbers, else by their capacities.

    Args:
        cpuinfo: text of /proc/cpuinfo.
        capacities: of each core, the scheduler's `cpu_capacity`; may be empty.
        usable: numbers of the cores that may be used.

    Returns:
        The kinds by part number where every usable core is a known part. Else the cores of the
        least capacity are the efficient ones. Without a difference all cores are both.
    """
    alike = tuple(sorted(usable))
    parts = _parts(cpuinfo)
    known = [parts.get(core) in _EFFICIENCY_PARTS | _PERFORMANCE_PARTS for core in alike]
    if known and all(known):
        efficient = {core for core in alike if parts[core] in _EFFICIENCY_PARTS}
    elif all(capacities.get(core) for core in alike):
        least = min((capacities[core] for core in alike), default=0)
        efficient = {core for core in alike if capacities[core] == least}
    else:
        efficient = set(alike)
    fast = tuple(core for core in alike if core not in efficient)
    if not efficient or not fast:
        return Cores(alike, alike)
    return Cores(tuple(sorted(efficient)), fast)


def _parts(cpuinfo: str) -> dict[int, tuple[int, int]]:
    """Implementer and part of every core; empty on processors that are not Arm's kind."""
    parts: dict[int, tuple[int, int]] = {}
    for block in cpuinfo.split("\n\n"):
        lines = (line.partition(":") for line in block.splitlines())
        fields = {name.strip(): value.strip() for name, _, value in lines}
        try:
            core = int(fields["processor"])
            parts[core] = int(fields["CPU implementer"], 16), int(fields["CPU part"], 16)
        except (KeyError, ValueError):
            continue
    return parts


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
