"""An NVML with a script: pynvml's functions and errors, as far as the client uses them.

Fields of a `FakeGpu` that are None answer NOT_SUPPORTED, as GB10's missing ones do.
"""

from dataclasses import dataclass, field


class NVMLError(Exception):
    def __init__(self, value):
        super().__init__(value)
        self.value = value

    def __str__(self):
        return {3: "Not Supported", 4: "Insufficient Permissions"}.get(self.value, "Error")


@dataclass
class Memory:
    used: int
    total: int


@dataclass
class Rates:
    gpu: int


@dataclass
class FakeGpu:
    uuid: str = "GPU-0"
    celsius: object = 50  # a number, None, or an NVMLError to raise
    sm_clock: int | None = 1500
    max_clock: int | None = 3000
    power_mw: int | None = 60_000
    utilisation: int | None = 90
    memory: Memory | None = field(default_factory=lambda: Memory(1 << 30, 4 << 30))
    limit_mw: int | None = 100_000
    limit_range_mw: tuple[int, int] = (50_000, 120_000)
    fans: list | None = field(default_factory=lambda: [[40, False]])  # speed, manual
    lockable: bool = True
    locked: tuple[int, int] | None = None


def gb10(**changed):
    """What a GB10 reports: no memory, no fan, no power limit."""
    return FakeGpu(**{"memory": None, "fans": None, "limit_mw": None, **changed})


class FakeNvml:
    NVMLError = NVMLError
    NVML_ERROR_INVALID_ARGUMENT = 2
    NVML_ERROR_NOT_SUPPORTED = 3
    NVML_ERROR_NO_PERMISSION = 4
    NVML_ERROR_DRIVER_NOT_LOADED = 9
    NVML_ERROR_LIBRARY_NOT_FOUND = 12
    NVML_ERROR_FUNCTION_NOT_FOUND = 13
    NVML_ERROR_GPU_IS_LOST = 15
    NVML_TEMPERATURE_GPU = 0
    NVML_CLOCK_SM = 1
    NVML_FAN_POLICY_MANUAL = 1

    def __init__(self, *gpus, broken=None, root=True):
        self.gpus, self.broken, self.root = gpus, broken, root
        self.changes = 0

    def _known(self, value):
        if value is None:
            raise NVMLError(self.NVML_ERROR_NOT_SUPPORTED)
        if isinstance(value, Exception):
            raise value
        return value

    def _change(self):
        if not self.root:
            raise NVMLError(self.NVML_ERROR_NO_PERMISSION)
        self.changes += 1

    def nvmlInit(self):
        if self.broken is not None:
            raise NVMLError(self.broken)

    def nvmlDeviceGetCount(self):
        return len(self.gpus)

    def nvmlDeviceGetHandleByIndex(self, index):
        return self.gpus[index]

    def nvmlDeviceGetUUID(self, gpu):
        return gpu.uuid

    def nvmlDeviceGetTemperature(self, gpu, sensor):
        return self._known(gpu.celsius)

    def nvmlDeviceGetClockInfo(self, gpu, kind):
        return self._known(gpu.sm_clock)

    def nvmlDeviceGetMaxClockInfo(self, gpu, kind):
        return self._known(gpu.max_clock)

    def nvmlDeviceGetPowerUsage(self, gpu):
        return self._known(gpu.power_mw)

    def nvmlDeviceGetUtilizationRates(self, gpu):
        return Rates(self._known(gpu.utilisation))

    def nvmlDeviceGetMemoryInfo(self, gpu):
        return self._known(gpu.memory)

    def nvmlDeviceGetPowerManagementLimit(self, gpu):
        return self._known(gpu.limit_mw)

    def nvmlDeviceGetPowerManagementDefaultLimit(self, gpu):
        return self._known(gpu.limit_mw) and 100_000

    def nvmlDeviceGetPowerManagementLimitConstraints(self, gpu):
        return self._known(gpu.limit_mw) and list(gpu.limit_range_mw)

    def nvmlDeviceSetPowerManagementLimit(self, gpu, limit):
        self._known(gpu.limit_mw)
        self._change()
        gpu.limit_mw = limit

    def nvmlDeviceSetGpuLockedClocks(self, gpu, low, high):
        self._known(gpu.lockable or None)
        self._change()
        gpu.locked = (low, high)

    def nvmlDeviceResetGpuLockedClocks(self, gpu):
        self._known(gpu.lockable or None)
        self._change()
        gpu.locked = None

    def nvmlDeviceGetNumFans(self, gpu):
        return len(self._known(gpu.fans))

    def nvmlDeviceGetFanSpeed_v2(self, gpu, fan):
        return gpu.fans[fan][0]

    def nvmlDeviceGetFanControlPolicy_v2(self, gpu, fan):
        return int(gpu.fans[fan][1])

    def nvmlDeviceSetFanSpeed_v2(self, gpu, fan, speed):
        self._change()
        gpu.fans[fan] = [speed, True]

    def nvmlDeviceSetDefaultFanSpeed_v2(self, gpu, fan):
        self._change()
        gpu.fans[fan] = [40, False]
