"""How much may be in flight at a temperature: a pure function from state to state.

    below 70 °C            NORMAL    all of the window in flight
    70 to 80 °C            WARM      75 % while the temperature rises, else what holds it
    80 °C until below 70   COOLING   half, halved again while that does not cool; 2 s between rounds
    85 °C until below 70   STOPPED   nothing; also when what is in flight would carry it there
    no temperature         BLIND     as configured: half and 2 s between rounds, all, or nothing
    no GPU so far          UNWATCHED all of the window

Below 80 °C a proportional-integral rule on the temperature that is foreseen keeps the box near
77.5 °C, so that COOLING, which costs throughput, is seldom entered. The bounds are requirements;
gains and times were tuned on `perf/scripted_heat.py` and are uncalibrated for real boxes.
"""

import math
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Literal

from voiceman_client.admission import Flow
from voiceman_client.drift import Drift, follow
from voiceman_client.reading import Reading, Trust, Verdict, judge

Policy = Literal["cautious", "ignore", "stop"]
Points = tuple[tuple[float, float], ...]  # time in s, °C


class Mode(StrEnum):
    """What the control does; see the module."""

    NORMAL = "normal"
    WARM = "warm"
    COOLING = "cooling"
    STOPPED = "stopped"
    BLIND = "blind"
    UNWATCHED = "unwatched"


@dataclass(frozen=True)
class HeatSettings:
    """The bounds, and how they are kept.

    Attributes:
        warm_celsius: from here on less while rising (E2).
        cool_celsius: from here on half and pauses (E2, S4).
        resume_celsius: below it COOLING and STOPPED end (E2, S4, N2).
        stop_celsius: from here on nothing more is sent (N2).
        warm_share: of the window in flight, while the temperature rises above `warm_celsius` (E2).
        cooling_share: of the window in flight in COOLING, and when blind and cautious (E2).
        pause_s: between rounds in COOLING, and when blind and cautious (E2).
        policy: without a temperature to believe: "cautious" as in COOLING, "ignore" all of the
            window, "stop" nothing.
        hold_celsius: what is aimed at below `cool_celsius`; sensor noise must fit between them.
        poll_s: between readings (U2).
        look_again_s: between looks for a GPU where there was none so far.
        settles_celsius: no box gets hotter at full load, if it did not trip.
        lag_s: by which the sensor is behind, at most.
        longest_drain_s: less is in flight when it would take longer than this to end.
        slope_noise_celsius_per_s: slopes up to here are not foreseen: they may be noise.
        gain_per_celsius: share taken for every °C that is foreseen above `hold_celsius`.
        integral_s: time in which a lasting deviation counts as much again.
        first_share: what is thought to hold the box before anything was learned.
        rising_celsius_per_s: from this slope on, over 30 s, the temperature rises.
        halve_again_s: COOLING that does not cool halves again after so long.
        blind_stop_s: what was stopped and then lost its sensor stays stopped for so long: at a
            time constant of 180 s, 85 °C are 40 °C by then.
        fallen_share: by which the processing rate must fall to be taken for throttling.
        drift_rest_s: for how long it is then treated as in COOLING.
    """

    warm_celsius: float = 70.0
    cool_celsius: float = 80.0
    resume_celsius: float = 70.0
    stop_celsius: float = 85.0
    warm_share: float = 0.75
    cooling_share: float = 0.5
    pause_s: float = 2.0
    policy: Policy = "cautious"
    hold_celsius: float = 77.5
    poll_s: float = 5.0
    look_again_s: float = 60.0
    settles_celsius: float = 105.0
    lag_s: float = 5.0
    longest_drain_s: float = 40.0
    slope_noise_celsius_per_s: float = 0.06
    gain_per_celsius: float = 0.015
    integral_s: float = 150.0
    first_share: float = 0.55
    rising_celsius_per_s: float = 0.03
    halve_again_s: float = 30.0
    blind_stop_s: float = 300.0
    fallen_share: float = 0.25
    drift_rest_s: float = 60.0


@dataclass(frozen=True)
class Transition:
    """A change of mode: when (monotonic s), from what to what, why, at how many °C."""

    time_s: float
    before: Mode
    after: Mode
    reason: str
    temperature_celsius: float | None


@dataclass(frozen=True)
class HeatState:
    """What the control decided, and what it remembers.

    Attributes:
        mode: see the module.
        share: of the window in flight that may be used, 0 to 1.
        pause_s: between rounds.
        since_s: when the mode began.
        time_s: of the last observation; None: there was none.
        transition: the change of mode that the last observation brought.
        trust: in the sensor.
        drift: of the processing rate.
        points: the last believed temperatures, over 30 s.
        held_share: what holds the box at `hold_celsius`, as far as learned.
        halved_s: when COOLING last halved.
        drifted: COOLING stems from the processing rate.
    """

    mode: Mode = Mode.NORMAL
    share: float = 1.0
    pause_s: float = 0.0
    since_s: float = 0.0
    time_s: float | None = None
    transition: Transition | None = None
    trust: Trust = field(default_factory=Trust)
    drift: Drift = field(default_factory=Drift)
    points: Points = ()
    held_share: float | None = None
    halved_s: float = 0.0
    drifted: bool = False


