"""Sound in shared memory beside sound in the request: what a window costs client and server.

    python -m perf.compare_shared_audio

The server's model reads the sound and does nothing, so that what is left is the way to it: over
gRPC on the loopback interface with the sound in the message, or in a region of /dev/shm. Rounds
alternate on one server; figures are medians over the rounds.
"""

import asyncio
import resource
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

from perf.record import table, write_result
from voiceman.audio import SAMPLE_RATE_HZ, Int16Waveform
from voiceman.server.process import start
from voiceman.server.settings import Ports, ServerSettings
from voiceman_client.transport import Server

COMMAND = "python -m perf.compare_shared_audio"
ROUNDS = 5
CASES = ((30.0, 1, 200), (30.0, 8, 200), (300.0, 1, 40), (300.0, 8, 40))  # sound, at once, requests
TIMEOUT_S = 60.0
CONFIG = """
name: "voice_features"
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
"""
MODEL = """
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        pb_utils.get_input_tensor_by_name(request, "WAVEFORM").as_numpy()
        return pb_utils.InferenceResponse([
            pb_utils.Tensor("VOICE_FEATURES", np.zeros((1, 1, 21), np.float32)),
            pb_utils.Tensor("F0_CONTOUR", np.zeros((1, 1, 3), np.float32)),
            pb_utils.Tensor("VOICE_FEATURES_STATUS", np.array([[b"{}"]], np.object_)),
        ])
"""


def main() -> None:
    """Measure and write the result."""
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "voice_features"
        (model / "1").mkdir(parents=True)
        (model / "config.pbtxt").write_text(CONFIG)
        (model / "1" / "model.py").write_text(MODEL)
        settings = ServerSettings(Path(folder), ports=Ports.automatic())
        with start(settings) as running:
            rows = [
                asyncio.run(_compare(running.grpc_url, running.process.pid, *case))
                for case in CASES
            ]
    columns = ("sound", "at once", "way", "latency", "client CPU", "server CPU")
    lines = [line for row in rows for line in row]
    text = table(columns, lines) + "\nMilliseconds per request.\n"
    figures = {"rows": [dict(zip(columns, line, strict=True)) for line in lines]}
    write_result("shared-audio", COMMAND, figures, text, "Sound in shared memory")


async def _compare(
    address: str, pid: int, sound_s: float, at_once: int, requests: int
) -> list[tuple[object, ...]]:
    waveform = np.ones(round(sound_s * SAMPLE_RATE_HZ), np.int16)
    servers = {"request": Server(address), "shared memory": Server(address)}
    servers["request"].audio.close()
    measured: dict[str, list[tuple[float, float, float]]] = {way: [] for way in servers}
    for number in range(ROUNDS + 1):
        for way in sorted(servers, reverse=bool(number % 2)):
            figures = await _round(servers[way], pid, waveform, at_once, requests)
            if number:  # the first round pays for connections, pages and regions
                measured[way].append(figures)
    for server in servers.values():
        server.close()
    lines: list[tuple[object, ...]] = []
    for way, rounds in measured.items():
        medians = (statistics.median(one) for one in zip(*rounds, strict=True))
        lines.append((f"{sound_s:g} s", at_once, way, *(round(median, 2) for median in medians)))
    return lines


async def _round(
    server: Server, pid: int, waveform: Int16Waveform, at_once: int, requests: int
) -> tuple[float, float, float]:
    """Median latency, CPU time of this process and of the server, in ms per request."""
    places = asyncio.Semaphore(at_once)
    latencies_s: list[float] = []
    inputs = {"WAVEFORM": waveform, "UTTERANCES": np.zeros((1, 2), np.float32)}

    async def ask() -> None:
        async with places:
            began = time.perf_counter()
            await server.infer("voice_features", inputs, TIMEOUT_S)
            latencies_s.append(time.perf_counter() - began)

    client_s, server_s = _own_cpu_s(), _cpu_s(pid)
    await asyncio.gather(*(ask() for _ in range(requests)))
    client_s, server_s = _own_cpu_s() - client_s, _cpu_s(pid) - server_s
    each = 1000 / requests
    return 1000 * statistics.median(latencies_s), client_s * each, server_s * each


def _own_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _cpu_s(pid: int) -> float:
    """CPU time of a process and those below it."""
    parent = psutil.Process(pid)
    times = [process.cpu_times() for process in (parent, *parent.children(recursive=True))]
    return sum(each.user + each.system for each in times)


if __name__ == "__main__":
    main()
