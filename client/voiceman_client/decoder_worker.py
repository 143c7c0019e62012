"""The process that decodes: it reads hostile files, under limits, and may die of them.

It is started with its setup as JSON on the command line and reads one request per line from
standard input. Every message back is a length and JSON of that length; the last one of a file is
followed by raw samples:

    {"file_bytes": 100}                            before the file is read
    {"read_bytes": 50, "decoded_s": 0.5}           now and then
    {"source": ..., "channels": ..., "samples": 16000, ...} or {"error": ..., "message": ...}
"""

import json
import os
import sys
import time
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from voiceman import errors
from voiceman_client.decode import Recording, decode, hash_samples
from voiceman_client.decode_limits import DecodeLimits
from voiceman_client.prepare import prepare

LENGTH_BYTES = 8
_REPORT_EVERY_S = 0.5


@dataclass(frozen=True)
class WorkerSetup:
    """What holds for all files of a worker.

    Attributes:
        limits: for each file.
        decode_on: numbers of the cores to decode on; empty: any.
        prepare_on: numbers of the cores to prepare on; empty: any.
        level: see `voiceman_client.prepare`.
        denoised: see `voiceman_client.prepare`.
    """

    limits: DecodeLimits
    decode_on: tuple[int, ...] = ()
    prepare_on: tuple[int, ...] = ()
    level: bool = True
    denoised: bool = False

    def to_json(self) -> str:
        """As an argument of the command line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "WorkerSetup":
        """The setup that `to_json` wrote."""
        values: dict[str, Any] = json.loads(text)
        limits = DecodeLimits(**values.pop("limits"))
        return cls(limits, **values)


def main() -> None:
    """Answer requests from standard input until it ends."""
    setup = WorkerSetup.from_json(sys.argv[1])
    setup.limits.bind_process()
    _run_on(setup.decode_on)
    for line in sys.stdin.buffer:
        header, samples = answer(json.loads(line), setup)
        _write(header)
        for block in samples:
            sys.stdout.buffer.write(block)
        sys.stdout.buffer.flush()


def answer(request: dict[str, Any], setup: WorkerSetup) -> tuple[dict[str, Any], list[memoryview]]:
    """What to say about one file: the last message and the samples that follow it."""
    path = Path(request["path"])
    try:
        recording = _work(path, request["channels"], setup)
    except errors.RecordingError as err:
        return {"error": type(err).__name__, "message": str(err)}, []
    except MemoryError:
        message = (
            f"{path}: takes more memory than the {setup.limits.memory_bytes} bytes that one "
            "recording may, or is damaged and says so; cut it into parts, or copy it again"
        )
        return {"error": "RecordingLimitError", "message": message}, []
    except Exception as err:  # noqa: BLE001  # an unforeseen failure is this file's answer
        message = f"{path}: cannot be decoded ({type(err).__name__}: {err})"
        return {"error": "RecordingUnreadableError", "message": message}, []
    header = {
        "source": asdict(recording.source),
        "channels": recording.channels,
        "flags": recording.flags,
        "pcm_sha256": recording.pcm_sha256,
        "samples": len(recording.waveforms[0]),
        "preparation": recording.preparation and asdict(recording.preparation),
    }
    return header, [waveform.data for waveform in recording.waveforms]


def _work(path: Path, channels: str, setup: WorkerSetup) -> Recording:
    """Decode on the one kind of cores and prepare on the other."""
    try:
        size_bytes = path.stat().st_size
    except OSError:
        size_bytes = 0  # decoding says what is wrong
    _write({"file_bytes": size_bytes})
    setup.limits.bind_cpu_time(size_bytes)
    recording = decode(path, channels, setup.limits, _Reporter())
    if not (setup.level or setup.denoised):
        return recording
    _run_on(setup.prepare_on)
    try:
        waveforms, preparation = prepare(
            recording.waveforms, level=setup.level, denoised=setup.denoised
        )
        pcm_sha256 = hash_samples(waveforms)
    finally:
        _run_on(setup.decode_on)
    return replace(recording, waveforms=waveforms, preparation=preparation, pcm_sha256=pcm_sha256)


class _Reporter:
    """Tells the client how far a file is, twice a second."""

    def __init__(self) -> None:
        self._told_s = time.monotonic()

    def __call__(self, read_bytes: int, decoded_s: float) -> None:
        now_s = time.monotonic()
        if now_s - self._told_s >= _REPORT_EVERY_S:
            self._told_s = now_s
            _write({"read_bytes": read_bytes, "decoded_s": decoded_s})


def _write(message: dict[str, Any]) -> None:
    content = json.dumps(message).encode()
    sys.stdout.buffer.write(len(content).to_bytes(LENGTH_BYTES, "big") + content)
    sys.stdout.buffer.flush()


def _run_on(cores: Collection[int]) -> None:
    if cores:
        os.sched_setaffinity(0, cores)
