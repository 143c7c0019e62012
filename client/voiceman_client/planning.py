"""What of a recording is to be heard: its windows and its speaker turns."""

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import numpy as np
import numpy.typing as npt

from voiceman.audio import Int16Waveform
from voiceman.evidence import ModelWeights
from voiceman_client.decode import Recording
from voiceman_client.transport import Server, read_array, read_text
from voiceman_client.windows import Span, Spans, clip_turns, plan_pieces, plan_windows, stitch

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
class ChannelPlan:
    """What is to be heard of one channel.

    Attributes:
        channel: number of the channel in the file, None for a mixdown.
        spans: of its windows, ordered by time.
        turns: [t, 3] start and end in seconds, and the number of the speaker near by.
    """

    channel: int | None
    spans: tuple[Span, ...]
    turns: Spans


@dataclass(frozen=True)
class Plan:
    """What is to be heard of a recording.

    Attributes:
        channels: those that are worked on, in the recording's order.
        weights: that it rests on, by model.
    """

    channels: tuple[ChannelPlan, ...]
    weights: dict[str, ModelWeights]

    @property
    def seconds(self) -> float:
        """Length of all windows together."""
        return sum(span.seconds for channel in self.channels for span in channel.spans)

    def windows(self, recording: Recording) -> list[Window]:
        """The windows of all channels, ordered by time.

        Args:
            recording: the one that the plan was made for.
        """
        windows = [
            Window(
                span, part.channel, waveform[span.start : span.end], clip_turns(part.turns, span)
            )
            for part, waveform in zip(self.channels, recording.waveforms, strict=True)
            for span in part.spans
        ]
        return sorted(windows, key=lambda window: window.span.start)

    def local_turns(self) -> list[LocalTurn]:
        """The turns of all channels, over the whole recording."""
        return [
            (round(start, 3), round(end, 3), int(speaker), part.channel)
            for part in self.channels
            for start, end, speaker in part.turns.tolist()
        ]

    def to_json(self) -> str:
        """The plan as text; `from_json` makes the same of it, to the last bit."""
        channels = [
            {
                "channel": part.channel,
                "spans": [(span.start, span.end) for span in part.spans],
                "turns": part.turns.tolist(),
            }
            for part in self.channels
        ]
        return json.dumps({"channels": channels, "weights": self.weights})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The plan that `to_json` wrote."""
        document = json.loads(text)
        channels = tuple(
            ChannelPlan(
                part["channel"],
                tuple(Span(start, end) for start, end in part["spans"]),
                np.array(part["turns"], np.float64).reshape(-1, 3),
            )
            for part in document["channels"]
        )
        return cls(channels, document["weights"])


async def plan(
    server: Server,
    recording: Recording,
    turn: Callable[[], AbstractAsyncContextManager[object]],
    timeout_s: float,
) -> Plan:
    """Find speech and speaker turns with `voice_activity`, and cut windows.

    Args:
        server: where `voice_activity` is.
        recording: decoded.
        turn: waits until one more piece may be with the server; it is there as long as this lasts.
        timeout_s: for each request.

    Raises:
        ServerError: the server failed; see `voiceman.errors`.
    """
    weights: dict[str, ModelWeights] = {}

    async def find_speech(
        waveform: Int16Waveform,
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        async with turn():
            answer = await server.infer("voice_activity", {"WAVEFORM": waveform}, timeout_s)
        weights["voice_activity"] = json.loads(read_text(answer, "VOICE_ACTIVITY_WEIGHTS"))
        return read_array(answer, "SPEECH"), read_array(answer, "SPEAKER_TURNS")

    channels: list[ChannelPlan] = []
    for channel, waveform in zip(recording.channels, recording.waveforms, strict=True):
        pieces = plan_pieces(len(waveform))
        answers = await all_of(find_speech(waveform[p.start : p.end]) for p in pieces)
        speech = stitch(pieces, [answer[0] for answer in answers])
        turns = stitch(pieces, [answer[1] for answer in answers])
        channels.append(ChannelPlan(channel, tuple(plan_windows(speech, waveform)), turns))
    return Plan(tuple(channels), weights)


async def all_of(coroutines: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """All results in order; the first failure cancels the others and is raised by itself."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(coroutine) for coroutine in coroutines]
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from failures
    return [task.result() for task in tasks]
