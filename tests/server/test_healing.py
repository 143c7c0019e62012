"""Recovery on its own within 30 s: whatever dies or hangs is replaced, and nothing is left of it.

The times are printed; `pytest -s` shows them.
"""

import json
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import psutil
import pytest
import tritonclient.grpc as triton

from voiceman.contracts import MODELS
from voiceman.server.canary import canary_inputs
from voiceman.server.checks import SHARED_MEMORY

REPOSITORY = Path(__file__).parents[2] / "model_repository"
RECOVERY_S = 30
TIMEOUT_S = 30
REAL = ["--model-repository", REPOSITORY, "--models", "utterances,voice_features"]
QUICK = ["--ports", "auto", "--watch-interval", "0.5", "--exit-timeout", "1"]

ECHO_CONFIG = """
backend: "python"
max_batch_size: 0
input [ { name: "X" data_type: TYPE_FP32 dims: [ 1 ] } ]
output [ { name: "Y" data_type: TYPE_FP32 dims: [ 1 ] } ]
instance_group [ { count: 1 kind: KIND_CPU } ]
"""
ENSEMBLE_CONFIG = """
platform: "ensemble"
max_batch_size: 0
input [ { name: "X" data_type: TYPE_FP32 dims: [ 1 ] } ]
output [ { name: "Y" data_type: TYPE_FP32 dims: [ 1 ] } ]
ensemble_scheduling {
  step [
    {
      model_name: "echo" model_version: -1
      input_map { key: "X" value: "X" }
      output_map { key: "Y" value: "Y" }
    }
  ]
}
"""
# The second time it is loaded something else may happen.
ECHO = """
import os, time
from pathlib import Path
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def initialize(self, args):
        loads = Path(__file__).with_name("loads")
        with loads.open("a") as file:
            file.write("x")
        if len(loads.read_text()) == 2:
            {the second time}

    def execute(self, requests):
        tensor = pb_utils.get_input_tensor_by_name(requests[0], "X")
        return [pb_utils.InferenceResponse([pb_utils.Tensor("Y", tensor.as_numpy())])]
"""
# Has the tensors of the real one, and takes its time for each request.
SLOW_UTTERANCES = """
import threading, time
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        responses = []
        for request in requests:
            if b"slow" in pb_utils.get_input_tensor_by_name(
                request, "ALIGNED_TRANSCRIPT"
            ).as_numpy().flat[0]:
                {take time}
            tensor = pb_utils.Tensor("UTTERANCES", np.zeros((1, 1, 2), np.float32))
            responses.append(pb_utils.InferenceResponse([tensor]))
        return responses
"""


def add_echo(repository, the_second_time: str = "pass") -> None:
    repository.add("echo", ECHO_CONFIG, ECHO.replace("{the second time}", the_second_time))


def add_utterances(repository, take_time: str) -> None:
    """A model that the canary knows, with one request after the other."""
    config = (REPOSITORY / "utterances" / "config.pbtxt").read_text()
    config = config.replace('name: "utterances"', "").split("model_warmup")[0]
    config = config.replace("dynamic_batching { }", "")
    repository.add("utterances", config, SLOW_UTTERANCES.replace("{take time}", take_time))


def line(command) -> dict:
    """The next line on standard output."""
    return json.loads(command.first_line())


def timed_line(command, what: str) -> dict:
    began = time.monotonic()
    told = line(command)
    seconds = time.monotonic() - began
    print(f"{what}: {seconds:.1f} s, of them {told['seconds']} s to heal")  # noqa: T201 - for -s
    assert seconds < RECOVERY_S
    return told


def tritonserver(command) -> psutil.Process:
    (process,) = psutil.Process(command.process.pid).children()
    return process


def stub(command, model: str) -> psutil.Process:
    (process,) = [
        child
        for child in tritonserver(command).children()
        if child.status() != psutil.STATUS_ZOMBIE
        and any(f"/{model}/" in word for word in child.cmdline())
    ]
    return process


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def regions(command) -> set[str]:
    return {path.name for path in SHARED_MEMORY.glob(f"voiceman-{command.process.pid}-*")}


