"""One small request through every model: that a server answers is what "ready" means.

Triton's own readiness stays true when the process behind a model is dead.
"""

import time
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from voiceman.audio import SAMPLE_RATE_HZ
from voiceman.contracts import MODELS, TURNS, UTTERANCES, WAVEFORM, Model, Tensor
from voiceman.errors import ServerNotReadyError

CANARY_S = 1.0
TONE_HZ = 220.0
AMPLITUDE = 300  # of 32767: quiet, about -41 dB
_NUMPY_DTYPES = {"INT16": np.int16, "FP32": np.float32, "BYTES": np.object_}


def run_canary(grpc_url: str, names: Sequence[str], deadline: float) -> list[str]:
    """Send one request to every model that the contract knows.

    Args:
        grpc_url: host and port of the server.
        names: models of the server; those that are not in the contract are left out.
        deadline: point of `time.monotonic()` by which all must have answered.

    Returns:
        Names of the models that answered.

    Raises:
        ServerNotReadyError: a model failed, was late, or did not keep the contract.
    """
    known = [MODELS[name] for name in names if name in MODELS]
    with triton.InferenceServerClient(grpc_url) as client:
        for model in known:
            _ask(client, model, deadline - time.monotonic())
    return [model.name for model in known]


def canary_tensor(tensor: Tensor) -> npt.NDArray[np.generic]:
    """What a canary request carries: a second of quiet tone, one utterance, empty texts.

    Returns:
        An array with a batch dimension of 1 in front of the dims of the contract.
    """
    if tensor.name == WAVEFORM.name:
        times = np.arange(int(CANARY_S * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
        return (AMPLITUDE * np.sin(2 * np.pi * TONE_HZ * times)).astype(np.int16)[np.newaxis]
    if tensor.name in (UTTERANCES.name, TURNS.name):
        return np.array([[[0.0, CANARY_S]]], dtype=np.float32)
    shape = (1, *(size if size > 0 else 1 for size in tensor.dims))
    if tensor.dtype == "BYTES":
        return np.full(shape, b"", dtype=np.object_)
    return np.zeros(shape, dtype=_NUMPY_DTYPES[tensor.dtype])


def canary_inputs(model: Model) -> list[triton.InferInput]:
    """The inputs of a canary request to this model."""
    inputs: list[triton.InferInput] = []
    for tensor in model.inputs:
        array = canary_tensor(tensor)
        sent = triton.InferInput(tensor.name, array.shape, tensor.dtype)
        sent.set_data_from_numpy(array)
        inputs.append(sent)
    return inputs


def check_answer(model: Model, answer: triton.InferResult | None) -> None:
    """See whether the answer to a canary request keeps the contract.

    Raises:
        ServerNotReadyError: it does not.
    """
    for tensor in model.outputs:
        array = answer.as_numpy(tensor.name) if answer else None
        if array is None or not _fits(array.shape, tensor):
            shape = None if array is None else list(array.shape)
            raise ServerNotReadyError(
                f"{model.name}: its canary answer has {tensor.name} of shape {shape}, expected is "
                f"{[1, *tensor.dims]}"
            )


def _ask(client: triton.InferenceServerClient, model: Model, timeout_s: float) -> None:
    if timeout_s <= 0:
        raise ServerNotReadyError(f"{model.name}: no time left for its canary request")
    try:
        answer = client.infer(model.name, canary_inputs(model), client_timeout=timeout_s)
    except InferenceServerException as err:
        raise ServerNotReadyError(f"{model.name}: the canary request failed: {err}") from err
    check_answer(model, answer)


def _fits(shape: Sequence[int], tensor: Tensor) -> bool:
    expected = (1, *tensor.dims)
    return len(shape) == len(expected) and all(
        wanted in (size, -1) for size, wanted in zip(shape, expected, strict=True)
    )
