"""A run over many recordings: what is worked on when, and what comes out.

Recordings are prepared (decoded and planned) while few wait, so memory holds a few of them,
however many there are. Windows of all prepared recordings share one window in flight, which load,
memory and heat make larger and smaller.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from voiceman.errors import RecordingError, VoicemanError
from voiceman.memory import Reading as MemoryReading
from voiceman_client.admission import InFlight
from voiceman_client.gpu_memory import gpu_memory
from voiceman_client.heat import HeatSettings
from voiceman_client.heat_watch import HeatWatch, watching
from voiceman_client.intake import Intake
from voiceman_client.memory_watch import GpuMeter, MemoryFacts, MemoryWatch
from voiceman_client.options import Limits
from voiceman_client.pacing import Bounds, Signals
from voiceman_client.processing import Asked, Kept, Processing, Progress
from voiceman_client.result import Result
from voiceman_client.sensors import NoSensor, Sensor
from voiceman_client.server_load import MetricsPage, ServerLoad
from voiceman_client.steering import Steering
from voiceman_client.transport import Server
from voiceman_client.vitals import Observed, Readings

log = logging.getLogger(__name__)

T = TypeVar("T")

_SLOTS = 8  # of the server's engine, where nobody says: the shipped configuration


@dataclass(frozen=True)
class Outcome:
    """A recording that is finished.

    Attributes:
        path: the file.
        result: what was found.
        error: why there is no result. Neither of the two: an earlier run into the same folder
            has done it, and its files are there.
    """

    path: Path
    result: Result | None
    error: VoicemanError | None


@dataclass(frozen=True)
class Watched:
    """What a run looks at while it goes on.

    Attributes:
        sensor: of the temperature.
        heat: bounds of the temperature.
        temperature_log: file for every reading; None: none.
        metrics: the server's page; None: it is not looked at.
        memory: makes the watch of this machine's memory and, by a meter, of its GPU's.
        began: called with the run before anything is sent, to look at it meanwhile.
        retried: called when a request is sent again.
    """

    sensor: Sensor = field(default_factory=NoSensor)
    heat: HeatSettings = field(default_factory=HeatSettings)
    temperature_log: Path | None = None
    metrics: MetricsPage | None = None
    memory: Callable[[GpuMeter], MemoryWatch] = MemoryWatch
    began: Callable[["Submission"], None] = lambda _: None
    retried: Callable[[], None] = lambda: None


class Submission:
    """One run over many recordings against one server."""

    def __init__(
        self,
        server: Server,
        asked: Asked,
        limits: Limits,
        show: Callable[[Progress], None],
        *,
        kept: Kept | None = None,
        watched: Watched | None = None,
        stop: asyncio.Event | None = None,
    ) -> None:
        """Prepare a run.

        Args:
            server: to ask.
            asked: of every recording.
            limits: how much may happen at once.
            show: called with progress.
            kept: what outlives the run.
            watched: what it looks at.
            stop: ends the run early, once it is set.
        """
        self._server = server
        self._asked = asked
        self._limits = limits
        self._show = show
        self._kept = kept or Kept()
        self._watched = watched or Watched()
        self._stop = stop or asyncio.Event()
        self.flight = InFlight(limits.in_flight)
        self.intake = Intake(0, limits.workers)
        self.steering = Steering(self.flight, Bounds(limits.in_flight), self._sense)
        self.heat: HeatWatch | None = None
        self.load: ServerLoad | None = None
        self._memory = self._watched.memory(self._gpu_memory)
        self._facts: MemoryFacts | None = None
        server.refused = self._refused
        server.answered = self.steering.answered

    def readings(self) -> Readings:
        """How load, memory and heat were at the last look; from any thread."""
        facts, load = self._facts, self.load
        reading = self.heat.reading if self.heat else None
        return Readings(
            in_flight=self.flight.admission.in_flight,
            allowed=self.flight.admission.slots,
            waiting=self.flight.waiting,
            queue_depth=load.waiting if load else None,
            temperature_celsius=reading and reading.temperature_celsius,
            gpu_utilisation=reading and reading.utilisation,
            memory_share=self._memory_share(),
            process_bytes=facts and facts["process"],
            gpu_memory_bytes=facts and facts["gpu_used"],
            heat=str(self.heat.state.mode) if self.heat else "",
        )

    async def run(self, paths: Sequence[Path]) -> AsyncGenerator[Outcome, None]:
        """The outcomes, each as soon as its recording is finished; close it with `aclose`.

        Whatever ends it, answers that are there by then are filed.

        Raises:
            ConfigurationError: the temperature must be watched, and cannot be.
            ResultNotWrittenError: the ledger cannot be written.
        """
        await asyncio.to_thread(self._kept.ledger.expect, paths, self._asked.made_sha256)
        self.intake = Intake(len(paths), self._limits.workers)
        finished: asyncio.Queue[Outcome] = asyncio.Queue(self._limits.in_flight)
        tasks: set[asyncio.Task[Any]] = set()

        def start(coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
            task = asyncio.create_task(coroutine)
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            return task

        async def finish(processing: Processing, path: Path, ticket: int) -> None:
            outcome = await self._outcome(processing, path, ticket)
            try:
                await asyncio.to_thread(self._memory.recording_ended)
            except Exception:  # a recording without an outcome would be waited for, for ever
                log.exception("%s: memory cannot be looked at", path)
            await finished.put(outcome)

        async def feed(processing: Processing) -> None:
            for path in paths:
                ticket = await self.intake.enter()
                start(finish(processing, path, ticket))

        async with self._watching(), self._processing() as processing:
            start(feed(processing))
            stopped = start(self._stop.wait())
            try:
                for _ in paths:
                    following = start(finished.get())
                    await asyncio.wait((following, stopped), return_when=asyncio.FIRST_COMPLETED)
                    if not following.done():
                        break
                    yield following.result()
            finally:
                for task in tuple(tasks):
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    @asynccontextmanager
    async def _processing(self) -> AsyncGenerator[Processing]:
        processing = Processing(
            self._server,
            self._asked,
            self._limits,
            self._kept,
            intake=self.intake,
            flight=self.flight,
            show=self._show,
        )
        try:
            yield processing
        finally:
            await processing.close()

    @asynccontextmanager
    async def _watching(self) -> AsyncGenerator[None]:
        """Heat, memory and load are looked at as long as this lasts."""
        steering = asyncio.create_task(self.steering.run())
        try:
            async with watching(
                self.flight,
                self._watched.sensor,
                self._watched.heat,
                path=self._watched.temperature_log,
            ) as self.heat:
                self._facts = await asyncio.to_thread(self._memory.look)
                self._watched.began(self)
                yield
        finally:
            steering.cancel()
            await asyncio.gather(steering, return_exceptions=True)

    async def _sense(self) -> Signals:
        self._facts = await asyncio.to_thread(self._memory.look)
        self.intake.hold(held=self._memory.full)
        load = self.load = await self._watched.metrics.load() if self._watched.metrics else None
        return Signals(
            waiting=self.intake.backlog + (load.waiting if load else 0),
            long_share=self.intake.long_share,
            slots=(load and load.slots) or _SLOTS,
            memory_share=self._memory_share(),
        )

    def _gpu_memory(self) -> MemoryReading | None:
        return gpu_memory(self.heat.reading if self.heat else None, self.flight.clock())

    def _memory_share(self) -> float | None:
        shares = (self._memory.share, self.load and self.load.gpu_memory_share)
        return max((share for share in shares if share is not None), default=None)

    def _refused(self) -> None:
        self._watched.retried()
        self.steering.refused()

    def observed(self) -> Observed:
        """What heat and memory were like over the run."""
        growths = self._memory.growths()
        return Observed(
            heat=dict(self.heat.report()) if self.heat else None,
            memory_growth={name: asdict(growth) for name, growth in growths.items()},
        )

    async def _outcome(self, processing: Processing, path: Path, ticket: int) -> Outcome:
        prepared = False
        try:
            if await processing.is_done(path):
                return Outcome(path, None, None)
            if (result := await processing.recall(path)) is not None:
                return Outcome(path, result, None)
            prepared = True
            return Outcome(path, await processing.process(path, ticket), None)
        except RecordingError as err:
            return Outcome(path, None, err)
        except VoicemanError as err:
            named = type(err)(f"{path}: {err}")
            named.__cause__ = err
            return Outcome(path, None, named)
        except Exception as err:
            log.exception("%s: unforeseen", path)
            return Outcome(path, None, RecordingError(f"{path}: {type(err).__name__}: {err}"))
        finally:
            if not prepared:
                self.intake.prepared(ticket, 0, 0.0)
            self.intake.finished(ticket)
