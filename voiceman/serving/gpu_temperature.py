"""The temperatures of this machine's GPUs on Triton's /metrics; only inside a Triton model.

Triton's own page has none, and a client on another machine steers by them. Like Triton's, the
gauges are labelled by `gpu_uuid`. A temperature that cannot be read is NaN, never the last one.
"""

import importlib
import logging
import math
import threading
from types import ModuleType

import triton_python_backend_utils as pb_utils

log = logging.getLogger(__name__)

NAME = "voiceman_gpu_temperature_celsius"
PUBLISH_EVERY_S = 1.0
LOOK_AGAIN_S = 60.0  # where no GPU was found yet
_CLOSED_WITHIN_S = 2.0


class GpuTemperatures:
    """A gauge for each GPU. NVML is asked in a thread of its own: it may hang, or fail."""

    def __init__(self, nvml: ModuleType | None = None) -> None:
        """Begin to publish.

        Args:
            nvml: the module pynvml; None: that which is installed, if any.
        """
        self._nvml = nvml
        self._handles: dict[str, object] = {}  # by UUID
        # Triton forgets a family that is garbage collected.
        kinds = pb_utils.MetricFamily
        self._family = kinds(NAME, "Temperature of the GPU", kinds.GAUGE)
        self._gauges: dict[str, pb_utils.Metric] = {}
        self._said = False
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._keep_fresh, name="temperature", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Publish nothing more; NVML that hangs is not waited for."""
        self._closed.set()
        self._thread.join(_CLOSED_WITHIN_S)
        for gauge in self._gauges.values():
            gauge.set(math.nan)

    def _keep_fresh(self) -> None:
        while not self._closed.is_set():
            self.publish()
            self._closed.wait(PUBLISH_EVERY_S if self._gauges else LOOK_AGAIN_S)

    def publish(self) -> None:
        """Read all GPUs and set their gauges; raises nothing."""
        try:
            found = self._read()
        except Exception as err:  # noqa: BLE001  # no driver, no library, a driver that broke
            self._handles = {}
            found = dict[str, float]()
            if self._gauges and not self._said:
                self._said = True
                log.warning("the GPU's temperature cannot be read any more (%s)", err)
        if self._closed.is_set():  # and NVML answered after that
            return
        for uuid, celsius in found.items():
            if uuid not in self._gauges:
                self._gauges[uuid] = self._family.Metric(labels={"gpu_uuid": uuid})
            self._said = self._said and math.isnan(celsius)
        for uuid, gauge in self._gauges.items():
            gauge.set(found.get(uuid, math.nan))

    def _read(self) -> dict[str, float]:
        """°C by UUID, NaN where a GPU does not tell."""
        nvml = self._nvml = self._nvml or importlib.import_module("pynvml")
        if not self._handles:
            nvml.nvmlInit()
            handles = map(nvml.nvmlDeviceGetHandleByIndex, range(nvml.nvmlDeviceGetCount()))
            self._handles = {nvml.nvmlDeviceGetUUID(handle): handle for handle in handles}

        def celsius(handle: object) -> float:
            try:
                return float(nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU))
            except nvml.NVMLError:
                return math.nan

        found = {uuid: celsius(handle) for uuid, handle in self._handles.items()}
        if all(map(math.isnan, found.values())):
            self._handles = {}  # a driver that was reloaded needs new ones
        return found
