"""Whether server or client hold more after an hour of work than in the beginning.

    python -m perf.soak [--minutes 60] [--recordings 20]

One `voiceman-server`, and rounds over the same short recordings, cut from the catalogue's real
speech, with the cache of answers off. In each round a `voiceman-client submit` into a new folder
and a batch of a client that lasts the whole time (`Client.process_batch`) work side by side. When
both are done, everything rests and is looked at: memory, descriptors and threads of tritonserver,
of every model's process, of who watches them and of the lasting client; the number of processes;
what lies in /dev/shm.

Memory is a process's own, without pages that are mapped from files or shared. It must not grow
beyond noise (`voiceman_client.leak`: the first quarter of the rounds is warm-up), and a process
that grew by less than its allocator takes at a time has not grown. After the warm-up, descriptors,
processes and the server's regions of shared memory must not become more; the lasting client has no
more regions than windows and decoders at a time; a client or server that has ended leaves nothing.
Threads are shown only: pools start theirs when they first need them. Exit code 1 where one of
these does not hold.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import psutil

from perf.faults.processes import Census, Client, Server, running_server
from perf.lasting_client import LastingClient, lasting_client
from perf.record import ROOT, write_result
from perf.resting import read_resting, regions
from perf.soak_verdict import LASTING, LEAST_ROUNDS, Course, describe, figures, judge
from perf.thirty_recordings import cut_recordings
from voiceman_client.report.case import json_files

COMMAND = "make soak"
RECORDINGS = 20
LENGTHS_S = (2.0, 8.0)
COUNT_EVERY_S = 1.0
SETTLE_S = 2.0  # until the server has closed what a client has closed that ended
AUDIO = "voiceman-audio-"
_MB = 1e6


class Soak:
    """A server and a client that last, and a client of its own for every round."""

    def __init__(self, server: Server, lasting: LastingClient, recordings: Path) -> None:
        """Nothing is asked yet.

        Args:
            server: that runs.
            lasting: client of this server.
            recordings: folder of what both clients work on.
        """
        self.course = Course()
        self.census = Census()
        self._server = server
        self._lasting = lasting
        self._recordings = recordings
        self._ended: list[int] = []
        self._began_s = time.monotonic()

    def round(self, results: Path) -> None:
        """Let both clients work, and look at what is held afterwards.

        Args:
            results: folder of the one that ends; removed.
        """
        count = len(list(self._recordings.iterdir()))
        server, lasting, wrong = self._server, self._lasting, self.course.wrong
        submit = Client(self._recordings, results, server.address, server.ports.metrics)
        lasting.ask(self._recordings)
        while submit.process.poll() is None:
            self.census.count(server.pid, lasting.process.pid, submit.process.pid)
            time.sleep(COUNT_EVERY_S)
        answer = lasting.answer()
        if answer != {"results": count, "errors": []}:
            wrong.append(f"lasting client: {answer}")
        if submit.process.returncode or len(json_files(results)) != count:
            wrong.append(f"submit: {submit.process.returncode}: {submit.said.read_text()}")
        self._ended.append(submit.process.pid)
        shutil.rmtree(results, ignore_errors=True)
        submit.said.unlink()
        time.sleep(SETTLE_S)
        self._look()

    def end(self) -> None:
        """End the lasting client."""
        if code := self._lasting.close():
            self.course.wrong.append(f"lasting client: exit code {code}")
        self._ended.append(self._lasting.process.pid)

    def left_over(self) -> list[str]:
        """Processes and regions that are still there when all has ended."""
        return [*self.census.left(), *self._of_server(), *self._of_clients(*self._ended)]

    def _of_server(self) -> list[str]:
        return regions(lambda name: name.startswith(f"{self._server.prefix}."))

    def _of_clients(self, *pids: int) -> list[str]:
        return regions(lambda name: name.startswith(tuple(f"{AUDIO}{pid}-" for pid in pids)))

    def _look(self) -> None:
        triton = self._server.triton()
        if triton is None:
            sys.exit("tritonserver has ended")
        parents = {
            "voiceman-server": psutil.Process(self._server.pid),
            LASTING: psutil.Process(self._lasting.process.pid),
        }
        models = {stub.model: stub.process for stub in self._server.stubs()}
        course, processes = self.course, {**parents, "tritonserver": triton, **models}
        if course.held and processes.keys() != course.held.keys():
            sys.exit(f"processes are missing: {course.held.keys() - processes.keys()}")
        for name, held in read_resting(processes).items():
            course.held.setdefault(name, []).append(held)
        course.times_s.append(time.monotonic() - self._began_s)
        course.processes.append(
            sum(1 + len(parent.children(recursive=True)) for parent in parents.values())
        )
        course.regions.append(len(self._of_server()))
        course.audio_regions.append(len(self._of_clients(self._lasting.process.pid)))
        course.wrong += [f"left by submit: {name}" for name in self._of_clients(*self._ended)]


def soak(folder: Path, minutes: float, recordings: int) -> tuple[Course, float]:
    """Server, clients, and all rounds; returns their course, and seconds of sound in a round."""
    (folder / "in").mkdir(parents=True)
    audio_s = cut_recordings(folder / "in", recordings, LENGTHS_S)
    with running_server(folder, "default") as server:
        with lasting_client(server.address) as lasting:
            trial = Soak(server, lasting, folder / "in")
            course = trial.course
            until_s = time.monotonic() + 60 * minutes
            while len(course.times_s) < LEAST_ROUNDS or time.monotonic() < until_s:
                trial.round(folder / f"round-{len(course.times_s):03}")
                _keep(course, folder / "readings.jsonl")
            trial.end()
        if code := server.stop():
            course.wrong.append(f"voiceman-server: exit code {code}")
    course.wrong += [f"voiceman-server had to heal: {line}" for line in server.told[1:]]
    course.wrong += [*judge(course), *(f"left over: {what}" for what in trial.left_over())]
    return course, 2 * audio_s


def _keep(course: Course, path: Path) -> None:
    """Write down the last round, for whoever looks for what grows."""
    last = {name: asdict(held[-1]) for name, held in course.held.items()}
    with path.open("a") as file:
        print(json.dumps({"time_s": round(course.times_s[-1], 1), **last}), file=file)
    own_mb = sum(held[-1].memory_bytes for held in course.held.values()) / _MB
    print(f"round {len(course.times_s)}: {course.times_s[-1]:.0f} s, {own_mb:.1f} MB", flush=True)


def main() -> None:
    """Work, judge and write the result; exit code 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description="An hour of work: does anything grow?")
    parser.add_argument("--minutes", type=float, default=60.0, help="at least, and 14 rounds")
    parser.add_argument("--recordings", type=int, default=RECORDINGS, help="in each round")
    parser.add_argument("--folder", type=Path, help="to work in and to keep")
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="soak-"))
    course, audio_s = soak(folder, given.minutes, given.recordings)
    text = describe(course, audio_s)
    path = write_result("soak", COMMAND, figures(course, audio_s), text, "An hour of work")
    print(text)
    print(path.relative_to(ROOT), folder)
    sys.exit(1 if course.wrong else 0)


if __name__ == "__main__":
    main()
