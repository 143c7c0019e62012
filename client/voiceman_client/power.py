"""Power modes of this machine's GPUs: set through NVML, and put back as they were found.

    mode          clock, where no power limit exists   power limit           fan
    performance   up to 100 % of the highest           the highest allowed   100 %
    balanced      up to 80 %                           80 % of the default   75 %
    power-saver   up to 60 %                           60 % of the default   automatic

GB10 has neither power limit nor fan that can be set, so clocks are locked there. The shares of
clock and power are uncalibrated; the fan's are requirement E2. NVML cannot say which clocks were
locked before: they are put back to unlocked. All of it lasts until the machine restarts.
"""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from voiceman.errors import ConfigurationError, EnvironmentCheckError

DEFAULT_STATE = Path("/run/voiceman-power.json")  # forgotten at a restart, as NVML's settings are


@dataclass(frozen=True)
class Mode:
    """What a mode asks for.

    Attributes:
        share: of the highest clock, or of the default power limit, 0 to 1.
        fan_percent: speed of the fans; None: automatic.
    """

    share: float
    fan_percent: int | None


MODES: Mapping[str, Mode] = {
    "performance": Mode(1.0, 100),
    "balanced": Mode(0.8, 75),
    "power-saver": Mode(0.6, None),
}


@dataclass(frozen=True)
class Fan:
    """How a fan was found: its speed in % and whether that was set by hand."""

    percent: int
    manual: bool


@dataclass(frozen=True)
class Found:
    """How a GPU was found before anything was set.

    Attributes:
        power_limit_mw: in mW; None: it has none that can be set, and clocks are locked instead.
        fans: those that can be read.
    """

    power_limit_mw: int | None
    fans: tuple[Fan, ...]


def set_mode(name: str, nvml: ModuleType, state: Path = DEFAULT_STATE) -> list[str]:
    """Set a power mode on every GPU.

    Args:
        name: one of `MODES`.
        nvml: the module pynvml.
        state: file for what was found; one that is there holds what was found before, and stays.

    Returns:
        A line for everything that was set, and for everything that cannot be set here.

    Raises:
        EnvironmentCheckError: no GPU, or no right to change it; nothing is changed then.
        ConfigurationError: the state file cannot be read or written.
    """
    mode = MODES[name]
    gpus = _gpus(nvml)
    known = _read_state(state) if state.exists() else {}
    try:
        found = {uuid: known.get(uuid) or _look(nvml, handle) for uuid, handle in gpus.items()}
    except nvml.NVMLError as err:
        raise _refused(nvml, err) from err
    _write_state(state, {**known, **found})  # before anything is set
    said: list[str] = []
    try:
        for uuid, handle in gpus.items():
            said += [f"{uuid}: {line}" for line in _apply(nvml, handle, mode, found[uuid])]
    except nvml.NVMLError as err:
        for uuid, handle in gpus.items():
            with suppress(nvml.NVMLError):
                _put_back(nvml, handle, found[uuid])
        if known:
            _write_state(state, known)
        else:
            state.unlink()
        raise _refused(nvml, err) from err
    return said


def restore(nvml: ModuleType, state: Path = DEFAULT_STATE) -> list[str]:
    """Put every GPU back as it was found before the first mode.

    Args:
        nvml: the module pynvml.
        state: the file that `set_mode` wrote; it is removed.

    Returns:
        A line for everything that was put back.

    Raises:
        EnvironmentCheckError: no GPU, or no right to change it.
        ConfigurationError: there is no state file, or it cannot be read.
    """
    if not state.exists():
        raise ConfigurationError(f"{state}: not there: no power mode was set since the restart")
    found = _read_state(state)
    said: list[str] = []
    for uuid, handle in _gpus(nvml).items():
        if uuid in found:
            try:
                said += [f"{uuid}: {line}" for line in _put_back(nvml, handle, found[uuid])]
            except nvml.NVMLError as err:
                raise _refused(nvml, err) from err
    state.unlink()
    return said


def _gpus(nvml: ModuleType) -> dict[str, object]:
    try:
        nvml.nvmlInit()
        handles = [
            nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())
        ]
        gpus = {str(nvml.nvmlDeviceGetUUID(handle)): handle for handle in handles}
    except nvml.NVMLError as err:
        raise EnvironmentCheckError(f"NVML: {err}; power modes need an NVIDIA GPU here") from err
    if not gpus:
        raise EnvironmentCheckError("NVML knows no GPU; power modes need one on this machine")
    return gpus


def _look(nvml: ModuleType, handle: object) -> Found:
    limit: int | None = _ask(nvml, lambda: nvml.nvmlDeviceGetPowerManagementLimit(handle))
    # Only trying tells whether it can be set: what is there already changes nothing.
    if limit is not None and not _set_limit(nvml, handle, limit):
        limit = None
    fans: list[Fan] = []
    for index in range(_ask(nvml, lambda: nvml.nvmlDeviceGetNumFans(handle)) or 0):
        fan = _ask(nvml, lambda fan=index: _look_at_fan(nvml, handle, fan))
        if fan is None:
            break
        fans.append(fan)
    return Found(limit, tuple(fans))


