"""The model `whisper` in a real server: who goes away, who asks nonsense, and what is counted."""

import asyncio
import importlib
import json
import sys
import threading
import time
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from urllib.request import urlopen

import numpy as np
import pytest
import tritonclient.grpc as triton

from voiceman.audio import SAMPLE_RATE_HZ
from voiceman_client import asking
from voiceman_client.asking import hear
from voiceman_client.decode import decode
from voiceman_client.options import SubmitOptions
from voiceman_client.planning import Window
from voiceman_client.transport import Server
from voiceman_client.windows import Span

CONFIG = Path(__file__).parents[2] / "model_repository" / "whisper" / "config.pbtxt"
TIMEOUT_S = 120
STALL_S = 0.45  # Triton's batcher looks at its queue every 0.5 s if nothing wakes it
# Six decodes of up to 444 tokens, none of which is good enough: longer than any test waits.
HOPELESS = {"max_new_tokens": 444, "min_avg_logprob": 0.0, "no_speech_threshold": 1.0}
SHORT = {"max_new_tokens": 1, "temperatures": [0]}

# Answers every request late and from another thread, as the engine does.
LATE = """
import queue
import threading
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def initialize(self, args):
        self.waiting = queue.Queue()
        threading.Thread(target=self.answer, daemon=True).start()

    def execute(self, requests):
        for request in requests:
            self.waiting.put(request.get_response_sender())

    def answer(self):
        while True:
            text = pb_utils.Tensor("TRANSCRIPT", np.array([["{}".encode()]], np.object_))
            attention = pb_utils.Tensor("CROSS_ATTENTION", np.zeros((1, 1, 1), np.float32))
            response = pb_utils.InferenceResponse([text, attention])
            self.waiting.get().send(response, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
"""


class Call:
    """One request in flight, and its answer."""

    def __init__(self, client, sound, options=None, model="whisper"):
        self.done = threading.Event()
        self.result, self.error, self.answered_s = None, None, 0.0
        text = options if isinstance(options, str) else json.dumps(options or SHORT)
        tensors = [
            tensor("WAVEFORM", "INT16", sound[np.newaxis]),
            tensor("LANGUAGE", "BYTES", np.array([[b"en"]], np.object_)),
            tensor("OPTIONS", "BYTES", np.array([[text.encode()]], np.object_)),
        ]
        self._context = client.async_infer(model, tensors, self._answered, client_timeout=TIMEOUT_S)

    def _answered(self, result, error):
        self.result, self.error, self.answered_s = result, error, time.monotonic()
        self.done.set()

    def cancel(self):
        """Hang up."""
        self._context.cancel()

    def transcript(self):
        """The answer; fails if there is an error instead."""
        assert self.done.wait(TIMEOUT_S)
        assert self.error is None
        return json.loads(self.result.as_numpy("TRANSCRIPT")[0, 0])

    def status(self):
        """The error's gRPC status and its message."""
        assert self.done.wait(TIMEOUT_S)
        assert self.error is not None
        return self.error.status(), self.error.message()


def tensor(name, dtype, array):
    made = triton.InferInput(name, array.shape, dtype)
    made.set_data_from_numpy(array)
    return made


@pytest.fixture
def client(server):
    with triton.InferenceServerClient(server.grpc_url) as client:
        yield client


@pytest.fixture(scope="module")
def sound(speech):
    """30 s of a real telephone call, INT16 [n]."""
    (path,) = speech("telephone-call")
    return decode(path).waveforms[0][: 30 * SAMPLE_RATE_HZ]


def metrics(server):
    """Whisper's figures by their names, without the prefix."""
    with urlopen(f"http://{server.metrics_url}/metrics", timeout=10) as page:
        lines = page.read().decode().splitlines()
    prefix = "voiceman_whisper_"
    return {
        line.split("{")[0].split()[0].removeprefix(prefix): float(line.split()[-1])
        for line in lines
        if line.startswith(prefix)
    }


def wait_until(server, name, count):
    """Wait until a figure has reached a count; fails after a while."""
    give_up = time.monotonic() + TIMEOUT_S
    while (figures := metrics(server))[name] < count:
        assert time.monotonic() < give_up, figures
        time.sleep(0.05)
    return figures


