"""The client's own page of metrics, in the text format of Prometheus, while a run goes on."""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from voiceman.errors import ConfigurationError
from voiceman_client.vitals import Vitals

_PREFIX = "voiceman_client_"
# By field of `Readings`: name of the metric, what it says.
_READINGS = {
    "in_flight": ("windows_in_flight", "Windows with the server."),
    "allowed": ("windows_allowed", "Windows that may be with the server."),
    "waiting": ("windows_waiting", "Windows that wait in the client for a place."),
    "queue_depth": ("server_queue_depth", "Windows that wait in the server."),
    "temperature_celsius": ("gpu_temperature_celsius", "Temperature of the hottest GPU."),
    "gpu_utilisation": ("gpu_utilization_ratio", "Share of time in which the GPU worked."),
    "memory_share": ("memory_used_ratio", "Share in use of the fullest memory."),
    "process_bytes": ("memory_bytes", "Main memory that the client and its decoders hold."),
    "gpu_memory_bytes": ("gpu_memory_bytes", "Memory in use of the fullest GPU."),
}


@dataclass(frozen=True)
class PageAddress:
    """Where the page is served; `port` 0: nowhere."""

    port: int = 0
    host: str = "127.0.0.1"


@contextmanager
def served(address: PageAddress, vitals: Callable[[], Vitals]) -> Generator[None]:
    """Serve the page as long as the context lasts.

    Args:
        address: where.
        vitals: how the run stands, asked at every look at the page.

    Raises:
        ConfigurationError: nothing can be served there.
    """
    if not address.port:
        yield
        return
    registry = CollectorRegistry()
    registry.register(_Page(vitals))
    try:
        server, thread = start_http_server(address.port, address.host, registry)
    except OSError as err:
        raise ConfigurationError(
            f"metrics cannot be served at {address.host}:{address.port} ({err.strerror}); give "
            "another --metrics-port or --metrics-host"
        ) from err
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Page(Collector):
    """Makes the page out of vitals."""

    def __init__(self, vitals: Callable[[], Vitals]) -> None:
        self._vitals = vitals

    def collect(self) -> Iterator[Metric]:
        now = self._vitals()
        yield _counter("windows_answered", "Windows answered.", now.windows)
        yield _counter("audio_seconds", "Seconds of audio answered.", now.audio_done_s)
        yield _counter("retries", "Requests that were sent again.", now.retries)
        yield _counter("failures", "Recordings and arguments without a result.", now.failed)
        yield _counter("recordings_finished", "Recordings with a result or error.", now.finished)
        yield _gauge("recordings_given", "Recordings that the run was given.", now.recordings)
        yield _gauge("audio_expected_seconds", "Seconds of audio in all.", now.audio_expected_s)
        states = GaugeMetricFamily(
            f"{_PREFIX}recordings", "Recordings of the results folder by state.", labels=["state"]
        )
        for state, count in now.states.items():
            states.add_metric([state.lower()], count)
        yield states
        for field, value in now.readings.numbers().items():
            yield _gauge(*_READINGS[field], value)


def _counter(name: str, said: str, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(f"{_PREFIX}{name}", said, value=value)


def _gauge(name: str, said: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{_PREFIX}{name}", said, value=value)
