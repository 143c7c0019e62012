"""Where temperatures come from: NVML on this machine, or a metrics page of another one.

Every field of NVML may be missing: GB10 reports no memory, fan or power limit, for example. Where
the GPU has no memory of its own, the machine's is reported.
"""

import importlib
import ipaddress
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Protocol

from voiceman.errors import ConfigurationError
from voiceman_client.metrics_sensor import MetricsSensor
from voiceman_client.reading import Reading
from voiceman_client.server_load import metrics_address

_MEMINFO = Path("/proc/meminfo")
_DEVICES = Path("/dev")
_DRIVER = Path("/proc/driver/nvidia")


class Sensor(Protocol):
    """Something that can be read every few seconds; it never raises what it meets."""

    name: str

    def read(self) -> Reading:
        """What is known now."""
        ...


class NvmlSensor:
    """The hottest GPU of this machine, as NVML sees it."""

    name = "NVML"

    def __init__(
        self,
        nvml: ModuleType | None = None,
        clock: Callable[[], float] = time.monotonic,
        meminfo: Path = _MEMINFO,
        devices: Path = _DEVICES,
        driver: Path = _DRIVER,
    ) -> None:
        """Prepare; NVML is loaded at the first reading.

        Args:
            nvml: the module pynvml; None: that which is installed.
            clock: a monotonic clock in s.
            meminfo: what is read where the GPU reports no memory.
            devices: folder in which the driver shows GPUs, told from where NVML is missing.
            driver: is there once NVIDIA's driver is loaded, GPU or not.
        """
        self._nvml = nvml
        self._clock = clock
        self._meminfo = meminfo
        self._devices, self._driver = devices, driver
        self._handles: list[object] = []

    def read(self) -> Reading:
        """What the hottest GPU reports; `missing` says what it does not."""
        now_s = self._clock()
        try:
            self._nvml = nvml = self._nvml or importlib.import_module("pynvml")
        except ImportError as err:
            why = f"package nvidia-ml-py is not installed ({err})"
            missing = {"temperature_celsius": why}
            return Reading(now_s, missing=missing, has_gpu=self._sees_gpu())
        try:
            handles = self._open(nvml)
        except nvml.NVMLError as err:
            missing = {"temperature_celsius": f"NVML: {err}"}
            if err.value == nvml.NVML_ERROR_LIBRARY_NOT_FOUND:
                has_gpu, may_appear = self._sees_gpu(), self._driver.exists()
            else:
                has_gpu, may_appear = err.value != nvml.NVML_ERROR_DRIVER_NOT_LOADED, True
            return Reading(now_s, missing=missing, has_gpu=has_gpu, may_appear=may_appear)
        if not handles:
            why = {"temperature_celsius": "NVML knows no GPU"}
            return Reading(now_s, missing=why, has_gpu=False, may_appear=True)
        readings = [self._read_gpu(nvml, handle, now_s) for handle in handles]
        if all(found.temperature_celsius is None for found in readings):
            self._handles = []  # a driver that was reloaded needs new handles
        hottest = max(readings, key=lambda found: found.temperature_celsius or -1.0)
        fullest = max(readings, key=lambda found: found.memory_share)
        return replace(
            hottest,
            memory_used_bytes=fullest.memory_used_bytes,
            memory_total_bytes=fullest.memory_total_bytes,
            memory_is_machines=fullest.memory_is_machines,
        )

    def _sees_gpu(self) -> bool:
        return any(self._devices.glob("nvidia[0-9]*"))

    def _open(self, nvml: ModuleType) -> list[object]:
        if not self._handles:
            nvml.nvmlInit()
            count = nvml.nvmlDeviceGetCount()
            self._handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(count)]
        return self._handles

    def _read_gpu(self, nvml: ModuleType, handle: object, now_s: float) -> Reading:
        missing: dict[str, str] = {}

        def ask(name: str, question: Callable[[], float]) -> float | None:
            try:
                return float(question())
            except nvml.NVMLError as err:
                missing[name] = f"NVML: {err}"
                return None

        def celsius() -> float:
            return nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)

        def clock_mhz() -> float:
            return nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM)

        used = ask("memory_used_bytes", lambda: nvml.nvmlDeviceGetMemoryInfo(handle).used)
        total = ask("memory_total_bytes", lambda: nvml.nvmlDeviceGetMemoryInfo(handle).total)
        shared = used is None or total is None
        if shared:
            used, total = _machine_memory(self._meminfo, missing)
        return Reading(
            time_s=now_s,
            temperature_celsius=ask("temperature_celsius", celsius),
            sm_clock_mhz=ask("sm_clock_mhz", clock_mhz),
            power_w=ask("power_w", lambda: nvml.nvmlDeviceGetPowerUsage(handle) / 1000.0),
            utilisation=ask(
                "utilisation", lambda: nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100.0
            ),
            memory_used_bytes=used,
            memory_total_bytes=total,
            missing=missing,
            memory_is_machines=shared,
        )


def _machine_memory(meminfo: Path, missing: dict[str, str]) -> tuple[float | None, float | None]:
    try:
        lines = (line.split() for line in meminfo.read_text(encoding="ascii").splitlines())
        kib = {words[0]: float(words[1]) for words in lines if len(words) > 1}
        total, free = kib["MemTotal:"] * 1024, kib["MemAvailable:"] * 1024
    except (OSError, KeyError, ValueError) as err:
        missing["memory_used_bytes"] = missing["memory_total_bytes"] = f"{meminfo}: {err}"
        return None, None
    for name in ("memory_used_bytes", "memory_total_bytes"):
        missing.pop(name, None)
    return total - free, total


class NoSensor:
    """No heat control, because the user says so."""

    name = "none"

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock

    def read(self) -> Reading:
        """Nothing."""
        why = {"temperature_celsius": "switched off"}
        return Reading(self._clock(), missing=why, has_gpu=False)


def choose_sensor(wanted: str, server: str, metrics: str | None = None) -> Sensor:
    """The sensor of a run.

    Args:
        wanted: "auto" (NVML for a server on this machine, else its metrics page), "nvml", "none",
            or the http(s) address of a metrics page.
        server: host:port of the server's gRPC.
        metrics: host:port of its metrics; None: the usual one.

    Raises:
        ConfigurationError: `wanted` is none of these.
    """
    if wanted == "none":
        return NoSensor()
    if wanted == "nvml":
        return NvmlSensor()
    if wanted.startswith(("http://", "https://")):
        return MetricsSensor(wanted)
    if wanted != "auto":
        raise ConfigurationError(
            f"heat sensor {wanted!r}: allowed are auto, nvml, none, or the http address of a "
            "metrics page"
        )
    if _is_here(server.rpartition(":")[0].strip("[]")):
        return NvmlSensor()
    return MetricsSensor(f"http://{metrics or metrics_address(server)}/metrics")


def _is_here(host: str) -> bool:
    if host in {"", "localhost"}:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
