"""Calls to a real server that is full, slow or gone: each has its own deadline and error."""

import asyncio
import json

import psutil
import pytest

from voiceman.errors import (
    DeadlineExceededError,
    QueueFullError,
    ServerNotReadyError,
    ServerUnreachableError,
)
from voiceman.server.settings import Ports
from voiceman.server.stubs import find_stubs
from voiceman_client.transport import Server, read_array

# The contract of `utterances`, answered after as many tenths of a second as the text says.
CONFIG = """
backend: "python"
max_batch_size: 1
input [
  { name: "ALIGNED_TRANSCRIPT" data_type: TYPE_STRING dims: [ 1 ] },
  { name: "TURNS" data_type: TYPE_FP32 dims: [ -1, 2 ] optional: true }
]
output [ { name: "UTTERANCES" data_type: TYPE_FP32 dims: [ -1, 2 ] } ]
dynamic_batching { default_queue_policy { max_queue_size: 1 } }
instance_group [ { count: 1 kind: KIND_CPU } ]
"""
SLEEPER = """
import time
from pathlib import Path
import numpy as np
import triton_python_backend_utils as pb_utils

KEPT = Path(__file__).with_name("kept")

class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        text = pb_utils.get_input_tensor_by_name(request, "ALIGNED_TRANSCRIPT").as_numpy()
        if text[0, 0] == b"keep" and not KEPT.exists():
            KEPT.touch()
            self.late = request.get_response_sender()
            return None
        tenths = int(text[0, 0]) if text[0, 0].isdigit() else 0
        time.sleep(tenths / 10)
        utterances = np.array([[[0, tenths]]], np.float32)
        return pb_utils.InferenceResponse([pb_utils.Tensor("UTTERANCES", utterances)])
"""


@pytest.fixture
def address(repository):
    repository.add("utterances", CONFIG, SLEEPER)
    with repository.start() as running:
        yield running.grpc_url


def call_all(address, tenths, timeout_s=60.0):
    """Send all at once; the answers, or the errors, in order."""

    async def send():
        server = Server(address)
        try:
            return await asyncio.gather(
                *(server.infer("utterances", slow(t), timeout_s) for t in tenths),
                return_exceptions=True,
            )
        finally:
            server.close()

    return asyncio.run(send())


def kill_model(pid):
    (triton,) = psutil.Process(pid).children()
    (stub,) = find_stubs(triton.pid)
    stub.process.kill()


def slow(tenths):
    return {"ALIGNED_TRANSCRIPT": str(tenths)}


def test_a_full_queue_is_tried_again_until_there_is_room(address):
    answers = call_all(address, [3, 3, 3, 3])
    assert [read_array(answer, "UTTERANCES")[0, 1] for answer in answers] == [3, 3, 3, 3]
    answers = call_all(address, [30, 30, 30, 30], timeout_s=1.0)
    refused = [answer for answer in answers if isinstance(answer, QueueFullError)]
    assert refused
    assert "lower --in-flight" in str(refused[0])


def test_a_deadline_ends_one_call_and_not_the_others(address):
    late, in_time = call_all(address, [30, 0], timeout_s=1.0), call_all(address, [0])
    assert isinstance(late[0], DeadlineExceededError)
    assert "utterances: no answer in 1 s" in str(late[0])
    assert read_array(in_time[0], "UTTERANCES").shape == (1, 2)


def test_cancelled_calls_leave_the_connection_usable(address):
    async def cancel_then_ask():
        server = Server(address)
        late = asyncio.create_task(server.infer("utterances", slow(5), 30.0))
        await asyncio.sleep(0.1)
        late.cancel()
        answer = await server.infer("utterances", slow(1), 30.0)
        server.close()
        return late.cancelled(), answer

    cancelled, answer = asyncio.run(cancel_then_ask())
    assert cancelled
    assert read_array(answer, "UTTERANCES")[0, 1] == 1


def test_a_model_that_does_not_come_back_is_named_within_the_deadline(address):
    async def ask():
        return await Server(address).infer("recording_summary", {}, 2.0)

    with pytest.raises(ServerNotReadyError, match="recording_summary"):
        asyncio.run(asyncio.wait_for(ask(), 12.0))  # far below the minute of all attempts


def test_nobody_at_the_address_is_said_within_the_deadline():
    closed = f"127.0.0.1:{Ports.automatic().resolve('127.0.0.1').grpc}"
    (error,) = call_all(closed, [0], timeout_s=2.0)
    assert isinstance(error, ServerUnreachableError)
    assert f"{closed}: utterances: nobody answers" in str(error)


def test_a_request_that_died_with_its_model_is_sent_again(repository, voiceman_server):
    """Long before the minute after which any answer is taken for lost."""
    repository.add("utterances", CONFIG, SLEEPER)
    options = ("--ports", "auto", "--watch-interval", "0.5", "--exit-timeout", "1")
    with voiceman_server("--model-repository", repository.path, *options) as command:
        address = json.loads(command.first_line())["grpc"]

        async def ask():
            server = Server(address)
            try:
                await server.infer("utterances", slow(10), 30.0)  # how long an answer takes
                asking = asyncio.create_task(server.infer("utterances", slow("keep"), 150.0))
                while not (repository.path / "utterances/1/kept").exists():
                    await asyncio.sleep(0.05)
                kill_model(command.process.pid)
                return await asking
            finally:
                server.close()

        assert read_array(asyncio.run(ask()), "UTTERANCES").shape == (1, 2)
        assert json.loads(command.first_line())["healed"] == {"utterances": "died"}
