"""`voiceman-server`: says what is wrong, is ready when it answers, leaves nothing behind."""

import asyncio
import json
import shutil
import signal
import socket
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import psutil
import pytest
import pytriton
import tritonclient.grpc as triton

from voiceman.contracts import MODELS
from voiceman.errors import EnvironmentCheckError, ServerNotReadyError
from voiceman.server.checks import SHARED_MEMORY
from voiceman.server.run_folder import remove_leftovers
from voiceman_client.cli import main
from voiceman_client.server_load import MetricsPage

REPOSITORY = Path(__file__).parents[2] / "model_repository"
REGION_PREFIX = "voiceman-"

ECHO_CONFIG = """
backend: "python"
max_batch_size: 64
input [
  { name: "NUMBERS" data_type: TYPE_FP32 dims: [ -1 ] },
  { name: "SAMPLES" data_type: TYPE_INT16 dims: [ -1 ] },
  { name: "TEXT" data_type: TYPE_STRING dims: [ 1 ] }
]
output [
  { name: "NUMBERS_BACK" data_type: TYPE_FP32 dims: [ -1 ] },
  { name: "SAMPLES_BACK" data_type: TYPE_INT16 dims: [ -1 ] },
  { name: "TEXT_BACK" data_type: TYPE_STRING dims: [ 1 ] }
]
dynamic_batching { }
instance_group [ { count: 1 kind: KIND_CPU } ]
"""
ECHO = """
import time
from pathlib import Path
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        if {slow}:
            Path(__file__).with_name("begun").touch()
            time.sleep(1.5)
        tensors = []
        for name in ("NUMBERS", "SAMPLES", "TEXT"):
            array = pb_utils.get_input_tensor_by_name(request, name).as_numpy()
            tensors.append(pb_utils.Tensor(name + "_BACK", array))
        return pb_utils.InferenceResponse(tensors)
"""
HANGING = """
import time

class TritonPythonModel:
    def execute(self, requests):
        time.sleep(600)
"""
NUMBERS = np.linspace(-1, 1, 1001, dtype=np.float32)[np.newaxis]
SAMPLES = np.arange(-32768, 32767, 7, dtype=np.int16)[np.newaxis]
TEXT = np.array([["고객님, 12,000원입니다".encode()]], dtype=np.object_)


def echo(*, slow: bool = False) -> str:
    return ECHO.replace("{slow}", str(slow))


def infer_echo(grpc_url: str) -> dict[str, np.ndarray]:
    with triton.InferenceServerClient(grpc_url) as client:
        inputs = []
        for name, array, dtype in (
            ("NUMBERS", NUMBERS, "FP32"),
            ("SAMPLES", SAMPLES, "INT16"),
            ("TEXT", TEXT, "BYTES"),
        ):
            tensor = triton.InferInput(name, array.shape, dtype)
            tensor.set_data_from_numpy(array)
            inputs.append(tensor)
        answer = client.infer("echo", inputs, client_timeout=30)
        return {name: answer.as_numpy(f"{name}_BACK") for name in ("NUMBERS", "SAMPLES", "TEXT")}


def regions(pid: int) -> list[Path]:
    return list(SHARED_MEMORY.glob(f"{REGION_PREFIX}{pid}-*"))


def run_folders(pid: int) -> list[Path]:
    return list(Path(tempfile.gettempdir()).glob(f"voiceman-*/{REGION_PREFIX}{pid}-*"))


def family(pid: int) -> list[psutil.Process]:
    """tritonserver and its models, the descendants of a `voiceman-server`."""
    return psutil.Process(pid).children(recursive=True)


def wait_for(path: Path, timeout_s: float = 30) -> None:
    deadline = time.monotonic() + timeout_s
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.05)


def assert_gone(processes: list[psutil.Process], timeout_s: float = 30) -> None:
    deadline = time.monotonic() + timeout_s
    while alive := [p for p in processes if p.is_running() and p.status() != "zombie"]:
        assert time.monotonic() < deadline, f"still running: {alive}"
        time.sleep(0.1)


def test_canary_goes_through_every_model_of_the_repository(server):
    assert set(server.models) == set(MODELS)


def test_known_data_comes_back_unchanged(repository):
    """With numpy 2 the Python backend of Triton 2.51 delivers zeros, without an error."""
    repository.add("echo", ECHO_CONFIG, echo())

    with repository.start() as running:
        back = infer_echo(running.grpc_url)

    np.testing.assert_array_equal(back["NUMBERS"], NUMBERS)
    np.testing.assert_array_equal(back["SAMPLES"], SAMPLES)
    np.testing.assert_array_equal(back["TEXT"], TEXT)


