"""From files to results: decode, find speech, send windows, sum up.

Recordings are prepared (decoded and planned) only while the windows that wait are fewer than
the windows that may be in flight, so memory holds a few recordings, however many there are.
Windows of all prepared recordings share one bound of requests in flight.
"""

import asyncio
import hashlib
import itertools
import json
import logging
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

from voiceman.contracts import SPEAKER_EMBEDDING_SIZE
from voiceman.errors import InvalidRequestError, RecordingError, VoicemanError
from voiceman.evidence import Summary
from voiceman.options import AUTO_LANGUAGE, WindowOptions
from voiceman_client.channels import CHANNEL_MODES
from voiceman_client.cores import read_cores
from voiceman_client.decode import Recording
from voiceman_client.decode_limits import DecodeLimits
from voiceman_client.decoding import DecodeProgress, DecoderPool
from voiceman_client.planning import LocalTurn, Plan, Window, all_of, plan
from voiceman_client.result import Heard, Made, Result, assemble
from voiceman_client.transport import Server, read_array, read_text
from voiceman_client.voices import Voice

log = logging.getLogger(__name__)

# Called with every step of a run and its facts, for a log; see `voiceman_client.run_log`.
Note = Callable[[str, Mapping[str, Any]], object]


def keep_no_log(event: str, facts: Mapping[str, Any]) -> None:
    """A `Note` for those who want none."""


@dataclass(frozen=True)
class SubmitOptions:
    """What the caller wants of every recording of a run.

    Attributes:
        language: ISO 639-1 code, or "auto".
        initial_prompt: text that stands before every window, for spelling and vocabulary.
        hotwords: words that are likely to be said, names for example.
        channels: "auto", "mix" or "split", see `voiceman_client.channels`.
        speakers: how many speakers there are, when known.
        min_speakers: the fewest speakers.
        max_speakers: the most speakers.
        patterns: path of a file of crime-language patterns, on top of the server's own; None:
            those alone.
        voices: path of a file of enrolled voices, see `voiceman_client.voices`; None: speakers
            are not compared with anybody.
        denoise: turn steady noise down before anything is heard, see `voiceman_client.prepare`.
    """

    language: str = AUTO_LANGUAGE
    initial_prompt: str = ""
    hotwords: str = ""
    channels: str = "auto"
    speakers: int | None = None
    min_speakers: int | None = None
    max_speakers: int | None = None
    patterns: str | None = None
    voices: str | None = None
    denoise: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be meant, before hours of work rest on it."""
        if self.channels not in CHANNEL_MODES:
            raise InvalidRequestError(
                f"channels is {self.channels!r}, allowed are {', '.join(CHANNEL_MODES)}"
            )
        low, high = self.min_speakers or 1, self.max_speakers or self.speakers
        if high is not None and not low <= (self.speakers or low) <= high:
            raise InvalidRequestError(
                f"speakers {self.speakers}, min_speakers {self.min_speakers} and max_speakers "
                f"{self.max_speakers} contradict each other"
            )


class OptionValues(TypedDict, total=False):
    """The fields of `SubmitOptions` as keyword arguments."""

    language: str
    initial_prompt: str
    hotwords: str
    channels: str
    speakers: int | None
    min_speakers: int | None
    max_speakers: int | None
    patterns: str | None
    voices: str | None
    denoise: bool


@dataclass(frozen=True)
class Limits:
    """How much may happen at once.

    Attributes:
        in_flight: requests to `forensic` at a time, over all recordings.
        workers: recordings that are decoded and planned at a time.
        timeout_s: for each request, all its attempts together.
        decode: what a decoder may use for one recording.
    """

    in_flight: int = 16
    workers: int = 2
    timeout_s: float = 600.0
    decode: DecodeLimits = field(default_factory=DecodeLimits)


@dataclass(frozen=True)
class Outcome:
    """A recording that is finished: its result, or why there is none."""

    path: Path
    result: Result | None
    error: VoicemanError | None


@dataclass(frozen=True)
class Progress:
    """Something to show while recordings are worked on.

    Attributes:
        path: the recording.
        planned_s: seconds of the recording, once it is decoded, else 0.
        done_s: seconds of it that were answered just now.
        decoding: how far its decoding is, else None.
    """

    path: Path
    planned_s: float = 0.0
    done_s: float = 0.0
    decoding: DecodeProgress | None = None


class _Gate:
    """Lets a recording in while few windows wait and few recordings are being prepared."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._preparing = 0
        self._waiting: dict[int, int] = {}  # windows by ticket
        self._tickets = itertools.count()
        self._changed = asyncio.Event()

    async def enter(self) -> int:
        """Wait until one more recording is needed, for one caller only; returns its ticket."""
        while (
            sum(self._waiting.values()) >= self._limits.in_flight
            or self._preparing >= self._limits.workers
        ):
            self._changed.clear()
            await self._changed.wait()
        self._preparing += 1
        return next(self._tickets)

    def prepared(self, ticket: int, windows: int) -> None:
        """A recording is planned (or failed, with no windows)."""
        self._preparing -= 1
        self._waiting[ticket] = windows
        self._changed.set()

    def sent(self, ticket: int) -> None:
        """A window of this recording does not wait any more."""
        self._waiting[ticket] -= 1
        self._changed.set()

    def finished(self, ticket: int) -> None:
        """Nothing of this recording waits any more."""
        self._waiting.pop(ticket, None)
        self._changed.set()