def counts(ready: dict) -> dict[str, float]:
    """The counters of the watch's page."""
    with urlopen(f"http://{ready['watch_metrics']}/metrics") as page:
        lines = page.read().decode().splitlines()
    return {
        name: float(value)
        for name, _, value in (text.rpartition(" ") for text in lines if text[0] != "#")
    }


def heals(ready: dict) -> dict[str, float]:
    found = counts(ready).items()
    return {name: value for name, value in found if name.startswith("voiceman_model_heals_total")}


def ask(ready: dict, model: str, timeout_s: float = TIMEOUT_S) -> triton.InferResult:
    """An answer to a canary request, or to a number where the contract has no such model."""
    if model in MODELS:
        inputs = canary_inputs(MODELS[model])
    else:
        inputs = [triton.InferInput("X", [1], "FP32")]
        inputs[0].set_data_from_numpy(np.ones(1, np.float32))
    with triton.InferenceServerClient(ready["grpc"]) as client:
        return client.infer(model, inputs, client_timeout=timeout_s)


def ask_slowly(ready: dict, timeout_s: float = TIMEOUT_S) -> triton.InferResult:
    (text, *_) = canary_inputs(MODELS["utterances"])
    text.set_data_from_numpy(np.array([[b"slow"]], np.object_))
    with triton.InferenceServerClient(ready["grpc"]) as client:
        return client.infer("utterances", [text], client_timeout=timeout_s)


def test_killed_model_processes_are_replaced(voiceman_server):
    with voiceman_server(*REAL, *QUICK) as command:
        ready = line(command)
        before = regions(command)
        stub(command, "voice_features").kill()

        assert timed_line(command, "one killed")["healed"] == {"voice_features": "died"}
        assert ask(ready, "voice_features")
        assert heals(ready) == {
            'voiceman_model_heals_total{model="voice_features",reason="died"}': 1.0
        }
        assert len(regions(command)) == len(before)

        for model in ("utterances", "voice_features"):
            stub(command, model).kill()
        healed: dict[str, str] = {}
        while len(healed) < 2:
            healed |= timed_line(command, "two killed together")["healed"]
        assert counts(ready)["voiceman_server_restarts_total"] == 0
        assert ask(ready, "utterances")
        assert ask(ready, "voice_features")
        command.process.terminate()
        assert command.wait() == 0


def test_a_stopped_model_process_is_replaced(voiceman_server):
    with voiceman_server(*REAL, *QUICK) as command:
        ready = line(command)
        victim = stub(command, "voice_features").pid
        os.kill(victim, signal.SIGSTOP)

        assert timed_line(command, "one stopped")["healed"] == {"voice_features": "failing"}
        assert not is_alive(victim)
        assert ask(ready, "voice_features")


def test_a_model_that_hangs_is_replaced_and_callers_keep_their_deadlines(
    repository, voiceman_server
):
    """Its process is alive and answers Triton; only its Python waits for ever."""
    add_utterances(repository, "threading.Event().wait()")
    options = ["--model-repository", repository.path, *QUICK, "--stuck-after", "3"]
    with voiceman_server(*options) as command:
        ready = line(command)
        victim = stub(command, "utterances").pid
        began = time.monotonic()
        with pytest.raises(triton.InferenceServerException, match="Deadline Exceeded"):
            ask_slowly(ready, timeout_s=1)
        assert time.monotonic() - began < 2

        assert timed_line(command, "one hung")["healed"] == {"utterances": "stuck"}
        assert not is_alive(victim)
        assert ask(ready, "utterances")


def test_an_ensemble_comes_back_with_its_step(repository, voiceman_server):
    add_echo(repository)
    repository.add("ensemble", ENSEMBLE_CONFIG)
    with voiceman_server("--model-repository", repository.path, *QUICK) as command:
        ready = line(command)
        stub(command, "echo").kill()

        assert timed_line(command, "step killed")["healed"] == {"echo": "died"}
        assert ask(ready, "ensemble")


def test_a_killed_tritonserver_is_started_again_on_the_same_ports(voiceman_server):
    with voiceman_server(*REAL, *QUICK) as command:
        ready = line(command)
        old_regions = regions(command)
        old = tritonserver(command)
        orphans = old.children()
        os.kill(orphans[0].pid, signal.SIGSTOP)  # would not end by itself
        old.kill()

        told = timed_line(command, "tritonserver killed")
        assert told["restarted"]
        assert told["reason"] == "tritonserver was killed by SIGKILL"
        assert not any(process.is_running() for process in [old, *orphans])
        assert not old_regions & regions(command)
        assert ask(ready, "voice_features")
        assert counts(ready)["voiceman_server_restarts_total"] == 1
        command.process.terminate()
        assert command.wait() == 0
        assert not regions(command)


