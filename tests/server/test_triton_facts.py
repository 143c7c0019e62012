"""What the design takes for granted about Triton, and no documentation promises.

The configs of these models use the batching settings of the model repository, unless a test
says otherwise.
"""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc as triton

CONFIGS = Path(__file__).parents[2] / "model_repository"
TIMEOUT_S = 30
MAX_BATCH_SIZE = 64
STALL_S = 0.45  # Triton's batcher looks at its queue every 0.5 s if nothing wakes it

MODEL_CONFIG = """
backend: "python"
max_batch_size: 64
input [ {{ name: "{input}" data_type: TYPE_FP32 dims: [ -1, 2 ] allow_ragged_batch: true }} ]
output [ {{ name: "{output}" data_type: TYPE_FP32 dims: [ -1, 2 ] }} ]
instance_group [ {{ count: 1 kind: KIND_CPU }} ]
{batching}
"""
ENSEMBLE_CONFIG = """
platform: "ensemble"
max_batch_size: 64
input [ { name: "X" data_type: TYPE_FP32 dims: [ -1, 2 ] } ]
output [ { name: "Z" data_type: TYPE_FP32 dims: [ -1, 2 ] } ]
ensemble_scheduling {
  step [
    {
      model_name: "first" model_version: -1
      input_map { key: "X" value: "X" }
      output_map { key: "Y" value: "Y" }
    },
    {
      model_name: "second" model_version: -1
      input_map { key: "Y" value: "Y" }
      output_map { key: "Z" value: "Z" }
    }
  ]
}
"""

# Answers at once what it was sent.
PROMPT = """
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        array = pb_utils.get_input_tensor_by_name(request, "{input}").as_numpy()
        return pb_utils.InferenceResponse([pb_utils.Tensor("{output}", array)])
"""

# Keeps requests whose first number is 1 until one comes whose first number is 2.
LATE = """
import threading
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def initialize(self, args):
        self.kept = []

    def execute(self, requests):
        for request in requests:
            array = pb_utils.get_input_tensor_by_name(request, "{input}").as_numpy().copy()
            if array.flat[0] == 2:
                threading.Thread(target=self.release, args=[self.kept]).start()
                self.kept = []
            answer = (request.get_response_sender(), array)
            if array.flat[0] == 1:
                self.kept.append(answer)
            else:
                self.send(*answer)
        return None

    def release(self, kept):
        for answer in reversed(kept):
            self.send(*answer)

    def send(self, sender, array):
        response = pb_utils.InferenceResponse([pb_utils.Tensor("{output}", array)])
        sender.send(response, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
"""


def our_batching() -> str:
    """The dynamic_batching of the repository's models."""
    text = (CONFIGS / "whisper" / "config.pbtxt").read_text()
    return "dynamic_batching" + text.split("dynamic_batching")[1].split("\ninstance_group")[0]


def add_model(
    repository, name: str, code: str, tensor_in: str, tensor_out: str, *, batching: str = ""
) -> None:
    batching = batching or our_batching()
    config = MODEL_CONFIG.format(input=tensor_in, output=tensor_out, batching=batching)
    repository.add(name, config, code.replace("{input}", tensor_in).replace("{output}", tensor_out))


def add_ensemble(repository, first: str, second: str) -> None:
    add_model(repository, "first", first, "X", "Y")
    add_model(repository, "second", second, "Y", "Z")
    repository.add("both", ENSEMBLE_CONFIG)


def ask(url: str, model: str, array: np.ndarray, output: str) -> np.ndarray:
    with triton.InferenceServerClient(url) as client:
        tensor = triton.InferInput("X", array.shape, "FP32")
        tensor.set_data_from_numpy(array)
        return client.infer(model, [tensor], client_timeout=TIMEOUT_S).as_numpy(output)


def wait_for_requests(url: str, model: str, count: int) -> None:
    """Wait until a model was handed some requests; fails after a while."""
    give_up = time.monotonic() + TIMEOUT_S
    with triton.InferenceServerClient(url) as client:
        while time.monotonic() < give_up:
            (stats,) = client.get_inference_statistics(model).model_stats
            if stats.inference_count >= count:
                return
            time.sleep(0.05)
    pytest.fail(f"{model} was not handed {count} requests in {TIMEOUT_S} s")


