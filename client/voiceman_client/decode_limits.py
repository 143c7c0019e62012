"""How much a decoder may use for one recording, so that a hostile file costs only itself."""

import ctypes
import os
import resource
import signal
from dataclasses import dataclass
from math import ceil

from voiceman.audio import SAMPLE_RATE_HZ

MAX_RECORDING_S = 12 * 3600.0  # a small file can claim to hold days; 12 h are 1.4 GB a channel
# Two channels as decoded and as prepared; a buffer that grows is up to an eighth longer.
_SAMPLES_BYTES = round(2 * 2 * MAX_RECORDING_S * SAMPLE_RATE_HZ * 2 * 9 / 8)
_PROGRAM_BYTES = 1 << 30  # interpreter, libraries, codecs and blocks of work; 0.4 GB were measured
_MB = 1e6
_OPEN_FILES = 64
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


@dataclass(frozen=True)
class DecodeLimits:
    """Limits of a decoder process, for one file each.

    Attributes:
        file_bytes: size of the file. 64 GiB hold 12 h of any sound, or of video.
        recording_s: seconds of sound.
        memory_bytes: memory that the process may write to (RLIMIT_DATA).
        start_s: seconds of wall time that every file has.
        s_per_mb: seconds more for each megabyte: a disk that gives 1 MB/s is slow, not stuck.
        least_speed: seconds of sound that every further second must bring. Decoders reach 450
            to 2,000 on one core; one that makes no headway gets no more time.
        nice: added to the niceness: on one box, decoding gives way to the server.
    """

    file_bytes: int = 64 << 30
    recording_s: float = MAX_RECORDING_S
    memory_bytes: int = _PROGRAM_BYTES + _SAMPLES_BYTES
    start_s: float = 60.0
    s_per_mb: float = 1.0
    least_speed: float = 20.0
    nice: int = 5

    def wall_s(self, size_bytes: int, decoded_s: float) -> float:
        """Seconds that a file of this size may take, given what came of it so far."""
        return self.start_s + self.s_per_mb * size_bytes / _MB + decoded_s / self.least_speed

    def bind_process(self) -> None:
        """Put the limits that hold for all files on this process, and tie it to its parent."""
        # The worker must not outlive a client that was killed; Linux alone offers this.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        os.nice(self.nice)
        for kind, value in (
            (resource.RLIMIT_DATA, self.memory_bytes),
            (resource.RLIMIT_CORE, 0),  # a dump would write what people said to the disk
            (resource.RLIMIT_FSIZE, 0),
            (resource.RLIMIT_NOFILE, _OPEN_FILES),
        ):
            most = _at_most(value, resource.getrlimit(kind)[1])
            resource.setrlimit(kind, (most, most))

    def bind_cpu_time(self, size_bytes: int) -> None:
        """Let this process die when the next file takes more CPU time than wall time at most."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        allowed_s = self.wall_s(size_bytes, self.recording_s) + used.ru_utime + used.ru_stime
        hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
        resource.setrlimit(resource.RLIMIT_CPU, (_at_most(ceil(allowed_s), hard), hard))


def _at_most(value: int, hard: int) -> int:
    """A limit that this process may set."""
    return value if hard == resource.RLIM_INFINITY else min(value, hard)
