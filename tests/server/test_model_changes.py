"""S3: a loaded model is not loaded again; a changed one takes its place without a lost request."""

import json
import signal
import threading
from collections import Counter

import numpy as np
import pytest
import tritonclient.grpc as triton

TIMEOUT_S = 30
CLIENTS = 4

CONFIG = """
backend: "python"
max_batch_size: 64
input [ { name: "X" data_type: TYPE_FP32 dims: [ 1 ] } ]
output [ { name: "Y" data_type: TYPE_FP32 dims: [ 1 ] } ]
dynamic_batching { }
instance_group [ { count: 1 kind: KIND_CPU } ]
"""
ENSEMBLE_CONFIG = """
platform: "ensemble"
max_batch_size: 64
input [ { name: "X" data_type: TYPE_FP32 dims: [ 1 ] } ]
output [ { name: "Y" data_type: TYPE_FP32 dims: [ 1 ] } ]
ensemble_scheduling {
  step [
    {
      model_name: "changing" model_version: -1
      input_map { key: "X" value: "X" }
      output_map { key: "Y" value: "Y" }
    }
  ]
}
"""
# Answers with a number of its own and says which process it is by `initialize`.
CODE = """
import time
from pathlib import Path
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def initialize(self, args):
        self.answer = float((Path(__file__).parent / "weights" / "answer").read_text())
        with (Path(args["model_repository"]).parent.parent / "loaded").open("a") as file:
            print(args["model_name"], args["model_version"], file=file)

    def execute(self, requests):
        time.sleep(0.002)
        tensor = pb_utils.Tensor("Y", np.array([[self.answer]], np.float32))
        return [pb_utils.InferenceResponse([tensor]) for _ in requests]
"""


def put(repository, name: str, version: int, answer: str, code: str = CODE) -> None:
    """A version of a model, complete at once, as the exporter writes it."""
    fresh = repository.path.parent / f"fresh-{name}-{version}"
    (fresh / "weights").mkdir(parents=True)
    (fresh / "weights" / "answer").write_text(answer)
    (fresh / "model.py").write_text(code)
    (repository.path / name).mkdir(exist_ok=True)
    (repository.path / name / "config.pbtxt").write_text(f'name: "{name}"\n{CONFIG}')
    fresh.rename(repository.path / name / str(version))


def loaded(repository) -> Counter[str]:
    """How often each version was loaded."""
    return Counter((repository.path.parent / "loaded").read_text().splitlines())


def ask(url: str, model: str) -> float:
    with triton.InferenceServerClient(url) as client:
        return _ask(client, model)


def _ask(client: triton.InferenceServerClient, model: str) -> float:
    tensor = triton.InferInput("X", [1, 1], "FP32")
    tensor.set_data_from_numpy(np.zeros((1, 1), np.float32))
    return float(client.infer(model, [tensor], client_timeout=TIMEOUT_S).as_numpy("Y")[0, 0])


class Callers:
    """Threads that ask without a pause until they are told to stop; what fails is kept."""

    def __init__(self, url: str, model: str) -> None:
        self.answers: Counter[float] = Counter()
        self.errors: list[Exception] = []
        self._url, self._model = url, model
        self._lock, self._stop, self._news = threading.Lock(), threading.Event(), threading.Event()
        self._threads = [threading.Thread(target=self._call) for _ in range(CLIENTS)]

    def __enter__(self) -> "Callers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(TIMEOUT_S)

    def wait_for(self, answer: float) -> None:
        """Until somebody was answered so."""
        while not self.answers[answer]:
            assert self._news.wait(TIMEOUT_S), f"nobody was answered {answer}"
            self._news.clear()

    def _call(self) -> None:
        with triton.InferenceServerClient(self._url) as client:
            while not self._stop.is_set():
                try:
                    answer = _ask(client, self._model)
                except Exception as err:  # noqa: BLE001  # every failure counts
                    self.errors.append(err)
                    return
                with self._lock:
                    self.answers[answer] += 1
                self._news.set()


@pytest.mark.parametrize("asked", ["changing", "ensemble"])
def test_a_newer_version_takes_over_without_a_lost_request(repository, asked):
    put(repository, "changing", 1, "1")
    put(repository, "constant", 1, "7")
    if asked == "ensemble":
        repository.add("ensemble", ENSEMBLE_CONFIG)
    with repository.start() as running, Callers(running.grpc_url, asked) as callers:
        callers.wait_for(1.0)
        put(repository, "changing", 2, "2")
        assert running.load_changes() == {"changing": ""}
        callers.wait_for(2.0)
        assert running.load_changes() == {}
        assert ask(running.grpc_url, "constant") == 7.0
    assert callers.errors == []
    assert set(callers.answers) == {1.0, 2.0}
    assert loaded(repository) == {"changing 1": 1, "changing 2": 1, "constant 1": 1}


def test_changed_weights_of_the_same_version_are_loaded(repository):
    put(repository, "changing", 1, "1")
    with repository.start() as running, Callers(running.grpc_url, "changing") as callers:
        callers.wait_for(1.0)
        weights = repository.path / "changing" / "1" / "weights"
        (weights / "fresh").write_text("3")
        (weights / "fresh").rename(weights / "answer")
        assert running.load_changes() == {"changing": ""}
        callers.wait_for(3.0)
    assert callers.errors == []


def test_a_version_that_cannot_be_loaded_leaves_the_old_one_at_work(repository):
    put(repository, "changing", 1, "1")
    with repository.start() as running, Callers(running.grpc_url, "changing") as callers:
        callers.wait_for(1.0)
        put(repository, "changing", 2, "2", code="raise RuntimeError('half written')")
        assert "half written" in running.load_changes()["changing"]
        callers.answers.clear()
        callers.wait_for(1.0)
    assert callers.errors == []


def test_the_command_loads_changes_on_sighup(repository, voiceman_server):
    put(repository, "changing", 1, "1")
    with voiceman_server("--model-repository", repository.path, "--ports", "auto") as command:
        url = json.loads(command.first_line())["grpc"]
        assert ask(url, "changing") == 1.0
        put(repository, "changing", 2, "2")
        command.process.send_signal(signal.SIGHUP)
        assert json.loads(command.first_line())["reloaded"] == ["changing"]
        assert ask(url, "changing") == 2.0
        command.process.terminate()
        assert command.wait() == 0
