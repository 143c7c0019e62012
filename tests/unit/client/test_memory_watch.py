"""Alerts once per crossing, accounts at the ends of recordings, and leaks over a run."""

import logging
import subprocess
import sys

import pytest

from voiceman.memory import Reading
from voiceman_client.memory_watch import MemoryWatch, process_bytes

GB = 10**9


class Machine:
    """Memories as a test sets them; a minute passes between looks at the clock."""

    def __init__(self) -> None:
        self.host, self.gpu, self.process, self.now_s = 10, None, GB, 0.0

    def watch(self) -> MemoryWatch:
        def clock() -> float:
            self.now_s += 60
            return self.now_s

        return MemoryWatch(
            lambda: None if self.gpu is None else Reading(self.gpu * GB, 100 * GB),
            host=lambda: Reading(self.host * GB, 100 * GB),
            process=lambda: self.process,
            clock=clock,
        )


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_every_threshold_is_said_once_when_it_is_passed(
    machine: Machine, caplog: pytest.LogCaptureFixture
):
    watch = machine.watch()
    for machine.host in (50, 60, 61, 65, 81, 79, 81, 85, 91, 95):
        watch.look()
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 3
    assert said[0] == (
        "memory: 61 % of 100.0 GB are in use, more than 60 %: half as many windows are in flight"
    )
    assert "81 %" in said[1]
    assert "91 %" in said[2]
    assert "no further recording" in said[2]


def test_a_threshold_is_said_again_after_the_memory_had_fallen_well_below(
    machine: Machine, caplog: pytest.LogCaptureFixture
):
    watch = machine.watch()
    for machine.host in (85, 79, 85, 78, 85, 30, 85):
        watch.look()
    assert len(caplog.records) == 3


def test_the_fullest_memory_counts_and_above_90_percent_nothing_more_is_let_in(machine: Machine):
    watch = machine.watch()
    assert (watch.share, watch.full) == (None, False)
    machine.gpu = 40
    watch.look()
    assert (watch.share, watch.full) == (0.4, False)
    machine.gpu = 91
    watch.look()
    assert (watch.share, watch.full) == (0.91, True)
    machine.gpu = 90
    watch.look()
    assert not watch.full


def test_a_recordings_account_names_all_memories(machine: Machine):
    watch = machine.watch()
    assert watch.look() == {
        "process": GB,
        "host_used": 10 * GB,
        "host_total": 100 * GB,
        "gpu_used": None,
        "gpu_total": None,
    }
    machine.gpu = 3
    facts = watch.recording_ended()
    assert (facts["gpu_used"], facts["gpu_total"]) == (3 * GB, 100 * GB)


def test_a_leak_of_this_program_is_found_and_the_steady_host_is_not_accused(machine: Machine):
    watch = machine.watch()
    for n in range(40):
        machine.process = GB + n * 5_000_000 + n % 3 * 1_000_000
        machine.gpu = 3 if n else None  # once it did not tell
        watch.look()
        watch.recording_ended()
    found = watch.growths()
    assert set(found) == {"process", "host_used", "gpu_used"}
    assert found["process"].beyond_noise
    assert found["process"].mb_per_hour == pytest.approx(300, rel=0.05)
    assert not found["host_used"].beyond_noise
    assert not found["gpu_used"].beyond_noise


@pytest.mark.parametrize("error", [FileNotFoundError("/proc/meminfo"), KeyError("MemAvailable")])
def test_memory_that_cannot_be_read_is_said_once(
    error: Exception, caplog: pytest.LogCaptureFixture
):
    def unreadable() -> Reading:
        raise error

    watch = MemoryWatch(host=unreadable, process=lambda: 1)
    with caplog.at_level(logging.WARNING):
        facts = [watch.look() for _ in range(3)]
    assert facts[0]["host_used"] is None
    assert (watch.share, watch.full) == (None, False)
    assert len(caplog.records) == 1


def test_this_machine_tells():
    facts = MemoryWatch().look()
    assert facts["process"]
    assert facts["host_used"]
    assert facts["host_total"]
    assert facts["process"] < facts["host_total"]
    assert facts["host_used"] < facts["host_total"]


# Starts a worker of its own that takes 100 MB, as a decoder process may.
GREEDY = """
import subprocess, sys
worker = subprocess.Popen(
    [sys.executable, "-c", "b = b'x' * 100_000_000; print(1, flush=True); input()"],
    stdin=subprocess.PIPE, stdout=subprocess.PIPE,
)
worker.stdout.readline()
print(1, flush=True)
input()
worker.communicate(b"\\n")
"""


def test_workers_of_workers_count_as_long_as_they_live():
    before = process_bytes()
    worker = subprocess.Popen(
        [sys.executable, "-c", GREEDY], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert worker.stdout is not None
    worker.stdout.readline()
    during = process_bytes()
    worker.communicate(b"\n")
    assert during - before > 100_000_000
    assert process_bytes() - before < 50_000_000
