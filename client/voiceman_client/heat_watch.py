"""Keeps a run cool: reads the sensor every 5 s and sets how much may be in flight.

    flight = InFlight(limits.in_flight)
    async with watching(flight, sensor, HeatSettings(), path=folder / "temperature.log") as watch:
        async with flight.window(audio_s): ...      # instead of a semaphore
    watch.report()

A line of `temperature.log` is JSON: time, what was read, mode, share, what the sensor is worth.
"""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TypedDict

from voiceman.errors import ConfigurationError
from voiceman_client.admission import InFlight
from voiceman_client.heat import HeatSettings, HeatState, Mode, Transition, step
from voiceman_client.reading import Reading
from voiceman_client.sensors import Sensor
from voiceman_client.temperature_log import TemperatureLog

log = logging.getLogger(__name__)


class TransitionRecord(TypedDict):
    """A change of mode, for the report; `time` is ISO 8601 in UTC."""

    time: str
    before: str
    after: str
    reason: str
    temperature_celsius: float | None


class HeatReport(TypedDict):
    """What the report says of a run's heat; None: there was no temperature."""

    sensor: str
    max_celsius: float | None
    mean_celsius: float | None
    mean_utilisation: float | None
    readings: int
    seconds: dict[str, float]  # by mode
    missing: dict[str, str]  # fields that could not be read, and why
    transitions: list[TransitionRecord]