def test_ready_is_one_line_of_json_with_addresses_that_answer(repository, voiceman_server):
    repository.add("echo", ECHO_CONFIG, echo())

    with voiceman_server("--model-repository", repository.path, "--ports", "auto") as command:
        line = json.loads(command.first_line())
        assert line["ready"] is True
        np.testing.assert_array_equal(infer_echo(line["grpc"])["NUMBERS"], NUMBERS)
        client, submit, *options = line["submit"].split()
        assert (client, submit) == ("voiceman-client", "submit")
        asked = main.commands[submit].make_context(submit, [*options, "call.wav"]).params
        assert asked["server"] == line["grpc"]
        load = asyncio.run(MetricsPage(asked["metrics"]).load())
        assert load is not None
        command.process.terminate()
        assert command.wait() == 0
        assert command.process.stdout.read() == ""


def test_sigterm_lets_requests_finish_and_leaves_nothing(repository, voiceman_server):
    repository.add("echo", ECHO_CONFIG, echo(slow=True))

    with voiceman_server("--model-repository", repository.path, "--ports", "auto") as command:
        line = json.loads(command.first_line())
        processes = family(command.process.pid)
        assert len(processes) == 2  # tritonserver and the model
        assert regions(command.process.pid)
        with ThreadPoolExecutor() as pool:
            pending = pool.submit(infer_echo, line["grpc"])
            wait_for(repository.path / "echo" / "1" / "begun")
            command.process.terminate()
            np.testing.assert_array_equal(pending.result(30)["SAMPLES"], SAMPLES)

        assert command.wait() == 0
        assert_gone(processes, timeout_s=0)
        assert not regions(command.process.pid)
        assert not list(run_folders(command.process.pid))


def has_ipv6() -> bool:
    """Whether IPv6 is switched on here; `socket.has_ipv6` says only how Python was built."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.parametrize("host", ["::", "localhost"])
def test_server_listens_on_ipv6_and_on_a_name(repository, host):
    """Each of Triton's servers wants such an address written in another way."""
    if host == "::" and not has_ipv6():
        pytest.skip("IPv6 is switched off on this machine")
    repository.add("echo", ECHO_CONFIG, echo())

    with repository.start(host=host) as running:
        np.testing.assert_array_equal(infer_echo(running.grpc_url)["NUMBERS"], NUMBERS)
        with urlopen(f"http://{running.metrics_url}/metrics", timeout=10) as page:
            assert b"nv_inference_count" in page.read()


def test_log_file_that_cannot_be_written_is_named(repository, tmp_path):
    repository.add("echo", ECHO_CONFIG, echo())
    path = tmp_path / "nowhere" / "triton.log"

    with (
        pytest.raises(EnvironmentCheckError, match=f"{path}: No such file .*set --log-file"),
        repository.start(log_file=path),
    ):
        pass


def test_two_servers_run_side_by_side(repository, tmp_path):
    repository.add("echo", ECHO_CONFIG, echo())

    with repository.start() as first, repository.start() as second:
        assert first.prefix != second.prefix
        ports = {*first.ports.by_name().values(), *second.ports.by_name().values()}
        assert len(ports) == 8
        for running in (first, second):
            np.testing.assert_array_equal(infer_echo(running.grpc_url)["NUMBERS"], NUMBERS)


def test_sigkill_takes_tritonserver_with_it_and_the_next_start_cleans_up(
    repository, voiceman_server
):
    repository.add("echo", ECHO_CONFIG, echo())

    with voiceman_server("--model-repository", repository.path, "--ports", "auto") as command:
        command.first_line()
        pid = command.process.pid
        processes = family(pid)
        (region, *_) = regions(pid)
        command.process.kill()
        assert_gone(processes)
    region.touch()  # as if its owner had not come round to removing it
    assert run_folders(pid)

    remove_leftovers()

    assert not regions(pid)
    assert not run_folders(pid)


def test_dead_tritonserver_ends_a_command_that_does_not_watch(repository, voiceman_server):
    repository.add("echo", ECHO_CONFIG, echo())

    options = ("--model-repository", repository.path, "--ports", "auto", "--watch-interval", "0")
    with voiceman_server(*options) as command:
        command.first_line()
        (tritonserver,) = psutil.Process(command.process.pid).children()
        tritonserver.kill()

        assert command.wait() == 1
        assert any("tritonserver was killed by SIGKILL" in line for line in command.log)


def test_model_that_does_not_load_is_named(repository):
    repository.add("echo", ECHO_CONFIG, "raise RuntimeError('no such weights')")

    with pytest.raises(ServerNotReadyError, match="no such weights"), repository.start():
        pass