def step(state: HeatState, reading: Reading, flow: Flow, settings: HeatSettings) -> HeatState:
    """Decide anew.

    Args:
        state: the last decision; `HeatState()` at the start.
        reading: of the sensors, now.
        flow: what went through the window in flight since the last one.
        settings: the bounds.
    """
    now_s = reading.time_s
    seconds = settings.poll_s if state.time_s is None else max(0.0, now_s - state.time_s)
    trust = judge(state.trust, reading, flow.busy, seconds)
    state = replace(
        state,
        time_s=now_s,
        transition=None,
        trust=trust,
        drift=follow(state.drift, flow.block, flow.busy),
    )
    if trust.verdict is Verdict.HICCUP:
        return state
    if trust.verdict is Verdict.GOOD and trust.last:
        fresh = tuple(point for point in state.points if now_s - point[0] <= _SLOPE_S)
        state = replace(state, points=(*fresh, trust.last))
        return _decide(state, flow, settings, seconds)
    return _without_temperature(state, settings)


_SLOPE_S = 31.0  # seven readings
_RECENT_S = 16.0  # four readings: 0.04 °C/s of noise where single readings carry 0.4 °C
_FALLING_CELSIUS_PER_S = -0.02
_LESS_AFTER_HEAT = 0.9  # what was held before was too much
_LEAVE_WARM_CELSIUS = 2.0  # below `warm_celsius`, so that noise makes no transitions


def slope_of(points: Points, over_s: float) -> float:
    """Least-squares slope of the last readings in °C/s; 0 while there are fewer than two."""
    if not points:
        return 0.0
    recent = [
        (at - points[-1][0], celsius) for at, celsius in points if points[-1][0] - at <= over_s
    ]
    mean_at = sum(at for at, _ in recent) / len(recent)
    mean = sum(celsius for _, celsius in recent) / len(recent)
    spread = sum((at - mean_at) ** 2 for at, _ in recent)
    if not spread:
        return 0.0
    return sum((at - mean_at) * (celsius - mean) for at, celsius in recent) / spread


def rise_of(celsius: float, slope: float, ahead_s: float, settles_celsius: float) -> float:
    """By how many °C a box warms within `ahead_s`, at most.

    A box of one time constant that rises by `slope` (°C/s) and settles no higher than
    `settles_celsius` slows down on the way: dT/dt = (settles - T) / tau, tau from the slope.
    """
    left = max(1.0, settles_celsius - celsius)
    return left * (1.0 - math.exp(-ahead_s * max(0.0, slope) / left))


def _decide(state: HeatState, flow: Flow, settings: HeatSettings, seconds: float) -> HeatState:
    celsius = state.points[-1][1]
    recent = slope_of(state.points, _RECENT_S)
    # The sensor is behind, nothing changes before the next reading, and the server works at full
    # load until the last window that waits there is begun.
    ahead_s = settings.lag_s + settings.poll_s + flow.drain_s
    peak = celsius + rise_of(celsius, recent, ahead_s, settings.settles_celsius)
    mode, reason = _next_mode(state, celsius, peak, settings)
    state = _enter(state, mode, reason)
    if mode is Mode.STOPPED:
        return replace(state, share=0.0, pause_s=settings.pause_s)
    if mode is Mode.COOLING:
        return _cool(state, recent, settings)
    return _hold(state, recent, settings, ahead_s=ahead_s, drain_s=flow.drain_s, seconds=seconds)


def _next_mode(
    state: HeatState, celsius: float, peak: float, settings: HeatSettings
) -> tuple[Mode, str]:
    """The mode at a temperature, and why it changes."""
    found = _too_hot(celsius, peak, settings, stopped=state.mode is Mode.STOPPED)
    if found is None:
        found = _still_cooling(state, celsius, settings)
    if found is not None:
        return found
    warm = settings.warm_celsius
    if state.mode is Mode.WARM:
        warm -= _LEAVE_WARM_CELSIUS
    if celsius >= warm:
        return Mode.WARM, f"{celsius:.0f} °C, {settings.warm_celsius:.0f} and more"
    return Mode.NORMAL, f"{celsius:.0f} °C, below {settings.resume_celsius:.0f}"