def test_every_figure_of_the_engine_is_on_the_metrics_page(server, monkeypatch):
    name = "voiceman.serving.whisper.metrics"
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", SimpleNamespace())
    module = importlib.import_module(name)
    monkeypatch.delitem(sys.modules, name)
    figures = metrics(server)
    assert set(figures) == {each[0] for each in (*module.GAUGES, *module.COUNTERS)}
    assert figures["slots_total"] >= 1
    assert figures["windows_total"] >= 1  # the canary's
    assert figures["rows_total"] >= figures["steps_total"] >= figures["looks_total"] >= 1


def test_a_caller_that_hangs_up_gives_its_slot_back(server, client, sound):
    before = metrics(server)
    hopeless = Call(client, sound, HOPELESS)
    wait_until(server, "slots_busy", 1)  # a short request may overtake a long one on its way
    assert Call(client, sound[:8000]).transcript()["language"] == "en"
    during = metrics(server)
    assert during["slots_busy"] == 1  # the short one went through beside it
    hopeless.cancel()
    after = wait_until(server, "cancelled_total", before["cancelled_total"] + 1)
    assert after["slots_busy"] == 0
    assert after["windows_total"] == before["windows_total"] + 1
    assert hopeless.status()[0] == "StatusCode.CANCELLED"


def test_a_deadline_crosses_the_ensemble(server, client, sound):
    """Cancellation does not, so nobody else would stop the engine."""
    before = metrics(server)
    late = HOPELESS | {"deadline_unix_s": time.time() + 2}
    _, message = Call(client, sound, late, "forensic").status()
    assert "DeadlineExceededError: the deadline passed" in message
    after = wait_until(server, "cancelled_total", before["cancelled_total"] + 1)
    assert after["slots_busy"] == 0
    assert after["windows_total"] == before["windows_total"]


@pytest.mark.parametrize("ahead_s", [-3600, 3600])
def test_a_client_with_another_clock_gets_the_same_answer_with_and_without_shared_memory(
    server, sound, monkeypatch, ahead_s
):
    span = Span(0, len(sound))
    turns = np.array([[0, span.end_s]], np.float32)
    window = Window(span, None, sound, turns)

    async def ask(shared):
        connection = Server(server.grpc_url)
        try:
            if not shared:
                connection.audio.close()
            return (await hear(connection, window, SubmitOptions(), "", TIMEOUT_S)).evidence
        finally:
            connection.close()

    expected = asyncio.run(ask(shared=False))
    clock = SimpleNamespace(time=lambda: time.time() + ahead_s, monotonic=time.monotonic)
    monkeypatch.setattr(asking, "time", clock)
    assert asyncio.run(ask(shared=True)) == expected


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("{", "not valid JSON"),
        ("[1]", "expected a JSON object"),
        ('{"beam": 5}', "unknown option 'beam'"),
        ('{"max_new_tokens": 445}', "allowed are 1 to 444"),
        ('{"max_new_tokens": "many"}', "expected int"),
        ('{"temperatures": []}', "allowed are 1 to 10 numbers"),
        ('{"temperatures": [0.5, 0.1]}', "ascending"),
        ('{"min_avg_logprob": NaN}', "is not a number"),
        ('{"hotwords": "\\ud800"}', "is not Unicode"),
    ],
)
def test_impossible_options_are_the_sender_s_fault_alone(client, sound, options, reason):
    excerpt = sound[12 * SAMPLE_RATE_HZ : 15 * SAMPLE_RATE_HZ]
    wanted = {"max_new_tokens": 8, "temperatures": [0]}
    first, bad, last = (Call(client, excerpt, each) for each in (wanted, options, wanted))
    status, message = bad.status()
    assert status == "StatusCode.INVALID_ARGUMENT"
    assert reason in message
    assert first.transcript() == last.transcript()
    assert first.transcript()["segments"]


@pytest.mark.parametrize("batches", [1, 2])
def test_a_burst_that_fills_the_batch_is_not_forgotten(repository, batches):
    """Whisper's own configuration: its queue limit may cost a look of the batcher, not two."""
    config = CONFIG.read_text().replace('name: "whisper"', "").split("model_warmup")[0]
    (size,) = (int(line.split()[1]) for line in config.splitlines() if "max_batch_size" in line)
    repository.add("burst", config, LATE)
    with repository.start() as running, triton.InferenceServerClient(running.grpc_url) as client:
        lasted_s: list[float] = []
        for _ in range(5):
            began = time.monotonic()
            calls = [
                Call(client, np.zeros(400 + n, np.int16), model="burst")
                for n in range(batches * size)
            ]
            assert [call.transcript() for call in calls] == [{}] * len(calls)
            lasted_s.append(max(call.answered_s for call in calls) - began)
        assert median(lasted_s) < 2 * STALL_S
