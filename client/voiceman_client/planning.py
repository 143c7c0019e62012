"""What of a recording is to be heard: its windows and its speaker turns."""

import asyncio
import json
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from voiceman.audio import Int16Waveform
from voiceman.evidence import ModelWeights
from voiceman_client.decode import Recording
from voiceman_client.transport import Server, read_array, read_text
from voiceman_client.windows import Span, clip_turns, plan_pieces, plan_windows, stitch

T = TypeVar("T")

# Start and end in seconds, the number of the speaker near by, and the channel.
LocalTurn = tuple[float, float, int, int | None]


@dataclass(frozen=True)
class Window:
    """A span of up to 30 s of a channel, as the server's models see it.

    Attributes:
        span: where it lies.
        channel: number of the channel in the file, None for a mixdown.
        waveform: [n] at 16 kHz.
        turns: [t, 2] start and end of speaker turns, seconds in the window.
    """

    span: Span
    channel: int | None
    waveform: Int16Waveform
    turns: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Plan:
    """What is to be heard of a recording.

    Attributes:
        windows: of all channels, ordered by time.
        turns: of all channels, over the whole recording.
        weights: that it rests on, by model.
    """

    windows: list[Window]
    turns: list[LocalTurn]
    weights: dict[str, ModelWeights]


async def plan(
    server: Server, recording: Recording, at_once: asyncio.Semaphore, timeout_s: float
) -> Plan:
    """Find speech and speaker turns with `voice_activity`, and cut windows.

    Args:
        server: where `voice_activity` is.
        recording: decoded.
        at_once: how many pieces may be with the server at a time, over all recordings.
        timeout_s: for each request.

    Raises:
        ServerError: the server failed; see `voiceman.errors`.
    """

    async def find_speech(
        waveform: Int16Waveform,
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        async with at_once:
            answer = await server.infer("voice_activity", {"WAVEFORM": waveform}, timeout_s)
        found.weights["voice_activity"] = json.loads(read_text(answer, "VOICE_ACTIVITY_WEIGHTS"))
        return read_array(answer, "SPEECH"), read_array(answer, "SPEAKER_TURNS")

    found = Plan([], [], {})
    for channel, waveform in zip(recording.channels, recording.waveforms, strict=True):
        pieces = plan_pieces(len(waveform))
        answers = await all_of(find_speech(waveform[p.start : p.end]) for p in pieces)
        speech = stitch(pieces, [answer[0] for answer in answers])
        turns = stitch(pieces, [answer[1] for answer in answers])
        found.turns.extend(
            (round(start, 3), round(end, 3), int(speaker), channel)
            for start, end, speaker in turns.tolist()
        )
        found.windows.extend(
            Window(span, channel, waveform[span.start : span.end], clip_turns(turns, span))
            for span in plan_windows(speech, waveform)
        )
    found.windows.sort(key=lambda window: window.span.start)
    return found


async def all_of(coroutines: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """All results in order; the first failure cancels the others and is raised by itself."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(coroutine) for coroutine in coroutines]
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from failures
    return [task.result() for task in tasks]