def _look_at_fan(nvml: ModuleType, handle: object, index: int) -> Fan:
    policy = nvml.nvmlDeviceGetFanControlPolicy_v2(handle, index)
    speed = nvml.nvmlDeviceGetFanSpeed_v2(handle, index)
    return Fan(int(speed), bool(policy == nvml.NVML_FAN_POLICY_MANUAL))


def _apply(nvml: ModuleType, handle: object, mode: Mode, found: Found) -> list[str]:
    limited = found.power_limit_mw is not None
    said = [(_limit_power if limited else _limit_clock)(nvml, handle, mode.share)]
    fans = _ask(nvml, lambda: nvml.nvmlDeviceGetNumFans(handle)) or 0
    if not fans:
        return [*said, "fan: cannot be set here"]
    for index in range(fans):
        said.append(f"fan {index}: {_apply_fan(nvml, handle, index, mode.fan_percent)}")
    return said


def _limit_power(nvml: ModuleType, handle: object, share: float) -> str:
    low, high = nvml.nvmlDeviceGetPowerManagementLimitConstraints(handle)
    default = nvml.nvmlDeviceGetPowerManagementDefaultLimit(handle)
    limit = high if share >= 1.0 else max(low, min(high, int(share * default)))
    if _set_limit(nvml, handle, limit):
        return f"power limit: {limit / 1000:.0f} W"
    return f"power limit: {limit / 1000:.0f} W cannot be set here"


def _set_limit(nvml: ModuleType, handle: object, limit_mw: int) -> bool:
    return _done(nvml, lambda: nvml.nvmlDeviceSetPowerManagementLimit(handle, limit_mw))


def _limit_clock(nvml: ModuleType, handle: object, share: float) -> str:
    highest = _ask(nvml, lambda: nvml.nvmlDeviceGetMaxClockInfo(handle, nvml.NVML_CLOCK_SM))
    if highest is not None:
        clock = round(share * highest)
        if _done(nvml, lambda: nvml.nvmlDeviceSetGpuLockedClocks(handle, 0, clock)):
            return f"clock: up to {clock} of {highest} MHz (no power limit can be set here)"
    return "power limit and clock: cannot be set here"


def _apply_fan(nvml: ModuleType, handle: object, index: int, percent: int | None) -> str:
    if percent is None:
        done = _done(nvml, lambda: nvml.nvmlDeviceSetDefaultFanSpeed_v2(handle, index))
        return "automatic" if done else "cannot be set here"
    done = _done(nvml, lambda: nvml.nvmlDeviceSetFanSpeed_v2(handle, index, percent))
    return f"{percent} %" if done else "cannot be set here"


def _put_back(nvml: ModuleType, handle: object, found: Found) -> list[str]:
    said: list[str] = []
    limit = found.power_limit_mw
    if limit is not None and _set_limit(nvml, handle, limit):
        said.append(f"power limit: {limit / 1000:.0f} W")
    if limit is None and _done(nvml, lambda: nvml.nvmlDeviceResetGpuLockedClocks(handle)):
        said.append("clock: unlocked (whether it was locked before cannot be told)")
    for index, fan in enumerate(found.fans):
        percent = fan.percent if fan.manual else None
        said.append(f"fan {index}: {_apply_fan(nvml, handle, index, percent)}")
    return said


def _done(nvml: ModuleType, change: Callable[[], object]) -> bool:
    """Change something; False where this GPU cannot."""
    return _ask(nvml, lambda: (change(), True)) is not None


def _ask(nvml: ModuleType, question: Callable[[], Any]) -> Any:  # noqa: ANN401
    """An answer of NVML, or None where this GPU has none."""
    try:
        return question()
    except nvml.NVMLError as err:
        if err.value in (
            nvml.NVML_ERROR_NOT_SUPPORTED,
            nvml.NVML_ERROR_FUNCTION_NOT_FOUND,
            nvml.NVML_ERROR_INVALID_ARGUMENT,
        ):
            return None
        raise


def _refused(nvml: ModuleType, err: Exception) -> EnvironmentCheckError:
    if getattr(err, "value", None) == nvml.NVML_ERROR_NO_PERMISSION:
        return EnvironmentCheckError("no right to set power modes: run it as root (sudo)")
    return EnvironmentCheckError(f"NVML: {err}; the GPU was left as it was found")


def _write_state(path: Path, found: Mapping[str, Found]) -> None:
    new = path.with_name(f"{path.name}.new")
    try:
        new.write_text(json.dumps({uuid: asdict(gpu) for uuid, gpu in found.items()}) + "\n")
        new.replace(path)  # whole or not at all: what was found can be found out once only
    except OSError as err:
        raise ConfigurationError(
            f"{path}: cannot be written ({err.strerror}), and without it nothing could be put "
            "back: run it as root (sudo), or give another --state"
        ) from err


def _read_state(path: Path) -> dict[str, Found]:
    try:
        return {
            uuid: Found(
                gpu["power_limit_mw"],
                tuple(Fan(int(fan["percent"]), bool(fan["manual"])) for fan in gpu["fans"]),
            )
            for uuid, gpu in json.loads(path.read_text()).items()
        }
    except OSError as err:
        raise ConfigurationError(f"{path}: cannot be read ({err.strerror})") from err
    except (ValueError, TypeError, KeyError, AttributeError) as err:
        raise ConfigurationError(f"{path}: not written by `power`; remove it") from err
