"""The engine's state on Triton's /metrics; only inside a Triton model."""

import threading
from collections.abc import Callable
from operator import attrgetter

import triton_python_backend_utils as pb_utils

from voiceman.serving.whisper.engine import Engine

PREFIX = "voiceman_whisper_"
PUBLISH_EVERY_S = 1.0
GAUGES: tuple[tuple[str, str, Callable[[Engine], float]], ...] = (
    ("slots_total", "Slots", Engine.slots),
    ("slots_busy", "Slots with a window", Engine.busy),
    ("waiting", "Windows in the line", Engine.waiting),
)
# Name, text, field of `driver.Counters`.
COUNTERS: tuple[tuple[str, str, str], ...] = (
    ("windows_total", "Windows answered", "windows"),
    ("cancelled_total", "Windows left because nobody waited any more", "cancelled"),
    ("failed_total", "Windows answered with an error", "failed"),
    ("steps_total", "Decoder steps", "steps"),
    ("rows_total", "Rows in all steps; over steps: the mean occupancy", "rows"),
    ("looks_total", "Looks of the host at finished rows", "looks"),
    ("encodings_total", "Windows or rests of windows encoded", "encodings"),
    ("decodes_again_total", "Decodes repeated at a higher temperature", "decodes_again"),
    ("waited_seconds_total", "Seconds that windows waited in the line", "waited_s"),
    ("decoded_seconds_total", "Seconds that windows were in a slot", "decoded_s"),
)


class EngineMetrics:
    """Gauges and counters of one engine."""

    def __init__(self, engine: Engine) -> None:
        """Register them; Triton forgets a family that is garbage collected."""
        self._engine = engine
        self._lock = threading.Lock()
        kinds = pb_utils.MetricFamily
        self._families = {
            name: kinds(f"{PREFIX}{name}", text, kind)
            for kind, table in ((kinds.GAUGE, GAUGES), (kinds.COUNTER, COUNTERS))
            for name, text, _ in table
        }
        self._metrics = {name: family.Metric() for name, family in self._families.items()}
        # Triton's own values go on from where the process before this one left them.
        self._published = dict.fromkeys((name for name, _, _ in COUNTERS), 0.0)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._keep_fresh, name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Publish nothing more."""
        self._closed.set()
        self._thread.join()

    def _keep_fresh(self) -> None:
        """A long window changes the numbers while no request comes or goes."""
        while not self._closed.wait(PUBLISH_EVERY_S):
            self.publish()

    def publish(self) -> None:
        """Copy the engine's numbers; any thread may."""
        with self._lock:
            for name, _, read in GAUGES:
                self._metrics[name].set(read(self._engine))
            counters = self._engine.counters()
            for name, _, field in COUNTERS:
                count = attrgetter(field)(counters)
                self._metrics[name].increment(count - self._published[name])
                self._published[name] = count
