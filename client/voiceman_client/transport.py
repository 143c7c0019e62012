"""Unary calls to the server, many in flight, each with its own deadline and its own error.

One ordered stream would hold fast answers behind a slow one; unary calls share a connection
without waiting for each other.
"""

import asyncio
import math
import random
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from tritonclient.grpc import InferenceServerClient, InferInput, InferResult
from tritonclient.utils import InferenceServerException

from voiceman.contracts import MODELS, WAVEFORM, Tensor
from voiceman.errors import (
    DeadlineExceededError,
    InvalidRequestError,
    PastDeadlineError,
    QueueFullError,
    ServerError,
    ServerNotReadyError,
    ServerUnreachableError,
)
from voiceman_client.lost_calls import LossWatch
from voiceman_client.shared_audio import Region, SharedAudio

DEFAULT_SERVER = "127.0.0.1:8001"
MAX_MESSAGE_BYTES = 64 << 20  # the largest request, a recording's evidence, is a few MB per hour
_CHANNEL_OPTIONS = [
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    # A peer that vanished without closing is noticed; servers refuse pings much more frequent.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2_000),
]
AWAY_S = 35.0  # a server that reloads a model is back by then
_REMEMBERED = 64  # answers of a model, by which its slowest is known
_SLOWER = 10.0  # times the slowest: such an answer is taken for lost
_LEAST_PATIENCE_S = 60.0
_LEAST_GRACE_S = 5.0
_FIRST_DELAY_S = 0.25
_MAX_DELAY_S = 8.0
_RETRIED = (QueueFullError, ServerNotReadyError, ServerUnreachableError)

Arrays = Mapping[str, npt.NDArray[Any] | str | list[str]]


class Server:
    """A connection to a server; opened when first used."""

    def __init__(self, address: str = DEFAULT_SERVER, away_s: float = AWAY_S) -> None:
        """Prepare a connection.

        Args:
            address: host:port.
            away_s: for how long nobody may answer before a call fails.
        """
        self.address = address
        self.grpc = InferenceServerClient(address, channel_args=_CHANNEL_OPTIONS)
        self.refused: Callable[[], None] = _ignore  # called when a call is to be sent again
        self.answered: Callable[[], None] = _ignore
        self.audio = SharedAudio(self.grpc)
        self._away_s = away_s
        self._losses = LossWatch(self.grpc)
        self._answers_s: defaultdict[str, deque[float]] = defaultdict(
            lambda: deque(maxlen=_REMEMBERED)
        )

    def close(self) -> None:
        """Close the connection; calls in flight fail."""
        self.audio.close()
        self.grpc.close()

    async def infer(self, model: str, inputs: Arrays, timeout_s: float) -> InferResult:
        """Call a model; what was refused or lost is sent again.

        A full queue, a lost connection and a model that is away are waited for. A server that
        lost its model's process never answers what that held: when a model was loaded anew, what
        was in flight is waited for as long as the slowest answer took and then sent again; and an
        answer that takes ten times as long is not waited for in any case.

        Args:
            model: a name in `voiceman.contracts.MODELS`.
            inputs: by tensor name, without the batch dimension; optional ones may be left out.
            timeout_s: for all attempts together.

        Raises:
            ServerError, InvalidRequestError: see `to_error`.
        """
        deadline = time.monotonic() + timeout_s
        delay_s, away_since = _FIRST_DELAY_S, None
        patience_s = self._patience_s(model)
        while True:
            began = time.monotonic()
            try:
                answer = await self._attempt(model, inputs, min(deadline - began, patience_s))
            except _RETRIED as err:
                # A server that has no room is there, for however long.
                away_since = None if isinstance(err, QueueFullError) else away_since or began
                until = min(deadline, (away_since or deadline) + self._away_s)
                pause_s = delay_s * random.uniform(0.5, 1.5)  # noqa: S311  # jitter, no secret
                if time.monotonic() + pause_s >= until:
                    raise
                self.refused()
            except PastDeadlineError:  # nothing was lost
                raise
            except DeadlineExceededError:
                if time.monotonic() >= deadline:
                    raise
                patience_s *= 2
                pause_s = 0.0
            except _LostError:
                pause_s = 0.0
            else:
                self._answers_s[model].append(time.monotonic() - began)
                self.answered()
                return answer
            await asyncio.sleep(pause_s)
            delay_s = min(_MAX_DELAY_S, delay_s * 2)

    def _patience_s(self, model: str) -> float:
        slowest_s = max(self._answers_s[model], default=math.inf)
        return max(_LEAST_PATIENCE_S, _SLOWER * slowest_s)

    async def _attempt(self, model: str, inputs: Arrays, timeout_s: float) -> InferResult:
        """Call a model once, with its sound in shared memory where that is possible."""
        waveform = inputs.get(WAVEFORM.name)
        region = None
        if isinstance(waveform, np.ndarray):
            region = await self.audio.lend(waveform)
        if region is None:
            return await self._call(model, to_tensors(model, inputs), timeout_s)
        try:
            answer = await self._call(model, to_tensors(model, inputs, region), timeout_s)
        except (ServerError, InvalidRequestError) as err:
            self.audio.leave(region)
            if region.name not in str(err):
                raise
            # The server does not know it: it was started anew.
            self.audio.forget(region)
            return await self._call(model, to_tensors(model, inputs), timeout_s)
        except BaseException:
            self.audio.leave(region)
            raise
        self.audio.give_back(region)
        return answer

    def _grace_s(self, model: str) -> float:
        return max(_LEAST_GRACE_S, max(self._answers_s[model], default=_LEAST_PATIENCE_S))

    async def _call(self, model: str, tensors: list[InferInput], timeout_s: float) -> InferResult:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[InferResult] = loop.create_future()

        def settle(result: InferResult | None, error: InferenceServerException | None) -> None:
            if answer.done():  # cancelled meanwhile
                return
            if error is None and result is not None:
                answer.set_result(result)
            else:
                answer.set_exception(to_error(error, self.address, model, timeout_s))

        def give_up() -> None:
            if not answer.done():
                answer.set_exception(_LostError())

        call = self.grpc.async_infer(
            model,
            tensors,
            lambda result, error: loop.call_soon_threadsafe(settle, result, error),
            client_timeout=timeout_s,
        )
        try:
            with self._losses.watching(self._grace_s(model), give_up):
                return await answer
        except (asyncio.CancelledError, _LostError):
            if call is not None:
                call.cancel()
            raise


