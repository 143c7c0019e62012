"""How long a job of 10,000 recordings takes to take up again, and to look at.

    make bench-ledger

A folder is made up as a run leaves it that was killed half way: its ledger, its log (chained, six
windows to a recording) and small results of half of the recordings. Timed is

- start-up: what `submit` of all of it does before the first recording goes to a decoder: the log
  is checked to the last line, and the ledger is read;
- `status`, as a command of its own, and without the start of Python.

Wall time and CPU-seconds, the best of several runs, because other work on the machine only ever
adds to them. The folder lies in memory, as one does that was just written.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from click.testing import CliRunner

from perf.record import table, write_result
from voiceman_client.cli import main as command
from voiceman_client.entries import State
from voiceman_client.job_folder import opened
from voiceman_client.layout import Layout
from voiceman_client.options import Limits
from voiceman_client.order import Order
from voiceman_client.planning import ChannelPlan, Plan
from voiceman_client.window_answer import WindowAnswer
from voiceman_client.windows import Span
from voiceman_client.writers import Written

COMMAND = "make bench-ledger"
RECORDINGS = 10_000
WINDOWS = 6  # a recording of three minutes
RUNS = 5
MADE = "b" * 64
EVIDENCE = json.dumps({"utterances": [{"text": "a word or two " * 8}] * 8})
IN_MEMORY = Path("/dev") / "shm"  # making it up waits for a disk 100,000 times otherwise
STATUS = "from voiceman_client.cli import main; main()"


def order_of(folder: Path, recordings: Sequence[Path]) -> Order:
    return Order(recordings, (), Layout.flat(folder), "127.0.0.1:8001", Limits(), {})


def make_up(folder: Path, recordings: Sequence[Path]) -> None:
    """The folder of a run that was killed when half of its recordings were completed."""
    spans = tuple(Span(n * 480_000, (n + 1) * 480_000) for n in range(WINDOWS))
    plan = Plan((ChannelPlan(None, spans, np.zeros((0, 3))),), {})
    answer = WindowAnswer(EVIDENCE, np.zeros((4, 192), np.float32))
    with opened(order_of(folder, recordings), print) as job:
        job.ledger.expect(recordings, MADE)
        for number, path in enumerate(recordings):
            work = f"{number:064x}"
            facts = {"file": str(path)}
            job.note("decoded", {**facts, "sha256": "a" * 64, "pcm_sha256": work})
            job.ledger.begin(path, sha256="a" * 64, made=MADE, work=work, duration_s=180.0)
            job.ledger.keep_plan(path, work, plan)
            for span in spans:
                job.ledger.keep_answer(work, None, span, answer)
                times = {"channel": None, "start": span.start_s, "end": span.end_s}
                job.note("window_answered", {**facts, **times, "evidence_sha256": work})
            if number % 2:
                provenance = {"source": facts | {"sha256": "a" * 64}, "pcm_sha256": work}
                content = json.dumps({"provenance": provenance})
                result = job.shown(path)
                result.write_text(content, encoding="utf-8")
                written = Written(result, len(content), "c" * 64)
                job.log.written("result_written", {"provenance": provenance}, [written])
                job.ledger.advance(path, State.COMPLETED)


def take_up(folder: Path, recordings: Sequence[Path]) -> None:
    """What a run does before its first recording goes to a decoder."""
    with opened(order_of(folder, recordings), print) as job:
        job.ledger.expect(recordings, MADE)


def look(folder: Path) -> None:
    done = CliRunner().invoke(command, ["status", str(folder), "--format", "json"])
    if len(json.loads(done.stdout)["recordings"]) != RECORDINGS:
        raise RuntimeError(f"status says: {done.output}")


def look_from_outside(folder: Path) -> None:
    arguments = [sys.executable, "-c", STATUS, "status", str(folder), "--format", "json"]
    subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL)


def best(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds of wall time and of CPU, children included, each the fewest of several runs."""
    walls: list[float] = []
    processors: list[float] = []
    for _ in range(RUNS):
        started_s, before = time.perf_counter(), os.times()
        work()
        walls.append(time.perf_counter() - started_s)
        processors.append(sum(os.times()[:4]) - sum(before[:4]))
    return round(min(walls), 2), round(min(processors), 2)


def main() -> None:
    """Measure and write the result."""
    recordings = [Path(f"/evidence/{n % 100:02d}/call-{n:05d}.m4a") for n in range(RECORDINGS)]
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as name:
        folder = Path(name)
        make_up(folder, recordings)
        seconds = {
            "start-up of submit": best(lambda: take_up(folder, recordings)),
            "status, the command": best(lambda: look_from_outside(folder)),
            "status, without the start of Python": best(lambda: look(folder)),
        }
    figures = {
        "recordings": RECORDINGS,
        "windows_per_recording": WINDOWS,
        "seconds": {what: {"wall": wall, "cpu": cpu} for what, (wall, cpu) in seconds.items()},
    }
    rows = [(what, f"{wall:.2f}", f"{cpu:.2f}") for what, (wall, cpu) in seconds.items()]
    text = table((f"with {RECORDINGS:,} recordings", "seconds", "CPU-seconds"), rows)
    print(write_result("ledger", COMMAND, figures, text, "A job of 10,000 recordings"))


if __name__ == "__main__":
    main()
