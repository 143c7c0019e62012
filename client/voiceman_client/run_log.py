"""The log of a results folder: what every run into it did, step by step.

`run_log.jsonl` is only ever appended to; `voiceman_client.chain` says how its lines hold together.
The events:

    run_started          version, options, server and models (versions, hashes of configurations)
    decoded              file, SHA-256 of it and of the decoded sound
    speech_found         file, number of its windows, SHA-256 of where they are
    window_answered      file, channel, start and end in seconds, SHA-256 of the evidence, and of
                         all of the answer with what it answers
    answer_doubted       file, channel, start and end: the ledger had another answer than the log
                         knows, it is asked for again
    summed_up            file, SHA-256 of the summary
    result_written       provenance as in the result, size and SHA-256 of every file written
    performance_written  size and SHA-256 of the files of the performance report
    recording_failed     file or argument, why, and SHA-256 where the file itself is the reason
    run_finished         counts, and every file of the folder with size and SHA-256: the seal
    run_signed           public key and signature of the seal (Ed25519)
    torn_line_removed    what a crash left of a line: its size and SHA-256
    half_file_removed    what a crash left of a result

Files that are written are named relative to the folder, recordings as in `provenance`. The hash
of the last `run_finished` is the seal of everything before it.

What a later run takes from the ledger instead of asking again must be in the log (`knows`): so the
chain protects the ledger too, which changes as runs go on and which no seal lists.
"""

import fcntl
import hashlib
import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from voiceman.errors import ResultNotWrittenError, RunLogError, VoicemanError
from voiceman_client.chain import Line, read_chain, write_line
from voiceman_client.writers import TEMPORARY_PREFIX, Written

if TYPE_CHECKING:  # only who signs needs the package cryptography
    from voiceman_client.signing import Signer

LOG_NAME = "run_log.jsonl"
OUTPUT_EVENTS = ("result_written", "performance_written")  # that name files
SEALS = ("run_finished", "run_signed")  # events that a folder may rest after