class _LostError(Exception):
    """The server has lost the request, as it seems."""


def _ignore() -> None:
    """Nobody wants to know."""


def to_tensors(model: str, inputs: Arrays, shared: Region | None = None) -> list[InferInput]:
    """The request's tensors, with the batch dimension, as the contract says.

    Args:
        model: a name in `voiceman.contracts.MODELS`.
        inputs: see `Server.infer`.
        shared: where WAVEFORM is; None: in the request.
    """
    tensors: list[InferInput] = []
    for tensor in MODELS[model].inputs:
        if tensor.name not in inputs:
            continue
        array = _array(tensor, inputs[tensor.name])[np.newaxis]
        sent = InferInput(tensor.name, list(array.shape), tensor.dtype)
        if shared and tensor.name == WAVEFORM.name:
            sent.set_shared_memory(shared.name, array.nbytes)
        else:
            sent.set_data_from_numpy(array)
        tensors.append(sent)
    return tensors


def _array(tensor: Tensor, value: npt.NDArray[Any] | str | list[str]) -> npt.NDArray[Any]:
    if tensor.dtype == "BYTES":
        texts = [value] if isinstance(value, str) else list(value)
        return np.array([text.encode() for text in texts], dtype=np.object_)
    dtype = {"INT16": np.int16, "FP32": np.float32}[tensor.dtype]
    return np.ascontiguousarray(value, dtype=dtype)


def read_array(result: InferResult, name: str) -> npt.NDArray[np.float32]:
    """An output without the batch dimension."""
    array = result.as_numpy(name)
    if array is None:
        raise ServerError(f"the server's answer lacks {name}; client and server differ in version")
    return array[0]


def read_text(result: InferResult, name: str) -> str:
    """A BYTES output of one item as text."""
    return read_array(result, name).reshape(-1)[0].decode()


def to_error(
    error: InferenceServerException | None, address: str, model: str, timeout_s: float
) -> ServerError | InvalidRequestError:
    """The error of our own tree for an error of the connection or of the server."""
    status = str(error.status() or "") if error else ""
    message = error.message() if error else "no answer"
    where = f"{address}: {model}: " if model else f"{address}: "
    # Triton's queue says "timeout expired" (as UNAVAILABLE), an engine "deadline passed".
    if "timeout expired" in message or "deadline passed" in message:
        late = message
    elif "DEADLINE_EXCEEDED" in status or "Deadline Exceeded" in message:
        late = f"no answer in {timeout_s:.0f} s"
    else:
        late = ""
    if late:
        kind = PastDeadlineError if "deadline passed" in message else DeadlineExceededError
        return kind(f"{where}{late}; raise --timeout or lower --in-flight")
    if "INVALID_ARGUMENT" in status:
        return InvalidRequestError(f"{where}{message}")
    # gRPC calls a message above its limit RESOURCE_EXHAUSTED too; that one never fits.
    exhausted = "RESOURCE_EXHAUSTED" in status and "larger than max" not in message
    if exhausted or "queue size" in message:
        return QueueFullError(f"{where}its queue is full ({message}); lower --in-flight")
    # What Triton says of a model whose process died, until somebody loads it again.
    dead = "not healthy" in message
    if dead or "NOT_FOUND" in status or "unknown model" in message or "not ready" in message:
        return ServerNotReadyError(f"{where}{message}; wait until voiceman-server says ready")
    if "UNAVAILABLE" in status:
        return ServerUnreachableError(
            f"{where}nobody answers ({message}); start voiceman-server or give --server HOST:PORT"
        )
    return ServerError(f"{where}{message}")
