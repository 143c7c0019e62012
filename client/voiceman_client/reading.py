"""One look at the sensors, and whether it can be believed."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

MAX_CELSIUS = 120.0  # NVIDIA's GPUs shut down long before
# 30 °C in 5 s: a chip at full load, 75 °C above its surroundings, needs 13 s for it at the
# shortest time constant that was seen (30 s).
MAX_SLOPE_CELSIUS_PER_S = 6.0
FROZEN_S = 180.0  # the longest time constant that was seen
FROZEN_BUSY_SPAN = 0.4  # at 55 °C from idle to full, 14 °C that a sensor cannot miss
_BUSY_MEAN_S = 60.0
_LOST_AFTER = 2  # readings; one alone may be a hiccup of the driver


@dataclass(frozen=True)
class Reading:
    """What the sensors said at one time; None: not known, `missing` says why.

    Attributes:
        time_s: of a monotonic clock.
        temperature_celsius: of the hottest GPU, which the other fields but memory are about.
        sm_clock_mhz: clock of its multiprocessors.
        power_w: what it draws.
        utilisation: share of the time in which it computed, 0 to 1.
        memory_used_bytes: of the fullest GPU; where memory is unified, of the machine.
        memory_total_bytes: likewise.
        missing: why fields are None, by name of the field.
        has_gpu: False: there is no GPU here, and nothing to read; None: nobody could tell.
        may_appear: without a GPU now: whether one may be there later, with its driver.
        memory_is_machines: CPU and GPU share one memory.
    """

    time_s: float
    temperature_celsius: float | None = None
    sm_clock_mhz: float | None = None
    power_w: float | None = None
    utilisation: float | None = None
    memory_used_bytes: float | None = None
    memory_total_bytes: float | None = None
    missing: Mapping[str, str] = field(default_factory=dict[str, str])
    has_gpu: bool | None = True
    may_appear: bool = False
    memory_is_machines: bool = False

    @property
    def memory_share(self) -> float:
        """Used of all, 0 to 1; 0: not known."""
        return (self.memory_used_bytes or 0.0) / (self.memory_total_bytes or 1.0)


class Verdict(StrEnum):
    """What a temperature is worth."""

    GOOD = "good"
    HICCUP = "hiccup"  # one reading is missing; the last one still counts
    LOST = "lost"
    WRONG = "wrong"
    ABSENT = "absent"  # no GPU so far


@dataclass(frozen=True)
class Trust:
    """What was learned about the sensor so far.

    Attributes:
        verdict: on the last reading.
        why: what is the matter with it; empty when good.
        last: time in s and °C of the last believed temperature.
        misses: readings without a temperature in a row.
        value: the last temperature, believed or not.
        same_since_s: since when it has not changed by a hair.
        busy_mean: share of the window in flight that was busy, mean over about a minute.
        busy_low: the least of these means since `same_since_s`.
        busy_high: the greatest.
    """

    verdict: Verdict = Verdict.GOOD
    why: str = ""
    last: tuple[float, float] | None = None
    misses: int = 0
    value: float | None = None
    same_since_s: float = 0.0
    busy_mean: float | None = None
    busy_low: float = 1.0
    busy_high: float = 0.0


def judge(trust: Trust, reading: Reading, busy: float, seconds: float) -> Trust:
    """Decide whether a temperature can be believed.

    Args:
        trust: what was learned before.
        reading: the new reading.
        busy: share of the window in flight that was busy since the last reading, 0 to 1.
        seconds: since the last reading.
    """
    mean = busy if trust.busy_mean is None else trust.busy_mean
    mean += min(1.0, seconds / _BUSY_MEAN_S) * (busy - mean)
    trust = replace(trust, busy_mean=mean)
    celsius = reading.temperature_celsius
    if celsius is None:
        return _without(trust, reading)
    if celsius != trust.value:
        trust = replace(trust, same_since_s=reading.time_s, busy_low=mean, busy_high=mean)
    low, high = min(trust.busy_low, mean), max(trust.busy_high, mean)
    trust = replace(trust, value=celsius, busy_low=low, busy_high=high, misses=0)
    why = _implausible(trust, celsius, reading.time_s)
    if why:
        return replace(trust, verdict=Verdict.WRONG, why=why)
    return replace(trust, verdict=Verdict.GOOD, why="", last=(reading.time_s, celsius))


def _without(trust: Trust, reading: Reading) -> Trust:
    why = reading.missing.get("temperature_celsius", "no temperature")
    misses = trust.misses + 1
    absent = trust.verdict is Verdict.ABSENT if reading.has_gpu is None else not reading.has_gpu
    if absent and trust.last is None:
        verdict = Verdict.ABSENT
    elif misses < _LOST_AFTER and trust.last and trust.verdict is Verdict.GOOD:
        verdict = Verdict.HICCUP
    else:
        verdict = Verdict.LOST
    return replace(trust, verdict=verdict, why=why, misses=misses)


def _implausible(trust: Trust, celsius: float, time_s: float) -> str:
    """Why a temperature cannot be right; empty when it can."""
    if not 0.0 < celsius <= MAX_CELSIUS:
        return f"{celsius:g} °C, possible are 0 to {MAX_CELSIUS:g}"
    if trust.last:
        since_s, before = time_s - trust.last[0], trust.last[1]
        if abs(celsius - before) > MAX_SLOPE_CELSIUS_PER_S * since_s:
            return f"from {before:g} to {celsius:g} °C in {since_s:.1f} s"
    same_s, span = time_s - trust.same_since_s, trust.busy_high - trust.busy_low
    if same_s >= FROZEN_S and span >= FROZEN_BUSY_SPAN:
        return f"{celsius:g} °C for {same_s:.0f} s, while the load changed by {span:.0%}"
    return ""
