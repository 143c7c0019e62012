"""Decoding in processes: a file that crashes the decoder takes only itself down.

Each worker runs `main` of this module: a line of JSON in; a length, JSON of that length and
raw samples out, one file at a time. A pool of `concurrent.futures` would lose every file in work
when one worker dies, and starts its workers by running the caller's main script again.
"""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from voiceman import errors
from voiceman_client.decode import Recording, Source, decode

_BUFFER_BYTES = 1 << 20
_LENGTH_BYTES = 8
_STARTUP = (sys.executable, "-c", "from voiceman_client.decoding import main; main()")


class DecoderPool:
    """At most `workers` decoder processes, started when needed and used again."""

    def __init__(self, workers: int, command: tuple[str, ...] = _STARTUP) -> None:
        self._command = command
        self._free = asyncio.Semaphore(workers)
        self._idle: list[Process] = []
        self._all: set[Process] = set()

    async def decode(self, path: Path, channels: str) -> Recording:
        """Decode one file in a worker.

        Raises:
            RecordingError: see `voiceman_client.decode.decode`; RecordingUnreadableError also
                when the worker died of the file.
        """
        async with self._free:
            worker = self._idle.pop() if self._idle else await self._start()
            try:
                recording = await _ask(worker, path, channels)
            except asyncio.IncompleteReadError as err:
                code = await worker.wait()
                self._all.discard(worker)
                raise errors.RecordingUnreadableError(
                    f"{path}: the decoder crashed on it (exit status {code}); "
                    "convert it with another program and try again"
                ) from err
            except errors.RecordingError:
                self._idle.append(worker)
                raise
            except BaseException:  # cancelled or unforeseen, in the middle of an answer
                if worker.returncode is None:
                    worker.kill()
                raise
            self._idle.append(worker)
            return recording

    async def _start(self) -> Process:
        worker = await asyncio.create_subprocess_exec(
            *self._command, stdin=PIPE, stdout=PIPE, limit=_BUFFER_BYTES, start_new_session=True
        )
        self._all.add(worker)
        return worker

    async def close(self) -> None:
        """End all workers."""
        for worker in self._all:
            if worker.returncode is None:
                worker.kill()
            await worker.wait()
        self._all.clear()
        self._idle.clear()


async def _ask(worker: Process, path: Path, channels: str) -> Recording:
    assert worker.stdin is not None and worker.stdout is not None  # noqa: S101  # asked for PIPE
    request = json.dumps({"path": str(path), "channels": channels})
    try:
        worker.stdin.write(request.encode() + b"\n")
        await worker.stdin.drain()
    except ConnectionError as err:
        raise asyncio.IncompleteReadError(b"", None) from err
    length = int.from_bytes(await worker.stdout.readexactly(_LENGTH_BYTES), "big")
    header = json.loads(await worker.stdout.readexactly(length))
    if "error" in header:
        raise getattr(errors, header["error"])(header["message"])
    shape = (len(header["channels"]), header["samples"])
    pcm = await worker.stdout.readexactly(2 * shape[0] * shape[1])
    return Recording(
        Source(**header["source"]),
        tuple(np.frombuffer(pcm, np.int16).reshape(shape)),
        tuple(header["channels"]),
        tuple(header["flags"]),
        header["pcm_sha256"],
    )


def _answer(request: dict[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    path = Path(request["path"])
    try:
        recording = decode(path, request["channels"])
    except errors.RecordingError as err:
        return {"error": type(err).__name__, "message": str(err)}, []
    except Exception as err:  # noqa: BLE001  # an unforeseen failure is this file's answer
        message = f"{path}: cannot be decoded ({type(err).__name__}: {err})"
        return {"error": "RecordingUnreadableError", "message": message}, []
    header = {
        "source": asdict(recording.source),
        "channels": recording.channels,
        "flags": recording.flags,
        "pcm_sha256": recording.pcm_sha256,
        "samples": len(recording.waveforms[0]),
    }
    return header, [waveform.tobytes() for waveform in recording.waveforms]


def main() -> None:
    """Answer requests from standard input until it ends."""
    for line in sys.stdin.buffer:
        header, samples = _answer(json.loads(line))
        content = json.dumps(header).encode()
        sys.stdout.buffer.write(len(content).to_bytes(_LENGTH_BYTES, "big") + content)
        for block in samples:
            sys.stdout.buffer.write(block)
        sys.stdout.buffer.flush()
