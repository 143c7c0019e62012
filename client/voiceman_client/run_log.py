"""The log of a results folder: what every run into it did, step by step.

`run_log.jsonl` is only ever appended to; `voiceman_client.chain` says how its lines hold together.
The events:

    run_started          version, options, layout, server and models (versions, hashes of
                         configurations)
    decoded              file, SHA-256 of it and of the decoded sound
    speech_found         file, number of its windows, SHA-256 of where they are
    window_answered      file, channel, start and end in seconds, SHA-256 of the evidence, and of
                         all of the answer with what it answers
    answer_doubted       file, channel, start and end: the ledger had another answer than the log
                         knows, it is asked for again
    summed_up            file, SHA-256 of the summary
    result_written       provenance as in the result, size and SHA-256 of every file written
    performance_written  size and SHA-256 of the files of the performance report
    recording_failed     file or argument, why, SHA-256 where the file itself is the reason, and
                         the files of an earlier result that stay
    summary_written      the job's summary: size and SHA-256
    file_removed         name of a file that does not hold any more, and why
    run_stopped          why the run ends before it is done
    run_finished         counts, and every file of the folder with size and SHA-256: the seal
    run_signed           public key and signature of the seal (Ed25519)
    torn_line_removed    what a crash left of a line: its size and SHA-256
    half_file_removed    what a crash left of a result

Files that are written are named relative to the folder, recordings as in `provenance`. The hash
of the last `run_finished` is the seal of everything before it.

What a later run takes from the ledger instead of asking again must be in the log (`knows`): so the
chain protects the ledger too, which changes as runs go on and which no seal lists.
"""

import hashlib
import logging
import os
import re
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from voiceman.errors import ResultNotWrittenError, RunLogError, VoicemanError
from voiceman_client.chain import Line, read_chain, write_line
from voiceman_client.file_lock import busy, is_locked, lock, locked
from voiceman_client.layout import COMPLETED, FAILED
from voiceman_client.log_lines import Origin, is_about_files, measure, origins_of, outputs_of
from voiceman_client.writers import TEMPORARY_PREFIX, Written

if TYPE_CHECKING:  # only who signs needs the package cryptography
    from voiceman_client.signing import Signer

log = logging.getLogger(__name__)

LOG_NAME = "run_log.jsonl"
# The hash of an answer or a plan in a line as bytes; inside a string its quotes were escaped.
_HASH = re.compile(
    rb'^\{"sequence":\d+,"time":"[^"]*","event":"(?:window_answered|speech_found)",'
    rb'.*"(?:answer|plan)_sha256":"([^"\\]+)"',
    re.MULTILINE,
)
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
            self._known |= _hashes_in(content)
            return line

    def written(self, event: str, facts: Mapping[str, Any], files: Sequence[Written]) -> None:
        """Say that files were written, and why; see `append` for errors."""
        outputs = {
            os.path.relpath(file.path, self._folder): {
                "size_bytes": file.size_bytes,
                "sha256": file.sha256,
            }
            for file in files
        }
        self.append(event, {**facts, "outputs": outputs})
        self._outputs |= outputs
        if "provenance" in facts:
            self._origins |= dict.fromkeys(outputs, Origin.of(facts["provenance"]))

    def remove(self, path: Path, why: str) -> None:
        """Remove a file that was written, if it was; see `append` for errors.

        One that somebody changed since is not ours any more: it stays.
        """
        name = os.path.relpath(path, self._folder)
        if not self.wrote(path):
            return
        try:
            if path.exists() and measure(path) != self._outputs[name]:
                log.warning("%s: stays although %s: it was changed since", path, why)
                return
            path.unlink(missing_ok=True)
        except OSError as err:
            raise ResultNotWrittenError(f"{path}: cannot be removed ({err.strerror})") from err
        self.append("file_removed", {"name": name, "why": why})
        del self._outputs[name]

    def differs(self, file: Written) -> bool:
        """Whether the log says that other bytes were written there before."""
        logged = self._outputs.get(os.path.relpath(file.path, self._folder))
        return logged is not None and logged["sha256"] != file.sha256

    def origin(self, path: Path) -> Origin | None:
        """What a file was made of that is there by the log; None: it is not, or is no result."""
        name = os.path.relpath(path, self._folder)
        return self._origins.get(name) if name in self._outputs else None

    def wrote(self, path: Path) -> bool:
        """Whether the log says that a file was written, and not that it was removed."""
        return os.path.relpath(path, self._folder) in self._outputs

    def outputs_among(self, files: Iterable[Path]) -> dict[str, Any]:
        """Size and SHA-256 of those of the files that the log knows, by name in the folder."""
        names = (os.path.relpath(path, self._folder) for path in files)
        return {name: self._outputs[name] for name in names if name in self._outputs}

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
        lock(self._file, self.path)
        # A run that came to nothing may have removed its log since it was opened here.
        if not self.path.exists() or not self.path.samefile(f"/dev/fd/{self._file}"):
            raise busy(self.path)

    def _continue(self) -> None:
        """Take up the chain where it ends."""
        content = self.path.read_bytes()
        chain = read_chain(content, is_about_files)
        if chain.breaks:
            raise RunLogError(
                f"{self.path}: {chain.breaks[0]}; keep this folder as it is, see "
                "`voiceman-client verify`, and give another --output"
            )
        self._size = self.path.stat().st_size - len(chain.torn)
        self._next, self._previous = chain.count, chain.last
        self._outputs = outputs_of(chain.lines)
        self._origins = origins_of(chain.lines)
        self._known = _hashes_in(content[: self._size])
        if chain.torn:
            os.ftruncate(self._file, self._size)
            digest = hashlib.sha256(chain.torn).hexdigest()
            self.append("torn_line_removed", {"size_bytes": len(chain.torn), "sha256": digest})
        for half in half_files(self._folder):
            half.unlink()
            self.append("half_file_removed", {"name": os.path.relpath(half, self._folder)})


def half_files(folder: Path) -> list[Path]:
    """What writing left unfinished, in a folder and in those that a job has inside it."""
    return sorted(
        path
        for part in ("", COMPLETED, FAILED)
        for path in (folder / part).glob(f"{TEMPORARY_PREFIX}*")
        if not path.suffix  # a result of a recording that has such a name
    )


def is_in_use(folder: Path) -> bool:
    """Whether a run is writing into a folder."""
    return is_locked(folder / LOG_NAME)


def claimed(folder: Path) -> AbstractContextManager[None]:
    """Keep runs out of a folder; where nothing was logged yet there is nothing to keep them from.

    Raises:
        RunLogError: one is writing into it.
    """
    return locked(folder / LOG_NAME)


def _hashes_in(lines: bytes) -> set[str]:
    """Of the answers and plans in lines that are whole."""
    return {found.decode() for found in _HASH.findall(lines)}


def _write(file: int, content: bytes) -> None:
    while content:  # the system may take a part only
        content = content[os.write(file, content) :]
