"""An engine in a process of its own, seen from the benchmark."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from perf.peers.catalogue import ENGINES
from perf.record import ROOT

GUEST_PYTHON = ROOT / ".venv-peers" / "bin" / "python"


@dataclass(frozen=True)
class Round:
    """One pass over the corpus.

    Attributes:
        texts: one per recording.
        wall_s: seconds that passed. cpu_s: seconds of CPU time in the engine's process.
        peak_rss_mb: the greatest resident memory of the process so far.
    """

    texts: tuple[str, ...]
    wall_s: float
    cpu_s: float
    peak_rss_mb: float


class EngineProcess:
    """A worker: loaded and warm once `ready` returns; it is idle between rounds."""

    def __init__(self, name: str, threads: int, languages: Sequence[str]) -> None:
        """Start it, and wait until it is ready."""
        command = [str(python_of(name)), "-m", "perf.peers.worker", name]
        command += ["--threads", str(threads), "--only", ",".join(languages)]
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | {"OMP_NUM_THREADS": str(threads)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.versions: dict[str, str] = json.loads(self._line())

    def __enter__(self) -> "EngineProcess":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._process.kill()
        self._process.communicate()

    def round(self) -> Round:
        """Let it transcribe everything once."""
        if self._process.stdin is None:
            raise RuntimeError("the worker was started without a pipe to it")
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        answer = json.loads(self._line())
        return Round(**answer | {"texts": tuple(answer["texts"])})

    def _line(self) -> str:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise RuntimeError(f"{self._process.args}: ended with {self._process.wait()}")
        return line


def python_of(name: str) -> Path:
    """The interpreter that has what an engine needs."""
    return GUEST_PYTHON if ENGINES[name].guest else Path(sys.executable)
