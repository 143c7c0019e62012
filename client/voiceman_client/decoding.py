"""Decoding in processes: a file that crashes the decoder, or starves it, takes only itself down.

Each worker runs `voiceman_client.decoder_worker`, one file at a time. A pool of
`concurrent.futures` would lose every file in work when one worker dies, and starts its workers by
running the caller's main script again.
"""

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from voiceman import errors
from voiceman_client.cores import Cores
from voiceman_client.decode import Recording
from voiceman_client.decode_limits import DecodeLimits
from voiceman_client.decoder_messages import (
    BROKEN_ANSWER,
    is_last,
    receive,
    receive_recording,
    send,
)
from voiceman_client.decoder_worker import WorkerSetup

_BUFFER_BYTES = 1 << 20
_ATTEMPTS = 3  # at a file whose worker somebody else killed
_DYING_S = 2.0  # for a worker that is about to end, to do so by itself
_ENDED = (asyncio.IncompleteReadError, ConnectionError)  # what a worker's end looks like
_STARTUP = (sys.executable, "-c", "from voiceman_client.decoder_worker import main; main()")


@dataclass(frozen=True)
class DecodeProgress:
    """How far one file is.

    Attributes:
        file_bytes: size of the file.
        read_bytes: of it.
        decoded_s: seconds of sound that came of them.
    """

    file_bytes: int = 0
    read_bytes: int = 0
    decoded_s: float = 0.0


Show = Callable[[DecodeProgress], None]


class DecoderPool:
    """At most `workers` decoder processes, started when needed and used again."""

    def __init__(
        self,
        workers: int,
        command: tuple[str, ...] = _STARTUP,
        *,
        limits: DecodeLimits | None = None,
        cores: Cores | None = None,
        level: bool = True,
        denoised: bool = False,
    ) -> None:
        """Prepare a pool; nothing is started yet.

        Args:
            workers: how many files to decode at a time.
            command: what to run; the setup is added as its last argument.
            limits: for each file; None: the defaults.
            cores: pin decoding and preparation to these where they are of two kinds.
            level: see `voiceman_client.prepare`.
            denoised: see `voiceman_client.prepare`.
        """
        self._limits = limits or DecodeLimits()
        pinned = cores if cores and cores.two_kinds else Cores((), ())
        setup = WorkerSetup(self._limits, pinned.efficiency, pinned.performance, level, denoised)
        self._command = (*command, setup.to_json())
        self._free = asyncio.Semaphore(workers)
        self._idle: list[Process] = []
        self._all: set[Process] = set()
        self.started = 0  # processes since the beginning, those that died included

    async def decode(
        self, path: Path, channels: str, show: Show = lambda progress: None
    ) -> Recording:
        """Decode one file in a worker.

        A worker that was killed is no fault of the file: whoever is short of memory kills what is
        largest. The file is tried again, but not for ever, since it may be why memory was short.

        Args:
            path: the file.
            channels: see `voiceman_client.decode.decode`.
            show: called with progress, at the beginning, twice a second and at the end.

        Raises:
            RecordingError: see `voiceman_client.decode.decode`; RecordingLimitError also when the
                worker took too much time or memory, RecordingUnreadableError when it died of the
                file or answered nonsense.
        """
        async with self._free:
            attempts = _ATTEMPTS
            while True:
                worker = await self._next_worker()
                try:
                    recording = await self._ask(worker, path, channels, show)
                except errors.RecordingError:
                    self._idle.append(worker)
                    raise
                except (*BROKEN_ANSWER, TimeoutError) as err:
                    code = await _end(worker)
                    self._all.discard(worker)
                    attempts -= 1
                    killed = code == -signal.SIGKILL and isinstance(err, _ENDED)
                    if not (killed and attempts):
                        raise self._explained(path, err, code) from err
                except BaseException:  # cancelled or unforeseen, in the middle of an answer
                    if worker.returncode is None:
                        worker.kill()
                    raise
                else:
                    self._idle.append(worker)
                    return recording

    async def _next_worker(self) -> Process:
        while self._idle:
            worker = self._idle.pop()
            if worker.returncode is None:
                return worker
            self._all.discard(worker)  # killed by somebody else; no file is to blame
        worker = await asyncio.create_subprocess_exec(
            *self._command, stdin=PIPE, stdout=PIPE, limit=_BUFFER_BYTES, start_new_session=True
        )
        self._all.add(worker)
        self.started += 1
        return worker

    async def _ask(self, worker: Process, path: Path, channels: str, show: Show) -> Recording:
        began_s = asyncio.get_running_loop().time()
        timeout = asyncio.timeout_at(began_s + self._limits.wall_s(0, 0.0))
        progress = DecodeProgress()
        try:
            async with timeout:
                await send(worker, {"path": str(path), "channels": channels})
                while not is_last(answer := await receive(worker)):
                    progress = replace(progress, **answer)
                    # A worker that was taken over must not give itself more time.
                    most = self._limits
                    allowed_s = most.wall_s(
                        min(most.file_bytes, progress.file_bytes),
                        min(most.recording_s, progress.decoded_s),
                    )
                    timeout.reschedule(began_s + allowed_s)
                    show(progress)
                recording = await receive_recording(worker, answer, self._limits.recording_s)
        except TimeoutError as err:
            given_s = (timeout.when() or began_s) - began_s
            raise TimeoutError(f"{given_s:.0f} s for {progress.file_bytes} bytes") from err
        show(replace(progress, read_bytes=progress.file_bytes, decoded_s=recording.duration_s))
        return recording

    def _explained(self, path: Path, err: Exception, code: int) -> errors.RecordingError:
        """The error about a file that cost a worker."""
        if isinstance(err, TimeoutError):
            return errors.RecordingLimitError(
                f"{path}: takes longer to decode than the limit of {err}; convert it with another "
                "program and try again"
            )
        if code == -signal.SIGXCPU:
            return errors.RecordingLimitError(
                f"{path}: takes more CPU time to decode than the limit of "
                f"{self._limits.start_s:g} s, {self._limits.s_per_mb:g} s per MB and one for "
                f"{self._limits.least_speed:g} s of sound; convert it with another program"
            )
        if isinstance(err, _ENDED):
            return errors.RecordingUnreadableError(
                f"{path}: the decoder crashed on it (exit status {code}); "
                "convert it with another program and try again"
            )
        return errors.RecordingUnreadableError(
            f"{path}: the decoder answered nonsense about it ({type(err).__name__}: {err}); "
            "convert it with another program and try again"
        )

    async def close(self) -> None:
        """End all workers."""
        for worker in self._all:
            if worker.returncode is None:
                worker.kill()
            await worker.wait()
        self._all.clear()
        self._idle.clear()


async def _end(worker: Process) -> int:
    """Wait for a worker's end, or make one; returns its exit status."""
    # `kill` looks first whether the process has ended; for one that just did, it would take the
    # exit status away from the event loop, which then knows no better than 255.
    if worker.stdout is not None and worker.stdout.at_eof():
        with suppress(TimeoutError):
            async with asyncio.timeout(_DYING_S):
                return await worker.wait()
    if worker.returncode is None:
        worker.kill()
    return await worker.wait()