def _too_hot(
    celsius: float, peak: float, settings: HeatSettings, *, stopped: bool
) -> tuple[Mode, str] | None:
    """What a temperature demands by itself."""
    if celsius >= settings.stop_celsius:
        return Mode.STOPPED, f"{celsius:.0f} °C, limit {settings.stop_celsius:.0f}"
    if peak >= settings.stop_celsius:
        what = f"{celsius:.0f} °C and rising: what is in flight would make it {peak:.0f}"
        return Mode.STOPPED, f"{what}, limit {settings.stop_celsius:.0f}"
    if celsius >= settings.cool_celsius and not stopped:
        return Mode.COOLING, f"{celsius:.0f} °C, limit {settings.cool_celsius:.0f}"
    return None


def _still_cooling(
    state: HeatState, celsius: float, settings: HeatSettings
) -> tuple[Mode, str] | None:
    """What the past demands: hysteresis, a sensor that was away, a rate that fell."""
    hot = celsius >= settings.resume_celsius
    if state.mode is Mode.BLIND:
        # It may have been cooling before the sensor was lost.
        return (Mode.COOLING, f"the sensor is back, at {celsius:.0f} °C") if hot else None
    if state.mode in {Mode.STOPPED, Mode.COOLING}:
        rests = state.drifted and state.points[-1][0] - state.since_s < settings.drift_rest_s
        return (state.mode, "") if hot or rests else None
    if state.drift.fallen >= settings.fallen_share:
        return Mode.COOLING, f"{_RATE_FELL} by {state.drift.fallen:.0%} under equal load"
    return None


_RATE_FELL = "the processing rate fell"


def _enter(state: HeatState, mode: Mode, reason: str) -> HeatState:
    if mode is state.mode or state.time_s is None:
        return state
    now_s = state.time_s
    trust = state.trust
    celsius = trust.last[1] if trust.last and trust.verdict is Verdict.GOOD else None
    drifted = mode is Mode.COOLING and reason.startswith(_RATE_FELL)
    held = state.held_share
    if held is not None and mode in {Mode.COOLING, Mode.STOPPED} and not drifted:
        held *= _LESS_AFTER_HEAT
    return replace(
        state,
        mode=mode,
        since_s=now_s,
        halved_s=now_s,
        transition=Transition(now_s, state.mode, mode, reason, celsius),
        drifted=drifted,
        held_share=held,
        # What it does after a rest is what it can: it is not compared with what was before.
        drift=Drift() if drifted else state.drift,
    )


def _cool(state: HeatState, slope: float, settings: HeatSettings) -> HeatState:
    if state.transition:
        return replace(state, share=settings.cooling_share, pause_s=settings.pause_s)
    now_s = state.points[-1][0]
    cools = slope <= _FALLING_CELSIUS_PER_S or state.points[-1][1] < settings.resume_celsius
    if cools or now_s - state.halved_s < settings.halve_again_s:
        return state
    return replace(state, share=state.share / 2, halved_s=now_s)


def _hold(
    state: HeatState,
    slope: float,
    settings: HeatSettings,
    *,
    ahead_s: float,
    drain_s: float,
    seconds: float,
) -> HeatState:
    """Settle near `hold_celsius`: proportional and integral, on the temperature foreseen."""
    celsius = state.points[-1][1]
    # More in flight than ends in time only waits in the server, and cannot be taken back.
    soon = min(1.0, settings.longest_drain_s / drain_s)
    rising = slope_of(state.points, _SLOPE_S) >= settings.rising_celsius_per_s
    most = min(soon, settings.warm_share if celsius >= settings.warm_celsius and rising else 1.0)
    held = settings.first_share if state.held_share is None else state.held_share
    error = settings.hold_celsius - celsius
    slope -= settings.slope_noise_celsius_per_s
    foreseen = error - rise_of(celsius, slope, ahead_s, settings.settles_celsius)
    wanted = held + settings.gain_per_celsius * foreseen
    if 0.0 < wanted < most or (wanted >= most and error < 0) or (wanted <= 0.0 and error > 0):
        held += settings.gain_per_celsius * error * seconds / settings.integral_s
    share = min(most, max(0.0, wanted))
    return replace(state, share=share, pause_s=0.0, held_share=min(1.0, max(0.0, held)))


def _without_temperature(state: HeatState, settings: HeatSettings) -> HeatState:
    trust = state.trust
    if trust.verdict is Verdict.ABSENT:
        state = _enter(state, Mode.UNWATCHED, f"no sensor: {trust.why}")
        return replace(state, share=1.0, pause_s=0.0)
    if state.mode is Mode.STOPPED and settings.policy == "cautious":
        stopped_s = (state.time_s or 0.0) - state.since_s
        if stopped_s < settings.blind_stop_s:
            return state
    before = state
    state = _enter(state, Mode.BLIND, f"sensor {trust.verdict}: {trust.why}")
    if settings.policy == "stop":
        return replace(state, share=0.0, pause_s=settings.pause_s)
    if settings.policy == "ignore":
        return replace(state, share=1.0, pause_s=0.0)
    share = settings.cooling_share
    if before.mode is not Mode.STOPPED:
        share = min(share, before.share)
    return replace(state, share=share, pause_s=settings.pause_s)
