"""What the server says about itself, and whether it really works."""

import hashlib
import json
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from tritonclient.utils import InferenceServerException

from voiceman.contracts import MODELS, Model
from voiceman.errors import (
    DeadlineExceededError,
    InvalidRequestError,
    ServerError,
    ServerNotReadyError,
    ServerUnreachableError,
)
from voiceman_client.transport import Arrays, Server, to_error, to_tensors

log = logging.getLogger(__name__)

T = TypeVar("T")

_METADATA_TIMEOUT_S = 10.0
_LOOK_EVERY_S = 1.0
_CANARY_SAMPLES = 16_000  # 1 s, as in the models' warm-up


@dataclass(frozen=True)
class ModelStatus:
    """One model as the server describes it.

    Attributes:
        name: of the model.
        version: in the server's repository; empty: none is loaded.
        state: READY, LOADING, UNAVAILABLE or what else the server says, in its words.
        inputs: names of its tensors.
        outputs: names of its tensors.
        inferences: windows (or recordings) answered since the server started.
        executions: batches that this took.
        config_sha256: SHA-256 of its configuration as the server reports it, defaults included:
            JSON with sorted keys and no spaces, as UTF-8; empty: the server does not show it.
    """

    name: str
    version: str
    state: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    inferences: int
    executions: int
    config_sha256: str = ""

    @property
    def mean_batch(self) -> float:
        """Inferences per execution; 0 before the first."""
        return self.inferences / self.executions if self.executions else 0.0


def describe_server(server: Server) -> dict[str, str]:
    """Name and version of the server.

    Raises:
        ServerUnreachableError: nobody answers.
    """
    said = _ask(server, server.grpc.get_server_metadata)
    return {"name": said.name, "version": said.version}


def describe_models(server: Server) -> list[ModelStatus]:
    """All models of the contract and whatever else the server has, by name.

    Raises:
        ServerUnreachableError: nobody answers.
    """
    states = _states(server)
    return [
        _describe(server, name, states.get(name, "not in the server"))
        for name in sorted({*MODELS, *states})
    ]


def _states(server: Server) -> dict[str, str]:
    """State by model; the reason instead where the server gives one."""
    try:
        index = _ask(server, server.grpc.get_model_repository_index).models
    except ServerError as err:
        if "restricted" not in str(err):
            raise
        # Where the model repository is guarded, readiness is all that may be asked.
        return {name: "READY" for name in MODELS if _is_ready(server, name)}
    return {entry.name: entry.reason or entry.state for entry in index}


def find_broken_models(server: Server, timeout_s: float) -> dict[str, str]:
    """Send a canary through every model; the reasons of those that do not answer.

    Readiness as Triton reports it is not enough: a model whose process has died stays "ready".

    Raises:
        ServerUnreachableError: nobody answers.
    """
    describe_server(server)
    with ThreadPoolExecutor(len(MODELS)) as pool:
        reasons = pool.map(lambda model: _canary(server, model, timeout_s), MODELS.values())
        return {name: why for name, why in zip(MODELS, reasons, strict=True) if why}


def require_ready(server: Server) -> None:
    """Check that the models are loaded.

    Raises:
        ServerUnreachableError: nobody answers.
        ServerNotReadyError: names the models that are not ready.
    """
    missing = [name for name in MODELS if not _is_ready(server, name)]
    if missing:
        raise ServerNotReadyError(
            f"{server.address}: not ready: {', '.join(missing)}; wait until voiceman-server says "
            "ready, or see `voiceman-client health`"
        )


def wait_until_loaded(server: Server, timeout_s: float, stopped: Callable[[], bool]) -> None:
    """Wait for a server that is there and loads its models or hangs, as after a power cut.

    Args:
        server: to ask.
        timeout_s: for how long.
        stopped: says when nobody waits any more.

    Raises:
        ServerUnreachableError: nobody answers, now or when the wait is over.
        ServerNotReadyError: names the models that were not ready when the wait was over.
        DeadlineExceededError: it said nothing when the wait was over.
    """
    try:
        require_ready(server)
    except (ServerNotReadyError, DeadlineExceededError) as err:
        log.warning("%s; waiting for up to %.0f s", err, timeout_s)
        _look_until_ready(server, time.monotonic() + timeout_s, stopped)


