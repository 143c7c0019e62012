"""Heat control on thermal models: how hot they get, and what it costs.

    make bench-heat

A box warms towards a temperature that its load sets, by dT/dt = (T(load) - T) / tau. Between two
events (a window enters or leaves, the sensor is read) the load is constant, so the temperature is
exact there and highest at events. Windows take 2 to 20 s and cannot be taken back. The sensor shows
what was `lag_s` ago, with noise, in whole degrees like NVML, every 5 s. Beside the controller
stands the best one that could be: it knows the box and holds 79 °C from beginning to end, with
throughput (79 - ambient) / (full - ambient) of the whole.

Three kinds of boxes: `window` as required; `queue` with a server that works on half of the window
while the rest of it waits there, so that half as many in flight load it fully; `concave` where
half the work heats to 71 % (the square root), as GPUs do whose batches are half empty.
"""

import heapq
import math
import random
from collections import deque
from dataclasses import asdict, dataclass

from perf.record import table, write_result
from voiceman_client.admission import Admission
from voiceman_client.heat import HeatSettings, HeatState, Mode, Transition, step
from voiceman_client.reading import Reading

COMMAND = "make bench-heat"
MODELS = 40  # of each kind
HOURS = 2.0
IN_FLIGHT = 16
HELD_CELSIUS = 79.0
NOISE_CELSIUS = 0.5


@dataclass(frozen=True)
class Box:
    """A thermal model.

    Attributes:
        ambient_celsius: where it settles without load.
        full_celsius: where it settles at full load.
        tau_s: time constant.
        lag_s: by which the sensor is behind.
        places: windows that are worked on at a time; others wait.
        exponent: of the share of the places that are busy, for the load.
    """

    ambient_celsius: float
    full_celsius: float
    tau_s: float
    lag_s: float
    places: int = IN_FLIGHT
    exponent: float = 1.0

    def settles_celsius(self, working: int) -> float:
        """Where it settles while so many windows are worked on."""
        load = (working / self.places) ** self.exponent
        return self.ambient_celsius + load * (self.full_celsius - self.ambient_celsius)

    @property
    def best(self) -> float:
        """Throughput of the best controller that holds 79 °C, as share of the whole."""
        rise = (HELD_CELSIUS - self.ambient_celsius) / (self.full_celsius - self.ambient_celsius)
        return min(1.0, rise ** (1.0 / self.exponent))


@dataclass(frozen=True)
class Course:
    """What became of a box.

    Attributes:
        peak_celsius: its highest true temperature.
        throughput: share of its places that were busy, mean.
        transitions: of the controller.
    """

    peak_celsius: float
    throughput: float
    transitions: tuple[Transition, ...]


def draw_box(seed: int, kind: str = "window") -> Box:
    """The same box for the same seed."""
    draw = random.Random(seed)
    return Box(
        ambient_celsius=draw.uniform(25.0, 35.0),
        full_celsius=draw.uniform(90.0, 100.0),
        tau_s=draw.uniform(30.0, 180.0),
        lag_s=draw.uniform(0.0, 5.0),
        places=IN_FLIGHT // 2 if kind == "queue" else IN_FLIGHT,
        exponent=0.5 if kind == "concave" else 1.0,
    )