class Submission:
    """One run over many recordings against one server."""

    def __init__(
        self,
        server: Server,
        made: Made,
        options: SubmitOptions,
        limits: Limits,
        show: Callable[[Progress], None],
        *,
        patterns: str = "",
        voices: Mapping[str, Voice] | None = None,
        note: Note = keep_no_log,
    ) -> None:
        self._server = server
        self._made = made
        self._options = options
        self._limits = limits
        self._show = show
        self._patterns = patterns
        self._voices = voices
        self._note = note
        self._gate = _Gate(limits)
        self._in_flight = asyncio.Semaphore(limits.in_flight)
        self._pieces = asyncio.Semaphore(limits.workers)
        self._decoders = DecoderPool(
            limits.workers, limits=limits.decode, cores=read_cores(), denoised=options.denoise
        )

    async def run(self, paths: Sequence[Path]) -> AsyncGenerator[Outcome, None]:
        """The outcomes, each as soon as its recording is finished; close it with `aclose`."""
        finished: asyncio.Queue[Outcome] = asyncio.Queue(self._limits.in_flight)
        tasks: set[asyncio.Task[None]] = set()

        async def finish(path: Path, ticket: int) -> None:
            await finished.put(await self._outcome(path, ticket))

        async def feed() -> None:
            for path in paths:
                ticket = await self._gate.enter()
                task = asyncio.create_task(finish(path, ticket))
                tasks.add(task)
                task.add_done_callback(tasks.discard)

        tasks.add(feeder := asyncio.create_task(feed()))
        feeder.add_done_callback(tasks.discard)
        try:
            for _ in paths:
                yield await finished.get()
        finally:
            for task in tuple(tasks):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._decoders.close()

    async def _outcome(self, path: Path, ticket: int) -> Outcome:
        try:
            return Outcome(path, await self._process(path, ticket), None)
        except RecordingError as err:
            return Outcome(path, None, err)
        except VoicemanError as err:
            named = type(err)(f"{path}: {err}")
            named.__cause__ = err
            return Outcome(path, None, named)
        except Exception as err:
            log.exception("%s: unforeseen", path)
            return Outcome(path, None, RecordingError(f"{path}: {type(err).__name__}: {err}"))
        finally:
            self._gate.finished(ticket)

    async def _process(self, path: Path, ticket: int) -> Result:
        planned = Plan([], [], {})
        try:
            recording = await self._decoders.decode(
                path,
                self._options.channels,
                lambda decoding: self._show(Progress(path, decoding=decoding)),
            )
            self._show(Progress(path, planned_s=recording.duration_s))
            note = partial(_note_about, self._note, recording)
            note("decoded", sha256=recording.source.sha256, pcm_sha256=recording.pcm_sha256)
            planned = await plan(self._server, recording, self._pieces, self._limits.timeout_s)
        finally:
            self._gate.prepared(ticket, len(planned.windows))
        note("speech_found", windows=len(planned.windows))
        seconds = sum(window.span.seconds for window in planned.windows)
        scale = recording.duration_s / seconds if seconds else 0.0

        async def hear(window: Window) -> Heard:
            async with self._in_flight:
                self._gate.sent(ticket)
                heard = await self._hear(window)
            note(
                "window_answered",
                channel=window.channel,
                start=window.span.start_s,
                end=window.span.end_s,
                evidence_sha256=_sha256(heard.evidence_text),
            )
            self._show(Progress(path, done_s=scale * window.span.seconds))
            return heard

        heard = await all_of(hear(window) for window in planned.windows)
        summary: Summary | None = None
        if heard:
            text = await self._sum_up(heard, planned.turns)
            note("summed_up", summary_sha256=_sha256(text))
            summary = json.loads(text)
        return assemble(
            recording, heard, summary, self._made, self._voices, weights=planned.weights
        )

    async def _hear(self, window: Window) -> Heard:
        options = WindowOptions(
            initial_prompt=self._options.initial_prompt,
            hotwords=self._options.hotwords,
            patterns=self._patterns,
            deadline_unix_s=time.time() + self._limits.timeout_s,
        )
        inputs = {
            "WAVEFORM": window.waveform,
            "TURNS": window.turns,
            "LANGUAGE": self._options.language,
            "OPTIONS": json.dumps(asdict(options)),
        }
        try:
            answer = await self._server.infer("forensic", inputs, self._limits.timeout_s)
        except VoicemanError as err:
            at = f"window {window.span.start_s:.1f} to {window.span.end_s:.1f} s"
            raise type(err)(f"{at}: {err}") from err
        text = read_text(answer, "EVIDENCE")
        embeddings = read_array(answer, "SPEAKER_EMBEDDING").reshape(-1, SPEAKER_EMBEDDING_SIZE)
        return Heard(window.span, window.channel, json.loads(text), text, embeddings)

    async def _sum_up(self, heard: Sequence[Heard], turns: Sequence[LocalTurn]) -> str:
        options = {
            "window_starts": [item.span.start_s for item in heard],
            "channels": [item.channel for item in heard],
            "speakers": self._options.speakers,
            "min_speakers": self._options.min_speakers,
            "max_speakers": self._options.max_speakers,
            "turns": turns,
        }
        inputs = {
            "WINDOW_EVIDENCE": [item.evidence_text for item in heard],
            "SPEAKER_EMBEDDING": np.concatenate([item.embeddings for item in heard]),
            "RECORDING_OPTIONS": json.dumps(options),
        }
        answer = await self._server.infer("recording_summary", inputs, self._limits.timeout_s)
        return read_text(answer, "SUMMARY")


def _note_about(note: Note, recording: Recording, event: str, **facts: object) -> None:
    note(event, {"file": recording.source.path, **facts})


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
