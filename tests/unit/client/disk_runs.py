"""Runs of `submit`, each with a disk fault and then again without: what is left of the fault?

    LD_PRELOAD=disk_faults.so python disk_runs.py disk_faults.so FOLDER STEP RECORDING...

Every run is a process of its own, forked from this one, which has imported everything already.
Prints a line of JSON for every fault: what it was, which change it hit, and what is wrong after it.
"""

import asyncio
import contextlib
import ctypes
import errno
import json
import os
import shutil
import sqlite3
import sys
import time
import traceback
from dataclasses import dataclass, replace
from pathlib import Path

from test_result import MADE
from test_submit_flow import FakeServer

from voiceman_client import client as client_module
from voiceman_client import order, processing
from voiceman_client.cli import main
from voiceman_client.client import Client
from voiceman_client.decode import decode
from voiceman_client.integrity import verify
from voiceman_client.layout import SUMMARY_NAME
from voiceman_client.ledger import LEDGER_NAME
from voiceman_client.naming import PERFORMANCE_NAME
from voiceman_client.reading import Reading

ERRORS = (errno.ENOSPC, errno.EIO)
RESULTS = {".json", ".srt", ".vtt", ".txt"}
OF_THE_RUN = {f"{PERFORMANCE_NAME}.json", SUMMARY_NAME}


@dataclass(frozen=True)
class Fault:
    """The n-th change fails with an error; lasting: all that follow, too. 0: none fails."""

    nth: int = 0
    error: int = 0
    lasting: bool = False

    def __str__(self) -> str:
        name = errno.errorcode.get(self.error, "no error")
        return f"{name} from change {self.nth} on" if self.lasting else f"{name} at {self.nth}"


@dataclass(frozen=True)
class Run:
    """What became of a `submit`; of the changes that it made, the one that failed first."""

    code: int
    said: str
    changes: int
    failed: str


class Decoders:
    """Decodes in this process: no disk is written, and a worker's start takes longer than a run."""

    def __init__(self, *_, **__):
        pass

    async def decode(self, path, channels, show):
        return await asyncio.to_thread(decode, path, channels)

    async def close(self):
        pass


class Thermometer:
    name = "a thermometer"

    def read(self):
        return Reading(time.monotonic(), temperature_celsius=50.0)


def stand_in():
    """A server, decoders and a sensor that need nothing outside this process."""
    client_module.Server = lambda address, away_s: _server()
    client_module.wait_until_loaded = lambda *_: None
    Client._made = lambda *_: MADE
    processing.DecoderPool = Decoders
    order.choose_sensor = lambda wanted, server, metrics: Thermometer()


def _server():
    fake = FakeServer()
    fake.close = lambda: None
    return fake


def run(faults, base, recordings, fault, *, cached, output):
    """Run `submit` in a process of its own."""
    said, seen = base / "said.txt", base / "seen.json"
    if child := os.fork():
        _, status = os.waitpid(child, 0)
        return Run(
            os.waitstatus_to_exitcode(status), said.read_text(), *json.loads(seen.read_text())
        )
    stream = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(stream, 1)
    os.dup2(stream, 2)
    os.environ["VOICEMAN_CACHE_SIZE"] = "1" if cached else "0"
    below = str(base / "disk").encode()
    faults.disk_faults_arm(below, fault.nth, fault.error, int(fault.lasting))
    code = 1
    try:
        options = ["-o", str(output), "--format", "json,srt"]
        main(["submit", *map(str, recordings), *options], prog_name="voiceman-client")
    except SystemExit as err:
        code = int(err.code or 0)
    finally:
        if error := sys.exc_info()[1]:
            traceback.print_exception(error)
        faults.disk_faults_disarm()
        facts = [faults.disk_faults_seen(), faults.disk_faults_failed().decode()]
        seen.write_text(json.dumps(facts))
        os._exit(code)


