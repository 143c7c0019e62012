"""Between Triton's requests and plain functions: what keeps every `model.py` thin.

A model hands `answer` a function that maps a list of inputs (one dict of arrays per request)
to a list of outputs. Requests that break the contract get an error of their own, and when
the function fails on a batch, it is run again for each request alone: one bad request never
harms another.
"""

# Triton adds InferenceRequest to its module only after this one is imported.
from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import triton_python_backend_utils as pb_utils

from voiceman.contracts import Model, Tensor
from voiceman.errors import InvalidRequestError, RequestCancelledError, VoicemanError

log = logging.getLogger(__name__)

Array = npt.NDArray[Any]
Inputs = Mapping[str, Array | str | list[str]]
Outputs = Mapping[str, Array | str | list[str]]
Compute = Callable[[Sequence[Inputs]], Sequence[Outputs]]

_NUMPY_DTYPES = {"INT16": np.int16, "FP32": np.float32}


def weights_folder(args: Mapping[str, str]) -> Path:
    """The folder of the exported weights of the model that is being initialised."""
    return Path(args["model_repository"]) / args["model_version"] / "weights"


def parameter(args: Mapping[str, str], name: str) -> str:
    """A string parameter from the model's config.pbtxt; raises KeyError when it is not there."""
    return str(json.loads(args["model_config"])["parameters"][name]["string_value"])


def one_by_one(function: Callable[[Inputs], Outputs]) -> Compute:
    """A batch function from a function of one request."""
    return lambda batch: [function(inputs) for inputs in batch]


def answer(
    requests: Sequence[pb_utils.InferenceRequest], model: Model, compute: Compute
) -> list[pb_utils.InferenceResponse]:
    """Answer Triton's requests with a batch function, in their order.

    Args:
        requests: the `pb_utils.InferenceRequest`s of one `execute` call.
        model: the contract of the model; inputs are checked against it.
        compute: sees arrays without the batch dimension, strings for BYTES of dims [1] and
            lists of strings for other BYTES; absent optional inputs are left out.

    Returns:
        One `pb_utils.InferenceResponse` per request.
    """
    responses: dict[int, pb_utils.InferenceResponse] = {}
    good: list[tuple[int, Inputs]] = []
    for index, request in enumerate(requests):
        try:
            good.append((index, read_inputs(request, model)))
        except InvalidRequestError as err:
            responses[index] = error_response(err)
    for (index, _), outcome in zip(good, _isolated(compute, [i for _, i in good]), strict=True):
        if isinstance(outcome, Exception):
            responses[index] = error_response(outcome)
        else:
            responses[index] = response(outcome, model)
    return [responses[index] for index in range(len(requests))]


def _isolated(compute: Compute, batch: Sequence[Inputs]) -> list[Outputs | Exception]:
    if not batch:
        return []
    try:
        return list(compute(batch))
    except Exception as err:  # noqa: BLE001  # whatever fails must become that request's answer
        if len(batch) == 1:
            return [err]
        return [outcome for inputs in batch for outcome in _isolated(compute, [inputs])]


def read_inputs(
    request: pb_utils.InferenceRequest, model: Model
) -> dict[str, Array | str | list[str]]:
    """The inputs of one request, checked against the contract, without the batch dimension.

    Raises:
        InvalidRequestError: a batch other than 1, or text that is not UTF-8.
    """
    inputs: dict[str, Array | str | list[str]] = {}
    for tensor in model.inputs:
        sent = pb_utils.get_input_tensor_by_name(request, tensor.name)
        if sent is None:
            if not tensor.optional:
                raise InvalidRequestError(f"{model.name}: {tensor.name} is missing")
            continue
        array = sent.as_numpy()
        if array.shape[0] != 1:
            raise InvalidRequestError(
                f"{model.name}: {tensor.name} has a batch of {array.shape[0]}; send one item per "
                "request, the server makes the batches"
            )
        inputs[tensor.name] = _text(array[0], tensor) if tensor.dtype == "BYTES" else array[0]
    return inputs


def _text(array: Array, tensor: Tensor) -> str | list[str]:
    try:
        texts = [item.decode("utf-8") for item in array.reshape(-1)]
    except UnicodeDecodeError as err:
        raise InvalidRequestError(f"{tensor.name}: not UTF-8: {err}") from err
    return texts[0] if tensor.dims == (1,) else texts


def response(outputs: Outputs, model: Model) -> pb_utils.InferenceResponse:
    """A response with the outputs of the contract, the batch dimension put back."""
    return pb_utils.InferenceResponse(
        [
            pb_utils.Tensor(tensor.name, _array(outputs[tensor.name], tensor))
            for tensor in model.outputs
        ]
    )


def _array(value: Array | str | list[str], tensor: Tensor) -> Array:
    if tensor.dtype == "BYTES":
        texts = [value] if isinstance(value, str) else list(value)
        return np.array([[text.encode() for text in texts]], dtype=np.object_)
    return np.ascontiguousarray(value, dtype=_NUMPY_DTYPES[tensor.dtype])[np.newaxis]


def error_response(err: Exception) -> pb_utils.InferenceResponse:
    """An error response: the sender's fault as INVALID_ARGUMENT, most others as INTERNAL."""
    if isinstance(err, InvalidRequestError):
        return pb_utils.InferenceResponse(
            error=pb_utils.TritonError(str(err), pb_utils.TritonError.INVALID_ARG)
        )
    if isinstance(err, RequestCancelledError):
        return pb_utils.InferenceResponse(
            error=pb_utils.TritonError(str(err), pb_utils.TritonError.CANCELLED)
        )
    if not isinstance(err, VoicemanError):
        log.error("a request failed", exc_info=err)
    return pb_utils.InferenceResponse(
        error=pb_utils.TritonError(f"{type(err).__name__}: {err}", pb_utils.TritonError.INTERNAL)
    )
