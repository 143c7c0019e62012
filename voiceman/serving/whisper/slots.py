"""Which job is in which slot of a batch."""

from voiceman.serving.whisper.job import Job


class Slots:
    """A fixed number of places; the first s of them are computed, s - 1 the highest taken."""

    def __init__(self, count: int) -> None:
        """All of them free."""
        self._jobs: list[Job | None] = [None] * count

    @property
    def free(self) -> int:
        """How many nobody is in."""
        return self._jobs.count(None)

    def jobs(self) -> list[Job]:
        """Everyone in a slot, by slot."""
        return [job for job in self._jobs if job]

    def running(self) -> list[Job]:
        """Everyone whose row is being stepped, by slot."""
        return [job for job in self.jobs() if job.running]

    def put(self, job: Job) -> None:
        """Let a job enter the lowest free slot: the fewest rows are computed."""
        job.enter(self._jobs.index(None))
        self._jobs[job.slot] = job

    def remove(self, job: Job) -> None:
        """Let a job leave its slot."""
        self._jobs[job.slot] = None
        job.leave()

    def gap(self) -> tuple[Job, int] | None:
        """The job in the highest slot and a free slot below it, which it could move to."""
        jobs = self.jobs()
        lowest = len(self._jobs) if not self.free else self._jobs.index(None)
        return (jobs[-1], lowest) if jobs and lowest < jobs[-1].slot else None

    def move(self, job: Job, slot: int) -> None:
        """Let a job go on in another slot, which is free."""
        self._jobs[job.slot], self._jobs[slot] = None, job
        job.slot = slot

    def clear(self) -> list[Job]:
        """Let everyone leave; who that was."""
        jobs = self.jobs()
        for job in jobs:
            self.remove(job)
        return jobs