def rows(*numbers: float) -> np.ndarray:
    return np.array([[[number, index] for index, number in enumerate(numbers)]], np.float32)


def test_late_answers_out_of_order_reach_their_requests(repository):
    """In-flight batching in an ordinary ensemble step rests on this."""
    add_ensemble(repository, LATE, PROMPT)

    with repository.start() as running, ThreadPoolExecutor(3) as pool:

        def request(*numbers: float) -> None:
            sent = rows(*numbers)  # ragged: lengths differ
            np.testing.assert_array_equal(ask(running.grpc_url, "both", sent, "Z"), sent)

        kept = [pool.submit(request, 1, *range(length)) for length in range(3)]
        wait_for_requests(running.grpc_url, "first", len(kept))
        for length in range(5):
            request(0, *range(length))  # overtakes those that are kept
        assert not any(future.done() for future in kept)
        request(2)
        for future in kept:
            future.result(TIMEOUT_S)


@pytest.mark.parametrize("burst", [MAX_BATCH_SIZE // 2, MAX_BATCH_SIZE, 2 * MAX_BATCH_SIZE])
def test_burst_does_not_stall_in_the_batcher(repository, burst):
    """With a small max_batch_size, bursts that filled it exactly were seen to wait 0.5 s."""
    add_model(repository, "first", PROMPT, "X", "Y", batching="dynamic_batching { }")

    with repository.start() as running, triton.InferenceServerClient(running.grpc_url) as client:
        slowest_s = [max(send_burst(client, burst)) for _ in range(10)]

    # Two of ten may be the machine's own pauses; with a policy four of ten stall.
    assert sorted(slowest_s)[-3] < STALL_S


def test_queue_limit_makes_a_burst_wait_but_not_for_long(repository):
    """A queue policy turns Triton's prefetching off, and its batcher then misses wake-ups.

    It looks again every 0.5 s (triton-inference-server/server#8870), so with a policy a
    request may wait as long; without one it never does, as the test above shows.
    """
    add_model(repository, "first", PROMPT, "X", "Y", batching=our_batching())

    with repository.start() as running, triton.InferenceServerClient(running.grpc_url) as client:
        latencies_s = [send_burst(client, 2 * MAX_BATCH_SIZE) for _ in range(5)]

    assert max(map(max, latencies_s)) < 5 * STALL_S


def test_full_queue_refuses_at_once_and_harms_nobody_else(repository):
    batching = our_batching().replace("max_queue_size: 512", "max_queue_size: 2")
    slow = PROMPT.replace("        return [self", "        time.sleep(0.5)\n        return [self")
    add_model(repository, "first", "import time\n" + slow, "X", "Y", batching=batching)

    def request(_: int) -> str:
        try:
            ask(running.grpc_url, "first", rows(1), "Y")
        except triton.InferenceServerException as err:
            return err.status()
        return "OK"

    with repository.start() as running, ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(request, range(16)))

    answered = statuses.count("OK")
    refused = statuses.count("StatusCode.UNAVAILABLE")
    assert answered >= 2
    assert refused >= 1
    assert answered + refused == 16


def send_burst(client: triton.InferenceServerClient, size: int) -> list[float]:
    """Send requests of several lengths at once; returns the seconds that each answer took."""
    arrays = [rows(*range(1 + index % 7)) for index in range(size)]
    answered = threading.Semaphore(0)
    latencies_s: list[float] = []
    errors: list[Exception] = []
    began = time.monotonic()

    def on_answer(result, error) -> None:
        latencies_s.append(time.monotonic() - began)
        if error:
            errors.append(error)
        answered.release()

    for array in arrays:
        tensor = triton.InferInput("X", array.shape, "FP32")
        tensor.set_data_from_numpy(array)
        client.async_infer("first", [tensor], on_answer, client_timeout=TIMEOUT_S)
    for _ in arrays:
        assert answered.acquire(timeout=TIMEOUT_S)
    assert not errors
    return latencies_s


def test_window_without_utterances_passes_an_ensemble(repository):
    """u = 0 is ordinary: silence has no utterances, and its batch size is still 1."""
    add_ensemble(repository, PROMPT, PROMPT)
    empty = np.zeros((1, 0, 2), np.float32)

    with repository.start() as running:
        answer = ask(running.grpc_url, "both", empty, "Z")

    assert answer.shape == (1, 0, 2)
