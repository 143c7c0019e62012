"""The health of every model of one running server: its processes, its progress, its canaries."""

import logging
import queue
import re
import time
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from voiceman.contracts import MODELS
from voiceman.errors import ServerNotReadyError
from voiceman.server.canary import canary_inputs, check_answer
from voiceman.server.meters import Meters
from voiceman.server.process import RunningServer
from voiceman.server.pulse import Pulse
from voiceman.server.stubs import find_stubs

log = logging.getLogger(__name__)

# Why a model needs fresh processes, as the metrics page says it.
DIED, STUCK, FAILING = "died", "stuck", "failing"

STATISTICS_TIMEOUT_S = 5.0
FAILURES = 2  # canaries in a row; one alone may have met a moment without memory
# Neither says anything about the model: its queue is full, or our own deadline passed.
_NOT_HEARD = ("StatusCode.UNAVAILABLE", "StatusCode.DEADLINE_EXCEEDED", "StatusCode.CANCELLED")
# Triton says so of a dead process, and of one that lives but did not react within a second. It
# has the name of its model and two numbers, and may belong to a step of the ensemble asked.
_UNHEALTHY = re.compile(r"Stub process '?(.+?)_\d+_\d+'? is not healthy")


class _Answer(NamedTuple):
    """What became of a canary request, sent to a model and answered at these times."""

    model: str
    asked_s: float
    answered_s: float
    result: triton.InferResult | None
    error: InferenceServerException | None


class Health:
    """What one tritonserver and its models have shown of their life so far.

    Attributes:
        ensembles: models that live in the processes of others.
    """

    def __init__(self, server: RunningServer, meters: Meters) -> None:
        """Begin with a server whose models have all just answered a canary."""
        self._server = server
        self._meters = meters
        self._client = triton.InferenceServerClient(server.grpc_url)
        self._stubs = find_stubs(server.process.pid)
        with_stubs = {stub.model for stub in self._stubs}
        self.ensembles = [name for name in server.models if name not in with_stubs]
        self._pulses: dict[str, Pulse] = {}
        self._asked_s: dict[str, float] = {}  # canaries in flight
        self._answers: queue.SimpleQueue[_Answer] = queue.SimpleQueue()
        self._dead: set[str] = set()
        self._silent_since_s: float | None = None

    def close(self) -> None:
        """Forget what is in flight."""
        self._client.close()

    def look(self) -> None:
        """Ask Triton what has ended, and ask every model that ended nothing for an answer."""
        try:
            statistics = self._client.get_inference_statistics(client_timeout=STATISTICS_TIMEOUT_S)
        except InferenceServerException as err:
            log.warning("tritonserver does not say what it has done: %s", err)
            self._silent_since_s = self._silent_since_s or time.monotonic()
            return
        self._silent_since_s = None
        ended: Counter[str] = Counter()
        for model in statistics.model_stats if statistics else ():
            ended[model.name] += model.inference_stats.success.count
        for name in sorted(ended.keys() & MODELS.keys()):
            pulse = self._pulses.setdefault(name, Pulse())
            if pulse.look(ended[name]):
                self._meters.alive.labels(name).set_to_current_time()
            elif name not in self._asked_s:
                self._ask(name, pulse)

    def server_is_stuck(self) -> bool:
        """Whether tritonserver itself has not answered for too long."""
        since_s = self._silent_since_s
        return since_s is not None and time.monotonic() - since_s >= self._stuck_after_s

    def sick(self) -> dict[str, str]:
        """Models that need fresh processes, and why each does."""
        self._take_answers()
        now_s = time.monotonic()
        found: dict[str, str] = {}
        for name, pulse in self._pulses.items():
            # An ensemble has no process; what ails it is one of its steps.
            if not any(stub.model == name for stub in self._stubs):
                continue
            if pulse.failures >= FAILURES:
                found[name] = FAILING
            elif pulse.is_stuck(now_s, self._work_s(name), self._stuck_after_s):
                found[name] = STUCK
        dead = self._dead | {stub.model for stub in self._stubs if not stub.is_alive()}
        return found | dict.fromkeys(sorted(dead), DIED)

    def kill(self, name: str) -> None:
        """Kill what is left of a model's processes."""
        for stub in self._stubs:
            if stub.model == name:
                stub.kill()

    def renew(self, names: Iterable[str]) -> None:
        """Models have been loaded anew: from now on their new processes count.

        The old ones may still end what they have begun. What was known of all models is
        forgotten, as others may have waited for these.
        """
        names = set(names)
        old = {stub.process for stub in self._stubs}
        kept = [stub for stub in self._stubs if stub.model not in names]
        found = find_stubs(self._server.process.pid)
        new = [stub for stub in found if stub.model in names and stub.process not in old]
        lost = {stub.model for stub in self._stubs} - {stub.model for stub in kept + new}
        self._stubs = kept + new
        self._dead = self._dead - names | lost
        self._pulses.clear()
        self._asked_s.clear()

    @property
    def _stuck_after_s(self) -> float:
        return self._server.settings.stuck_after_s

    def _is_alive(self, name: str) -> bool:
        return any(stub.is_alive() for stub in self._stubs if stub.model == name)

    def _work_s(self, name: str) -> float:
        return sum(stub.work_s() for stub in self._stubs if stub.model == name)

    def _ask(self, name: str, pulse: Pulse) -> None:
        now_s = time.monotonic()
        pulse.asked(now_s, self._work_s(name))
        self._asked_s[name] = now_s
        self._client.async_infer(
            name,
            canary_inputs(MODELS[name]),
            # In a thread of gRPC, which must not touch anything but the queue.
            lambda result, error: self._answers.put(
                _Answer(name, now_s, time.monotonic(), result, error)
            ),
            client_timeout=self._stuck_after_s,
        )

    def _take_answers(self) -> None:
        while not self._answers.empty():
            answer = self._answers.get()
            if self._asked_s.get(answer.model) != answer.asked_s:  # of a process that is gone
                continue
            del self._asked_s[answer.model]
            self._judge(answer)

    def _judge(self, answer: _Answer) -> None:
        name, asked_s, answered_s, result, error = answer
        pulse = self._pulses[name]
        try:
            if error is not None:
                raise error
            check_answer(MODELS[name], result)
        except (InferenceServerException, ServerNotReadyError) as err:
            log.warning("%s: the canary request failed: %s", name, err)
            self._meters.canary_failures.labels(name).inc()
        else:
            pulse.answered()
            self._meters.alive.labels(name).set_to_current_time()
            self._meters.canary_seconds.labels(name).observe(answered_s - asked_s)
            return
        unhealthy = _UNHEALTHY.search(str(error))
        if unhealthy and not self._is_alive(unhealthy[1]):
            self._dead.add(unhealthy[1])
        elif error is None or error.status() not in _NOT_HEARD:
            pulse.failed()
