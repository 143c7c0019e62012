"""Runs over one folder of recordings, again and again, with faults at random moments."""

import random
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from perf.faults.checks import Folder, compare, count_events, count_windows, read_folder, verify
from perf.faults.disturbances import ALL, KILLS, Scene
from perf.faults.processes import Census, Client, Server
from perf.faults.proxy import Proxy
from voiceman_client.command_line import UNREACHABLE

LIMIT_S = 1800.0  # for one folder: nothing may hang
_TICK_S = 0.05
_LATER_S = 2.0  # a fault comes up to so long after the window that it waited for
_LOOK_EVERY_S = 1.0


@dataclass
class Findings:
    """What came of a campaign.

    Attributes:
        done: faults, by kind.
        wrong: everything that was not as it must be.
        runs: clients that were started.
        unreachable: of these, how many ended at once because the server was away.
        answers: windows that the server answered, as far as it was looked at.
        windows: of all folders together.
        written: results that were written, and how many recordings there were.
        standing_s: seconds until the next window was filed, by kind of fault.
        pauses_s: the longest time without a new window, of each folder.
        folder_s: seconds that each folder took.
    """

    done: Counter[str] = field(default_factory=Counter[str])
    wrong: list[str] = field(default_factory=list[str])
    runs: int = 0
    unreachable: int = 0
    answers: int = 0
    windows: int = 0
    written: int = 0
    recordings: int = 0
    standing_s: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    pauses_s: list[float] = field(default_factory=list[float])
    folder_s: list[float] = field(default_factory=list[float])

    @property
    def kills(self) -> int:
        """SIGKILLs."""
        return sum(self.done[kind] for kind in KILLS)


class Campaign:
    """One server, one folder of recordings, and what is done to both."""

    def __init__(self, server: Server, recordings: Path, folder: Path, seed: int) -> None:
        """Prepare; nothing is submitted yet.

        Args:
            server: that runs.
            recordings: folder of them.
            folder: for results folders, and a log of the faults.
            seed: of the faults' moments and victims.
        """
        self.findings = Findings()
        self._server = server
        self._recordings = recordings
        self._folder = folder
        self._rng = random.Random(seed)
        self._census = Census()
        self._undisturbed: Folder | None = None

    def run(self, name: str, faults: list[str]) -> list[str]:
        """Work through all recordings once, into a new folder, and check it.

        Args:
            name: of the results folder; the first one is what the others are compared with.
            faults: kinds to come, in this order.

        Returns:
            The faults for which the run was too short.
        """
        results = self._folder / name
        began_s = time.monotonic()
        with Proxy(self._server.ports.grpc) as proxy:
            left = self._drive(results, proxy, faults)
        self.findings.folder_s.append(time.monotonic() - began_s)
        found = read_folder(results)
        if self._undisturbed is None:
            self._undisturbed = found
        wrong = [*compare(found, self._undisturbed), *verify(results)]
        self.findings.wrong += [f"{name}: {what}" for what in wrong]
        self.findings.windows += len(found.windows)
        self.findings.recordings += len(found.states)
        self.findings.written += count_events(results)["result_written"]
        self.findings.answers = self._server.answered
        return left

    def left_over(self) -> list[str]:
        """Processes and shared memory that are still there when the server has been stopped."""
        regions = Path("/dev/shm").glob(f"{self._server.prefix}*")  # noqa: S108  # Triton's
        return [*self._census.left(), *map(str, regions)]

    def _drive(self, results: Path, proxy: Proxy, faults: list[str]) -> list[str]:
        """Submit until all is done, disturbing meanwhile; returns the faults that are left."""
        expected = len(self._undisturbed.windows) if self._undisturbed else 0
        moments = _Moments(faults, expected, self._rng)
        standing = _Standstill(self.findings.standing_s)
        scene = Scene(self._server, self._submit(results, proxy), proxy, self._rng)
        deadline = time.monotonic() + LIMIT_S
        looked_s = 0.0
        while (code := scene.client.process.poll()) != 0:
            if time.monotonic() > deadline:
                scene.client.process.kill()
                self.findings.wrong.append(f"{results.name}: not done after {LIMIT_S:.0f} s")
                break
            if code is not None:
                self._judge(results, code)
                scene.client = self._submit(results, proxy)
            if not self._server.runs:  # it was killed too often, and has given up
                self._server.start()
            if time.monotonic() - looked_s > _LOOK_EVERY_S:
                looked_s = time.monotonic()
                self._server.look()
                self._census.count(self._server.pid, scene.client.process.pid)
            count = count_windows(results)
            standing.see(count)
            fault = moments.due(count)
            if fault and ALL[fault](scene):
                moments.done()
                standing.begin(fault)
                self.findings.done[fault] += 1
                self._log(f"{results.name}: {fault}, {count} windows are answered")
            time.sleep(_TICK_S)
        self.findings.pauses_s.append(standing.longest_s)
        return moments.left

    def _log(self, line: str) -> None:
        with (self._folder / "faults.log").open("a", encoding="utf-8") as log:
            log.write(f"{time.strftime('%H:%M:%S')} {line}\n")

    def _submit(self, results: Path, proxy: Proxy) -> Client:
        self.findings.runs += 1
        return Client(self._recordings, results, proxy.address, self._server.ports.metrics)

    def _judge(self, results: Path, code: int) -> None:
        """A client has ended early: only a signal and an absent server are no fault of its own."""
        if code == UNREACHABLE:
            self.findings.unreachable += 1
        elif code > 0:
            said = results.with_suffix(".log").read_text()[-2000:]
            self.findings.wrong.append(f"{results.name}: submit ended with {code}: {said}")


