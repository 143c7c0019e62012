"""The engine's figures on Triton's page outlive the engine's process."""

import importlib
import sys
from types import SimpleNamespace

import pytest

from voiceman.serving.whisper.driver import Counters


class Metric:
    """Triton's own: refuses to let a counter fall, and stays when the model is loaded anew."""

    def __init__(self) -> None:
        self.count = 0.0

    def increment(self, by: float) -> None:
        assert by >= 0, "can only be incremented monotonically"
        self.count += by


class Engine:
    """One that has done so much of everything."""

    def __init__(self, windows: int) -> None:
        self.windows = windows

    def counters(self) -> Counters:
        return Counters(windows=self.windows)


@pytest.fixture
def triton(monkeypatch) -> dict[str, Metric]:
    """Metrics that Triton keeps, by name; a family of the same name finds them again."""
    kept: dict[str, Metric] = {}

    class Family:
        GAUGE, COUNTER = "gauge", "counter"

        def __init__(self, name: str, text: str, kind: str) -> None:
            self._name = name

        def Metric(self) -> Metric:  # noqa: N802  # Triton's name for it
            return kept.setdefault(self._name, Metric())

    backend = SimpleNamespace(MetricFamily=Family)
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", backend)
    return kept


def test_an_engine_that_is_loaded_anew_counts_on(triton, monkeypatch):
    name = "voiceman.serving.whisper.metrics"
    monkeypatch.delitem(sys.modules, name, raising=False)
    module = importlib.import_module(name)
    monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(module, "GAUGES", ())
    for windows in (5, 2):
        engine = Engine(0)
        metrics = module.EngineMetrics(engine)
        metrics.publish()
        engine.windows = windows
        metrics.publish()
        metrics.publish()
        metrics.close()
    assert triton["voiceman_whisper_windows_total"].count == 7