def wait_until_ready(server: Server, timeout_s: float) -> None:
    """Wait until the models are loaded and each has answered a canary.

    Raises:
        ServerUnreachableError: nobody answered until the time was over.
        ServerNotReadyError: names the models that were not ready, or do not answer.
    """
    until_s = time.monotonic() + timeout_s
    _look_until_ready(server, until_s)
    broken = find_broken_models(server, max(_LOOK_EVERY_S, until_s - time.monotonic()))
    if broken:
        reasons = "; ".join(f"{name}: {why}" for name, why in broken.items())
        raise ServerNotReadyError(f"{server.address}: not all models answer: {reasons}")


def _look_until_ready(
    server: Server, until_s: float, stopped: Callable[[], bool] = lambda: False
) -> None:
    while True:
        try:
            return require_ready(server)
        except (ServerUnreachableError, ServerNotReadyError, DeadlineExceededError):
            if stopped() or time.monotonic() + _LOOK_EVERY_S >= until_s:
                raise
        time.sleep(_LOOK_EVERY_S)


def _is_ready(server: Server, model: str) -> bool:
    return _ask(server, lambda **limit: server.grpc.is_model_ready(model, **limit))


def _ask(server: Server, call: Callable[..., T | None]) -> T:
    try:
        answer = call(client_timeout=_METADATA_TIMEOUT_S)
    except InferenceServerException as err:
        raise to_error(err, server.address, "", _METADATA_TIMEOUT_S) from err
    if answer is None:
        raise ServerError(f"{server.address}: an empty answer; is this a Triton server?")
    return answer


def _describe(server: Server, name: str, state: str) -> ModelStatus:
    if state != "READY":
        return ModelStatus(name, "", state, (), (), 0, 0)
    metadata: Any = _ask(server, lambda **limit: server.grpc.get_model_metadata(name, **limit))
    statistics: Any = _ask(
        server, lambda **limit: server.grpc.get_inference_statistics(name, **limit)
    )
    return ModelStatus(
        name,
        " ".join(metadata.versions),
        state,
        tuple(tensor.name for tensor in metadata.inputs),
        tuple(tensor.name for tensor in metadata.outputs),
        sum(entry.inference_count for entry in statistics.model_stats),
        sum(entry.execution_count for entry in statistics.model_stats),
        _config_sha256(server, name),
    )


def _config_sha256(server: Server, model: str) -> str:
    try:
        answer: Any = _ask(
            server, lambda **limit: server.grpc.get_model_config(model, as_json=True, **limit)
        )
    except ServerError as err:
        if "restricted" not in str(err):
            raise
        return ""
    config = answer["config"]
    text = json.dumps(config, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _canary(server: Server, model: Model, timeout_s: float) -> str:
    """Why the model does not answer; empty: it does."""
    try:
        server.grpc.infer(
            model.name, to_tensors(model.name, _silence(model)), client_timeout=timeout_s
        )
    except InferenceServerException as err:
        return str(to_error(err, server.address, model.name, timeout_s))
    except (ServerError, InvalidRequestError) as err:
        return str(err)
    return ""


def _silence(model: Model) -> Arrays:
    """A request of silence and empty texts, as in the models' warm-up."""
    inputs: dict[str, Any] = {}
    for tensor in model.inputs:
        if tensor.dtype == "BYTES":
            inputs[tensor.name] = ""
        elif tensor.dtype == "INT16":
            inputs[tensor.name] = np.zeros(_CANARY_SAMPLES, np.int16)
        else:
            inputs[tensor.name] = np.zeros([max(1, dim) for dim in tensor.dims], np.float32)
    return inputs
