"""What the watch has seen and done, on a metrics page of its own.

Triton's page cannot be added to from outside, and is gone when it matters most.
"""

from collections.abc import Generator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from voiceman.errors import EnvironmentCheckError

_RECOVERY_S = (0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300)


class Meters:
    """Counters of one voiceman-server.

    Attributes:
        restarts: how often tritonserver was started again.
        heals: how often a model got fresh processes, by model and reason.
        recovery_seconds: from noticing to the answered canary, of a model or the whole server.
        canary_seconds: time to the answer of a canary, by model.
        canary_failures: canaries answered with an error or not in time, by model.
        alive: when a model was last seen to end a request, by model; seconds since 1970.
    """

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        self.restarts = Counter(
            "voiceman_server_restarts", "Starts of tritonserver after the first", registry=registry
        )
        self.heals = Counter(
            "voiceman_model_heals",
            "Models given fresh processes",
            ["model", "reason"],
            registry=registry,
        )
        self.recovery_seconds = Histogram(
            "voiceman_recovery_seconds",
            "From noticing to the answered canary",
            ["what"],
            buckets=_RECOVERY_S,
            registry=registry,
        )
        self.canary_seconds = Histogram(
            "voiceman_canary_seconds",
            "Time to the answer of a canary request",
            ["model"],
            registry=registry,
        )
        self.canary_failures = Counter(
            "voiceman_canary_failures",
            "Canary requests without a good answer",
            ["model"],
            registry=registry,
        )
        self.alive = Gauge(
            "voiceman_model_alive_timestamp_seconds",
            "When a model was last seen to end a request",
            ["model"],
            registry=registry,
        )

    @contextmanager
    def page(self, address: str, port: int) -> Generator[None]:
        """Serve the page over HTTP, in a thread of its own.

        Raises:
            EnvironmentCheckError: the port is taken.
        """
        try:
            server, thread = start_http_server(port, address, self._registry)
        except OSError as err:
            raise EnvironmentCheckError(
                f"watch-metrics port {port} on {address}: {err.strerror}; set --watch-metrics-port"
            ) from err
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()
            thread.join()
