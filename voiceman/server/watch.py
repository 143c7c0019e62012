"""A server that is watched: sick models are loaded anew, a dead server is started again.

All of it happens in one thread, the one that started the server: nothing can be loaded, healed
or started at the same time as something else, and a signal interrupts whatever goes on.
"""

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from typing import NoReturn

from voiceman.errors import ServerError, ServerNotReadyError, VoicemanError
from voiceman.server.address import in_url
from voiceman.server.canary import run_canary
from voiceman.server.child import adopt_orphans, kill
from voiceman.server.health import Health
from voiceman.server.meters import Meters
from voiceman.server.process import Preparation, RunningServer, prepare, run
from voiceman.server.recurrence import WINDOW_S, Recurrence
from voiceman.server.settings import ServerSettings

log = logging.getLogger(__name__)

TICK_S = 0.25
LEAST_LIMIT_S = 20.0
STARTS = 5  # within `WINDOW_S`: whatever ended the server that often will do so again


@dataclass(frozen=True)
class Watch:
    """What goes on around one server after the other.

    Attributes:
        prepared: what they are started from.
        tell: is given what has happened: ready, reloaded, healed or restarted.
        changed: set by whoever wants models that changed in the repository to be loaded.
        meters: what has happened so far.
    """

    prepared: Preparation
    tell: Callable[[dict[str, object]], None]
    changed: threading.Event
    meters: Meters = field(default_factory=Meters)

    def keep_running(self) -> NoReturn:
        """Start the server, and start it again when it has ended or cannot be healed.

        Raises:
            ServerNotReadyError: it did not become ready, the first time.
            ServerError: it ended and nobody watches, or it was started too often.
        """
        starts, reason = Recurrence(), ""
        began_s = time.monotonic()
        while True:
            count = starts.add(time.monotonic())
            try:
                with run(self.prepared) as server:
                    took_s = time.monotonic() - began_s
                    with closing(Health(server, self.meters)) as health:
                        self._tell_ready(server, reason, took_s)
                        reason = self._attend(server, health, max(took_s, LEAST_LIMIT_S))
                    began_s = time.monotonic()
                    kill(server.process)
            except ServerNotReadyError as err:
                if not reason:
                    raise
                reason = str(err)
            if not self._watched:
                raise ServerError(reason)
            if count >= STARTS:
                raise ServerError(
                    f"given up after {count} starts within {WINDOW_S:.0f} s; the last one: {reason}"
                )
            log.warning("tritonserver is started again: %s", reason)
            self.meters.restarts.inc()
            time.sleep(max(0.0, starts.wait_until_s() - time.monotonic()))

    @property
    def _watched(self) -> bool:
        return self.prepared.settings.watch_interval_s > 0

    def _tell_ready(self, server: RunningServer, reason: str, took_s: float) -> None:
        seconds = round(took_s, 1)
        if reason:
            self.meters.recovery_seconds.labels("server").observe(took_s)
            # Without the last lines of its log, which are in the log.
            why = reason.partition(";")[0]
            self.tell({"restarted": True, "reason": why, "seconds": seconds})
            return
        grpc, metrics = server.grpc_url, server.metrics_url
        line: dict[str, object] = {
            "ready": True,
            "grpc": grpc,
            "http": server.http_url,
            "metrics": metrics,
            "submit": f"voiceman-client submit --server {grpc} --metrics {metrics}",
        }
        if self._watched:
            line["watch_metrics"] = f"{in_url(server.host)}:{server.ports.watch_metrics}"
        self.tell(line | {"models": server.models, "seconds": seconds})

    def _attend(self, server: RunningServer, health: Health, limit_s: float) -> str:
        """Watch the server as long as it can be kept alive; returns why it cannot."""
        interval_s = self.prepared.settings.watch_interval_s
        heals: defaultdict[str, Recurrence] = defaultdict(Recurrence)
        next_look_s = time.monotonic() + interval_s
        while not (end := server.ended(TICK_S)):
            if self.changed.is_set():
                self.changed.clear()
                self._load_changes(server, health)
            if not self._watched:
                continue
            if time.monotonic() >= next_look_s:
                health.look()
                next_look_s = time.monotonic() + interval_s
            if health.server_is_stuck():
                return "tritonserver was stuck"
            try:
                self._heal(server, health, heals, limit_s)
            except ServerNotReadyError as err:
                return server.ended(0) or str(err)
        return end

    def _heal(
        self,
        server: RunningServer,
        health: Health,
        heals: defaultdict[str, Recurrence],
        limit_s: float,
    ) -> None:
        """Give every sick model fresh processes; one that is often sick has to wait for them.

        Raises:
            ServerNotReadyError: the server is not well afterwards, or not in time.
        """
        began_s = time.monotonic()
        healed: dict[str, str] = {}
        # Several may have died together; a canary through an ensemble needs them all.
        while due := {
            name: why
            for name, why in health.sick().items()
            if name not in healed and began_s >= heals[name].wait_until_s()
        }:
            for name, why in due.items():
                log.warning("%s: loaded anew: %s", name, why)
                heals[name].add(began_s)
                self.meters.heals.labels(name, why).inc()
                health.kill(name)
                server.control.load_anew(server.grpc_url, name, limit_s)
            health.renew(due)
            healed |= due
        if healed:
            names = [*healed, *health.ensembles]
            run_canary(server.grpc_url, names, began_s + limit_s)
            took_s = time.monotonic() - began_s
            self.meters.recovery_seconds.labels("model").observe(took_s)
            self.tell({"healed": healed, "seconds": round(took_s, 1)})

    def _load_changes(self, server: RunningServer, health: Health) -> None:
        began_s = time.monotonic()
        try:
            outcome = server.load_changes()
        except VoicemanError as err:
            log.warning("after the change of models: %s", err)
            return
        reloaded = [name for name, why in outcome.items() if not why]
        health.renew(reloaded)
        self.tell(
            {
                "reloaded": reloaded,
                "failed": {name: why for name, why in outcome.items() if why},
                "seconds": round(time.monotonic() - began_s, 1),
            }
        )


def serve(
    settings: ServerSettings, tell: Callable[[dict[str, object]], None], changed: threading.Event
) -> NoReturn:
    """Serve for ever, or as long as it is of use; see `Watch`.

    Raises:
        EnvironmentCheckError: the server cannot run here.
        ServerError: it cannot be kept running.
    """
    adopt_orphans()
    with prepare(settings) as prepared:
        watch = Watch(prepared, tell, changed)
        port = prepared.ports.watch_metrics
        page = watch.meters.page(prepared.address, port) if settings.watch_interval_s else None
        with page or nullcontext():
            watch.keep_running()
