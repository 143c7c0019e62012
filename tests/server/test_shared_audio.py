"""Sound in shared memory on a real server: restarts, killed clients, answers that are lost."""

import asyncio
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from voiceman.server.settings import Ports
from voiceman_client import shared_audio
from voiceman_client.transport import Server, read_array

TIMEOUT_S = 30.0
# The contract of `voice_features`; says how long the sound is and what it sums up to, after as
# many tenths of a second as UTTERANCES begins with.
CONFIG = """
backend: "python"
max_batch_size: 1
input [
  { name: "WAVEFORM" data_type: TYPE_INT16 dims: [ -1 ] },
  { name: "UTTERANCES" data_type: TYPE_FP32 dims: [ -1, 2 ] }
]
output [
  { name: "VOICE_FEATURES" data_type: TYPE_FP32 dims: [ -1, 21 ] },
  { name: "F0_CONTOUR" data_type: TYPE_FP32 dims: [ -1, 3 ] },
  { name: "VOICE_FEATURES_STATUS" data_type: TYPE_STRING dims: [ 1 ] }
]
instance_group [ { count: 1 kind: KIND_CPU } ]
"""
ADDER = """
import time
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        def read(name):
            return pb_utils.get_input_tensor_by_name(request, name).as_numpy()[0]
        time.sleep(read("UTTERANCES")[0, 0] / 10)
        features = np.zeros((1, 1, 21), np.float32)
        features[0, 0, :2] = len(read("WAVEFORM")), read("WAVEFORM").astype(np.int64).sum()
        return pb_utils.InferenceResponse([
            pb_utils.Tensor("VOICE_FEATURES", features),
            pb_utils.Tensor("F0_CONTOUR", np.zeros((1, 1, 3), np.float32)),
            pb_utils.Tensor("VOICE_FEATURES_STATUS", np.array([[b"{}"]], np.object_)),
        ])
"""


@pytest.fixture
def running(repository):
    repository.add("voice_features", CONFIG, ADDER)
    with repository.start() as running:
        yield running


@pytest.fixture
def connect():
    """Connections, closed at the end."""
    made = []

    def connect(running):
        made.append(Server(running.grpc_url))
        return made[-1]

    yield connect
    for server in made:
        server.close()


def sound(samples, value=1):
    return np.full(samples, value, np.int16)


async def add(server, waveform, tenths=0, timeout_s=TIMEOUT_S):
    utterances = np.array([[tenths, 0]], np.float32)
    inputs = {"WAVEFORM": waveform, "UTTERANCES": utterances}
    answer = await server.infer("voice_features", inputs, timeout_s)
    return read_array(answer, "VOICE_FEATURES")[0, :2].tolist()


def files(pid=None):
    return sorted(
        path.name for path in shared_audio._FOLDER.glob(f"voiceman-audio-{pid or os.getpid()}-*")
    )


def known(server):
    return sorted(server.grpc.get_system_shared_memory_status().regions)


def test_answers_are_those_of_sound_in_the_request_and_nothing_stays(running, connect):
    server = connect(running)
    lengths = (480_000, 17, 20_000, 4_800_000, 480_000)
    wanted = [[n, n * k] for k, n in enumerate(lengths, start=1)]

    async def ask():
        return await asyncio.gather(
            *(add(server, sound(n, k)) for k, n in enumerate(lengths, start=1))
        )

    assert asyncio.run(ask()) == wanted
    first = files()
    assert first
    assert known(server) == first
    assert asyncio.run(ask()) == wanted
    assert set(first) <= set(files())  # used again
    assert len(files()) <= len(lengths)
    server.close()
    assert files() == []
    assert known(connect(running)) == []


def test_a_server_that_sees_other_memory_is_sent_the_sound(running, connect, tmp_path, monkeypatch):
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.setattr(shared_audio, "_FOLDER", other)
    server = connect(running)
    assert asyncio.run(add(server, sound(1000, 3))) == [1000, 3000]
    assert asyncio.run(add(server, sound(1000, 4))) == [1000, 4000]
    assert list(other.iterdir()) == known(server) == []


def test_where_there_is_no_room_the_sound_is_sent(running, connect, monkeypatch):
    monkeypatch.setattr(shared_audio, "_LEFT_BYTES", 1 << 60)
    server = connect(running)
    assert asyncio.run(add(server, sound(1000, 3))) == [1000, 3000]
    assert files() == []


def test_a_server_that_was_started_anew_is_told_the_regions_again(repository, connect):
    repository.add("voice_features", CONFIG, ADDER)
    ports = Ports.automatic().resolve("127.0.0.1")

    async def ask(server, samples):
        return await asyncio.gather(*(add(server, sound(n, 2)) for n in samples))

    with repository.start(ports=ports) as running:
        server = connect(running)
        assert asyncio.run(ask(server, [100, 200, 300])) == [[100, 200], [200, 400], [300, 600]]
        assert files()
    with repository.start(ports=ports):
        assert known(server) == []
        for _ in range(2):
            assert asyncio.run(ask(server, [10, 20, 30])) == [[10, 20], [20, 40], [30, 60]]
        assert known(server)
        assert set(known(server)) <= set(files())
        server.close()
        assert known(connect(running)) == []
    assert files() == []


def test_a_region_rests_as_long_as_a_lost_request_reads_it(running, connect):
    server = connect(running)

    async def play():
        assert await add(server, sound(1000)) == [1000, 1000]
        (first,) = files()
        slow = asyncio.create_task(add(server, sound(1000, 2), tenths=15))
        queued = asyncio.create_task(add(server, sound(1000, 3), tenths=1))
        await asyncio.sleep(0.5)
        for task in (slow, queued):
            task.cancel()
        await asyncio.gather(slow, queued, return_exceptions=True)
        used = set(files())
        assert first in used
        assert await add(server, sound(1000, 4)) == [1000, 4000]
        assert set(files()) > used  # none of the two was taken
        await asyncio.sleep(2.5)
        server.audio._free.clear()
        assert await add(server, sound(1000, 5)) == [1000, 5000]
        assert len(files()) == len(used) + 1  # one of the two was

    asyncio.run(play())
    server.close()


def test_a_killed_client_leaves_nothing_once_another_one_has_begun(running, connect):
    code = f"""
import asyncio, sys
import numpy as np
from voiceman_client.transport import Server

async def play():
    server = Server({running.grpc_url!r})
    for tenths in (0, 20):
        inputs = {{"WAVEFORM": np.ones(1000, np.int16),
                  "UTTERANCES": np.array([[tenths, 0]], np.float32)}}
        await server.infer("voice_features", inputs, 60.0)
        print("answered", flush=True)

asyncio.run(play())
"""
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "answered\n"
    left = files(pid=child.pid)
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    assert len(left) == 1
    server = connect(running)
    asyncio.run(server.audio.lend(sound(10)))
    assert files(pid=child.pid) == []
    server.close()