def snapshot(folder):
    """The results, byte for byte; not what a run says of itself, which tells the time."""
    return {
        path.name: path.read_bytes()
        for path in folder.rglob("*")
        if path.suffix in RESULTS and not path.name.startswith(".") and path.name not in OF_THE_RUN
    }


def ledger(folder):
    """The windows and the states of the recordings."""
    with contextlib.closing(sqlite3.connect(folder / LEDGER_NAME)) as database:
        (sound,) = database.execute("PRAGMA integrity_check").fetchone()
        windows = database.execute(
            "SELECT work, channel, first, last, evidence FROM windows ORDER BY 1, 2, 3, 4"
        ).fetchall()
        states = database.execute("SELECT path, state FROM recordings ORDER BY 1").fetchall()
    return sound, windows, states


def complaints(faults, base, recordings, fault, expected):
    """What is wrong after a run with a fault and two without; and the change that failed."""
    shutil.rmtree(base, ignore_errors=True)
    output = base / "disk" / "out"
    output.parent.mkdir(parents=True)
    os.environ["VOICEMAN_CACHE_DIR"] = str(base / "disk" / "cache")
    first = run(faults, base, recordings, fault, cached=True, output=output)
    wrong = [f"{first.code}: {first.said}"] if "Traceback" in first.said else []
    if first.code == 0 and snapshot(output) != expected[0]:
        wrong.append("the run ended well, with other results")
    if first.code != 0 and not _is_clear(first.said):
        wrong.append(f"nothing clear was said: {first.said!r}")
    if first.code not in (0, 1, 2):
        wrong.append(f"exit code {first.code}")
    for name, content in snapshot(output).items():
        if content != expected[0].get(name):
            wrong.append(f"{name} is torn")
    again = run(faults, base, recordings, Fault(), cached=False, output=output)
    wrong += _differences(again, output, expected, "the run after it")
    other = base / "disk" / "other"
    recalled = run(faults, base, recordings, Fault(), cached=True, output=other)
    if recalled.code != 0 or snapshot(other) != expected[0]:
        wrong.append(f"a run from the cache differs: {recalled.said}")
    return wrong, first.failed


def _is_clear(said):
    """Whether a file is named, and what to do about it."""
    last = [line for line in said.splitlines() if "/" in line]
    return bool(last) and any(word in said for word in ("make room", "--output", "submit"))


def _differences(again, output, expected, which):
    wrong = []
    if again.code != 0:
        wrong.append(f"{which}: exit code {again.code}: {again.said}")
    if snapshot(output) != expected[0]:
        wrong.append(f"{which}: other results")
    report = verify(output)
    if report.findings or report.unsealed:
        wrong.append(f"{which}: {report.findings} {report.unsealed}")
    if ledger(output) != expected[1]:
        wrong.append(f"{which}: another ledger: {ledger(output)[2]}")
    return wrong


def try_all(library, base, recordings, *, step):
    """Every `step`-th change of a run fails in each of four ways; prints what is wrong after it."""
    stand_in()
    faults = ctypes.CDLL(library)
    faults.disk_faults_failed.restype = ctypes.c_char_p
    faults.disk_faults_seen.restype = ctypes.c_long
    output = base / "undisturbed" / "disk" / "out"
    output.parent.mkdir(parents=True)
    os.environ["VOICEMAN_CACHE_DIR"] = str(base / "undisturbed" / "disk" / "cache")
    whole = run(faults, output.parents[1], recordings, Fault(), cached=True, output=output)
    expected = snapshot(output), ledger(output)
    ways = [Fault(0, error, lasting) for error in ERRORS for lasting in (False, True)]
    for number, way in enumerate(ways):
        for nth in range(1 + number * step // len(ways), whole.changes + 1, step):
            fault = replace(way, nth=nth)
            wrong, failed = complaints(faults, base / "faulty", recordings, fault, expected)
            line = {"fault": str(fault), "failed": failed, "wrong": wrong}
            sys.stdout.write(json.dumps(line) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    library, base, step, *recordings = sys.argv[1:]
    try_all(library, Path(base), [Path(path) for path in recordings], step=int(step))
