"""In-flight batching: windows join and leave a running batch, each in a slot of its own.

The engine is the door: it checks windows and puts them into a line, from which one driver or
several (`driver.py`) take them. A full line blocks the caller, so that a backlog stays outside,
where it is seen.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, fields

import torch

from voiceman.errors import ConfigurationError, ServerError
from voiceman.serving.whisper.batch import Batch
from voiceman.serving.whisper.checkpoint import Checkpoint
from voiceman.serving.whisper.driver import Counters, Driver
from voiceman.serving.whisper.job import Job
from voiceman.serving.whisper.line import Line
from voiceman.serving.whisper.memory import fit_batch, fixed_batch
from voiceman.serving.whisper.precision import choose_precision
from voiceman.serving.whisper.prompt import previous_text
from voiceman.serving.whisper.window import Window, WindowResult, check_waveform

MOST = 1024


@dataclass(frozen=True)
class EngineSettings:
    """How much runs at once, and how exactly.

    Attributes:
        slots: windows in flight; every driver gets its share of them, rounded up.
        line: windows that may wait inside the engine before `submit` blocks.
        steps_per_look: steps between two looks of the host; None: as many as suit the device.
        workers: drivers, each a thread with a batch of its own. On the CPU as many as there are
            cores to use, each with one torch thread: threads that share a step wait for each
            other more than they help. On CUDA one.
        precision: see `precision.py`.
        fixed: a window's answer is the same to the bit whatever is decoded beside it: all work
            has one shape, and memory that runs short changes neither that nor the device.
    """

    slots: int = 8
    line: int = 4
    steps_per_look: int | None = None
    workers: int = 1
    precision: str = "fp32"
    fixed: bool = False

    def __post_init__(self) -> None:
        """Refuse what could never answer; raises ConfigurationError."""
        for name in ("slots", "line", "steps_per_look", "workers"):
            value = getattr(self, name)
            if value is not None and not 1 <= value <= MOST:
                raise ConfigurationError(f"whisper: {name} is {value}, allowed are 1 to {MOST}")


class Engine:
    """Whisper on one device. Thread-safe; `close` it, or use it in a `with` block."""

    def __init__(
        self, checkpoint: Checkpoint, settings: EngineSettings, device: torch.device
    ) -> None:
        """Allocate the slots, record what is replayed, and start the drivers."""
        self._checkpoint = checkpoint
        self._line = Line(settings.line)
        self._door = threading.Lock()
        self._closed = False
        self._drivers = [
            Driver(checkpoint, batch, self._line, settings.steps_per_look)
            for batch in _batches(checkpoint, settings, device)
        ]
        self._threads = [
            threading.Thread(target=_drive, args=[driver], name="whisper", daemon=True)
            for driver in self._drivers
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def submit(
        self,
        window: Window,
        is_cancelled: Callable[[], bool] = lambda: False,
        *,
        wait: bool = True,
    ) -> Future[WindowResult]:
        """Hand in a window.

        Args:
            window: what to decode.
            is_cancelled: asked at looks, at most ten times a second; when it says yes, or when
                the answer itself is cancelled, the window leaves the line or its slot.
            wait: block while the line is full.

        Raises:
            InvalidRequestError: too short, too long, or an unknown language.
            ServerError: the engine is closed.
        """
        check_waveform(window.waveform)
        language = self._checkpoint.special.language(window.language)
        # What a caller wrote is read here, where a fault in it is that caller's alone.
        previous = previous_text(self._checkpoint, window.options)
        job = Job(window, language, previous, is_cancelled)
        with self._door:  # whoever is inside when `close` comes is still served
            if self._closed:
                raise ServerError("the Whisper engine is closed; it takes no more windows")
            self._line.put(job, wait=wait)
        return job.future

    def slots(self) -> int:
        """Windows that can be in flight; fewer than were asked for where memory is short."""
        return sum(driver.slots for driver in self._drivers)

    def busy(self) -> int:
        """Windows in slots."""
        return sum(driver.busy() for driver in self._drivers)

    def waiting(self) -> int:
        """Windows in the line."""
        return len(self._line)

    def counters(self) -> Counters:
        """What all drivers have done so far."""
        return Counters(
            **{
                field.name: sum(getattr(driver.counters, field.name) for driver in self._drivers)
                for field in fields(Counters)
            }
        )

    def close(self) -> None:
        """Finish what was handed in, then stop."""
        with self._door:
            self._closed = True
            self._line.close()
        for thread in self._threads:
            thread.join()


def _batches(checkpoint: Checkpoint, settings: EngineSettings, device: torch.device) -> list[Batch]:
    """One batch per driver, all of one network."""
    share = -(-settings.slots // settings.workers)
    precision = choose_precision(settings.precision, device)
    if precision.name == "fp32":
        torch.backends.cudnn.allow_tf32 = False  # torch's default for convolutions on CUDA
    with torch.inference_mode():
        make = fixed_batch if settings.fixed else fit_batch
        first = make(checkpoint, precision, share, device)
        others = [
            Batch(checkpoint, first.network, share, fixed=settings.fixed)
            for _ in range(settings.workers - 1)
        ]
    return [first, *others]


def _drive(driver: Driver) -> None:
    torch.set_num_threads(1)  # of this thread; on the CPU it computes, on CUDA it hands over
    driver.run()
