"""Calls that a server lost with a model's process: nobody ever answers them.

What tells is the time that Triton says a model's requests took in all: it begins anew when the
model is loaded anew, as voiceman-server does with one that died or hung. Calls that are in flight
then may have been in that process or not; those that were not are answered soon.
"""

import asyncio
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tritonclient.grpc import InferenceServerClient
from tritonclient.utils import InferenceServerException

_LOOK_EVERY_S = 1.0
_TIMEOUT_S = 2.0


@dataclass(frozen=True, eq=False)
class _Waiting:
    """A call in flight, and what to do about it so long after a loss."""

    grace_s: float
    give_up: Callable[[], None]


class LossWatch:
    """Looks at the times of a server's models as long as calls are in flight; for one loop."""

    def __init__(self, grpc: InferenceServerClient) -> None:
        """Look at nothing yet.

        Args:
            grpc: connection to the server.
        """
        self._grpc = grpc
        self._waiting: set[_Waiting] = set()
        self._spent_ns: dict[str, int] = {}
        self._timer: asyncio.TimerHandle | None = None

    @contextmanager
    def watching(self, grace_s: float, give_up: Callable[[], None]) -> Generator[None]:
        """A call is in flight inside.

        Args:
            grace_s: seconds in which a call that was not lost is answered.
            give_up: called so long after requests were lost; may come when the call has ended.
        """
        waiting = _Waiting(grace_s, give_up)
        self._waiting.add(waiting)
        if self._timer is None:
            self._spent_ns = {}
            self._plan(0.0)
        try:
            yield
        finally:
            self._waiting.discard(waiting)

    def _plan(self, after_s: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(after_s, self._look)

    def _look(self) -> None:
        if not self._waiting:
            self._timer = None
            return
        # No task: nothing is left to be awaited when the loop ends.
        read = asyncio.get_running_loop().run_in_executor(None, self._read)
        read.add_done_callback(self._judge)

    def _read(self) -> dict[str, int] | None:
        """Nanoseconds that the requests of every model took; None: the server does not say."""
        try:
            answer: Any = self._grpc.get_inference_statistics(client_timeout=_TIMEOUT_S)
        except (InferenceServerException, ValueError):  # ValueError: closed meanwhile
            return None
        return {
            model.name: model.inference_stats.success.ns + model.inference_stats.fail.ns
            for model in answer.model_stats
        }

    def _judge(self, read: asyncio.Future[dict[str, int] | None]) -> None:
        if read.cancelled():
            return
        spent_ns = read.result()
        if spent_ns is not None:
            if has_lost(self._spent_ns, spent_ns):
                for waiting in self._waiting:
                    asyncio.get_running_loop().call_later(waiting.grace_s, waiting.give_up)
            self._spent_ns = spent_ns
        self._plan(_LOOK_EVERY_S)


def has_lost(before: Mapping[str, int], now: Mapping[str, int]) -> bool:
    """Whether a model is another one than before, by the time that its requests took."""
    return any(now.get(name, 0) < spent_ns for name, spent_ns in before.items())
