"""In-flight batching: windows join and leave a running batch, each in a slot of its own.

One thread drives the device. It admits waiting windows into free slots, runs a few steps of
all slots without looking at a result, then looks: finished rows leave, and a window whose
text ended before its sound did is encoded again from there, in the same slot.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from queue import Empty, Queue

import torch

from voiceman.audio import SAMPLE_RATE_HZ, Waveform
from voiceman.errors import DeadlineExceededError, ServerError
from voiceman.serving.whisper.alignment import Matrix, count_frames, silent_row, stack_blocks
from voiceman.serving.whisper.batch import Batch, Placement
from voiceman.serving.whisper.checkpoint import Checkpoint
from voiceman.serving.whisper.layers import build_network
from voiceman.serving.whisper.precision import choose_precision
from voiceman.serving.whisper.prompt import previous_text, row_start, task_prompt
from voiceman.serving.whisper.segments import Split, split_segments, whole
from voiceman.serving.whisper.transcript import Decode, Language, flag_silence, make_transcript
from voiceman.serving.whisper.window import Window, WindowResult, check_waveform

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EngineSettings:
    """How much runs at once.

    Attributes:
        slots: windows in flight.
        line: windows that may wait inside the engine; `submit` blocks while it is full.
        steps_per_look: steps between two looks of the host.
        threads: CPU threads of the driving thread; 0 leaves torch's own setting.
    """

    slots: int = 8
    line: int = 4
    steps_per_look: int = 4
    threads: int = 0
    precision: str = "fp32"


@dataclass
class Counters:
    """What the engine has done so far; rows / steps is the mean occupancy."""

    windows: int = 0
    steps: int = 0
    rows: int = 0


@dataclass(eq=False)
class _Job:
    """A window on its way through the engine."""

    window: Window
    language: str | None
    previous: list[int]  # tokens before the window
    future: Future[WindowResult] = field(default_factory=Future[WindowResult])
    slot: int = -1  # not in a slot
    offset_samples: int = 0
    language_probability: float | None = None
    steps: int = 0
    decodes: list[Decode] = field(default_factory=list[Decode])

    @property
    def sound(self) -> Waveform:
        """What is still to be decoded."""
        return self.window.waveform[self.offset_samples :]


class Engine:
    """Whisper on one device. Thread-safe; `close` it, or use it in a `with` block."""

    def __init__(
        self, checkpoint: Checkpoint, settings: EngineSettings, device: torch.device
    ) -> None:
        """Allocate the slots and start the driving thread."""
        self.settings = settings
        self.counters = Counters()
        self._checkpoint = checkpoint
        network = build_network(checkpoint, choose_precision(settings.precision, device), device)
        self._batch = Batch(checkpoint, network, settings.slots)
        self._jobs: list[_Job | None] = [None] * settings.slots
        self._line: Queue[_Job | None] = Queue(settings.line)
        self._door = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="whisper-engine", daemon=True)
        self._thread.start()

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def submit(self, window: Window) -> Future[WindowResult]:
        """Hand in a window; blocks while the line is full.

        Raises:
            InvalidRequestError: too short, too long, or an unknown language.
            ServerError: the engine is closed.
        """
        check_waveform(window.waveform)
        language = self._checkpoint.special.language(window.language)
        # What a caller wrote is read here, where a fault in it is that caller's alone.
        job = _Job(window, language, previous_text(self._checkpoint, window.options.initial_prompt))
        with self._door:  # whoever is inside when `close` comes is still served
            if self._closed:
                raise ServerError("the Whisper engine is closed; it takes no more windows")
            self._line.put(job)
        return job.future

    def busy(self) -> int:
        """Windows in slots."""
        return self.settings.slots - self._jobs.count(None)

    def waiting(self) -> int:
        """Windows in the line."""
        return self._line.qsize()

    def close(self) -> None:
        """Finish what was handed in, then stop."""
        with self._door:
            if not self._closed:
                self._closed = True
                self._line.put(None)
        self._thread.join()

    def _run(self) -> None:
        if self.settings.threads:
            torch.set_num_threads(self.settings.threads)
        closing = False
        with torch.inference_mode():
            while True:
                idle = not any(self._jobs)
                if closing and idle:
                    return
                admitted = [] if closing else self._take(wait=idle)
                closing = closing or None in admitted
                new = [job for job in admitted if job]
                self._guard(new, lambda jobs=new: self._admit(jobs))
                busy = [job for job in self._jobs if job]
                self._guard(busy, lambda jobs=busy: self._advance(jobs))

    def _take(self, *, wait: bool) -> list[_Job | None]:
        """As many waiting jobs as there are free slots; a None at the end says: close."""
        taken: list[_Job | None] = []
        try:
            while len(taken) < self._jobs.count(None) and None not in taken:
                taken.append(self._line.get(block=wait and not taken))
        except Empty:
            pass
        return taken

    def _guard(self, jobs: Sequence[_Job], work: Callable[[], None]) -> None:
        """Do work for jobs; if it fails, they get the error and the engine lives on."""
        try:
            if jobs:
                work()
        except Exception as err:  # whatever fails is these windows' answer
            log.exception("%d windows failed", len(jobs))
            for job in jobs:
                self._fail(job, err)

    def _fail(self, job: _Job, err: Exception) -> None:
        self._release(job)
        if not job.future.done():
            job.future.set_exception(err)

    def _release(self, job: _Job) -> None:
        if job.slot >= 0:
            self._batch.stop(job.slot)
            self._jobs[job.slot] = None
            job.slot = -1

    def _admit(self, jobs: Sequence[_Job]) -> None:
        """Give jobs the lowest free slots and begin them."""
        placed: list[_Job] = []
        for job in jobs:
            if job.future.set_running_or_notify_cancel() and not self._late(job):
                job.slot = self._jobs.index(None)
                self._jobs[job.slot] = job
                placed.append(job)
        self._begin(placed)

    def _late(self, job: _Job) -> bool:
        """Whether nobody waits for this answer any more; the job is then over."""
        deadline = job.window.options.deadline_unix_s
        late_s = time.time() - deadline
        if not deadline or late_s < 0:
            return False
        self._fail(
            job,
            DeadlineExceededError(
                f"the deadline passed {late_s:.1f} s ago by this machine's clock"
            ),
        )
        return True

    def _begin(self, jobs: Sequence[_Job]) -> None:
        """Encode what is left of jobs and begin their rows, each in its slot."""
        for job in jobs:
            job.steps = 0
        self._batch.place(
            [
                Placement(
                    job.slot,
                    job.sound,
                    row_start(self._checkpoint, job.previous, job.language, job.window.options),
                )
                for job in jobs
            ]
        )

    def _advance(self, busy: Sequence[_Job]) -> None:
        """Run steps, look, let finished and late jobs leave, continue the unfinished."""
        steps = self.settings.steps_per_look
        count = max(job.slot for job in busy) + 1
        done = self._batch.run(count, steps, max(job.steps for job in busy))
        self.counters.steps += steps
        self.counters.rows += steps * len(busy)
        resumed: list[_Job] = []
        for job in busy:
            job.steps += steps
            if not self._late(job) and done[job.slot]:
                self._guard([job], lambda job=job: self._collect(job))
                if job.slot >= 0:
                    resumed.append(job)
        self._guard(resumed, lambda: self._begin(resumed))

    def _collect(self, job: _Job) -> None:
        """Keep what a finished row has said; the job leaves unless its sound goes on."""
        special = self._checkpoint.special
        output = self._batch.output(job.slot)
        ended = output.tokens[-1:] == [special.end_of_text]
        tokens = output.tokens[:-1] if ended else output.tokens
        if job.language is None:
            job.language = list(special.languages)[output.language]
            job.language_probability = output.language_probability
        heard_s = len(job.sound) / SAMPLE_RATE_HZ
        split = (
            split_segments(tokens, special.first_timestamp, heard_s)
            if job.window.options.timestamps
            else whole(tokens, heard_s)
        )
        offset_s = job.offset_samples / SAMPLE_RATE_HZ
        job.decodes.append(
            Decode(
                offset_s=offset_s,
                end_s=offset_s + split.reach_s,
                tokens=tuple(tokens),
                logprobs=tuple(output.logprobs),
                spans=split.spans,
                no_speech_probability=output.no_speech_probability,
                complete=ended or split.resume_s is not None,
                attention=self._attention(job, tokens, split),
            )
        )
        if split.resume_s is None:
            self._finish(job)
        else:
            job.offset_samples += round(split.resume_s * SAMPLE_RATE_HZ)

    def _attention(self, job: _Job, tokens: Sequence[int], split: Split) -> Matrix:
        """Attention of the segments that are kept, up to where they reach."""
        special = self._checkpoint.special
        kept = tokens[: split.spans[-1].last]
        text = [token for token in kept if token < special.end_of_text]
        reach = count_frames(split.reach_s)
        if not text:
            return silent_row(reach)
        prompt = [*task_prompt(special, job.language), special.no_timestamps]
        frames = count_frames(len(job.sound) / SAMPLE_RATE_HZ)
        return self._batch.attention(job.slot, prompt, text, frames)[:, :reach]

    def _finish(self, job: _Job) -> None:
        duration = len(job.window.waveform) / SAMPLE_RATE_HZ
        transcript = make_transcript(
            job.decodes,
            Language(job.language or "", job.language_probability),
            duration,
            self._checkpoint.tokenizer,
            self._checkpoint.special.end_of_text,
        )
        flag_silence(transcript, job.window.waveform)
        blocks = [(count_frames(decode.offset_s), decode.attention) for decode in job.decodes]
        attention = stack_blocks(blocks, count_frames(duration))
        tokens = tuple(decode.tokens for decode in job.decodes)
        self._release(job)
        self.counters.windows += 1
        job.future.set_result(WindowResult(transcript, attention, tokens))