class Simulation:
    """A box, its windows and the controller, from event to event."""

    def __init__(self, box: Box, settings: HeatSettings, seed: int, in_flight: int) -> None:
        self._box, self._settings = box, settings
        self._draw = random.Random(seed)
        self._admission = Admission(in_flight)
        self._celsius = self.peak_celsius = box.ambient_celsius
        self._now_s = 0.0
        self._waiting: deque[float] = deque()  # when they entered
        self._working: list[tuple[float, float]] = []  # when they end, when they entered
        self._state = HeatState()
        self.busy_s = 0.0
        self.transitions: list[Transition] = []

    def run(self, until_s: float) -> None:
        """Poll after poll; what the sensor will show is what is there `lag_s` before."""
        poll_s = 0.0
        while poll_s < until_s:
            self._go(max(0.0, poll_s - self._box.lag_s))
            noise = self._draw.uniform(-NOISE_CELSIUS, NOISE_CELSIUS)
            shown = float(round(self._celsius + noise))
            self._go(poll_s)
            flow = self._admission.look(poll_s)
            self._state = step(self._state, Reading(poll_s, shown), flow, self._settings)
            if self._state.transition:
                self.transitions.append(self._state.transition)
            self._admission.allow(self._state.share, self._state.pause_s)
            self._admit()
            poll_s += self._settings.poll_s

    def _go(self, to_s: float) -> None:
        """Let time pass: windows end, others enter."""
        while True:
            next_s = self._working[0][0] if self._working else math.inf
            wait_s = self._admission.wait_s(self._now_s)
            next_s = min(next_s, self._now_s + wait_s)
            if next_s > to_s:
                break
            self._warm(next_s)
            while self._working and self._working[0][0] <= self._now_s:
                end_s, entered_s = heapq.heappop(self._working)
                self._admission.leave(end_s, end_s - entered_s, 30.0)
                if self._waiting:
                    self._work(self._waiting.popleft())
            self._admit()
        self._warm(to_s)

    def _warm(self, to_s: float) -> None:
        seconds = to_s - self._now_s
        settles = self._box.settles_celsius(len(self._working))
        self._celsius = settles + (self._celsius - settles) * math.exp(-seconds / self._box.tau_s)
        self.peak_celsius = max(self.peak_celsius, self._celsius)
        self.busy_s += seconds * len(self._working) / self._box.places
        self._now_s = to_s

    def _admit(self) -> None:
        while self._admission.wait_s(self._now_s) <= 0.0:
            self._admission.enter(self._now_s, 30.0)
            if len(self._working) < self._box.places:
                self._work(self._now_s)
            else:
                self._waiting.append(self._now_s)

    def _work(self, entered_s: float) -> None:
        heapq.heappush(self._working, (self._now_s + self._draw.uniform(2.0, 20.0), entered_s))


def simulate(
    box: Box,
    seed: int,
    settings: HeatSettings | None = None,
    hours: float = HOURS,
    in_flight: int = IN_FLIGHT,
) -> Course:
    """Run a box under the controller, work without end before it."""
    simulation = Simulation(box, settings or HeatSettings(), seed, in_flight)
    until_s = hours * 3600.0
    simulation.run(until_s)
    return Course(
        simulation.peak_celsius, simulation.busy_s / until_s, tuple(simulation.transitions)
    )


def _row(kind: str, seed: int) -> dict[str, object]:
    box = draw_box(seed, kind)
    course = simulate(box, seed)
    entered = [transition.after for transition in course.transitions]
    return {
        "kind": kind,
        "seed": seed,
        "box": asdict(box),
        "peak_celsius": round(course.peak_celsius, 2),
        "throughput": round(course.throughput, 4),
        "best": round(box.best, 4),
        "share_of_best": round(course.throughput / box.best, 4),
        "transitions": len(entered),
        "cooling": entered.count(Mode.COOLING),
        "stopped": entered.count(Mode.STOPPED),
    }


def main() -> None:
    """Simulate and write the result."""
    rows = [_row(kind, seed) for kind in ("window", "queue", "concave") for seed in range(MODELS)]
    summary: list[list[object]] = []
    for kind in ("window", "queue", "concave"):
        mine = [row for row in rows if row["kind"] == kind]
        shares = [float(str(row["share_of_best"])) for row in mine]
        summary.append(
            [
                kind,
                len(mine),
                f"{max(float(str(row['peak_celsius'])) for row in mine):.1f}",
                f"{sum(shares) / len(shares):.1%}",
                f"{min(shares):.1%}",
                sum(int(str(row["cooling"])) for row in mine),
                sum(int(str(row["stopped"])) for row in mine),
            ]
        )
    columns = ("boxes", "number", "highest °C", "of the best, mean", "worst", "cooling", "stopped")
    text = table(columns, summary)
    print(text)
    figures = {"hours": HOURS, "in_flight": IN_FLIGHT, "models": rows}
    print(write_result("scripted-heat", COMMAND, figures, text, "Heat control on thermal models"))


if __name__ == "__main__":
    main()
