"""Temperatures of GPUs on Triton's page, as the client reads them there."""

import importlib
import math
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from voiceman_client.metrics_sensor import MetricsSensor

MODULE = "voiceman.serving.gpu_temperature"


class Nvml:
    """Two GPUs; a temperature that is None cannot be read."""

    class NVMLError(Exception):
        pass

    NVML_TEMPERATURE_GPU = 0

    def __init__(self, **celsius):
        self.celsius = celsius
        self.broken = False
        self.opened = 0

    def nvmlInit(self):  # noqa: N802
        self.opened += 1
        if self.broken:
            raise self.NVMLError("Driver Not Loaded")

    def nvmlDeviceGetCount(self):  # noqa: N802
        return len(self.celsius)

    def nvmlDeviceGetHandleByIndex(self, index):  # noqa: N802
        return list(self.celsius)[index]

    def nvmlDeviceGetUUID(self, handle):  # noqa: N802
        return f"GPU-{handle}"

    def nvmlDeviceGetTemperature(self, handle, kind):  # noqa: N802
        if self.celsius[handle] is None:
            raise self.NVMLError("GPU is lost")
        return self.celsius[handle]


@pytest.fixture
def triton(monkeypatch):
    """Triton's page as a table: what was set, by label."""
    page = {}

    class Family:
        GAUGE = "gauge"

        def __init__(self, name, text, kind):
            assert (name, kind) == ("voiceman_gpu_temperature_celsius", "gauge")

        def Metric(self, labels):  # noqa: N802
            return SimpleNamespace(set=lambda value: page.__setitem__(labels["gpu_uuid"], value))

    backend = SimpleNamespace(MetricFamily=Family)
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", backend)
    return page


@pytest.fixture
def module(triton, monkeypatch):
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    found = importlib.import_module(MODULE)
    monkeypatch.delitem(sys.modules, MODULE)
    monkeypatch.setattr(found, "PUBLISH_EVERY_S", 0.01)
    return found


def wait_for(condition):
    until_s = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until_s
        time.sleep(0.01)


def test_every_gpu_has_a_gauge_that_the_client_finds(module, triton):
    nvml = Nvml(a=61, b=72)
    temperatures = module.GpuTemperatures(nvml)
    wait_for(lambda: len(triton) == 2)
    assert triton == {"GPU-a": 61.0, "GPU-b": 72.0}
    page = "".join(f'{module.NAME}{{gpu_uuid="{gpu}"}} {now}\n' for gpu, now in triton.items())
    reading = MetricsSensor("http://gpu:8002/metrics", fetch=lambda _: page).read()
    assert reading.temperature_celsius == 72.0
    nvml.celsius["b"] = 80
    wait_for(lambda: triton["GPU-b"] == 80.0)
    temperatures.close()
    assert all(map(math.isnan, triton.values()))


def test_what_cannot_be_read_is_no_number_and_comes_back(module, triton):
    nvml = Nvml(a=61, b=None)
    temperatures = module.GpuTemperatures(nvml)
    wait_for(lambda: len(triton) == 2)
    assert math.isnan(triton["GPU-b"])
    nvml.celsius["a"] = None
    nvml.broken = True  # the driver is taken away, and comes again
    wait_for(lambda: math.isnan(triton["GPU-a"]))
    nvml.celsius |= {"a": 50, "b": 51}
    nvml.broken = False
    wait_for(lambda: triton == {"GPU-a": 50.0, "GPU-b": 51.0})
    temperatures.close()


def test_without_a_gpu_nothing_is_published_and_it_is_looked_for_now_and_then(module, triton):
    nvml = Nvml(a=61)
    nvml.broken = True
    temperatures = module.GpuTemperatures(nvml)
    wait_for(lambda: nvml.opened == 1)
    time.sleep(0.1)
    assert (nvml.opened, triton) == (1, {})
    temperatures.close()


@pytest.mark.parametrize("error", [AttributeError("no such function"), OSError("ioctl"), None])
def test_nothing_that_nvml_does_reaches_the_model(module, triton, monkeypatch, error):
    """No error, and no waiting: a driver may hang for ever."""
    nvml, hangs, asked = Nvml(a=61), threading.Event(), threading.Event()

    def fail(*_):
        asked.set()
        if error:
            raise error
        hangs.wait(60)

    monkeypatch.setattr(module, "_CLOSED_WITHIN_S", 0.1)
    nvml.nvmlDeviceGetTemperature = fail
    temperatures = module.GpuTemperatures(nvml)
    assert asked.wait(30)
    temperatures.close()
    hangs.set()
    assert not triton