class HeatWatch:
    """What a run's heat control knows; made by `watching`."""

    def __init__(
        self,
        flight: InFlight,
        sensor: Sensor,
        settings: HeatSettings,
        *,
        path: Path | None = None,
        answer_within_s: float = 4.0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Watch nothing yet.

        Args:
            flight: what is made smaller when it gets hot.
            sensor: where temperatures come from.
            settings: the bounds, and what to do without a temperature.
            path: of the temperature log; None: none.
            answer_within_s: for the sensor; what comes later counts at the next look.
            now: the time of day.
        """
        self.state = HeatState()
        self.reading: Reading | None = None
        self._flight = flight
        self._sensor = sensor
        self._settings = settings
        self._log = TemperatureLog(path) if path else None
        self._answer_within_s = answer_within_s
        # Of its own: the loop's threads may all be waiting for a disk.
        self._thread = ThreadPoolExecutor(1, "heat-sensor")
        self._asked: asyncio.Future[Reading] | None = None
        self._now = now
        self._celsius: list[float] = []
        self._utilisation: list[float] = []
        self._readings = 0
        self._seconds: dict[str, float] = {}
        self._missing: dict[str, str] = {}
        self._transitions: list[TransitionRecord] = []
        self._hot = self._may_appear = False

    @property
    def may_change(self) -> bool:
        """Whether another look may find something; False: there is no GPU and never will be."""
        return self.state.mode is not Mode.UNWATCHED or self._may_appear

    async def look(self) -> None:
        """Read the sensor, decide, tell who waits, and write it down."""
        reading = self.reading = await self._read()
        before = self.state
        # A look that told nothing leaves what was known.
        self._may_appear = reading.may_appear or (reading.has_gpu is None and self._may_appear)
        self.state = state = step(before, reading, self._flight.look(), self._settings)
        self._flight.allow(state.share, state.pause_s)
        self._remember(before, reading)
        if state.transition:
            self._tell(state.transition)
        self._warn(reading)
        if self._log and state.mode is not Mode.UNWATCHED:
            await self._log.add(self._line(reading))

    def close(self) -> None:
        """Look no more."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _read(self) -> Reading:
        """Ask the sensor; one that hangs or breaks must not leave the run unwatched."""
        if self._asked is None:
            loop = asyncio.get_running_loop()
            self._asked = loop.run_in_executor(self._thread, self._sensor.read)
        done, _ = await asyncio.wait({self._asked}, timeout=self._answer_within_s)
        if not done:
            return self._nothing(f"does not answer within {self._answer_within_s:g} s")
        asked, self._asked = self._asked, None
        try:
            return asked.result()
        except Exception as err:  # noqa: BLE001  # whatever it is, there is no temperature
            return self._nothing(f"cannot be read ({type(err).__name__}: {err})")

    def _nothing(self, why: str) -> Reading:
        missing = {"temperature_celsius": f"{self._sensor.name} {why}"}
        return Reading(self._flight.clock(), missing=missing, has_gpu=None)

    def report(self) -> HeatReport:
        """What happened so far."""
        return HeatReport(
            sensor=self._sensor.name,
            max_celsius=max(self._celsius, default=None),
            mean_celsius=_mean(self._celsius),
            mean_utilisation=_mean(self._utilisation),
            readings=self._readings,
            seconds={mode: round(seconds, 1) for mode, seconds in self._seconds.items()},
            missing=self._missing,
            transitions=self._transitions,
        )

    def refuse_blindness(self) -> None:
        """Raise ConfigurationError when nothing could ever be sent.

        Raises:
            ConfigurationError: the policy is "stop", and there is no temperature.
        """
        mode = self.state.mode
        if self._settings.policy == "stop" and mode in {Mode.BLIND, Mode.UNWATCHED}:
            raise ConfigurationError(
                f"no temperature from {self._sensor.name} ({self.state.trust.why}), and the heat "
                "policy is stop: choose cautious or ignore, or another sensor"
            )

    def _remember(self, before: HeatState, reading: Reading) -> None:
        self._readings += 1
        if reading.temperature_celsius is not None and not self.state.trust.why:
            self._celsius.append(reading.temperature_celsius)
        if reading.utilisation is not None:
            self._utilisation.append(reading.utilisation)
        if before.time_s is not None:
            spent_s = self._seconds.get(before.mode, 0.0)
            self._seconds[before.mode] = spent_s + reading.time_s - before.time_s
        if self.state.mode is not Mode.UNWATCHED:
            self._missing |= reading.missing

    def _tell(self, transition: Transition) -> None:
        self._transitions.append(
            TransitionRecord(
                time=_stamp(self._now()),
                before=transition.before,
                after=transition.after,
                reason=transition.reason,
                temperature_celsius=transition.temperature_celsius,
            )
        )
        if transition.after is Mode.UNWATCHED:
            log.info("no heat control: %s", transition.reason)
        elif transition.after in {Mode.BLIND, Mode.STOPPED, Mode.COOLING}:
            done = {"ignore": "all", "stop": "nothing"}.get(self._settings.policy)
            blind = transition.after is Mode.BLIND and done
            share = f"{done} of the window" if blind else f"{self.state.share:.0%} of the window"
            log.warning("%s: %s; %s in flight", transition.after, transition.reason, share)
        elif transition.before is Mode.UNWATCHED:
            log.info("heat control from now on: %s: %s", transition.after, transition.reason)
        else:
            log.info("%s: %s", transition.after, transition.reason)

    def _warn(self, reading: Reading) -> None:
        """Once per crossing of 80 °C (U2); below 70 °C the next one counts again."""
        celsius = reading.temperature_celsius
        if celsius is None:
            return
        if celsius > self._settings.cool_celsius and not self._hot:
            self._hot = True
            log.warning("GPU at %.0f °C, above %.0f", celsius, self._settings.cool_celsius)
        elif celsius < self._settings.resume_celsius:
            self._hot = False

    def _line(self, reading: Reading) -> str:
        facts = {name: value for name, value in asdict(reading).items() if name != "time_s"}
        line = {
            "time": _stamp(self._now()),
            **facts,
            "mode": self.state.mode,
            "share": round(self.state.share, 4),
            "sensor": self.state.trust.verdict,
        }
        return json.dumps(line, ensure_ascii=False) + "\n"


@asynccontextmanager
async def watching(
    flight: InFlight,
    sensor: Sensor,
    settings: HeatSettings,
    *,
    path: Path | None = None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> AsyncGenerator[HeatWatch, None]:
    """Watch a run: the first reading before anything is sent, then one every 5 s.

    Where there is no GPU so far, but may be one later, it is looked for every minute.

    Args:
        flight: what is made smaller when it gets hot.
        sensor: where temperatures come from.
        settings: the bounds, and what to do without a temperature.
        path: of the temperature log; None: none.
        sleep: waits so many seconds.

    Raises:
        ConfigurationError: the policy is "stop", and there is no temperature at the start.
    """
    watch = HeatWatch(flight, sensor, settings, path=path)
    try:
        await watch.look()
        watch.refuse_blindness()
    except BaseException:
        watch.close()
        raise

    async def keep_looking() -> None:
        while watch.may_change:
            unwatched = watch.state.mode is Mode.UNWATCHED
            await sleep(settings.look_again_s if unwatched else settings.poll_s)
            try:
                await watch.look()
            except Exception:  # whatever it is, the run must not go on unwatched at full speed
                log.exception("heat control failed; at most half of the window for now")
                share = min(settings.cooling_share, watch.state.share)  # stopped stays stopped
                flight.allow(share, settings.pause_s)

    task = asyncio.create_task(keep_looking())
    try:
        yield watch
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        watch.close()


def _mean(values: list[float]) -> float | None:
    return round(sum(values) / len(values), 2) if values else None


def _stamp(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
