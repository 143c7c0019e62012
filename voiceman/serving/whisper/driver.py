"""The loop that drives a device: one thread, one batch of slots.

Each turn it begins to encode waiting windows into free slots, begins the rows of those that are
encoded, hands over a few steps of all rows, and looks at the steps before: finished rows leave.
A row whose text ends before its sound does is encoded again from there, one that is not good
enough is decoded again with the encoder's output kept, both in the slot they have.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from voiceman.errors import DeadlineExceededError, RequestCancelledError
from voiceman.serving.memory import is_out_of_memory
from voiceman.serving.whisper.batch import Batch, Look
from voiceman.serving.whisper.checkpoint import Checkpoint
from voiceman.serving.whisper.encoder import Encoding
from voiceman.serving.whisper.job import NO_SLOT, Job
from voiceman.serving.whisper.line import Line
from voiceman.serving.whisper.memory import guard_of, smaller
from voiceman.serving.whisper.reading import read_decode
from voiceman.serving.whisper.slots import Slots

log = logging.getLogger(__name__)


@dataclass
class Counters:
    """What has been done so far; rows / steps is the mean occupancy.

    Attributes:
        windows: answered. cancelled: left because nobody waited any more. failed: with an error.
        steps, rows, looks: of the decoder. encodings: of a window or the rest of one.
        decodes_again: because a decode was too repetitive or too unlikely.
        waited_s: that windows spent in the line. decoded_s: that windows spent in a slot.
    """

    windows: int = 0
    cancelled: int = 0
    failed: int = 0
    steps: int = 0
    rows: int = 0
    looks: int = 0
    encodings: int = 0
    decodes_again: int = 0
    waited_s: float = 0.0
    decoded_s: float = 0.0


Ticket = tuple[Job, int]  # a job and how many rows it had had


class Driver:
    """Decodes what comes down a line until that ends."""

    def __init__(
        self, checkpoint: Checkpoint, batch: Batch, line: Line, steps_per_look: int | None = None
    ) -> None:
        """Take a batch over; nobody else may touch it. None: as many steps as suit its device."""
        self.counters = Counters()
        self._checkpoint = checkpoint
        self._batch = batch
        self._line = line
        self._memory = guard_of(batch)
        self._steps_per_look = steps_per_look
        self._slots = Slots(batch.slots)
        self._displaced: list[Job] = []  # they had a slot before the batch was made smaller
        self._encodings: list[tuple[Encoding, list[Ticket]]] = []
        self._looks: deque[tuple[Look, list[Ticket]]] = deque()

    @property
    def slots(self) -> int:
        """Windows that can be in flight."""
        return self._batch.slots

    def busy(self) -> int:
        """Windows in slots."""
        return len(self._slots.jobs())

    def run(self) -> None:
        """Decode until the line ends and everything is answered."""
        with torch.inference_mode():
            while self.busy() or self._displaced or not self._line.ended:
                full = ""
                try:
                    self._turn()
                except Exception as err:
                    if is_out_of_memory(err):
                        full = str(err)
                    else:  # of the device as a whole: no window may wait for ever
                        log.exception("all windows in flight failed")
                        self._give_up(err)
                if full:  # only here, where the error no longer holds what it had allocated
                    self._make_smaller(full)

    def _turn(self) -> None:
        arrived = self._take(wait=not self.busy())
        self._guard(arrived, lambda: self._encode(arrived))
        self._begin_encoded()
        self._close_gap()
        self._launch()
        self._read_looks()
        for job, why in self._line.sweep():
            self._fail(job, why)

    def _take(self, *, wait: bool) -> list[Job]:
        """Waiting jobs that somebody still wants, as many as are encoded at once, in slots."""
        room = min(self._slots.free, self._batch.encodes_at_once)
        if room and (self._displaced or len(self._line)):
            room = min(room, self._memory.fit() - self.busy())
        taken: list[Job] = []
        while len(taken) < room:
            wait = wait and not taken
            job = self._displaced.pop(0) if self._displaced else self._line.take(wait=wait)
            if job is None:
                break
            if self._is_wanted(job):
                self._slots.put(job)
                taken.append(job)
        return taken

    def _is_wanted(self, job: Job) -> bool:
        """Whether somebody waits for a job; if not, it is over."""
        why = job.why_unwanted()
        if why is not None:
            self._fail(job, why)
        return why is None

    def _encode(self, jobs: Sequence[Job]) -> None:
        """Begin to encode what is left of jobs into their slots."""
        encoding = self._batch.encode([job.placement(self._checkpoint) for job in jobs])
        self._encodings.append((encoding, [(job, job.rows) for job in jobs]))
        self.counters.encodings += len(jobs)

    def _begin_encoded(self) -> None:
        """Begin the rows of what is encoded; wait for it only where nothing else is to be done."""
        waiting, self._encodings = self._encodings, []
        for encoding, tickets in waiting:
            if self._slots.running() and not encoding.ready():
                self._encodings.append((encoding, tickets))
            else:
                jobs = _current(tickets)
                self._guard(jobs, lambda e=encoding, jobs=jobs: self._begin(e, jobs))

    def _begin(self, encoding: Encoding, jobs: Sequence[Job]) -> None:
        encoding.wait()
        slots = {job.slot for job in jobs}
        self._batch.begin([each for each in encoding.placements if each.slot in slots])
        for job in jobs:
            job.start_row()

    def _close_gap(self) -> None:
        """Move the highest row into a free slot that nobody waits for: one row less to compute.

        Only where nothing is under way, so never on a device that is given steps in advance.
        """
        gap = self._slots.gap()
        if gap and not (self._batch.looks_ahead or self._encodings or len(self._line)):
            job, slot = gap
            self._guard([job], lambda: self._move(job, slot))

    def _move(self, job: Job, slot: int) -> None:
        self._batch.move(job.slot, slot)
        self._slots.move(job, slot)

    def _launch(self) -> None:
        """Hand over the next steps of all rows."""
        running = self._slots.running()
        if running:
            self._guard(running, lambda: self._launch_rows(running))

    def _launch_rows(self, running: Sequence[Job]) -> None:
        steps = self._steps_per_look or self._batch.steps_per_look
        count = max(job.slot for job in running) + 1
        look = self._batch.launch(count, steps, max(job.steps for job in running))
        self._looks.append((look, [(job, job.rows) for job in running]))
        for job in running:
            job.steps += steps
        self.counters.looks += 1
        self.counters.steps += steps
        self.counters.rows += steps * len(running)

    def _read_looks(self) -> None:
        """Look at steps: all but the latest, which the device is still computing."""
        # Once nothing runs there is nothing to be ahead of, and nobody's window to hold on to.
        ahead = self._batch.looks_ahead if self._slots.running() else 0
        while len(self._looks) > ahead:
            look, tickets = self._looks.popleft()
            jobs = _current(tickets)
            self._guard(jobs, lambda look=look, jobs=jobs: self._read(look, jobs))

    def _read(self, look: Look, jobs: Sequence[Job]) -> None:
        done = look.done()
        for job in jobs:
            if self._is_wanted(job) and done[job.slot]:
                self._guard([job], lambda job=job: self._collect(job))

    def _collect(self, job: Job) -> None:
        """Take what a finished row has said; the job leaves, goes on, or is decoded again."""
        job.running = False
        said = job.keep_attempt(self._batch.output(job.slot), self._checkpoint)
        if said is None:
            self.counters.decodes_again += 1
            self._batch.begin([job.placement(self._checkpoint)])
            job.start_row()
            return
        decode, resume_s = read_decode(self._batch, job, said)
        job.keep(decode, resume_s)
        if resume_s is None:
            self._finish(job)
        else:
            self._encode([job])

    def _finish(self, job: Job) -> None:
        result = job.result(self._checkpoint, self._batch.network.precision.label)
        self._release(job)
        self.counters.windows += 1
        self.counters.waited_s += job.admitted_s - job.submitted_s
        self.counters.decoded_s += time.monotonic() - job.admitted_s
        job.answer(result)

    def _guard(self, jobs: Sequence[Job], work: Callable[[], object]) -> None:
        """Do work for jobs; if it fails, they get the error and everything else goes on.

        Raises:
            RuntimeError: the device's memory is full; for this the jobs are not to blame.
        """
        try:
            if jobs:
                work()
        except Exception as err:  # whatever fails is these windows' answer
            if is_out_of_memory(err):
                raise
            log.exception("%d windows failed", len(jobs))
            for job in jobs:
                self._fail(job, err)

    def _fail(self, job: Job, err: Exception) -> None:
        self._release(job)
        unwanted = isinstance(err, RequestCancelledError | DeadlineExceededError)
        self.counters.cancelled += unwanted
        self.counters.failed += not unwanted
        job.answer(err)

    def _release(self, job: Job) -> None:
        if job.slot != NO_SLOT:
            self._batch.stop(job.slot)
            self._slots.remove(job)

    def _make_smaller(self, why: str) -> None:
        """Carry on with fewer slots; what was being decoded is decoded anew."""
        log.warning("out of memory with %d slots: %s", self.slots, why)
        self._displaced = self._clear() + self._displaced
        try:
            self._batch = smaller(self._batch)
            self._memory = guard_of(self._batch)
        except Exception as fault:  # nothing is left to decode them with
            log.exception("the batch could not be made smaller")
            self._give_up(fault)
        self._slots = Slots(self.slots)

    def _give_up(self, err: Exception) -> None:
        """Answer everything that is in flight with an error."""
        jobs, self._displaced = self._clear() + self._displaced, []
        for job in jobs:
            self._fail(job, err)

    def _clear(self) -> list[Job]:
        """Empty all slots without the device; the jobs that were in them."""
        self._encodings.clear()
        self._looks.clear()
        return self._slots.clear()


def _current(tickets: Sequence[Ticket]) -> list[Job]:
    """The jobs whose row is still the one of the ticket."""
    return [job for job, rows in tickets if job.slot != NO_SLOT and job.rows == rows]