def test_what_a_killed_command_has_left_is_removed_by_the_next(repository, voiceman_server):
    add_echo(repository)
    options = ("--model-repository", repository.path, *QUICK)
    with voiceman_server(*options) as command:
        line(command)
        orphan = stub(command, "echo").pid
        os.kill(orphan, signal.SIGSTOP)  # cannot notice that its server is gone
        server = tritonserver(command).pid
        left = regions(command)
        command.process.kill()
        wait_for_end(server)
        assert is_alive(orphan)
        with voiceman_server(*options) as other:
            line(other)
            wait_for_end(orphan)
    assert left
    assert not regions(command)


def test_a_model_that_cannot_be_loaded_anew_makes_the_server_start_again(
    repository, voiceman_server
):
    add_echo(repository, "raise RuntimeError('not now')")
    with voiceman_server("--model-repository", repository.path, *QUICK) as command:
        ready = line(command)
        stub(command, "echo").kill()

        assert "not now" in timed_line(command, "healed in vain")["reason"]
        assert ask(ready, "echo")


@pytest.mark.parametrize(
    "take_time",
    [
        # Nothing but Triton's count of what has ended tells that it is alive.
        pytest.param("time.sleep(0.5)", id="long queue"),
        # Nothing but its use of the processor.
        pytest.param(
            "end = time.process_time() + 3\n                while time.process_time() < end: pass",
            id="long batch",
        ),
    ],
)
def test_a_busy_model_is_left_alone(repository, voiceman_server, take_time):
    requests = 10 if "sleep" in take_time else 1
    add_utterances(repository, take_time)
    options = ["--model-repository", repository.path, *QUICK, "--stuck-after", "1.5"]
    with voiceman_server(*options) as command, ThreadPoolExecutor(requests) as pool:
        ready = line(command)
        answers = [pool.submit(ask_slowly, ready) for _ in range(requests)]

        assert all(answer.result() for answer in answers)
        assert heals(ready) == {}
        assert counts(ready)["voiceman_server_restarts_total"] == 0


def test_a_process_that_a_reload_replaced_is_not_missed(repository, voiceman_server):
    add_echo(repository)
    with voiceman_server("--model-repository", repository.path, *QUICK) as command:
        line(command)
        for _ in range(2):
            old = stub(command, "echo").pid
            with (repository.path / "echo" / "1" / "model.py").open("a") as code:
                code.write("# changed\n")
            command.process.send_signal(signal.SIGHUP)

            assert line(command)["reloaded"] == ["echo"]
            wait_for_end(old)


def test_a_signal_while_a_model_is_loaded_anew_ends_the_command(repository, voiceman_server):
    add_echo(repository, "time.sleep(600)")
    with voiceman_server("--model-repository", repository.path, *QUICK) as command:
        line(command)
        family = psutil.Process(command.process.pid).children(recursive=True)
        stub(command, "echo").kill()
        loads = repository.path / "echo" / "1" / "loads"
        for _ in until(lambda: loads.read_text() == "xx"):
            family += psutil.Process(command.process.pid).children(recursive=True)
        command.process.terminate()

        assert command.wait() == 0
        assert not any(process.is_running() for process in family)
        assert not regions(command)


def test_a_server_that_dies_again_and_again_is_given_up(repository, voiceman_server):
    add_echo(repository)
    with voiceman_server("--model-repository", repository.path, *QUICK) as command:
        line(command)
        for _ in range(4):
            tritonserver(command).kill()
            assert line(command)["restarted"]
        tritonserver(command).kill()

        assert command.wait() == 1
        assert any("given up after 5 starts" in text for text in command.log)
        assert not regions(command)


def wait_for_end(pid: int) -> None:
    for _ in until(lambda: not is_alive(pid)):
        pass


def until(condition) -> Iterator[None]:
    """Rounds of a loop until the condition holds; fails if it does not come to hold."""
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline
        yield
        time.sleep(0.05)
