"""The GPU's memory counts in a run: alerts, intake, accounts, and growth."""

import asyncio
import time

from fake_nvml import FakeGpu, FakeNvml, Memory, gb10
from test_result import MADE
from test_submit_flow import FakeServer

from voiceman_client.gpu_memory import OLD_S, gpu_memory
from voiceman_client.options import Limits, SubmitOptions
from voiceman_client.processing import Asked
from voiceman_client.reading import Reading
from voiceman_client.sensors import NvmlSensor
from voiceman_client.submit import Submission, Watched

GB = 10**9


def run_on(gpu, recordings):
    """A run on a machine with this GPU; its last readings and what it held of intake."""
    held = []

    async def collect():
        watched = Watched(sensor=NvmlSensor(FakeNvml(gpu)))
        submission = Submission(
            FakeServer(), Asked(MADE, SubmitOptions()), Limits(), lambda _: None, watched=watched
        )
        async for outcome in submission.run(recordings):
            assert outcome.error is None
            await submission._sense()
            held.append(submission.intake._held)
        return submission.readings()

    return asyncio.run(asyncio.wait_for(collect(), 120)), held


def test_a_full_gpu_is_said_and_holds_intake(recordings, caplog):
    readings, held = run_on(FakeGpu(memory=Memory(19 * GB, 20 * GB)), recordings)
    assert readings.gpu_memory_bytes == 19 * GB
    assert readings.memory_share == 0.95
    assert "GPU memory: 95 % of 20.0 GB are in use" in caplog.text
    assert all(held)


def test_unified_memory_counts_once(recordings, caplog):
    readings, _ = run_on(gb10(), recordings)
    assert readings.gpu_memory_bytes is None
    assert "GPU memory" not in caplog.text


def test_what_was_read_long_ago_is_nothing():
    now_s = time.monotonic()
    full = Reading(now_s, memory_used_bytes=9.0, memory_total_bytes=10.0)
    read = gpu_memory(full, now_s + OLD_S)
    assert read
    assert (read.used, read.total) == (9, 10)
    assert gpu_memory(full, now_s + OLD_S + 1) is None
    assert gpu_memory(Reading(now_s), now_s) is None
    assert gpu_memory(None, now_s) is None
