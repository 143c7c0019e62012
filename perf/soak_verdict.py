"""What `perf.soak` has seen of everything at rest, and what of it is growth."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from perf.record import table
from perf.resting import Held
from voiceman_client import Limits
from voiceman_client.leak import WARM_UP_SHARE, Growth, growth

LEAST_ROUNDS = 14  # ten are left after the warm-up: fewer tell no growth
# An arena of Python 3.11, and more than glibc adds to a heap at a time.
ALLOCATED_MB = 1.05
LASTING = "lasting client"
DESCRIPTORS_PER_REGION = 2  # of its lock, and of its mapping
MOST_AUDIO_REGIONS = Limits.in_flight + Limits.workers
_MB = 1e6


@dataclass
class Course:
    """How everything was at rest, round by round.

    Attributes:
        times_s: of the looks, from the beginning.
        held: of every process, by name.
        processes: how many there were.
        regions: of the server in /dev/shm.
        audio_regions: of the lasting client there.
        wrong: what must not be.
    """

    times_s: list[float] = field(default_factory=list[float])
    held: dict[str, list[Held]] = field(default_factory=dict[str, list[Held]])
    processes: list[int] = field(default_factory=list[int])
    regions: list[int] = field(default_factory=list[int])
    audio_regions: list[int] = field(default_factory=list[int])
    wrong: list[str] = field(default_factory=list[str])

    def memory_growth(self, name: str) -> Growth | None:
        """How a process's memory grew; None: there were too few rounds."""
        return growth(self.times_s, [held.memory_bytes for held in self.held[name]])

    def descriptors(self, name: str) -> list[int]:
        """Of a process; without those of regions, of which the lasting client may have more."""
        held = [one.descriptors for one in self.held[name]]
        if name != LASTING:
            return held
        pairs = zip(held, self.audio_regions, strict=True)
        return [count - DESCRIPTORS_PER_REGION * regions for count, regions in pairs]

    def grown_mb(self, found: Growth) -> float:
        """By how much, from the end of the warm-up to the last round."""
        return found.mb_per_hour * (self.times_s[-1] - self.times_s[self.warm_up]) / 3600

    @property
    def warm_up(self) -> int:
        """Rounds that are left out."""
        return math.ceil(len(self.times_s) * WARM_UP_SHARE)


def judge(course: Course) -> list[str]:
    """What became more while everything rested."""
    wrong: list[str] = []
    for name, held in course.held.items():
        found = course.memory_growth(name)
        if found is None:
            wrong.append(f"{name}: {len(held)} rounds are too few to tell whether memory grows")
        elif found.beyond_noise and course.grown_mb(found) > ALLOCATED_MB:
            wrong.append(
                f"{name}: memory grew by {found.mb_per_hour:.1f} MB an hour, beyond the noise of "
                f"{found.noise_mb:.2f} MB"
            )
        wrong += _more(f"{name}: descriptors", course.descriptors(name), course.warm_up)
    wrong += _more("processes", course.processes, course.warm_up)
    wrong += _more("the server's regions in /dev/shm", course.regions, course.warm_up)
    if max(course.audio_regions) > MOST_AUDIO_REGIONS:
        wrong.append(
            f"lasting client: {max(course.audio_regions)} regions in /dev/shm, more than the "
            f"{MOST_AUDIO_REGIONS} that it uses at a time"
        )
    return wrong


def _more(what: str, counts: Sequence[int], warm_up: int) -> list[str]:
    before, after = max(counts[:warm_up]), counts[-1]
    return [f"{what}: {after} in the end, {before} in the beginning"] if after > before else []


def figures(course: Course, audio_s: float) -> dict[str, object]:
    """The course as JSON values."""
    processes: dict[str, object] = {}
    for name, held in course.held.items():
        first, last, found = held[0], held[-1], course.memory_growth(name)
        processes[name] = {
            "memory_mb": [round(one.memory_bytes / _MB, 2) for one in (first, last)],
            "descriptors": [first.descriptors, last.descriptors],
            "threads": [first.threads, last.threads],
            "growth": found and asdict(found),
            "grown_mb": found and round(course.grown_mb(found), 3),
        }
    return {
        "rounds": len(course.times_s),
        "minutes": round(course.times_s[-1] / 60, 1),
        "audio_s_per_round": round(audio_s, 1),
        "first_and_last_of": processes,
        "processes": [course.processes[0], course.processes[-1]],
        "regions_in_dev_shm": [course.regions[0], course.regions[-1]],
        "most_regions_of_lasting_client": max(course.audio_regions),
        "wrong": course.wrong,
    }


def describe(course: Course, audio_s: float) -> str:
    """The course for people, as Markdown."""
    rows: list[list[object]] = []
    for name, held in course.held.items():
        found = course.memory_growth(name)
        rows.append(
            [
                name,
                *(
                    round(one.memory_bytes / _MB, 1)
                    for one in (held[0], held[course.warm_up], held[-1])
                ),
                f"{found.mb_per_hour:+.2f}" if found else "",
                f"{found.noise_mb:.2f}" if found else "",
                f"{held[0].descriptors}, {held[-1].descriptors}",
                f"{held[0].threads}, {held[-1].threads}",
            ]
        )
    columns = ("process", "MB after round 1", "after the warm-up", "in the end")
    columns += ("MB an hour", "noise, MB", "descriptors", "threads")
    return (
        f"{len(course.times_s)} rounds in {course.times_s[-1] / 60:.0f} minutes, "
        f"{audio_s:.0f} s of sound in each. Processes {course.processes[0]} and "
        f"{course.processes[-1]}, regions of the server {course.regions[0]} and "
        f"{course.regions[-1]} after the first round and the last. Wrong: {len(course.wrong)}.\n\n"
        + table(columns, rows)
        + "".join(f"\n- {what}" for what in course.wrong)
    )
