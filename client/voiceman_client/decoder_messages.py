"""What the client reads from its decoder processes; it believes them no more than their files."""

import asyncio
import json
from asyncio.subprocess import Process
from typing import Any

import numpy as np
import numpy.typing as npt

from voiceman import errors
from voiceman.audio import SAMPLE_RATE_HZ
from voiceman_client.decode import Recording, Source
from voiceman_client.decoder_worker import LENGTH_BYTES
from voiceman_client.denoise import Denoising
from voiceman_client.prepare import Preparation

# What reading from a worker may raise that died or answered nonsense.
BROKEN_ANSWER = (
    *(asyncio.IncompleteReadError, ConnectionError),
    *(ValueError, TypeError, LookupError, AttributeError),
)
_MAX_MESSAGE_BYTES = 1 << 26  # a flag for every second of 12 h takes 6 MB
_BLOCK_BYTES = 1 << 20
_MAX_CHANNELS = 2
_ROUNDING_S = 1.0  # what a resampler may hold beyond the limit

Message = dict[str, Any]


async def send(worker: Process, request: Message) -> None:
    """Send a request."""
    assert worker.stdin is not None  # noqa: S101  # asked for PIPE
    worker.stdin.write(json.dumps(request).encode() + b"\n")
    await worker.stdin.drain()


async def receive(worker: Process) -> Message:
    """The next message."""
    assert worker.stdout is not None  # noqa: S101  # asked for PIPE
    length = int.from_bytes(await worker.stdout.readexactly(LENGTH_BYTES), "big")
    if length > _MAX_MESSAGE_BYTES:
        raise ValueError(f"a message of {length} bytes, at most {_MAX_MESSAGE_BYTES} make sense")
    return dict(json.loads(await worker.stdout.readexactly(length)))


def is_last(message: Message) -> bool:
    """Whether a message ends the work on a file; the others tell progress."""
    return "error" in message or "source" in message


async def receive_recording(worker: Process, message: Message, limit_s: float) -> Recording:
    """The recording that the last message about a file describes; its samples follow.

    Raises:
        RecordingError: the message says that the file failed.
    """
    if "error" in message:
        raise _as_error(message)
    channels, samples = len(message["channels"]), int(message["samples"])
    if channels > _MAX_CHANNELS or not 0 <= samples <= (limit_s + _ROUNDING_S) * SAMPLE_RATE_HZ:
        raise ValueError(f"{channels} channels of {samples} samples")
    done = message["preparation"]
    return Recording(
        Source(**message["source"]),
        tuple(await _receive_samples(worker, channels, samples)),
        tuple(message["channels"]),
        tuple(message["flags"]),
        message["pcm_sha256"],
        _as_preparation(done) if done else None,
    )


async def _receive_samples(worker: Process, channels: int, samples: int) -> npt.NDArray[np.int16]:
    """Samples [c, n], put in their place as they come: an hour is 115 MB a channel."""
    assert worker.stdout is not None  # noqa: S101  # asked for PIPE
    pcm = np.empty((channels, samples), np.int16)
    left = pcm.data.cast("B")
    while left:
        block = await worker.stdout.read(min(len(left), _BLOCK_BYTES))
        if not block:
            raise asyncio.IncompleteReadError(b"", len(left))
        left[: len(block)] = block
        left = left[len(block) :]
    return pcm


def _as_error(message: Message) -> errors.RecordingError:
    kind = getattr(errors, message["error"])
    if not issubclass(kind, errors.RecordingError):
        raise TypeError(f"an error of the kind {message['error']}")
    return kind(message["message"])


def _as_preparation(done: Message) -> Preparation:
    denoising = done["denoising"] and Denoising(**done["denoising"])
    return Preparation(tuple(done["offsets"]), float(done["gain_db"]), denoising)