class RunLog:
    """The log of a folder, open for one process; a context manager.

    Threads may append at the same time.
    """

    def __init__(self, folder: Path) -> None:
        """Open the log, or begin it; the folder is made when missing.

        What a crash left is removed, and the log says so.

        Raises:
            RunLogError: another process writes into this folder, or the chain is broken.
            ResultNotWrittenError: disk full, no permission, or no folder can be there.
        """
        self.path = folder / LOG_NAME
        self._folder = folder
        self._lock = threading.Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        except OSError as err:
            raise ResultNotWrittenError(
                f"{self.path}: cannot be opened ({err.strerror}); give another --output"
            ) from err
        try:
            self._claim()
            self._continue()
        except OSError as err:
            os.close(self._file)
            raise ResultNotWrittenError(f"{err.filename}: {err.strerror}") from err
        except VoicemanError:
            os.close(self._file)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, at: TracebackType | None
    ) -> None:
        if not self._size:
            with suppress(OSError):  # nothing came of the run; an empty log is none
                self.path.unlink()
        os.close(self._file)

    def append(self, event: str, facts: Mapping[str, Any], *, sync: bool = True) -> Line:
        """Add a line.

        Args:
            event: see the module.
            facts: what JSON can hold.
            sync: wait until the disk has it; without, it outlives this process only.

        Raises:
            ResultNotWrittenError: the disk is full, or fails; the log is as it was before.
        """
        with self._lock:
            now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            content, line = write_line(self._next, now, event, facts, self._previous)
            try:
                self._cut()
                _write(self._file, content)
                if sync:
                    os.fsync(self._file)
            except OSError as err:
                with suppress(OSError):  # a dead disk: the next line, or the next run, sees to it
                    self._cut()
                raise ResultNotWrittenError(
                    f"{self.path}: {len(content)} bytes could not be written ({err.strerror}); "
                    "make room"
                ) from err
            self._size += len(content)
            self._next, self._previous = line.sequence + 1, line.sha256
            self._known |= _hashes_in(line)
            return line

    def written(self, provenance: Mapping[str, Any], files: Sequence[Written]) -> None:
        """Say that the files of a result were written; see `append` for errors."""
        self._outputs_written("result_written", {"provenance": provenance}, files)

    def performance_written(self, files: Sequence[Written]) -> None:
        """Say that the report about a run was written; see `append` for errors."""
        self._outputs_written("performance_written", {}, files)

    def _outputs_written(
        self, event: str, facts: Mapping[str, Any], files: Sequence[Written]
    ) -> None:
        outputs = {
            os.path.relpath(file.path, self._folder): {
                "size_bytes": file.size_bytes,
                "sha256": file.sha256,
            }
            for file in files
        }
        self.append(event, {**facts, "outputs": outputs})
        self._outputs |= outputs

    def knows(self, sha256: str) -> bool:
        """Whether a line says this hash of an answer (`window_answered`) or of a plan."""
        return sha256 in self._known

    def holds(self, files: Iterable[Path]) -> bool:
        """Whether the log knows these files and they are there, as long as it says."""
        for path in files:
            logged = self._outputs.get(os.path.relpath(path, self._folder))
            try:
                if logged is None or path.stat().st_size != logged["size_bytes"]:
                    return False
            except OSError:
                return False
        return True

    def seal(self, counts: Mapping[str, int], signer: "Signer | None" = None) -> str:
        """End the run; see `append` for errors.

        Args:
            counts: how many recordings were given, were finished, and failed.
            signer: to sign the seal with.

        Returns:
            The seal: the hash of the line `run_finished`.
        """
        seal = self.append("run_finished", {**counts, "outputs": self._outputs}).sha256
        if signer:
            self.append("run_signed", asdict(signer.sign(seal)))
        return seal

    def _cut(self) -> None:
        """Take away what a line left that could not be written."""
        if os.fstat(self._file).st_size > self._size:
            os.ftruncate(self._file, self._size)

    def _claim(self) -> None:
        busy = RunLogError(
            f"{self.path}: another run writes into this folder; wait, or give another --output"
        )
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as err:
            raise busy from err
        except OSError:  # a file system without locks
            return
        # A run that came to nothing may have removed its log since it was opened here.
        if not self.path.exists() or not self.path.samefile(f"/dev/fd/{self._file}"):
            raise busy

    def _continue(self) -> None:
        """Take up the chain where it ends."""
        chain = read_chain(self.path.read_bytes())
        if chain.breaks:
            raise RunLogError(
                f"{self.path}: {chain.breaks[0]}; keep this folder as it is, see "
                "`voiceman-client verify`, and give another --output"
            )
        self._size = self.path.stat().st_size - len(chain.torn)
        self._next, self._previous = len(chain.lines), chain.last
        self._outputs = outputs_of(chain.lines)
        self._known: set[str] = set().union(*map(_hashes_in, chain.lines))
        if chain.torn:
            os.ftruncate(self._file, self._size)
            digest = hashlib.sha256(chain.torn).hexdigest()
            self.append("torn_line_removed", {"size_bytes": len(chain.torn), "sha256": digest})
        for half in sorted(self._folder.glob(f"{TEMPORARY_PREFIX}*")):
            half.unlink()
            self.append("half_file_removed", {"name": half.name})


def outputs_of(lines: Iterable[Line]) -> dict[str, Any]:
    """Size and SHA-256 of every file that the lines say was written, as it was last."""
    return {
        name: facts
        for line in lines
        if line.event in OUTPUT_EVENTS
        for name, facts in line.facts["outputs"].items()
    }


def _hashes_in(line: Line) -> set[str]:
    names = {"window_answered": "answer_sha256", "speech_found": "plan_sha256"}
    found = line.facts.get(names.get(line.event, ""))
    return {found} if isinstance(found, str) else set()


def _write(file: int, content: bytes) -> None:
    while content:  # the system may take a part only
        content = content[os.write(file, content) :]