def test_model_that_fails_its_canary_is_not_ready(repository):
    """Triton calls it ready: it loads, and fails every request."""
    config = (REPOSITORY / "utterances" / "config.pbtxt").read_text()
    config = config.replace('name: "utterances"', "").split("model_warmup")[0]
    repository.add("utterances", config, "class TritonPythonModel:\n    pass\n")

    with (
        pytest.raises(ServerNotReadyError, match="utterances: the canary request failed"),
        repository.start(),
    ):
        pass


def test_model_that_never_answers_is_not_ready_and_does_not_hold_up_the_end(repository):
    config = (REPOSITORY / "utterances" / "config.pbtxt").read_text()
    config = config.replace('name: "utterances"', "").split("model_warmup")[0]
    repository.add("utterances", config, HANGING)
    began = time.monotonic()

    with (
        pytest.raises(ServerNotReadyError, match=r"utterances: the canary .*Deadline"),
        repository.start(ready_timeout_s=5, exit_timeout_s=1),
    ):
        pass

    assert time.monotonic() - began < 30


def test_all_problems_are_told_at_once_one_line_each(tmp_path, voiceman_server):
    without_weights = shutil.copytree(
        REPOSITORY, tmp_path / "models", ignore=shutil.ignore_patterns("weights")
    )
    with closing(socket.create_server(("127.0.0.1", 0))) as occupied:
        port = str(occupied.getsockname()[1])
        with voiceman_server(
            "--model-repository", without_weights, "--ports", "fixed", "--http-port", port
        ) as command:
            assert command.wait() == 1

    lines = [line for line in command.log if line.startswith("voiceman-server: ")]
    assert len(lines) == len(command.log)
    for model in ("whisper", "speaker_embedding", "voice_activity", "scoring"):
        assert sum(f"/{model}/1/weights" in line for line in lines) == 1
    assert sum(f"HTTP port {port}" in line and "in use" in line for line in lines) == 1
    assert not any("emotion" in line for line in lines)  # those weights are optional


def test_numpy_2_is_refused(repository, tmp_path):
    repository.add("echo", ECHO_CONFIG, echo())
    python = tmp_path / "python3"
    answer = {"version": "3.11", "library_folder": "", "numpy": "2.2.0", "missing": []}
    python.write_text(f"#!/bin/sh\necho '{json.dumps(answer)}'\n")
    python.chmod(0o755)

    with (
        pytest.raises(EnvironmentCheckError, match=r"numpy 2\.2\.0.*zeros.*numpy>=1\.26,<2"),
        repository.start(python=python),
    ):
        pass


def test_given_tritonserver_runs_with_its_own_backends(repository, tmp_path, monkeypatch):
    """As in NVIDIA's image, where the stub lies among the backends."""
    root = Path(pytriton.__file__).parent / "tritonserver"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    installed = tmp_path / "tritonserver"
    shutil.copytree(root / "backends", installed / "backends")
    shutil.copy2(
        root / "python_backend_stubs" / version / "triton_python_backend_stub",
        installed / "backends" / "python",
    )
    # NVIDIA's image keeps its libraries where the loader looks; the package does not.
    monkeypatch.setenv("LD_LIBRARY_PATH", str(root.parents[1] / "nvidia_pytriton.libs"))
    repository.add("echo", ECHO_CONFIG, echo())

    with repository.start(
        tritonserver=root / "bin" / "tritonserver", backend_directory=installed / "backends"
    ) as running:
        np.testing.assert_array_equal(infer_echo(running.grpc_url)["NUMBERS"], NUMBERS)


def test_prefix_of_a_running_server_is_refused(repository):
    repository.add("echo", ECHO_CONFIG, echo())

    with (
        repository.start(shm_prefix="voiceman-test-prefix"),
        pytest.raises(EnvironmentCheckError, match="a running server has this prefix"),
        repository.start(shm_prefix="voiceman-test-prefix"),
    ):
        pass


def test_only_the_models_asked_for_are_loaded(repository):
    repository.add("echo", ECHO_CONFIG, echo())
    repository.add("broken", ECHO_CONFIG, "raise RuntimeError('must not be loaded')")

    with repository.start(models=("echo",)) as running:
        np.testing.assert_array_equal(infer_echo(running.grpc_url)["NUMBERS"], NUMBERS)
        with (
            triton.InferenceServerClient(running.grpc_url) as client,
            pytest.raises(triton.InferenceServerException, match="restricted"),
        ):
            client.load_model("broken")


def test_signal_while_models_load_ends_the_command_and_leaves_nothing(repository, voiceman_server):
    slow = "import time\ntime.sleep(600)\n" + echo()
    repository.add("echo", ECHO_CONFIG, slow)

    with voiceman_server("--model-repository", repository.path, "--ports", "auto") as command:
        deadline = time.monotonic() + 30
        while len(processes := family(command.process.pid)) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        command.process.send_signal(signal.SIGINT)

        assert command.wait() == 0
        assert_gone(processes)
        assert not regions(command.process.pid)