class _Moments:
    """When faults come: after a random number of windows, and a random while later."""

    def __init__(self, faults: list[str], windows: int, rng: random.Random) -> None:
        counts = sorted(rng.randrange(max(1, windows)) for _ in faults)
        self._coming = list(zip(counts, faults, strict=True))
        self._rng = rng
        self._at_s: float | None = None

    def due(self, count: int) -> str | None:
        """The fault for this moment, if there is one, now that so many windows are answered."""
        if not self._coming or count < self._coming[0][0]:
            return None
        now_s = time.monotonic()
        if self._at_s is None:
            self._at_s = now_s + self._rng.uniform(0, _LATER_S)
        return self._coming[0][1] if now_s >= self._at_s else None

    def done(self) -> None:
        """It has happened."""
        self._coming.pop(0)
        self._at_s = None

    @property
    def left(self) -> list[str]:
        """Those that have not happened."""
        return [fault for _, fault in self._coming]


class _Standstill:
    """How long no window is filed: after a fault, and at most."""

    def __init__(self, seconds: defaultdict[str, list[float]]) -> None:
        self._seconds = seconds
        self._faults: dict[str, float] = {}  # since the last window
        self._count = 0
        self._since_s = time.monotonic()
        self.longest_s = 0.0

    def begin(self, fault: str) -> None:
        """A fault comes now."""
        self._faults.setdefault(fault, time.monotonic())

    def see(self, count: int) -> None:
        """So many windows are filed now."""
        now_s = time.monotonic()
        self.longest_s = max(self.longest_s, now_s - self._since_s)
        if count <= self._count:
            return
        for fault, began_s in self._faults.items():
            self._seconds[fault].append(now_s - began_s)
        self._faults.clear()
        self._count, self._since_s = count, now_s


def deal(counts: Mapping[str, int], rounds: int, seed: int) -> list[list[str]]:
    """Faults in random order, for as many folders."""
    faults = [kind for kind, count in counts.items() for _ in range(count)]
    random.Random(seed).shuffle(faults)
    return [faults[number::rounds] for number in range(rounds)]
