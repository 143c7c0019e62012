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
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from voiceman.errors import RecordingError, VoicemanError
from voiceman.evidence import Summary
from voiceman.manifest import sha256_of
from voiceman_client.asking import hear, sum_up
from voiceman_client.decode import Recording
from voiceman_client.decoding import DecoderPool
from voiceman_client.identity import sha256_of_json
from voiceman_client.ledger import Ledger, State, WindowAnswer
from voiceman_client.options import Limits, SubmitOptions
from voiceman_client.planning import Plan, Window, all_of, plan
from voiceman_client.result import Heard, Made, Result, assemble
from voiceman_client.transport import Server
from voiceman_client.voices import Voice

log = logging.getLogger(__name__)

# Called with every step of a run and its facts, for a log; see `voiceman_client.run_log`.
Note = Callable[[str, Mapping[str, Any]], object]


def keep_no_log(event: str, facts: Mapping[str, Any]) -> None:
    """A `Note` for those who want none."""


@dataclass(frozen=True)
class Outcome:
    """A recording that is finished.

    Attributes:
        path: the file.
        result: what was found.
        error: why there is no result. Neither of the two: an earlier run into the same folder
            has done it, and its files are there.
    """

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
    """

    path: Path
    planned_s: float = 0.0
    done_s: float = 0.0


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
        made_sha256: str = "",
        ledger: Ledger | None = None,
        is_kept: Callable[[Path], bool] = lambda _: False,
        stop: asyncio.Event | None = None,
    ) -> None:
        """Prepare a run.

        Args:
            server: to ask.
            made: for the provenance of results.
            options: the caller's.
            limits: how much may happen at once.
            show: called with progress.
            patterns: users' crime-language patterns as text; empty: none.
            voices: enrolled ones to compare the speakers with.
            note: called with every step.
            made_sha256: of all that results depend on beside the recordings, weights included.
            ledger: where answers are filed, and found again; None: in memory.
            is_kept: whether the files of a recording that the ledger calls completed are there.
            stop: ends the run early, once it is set.
        """
        self._server = server
        self._made = made
        self._options = options
        self._limits = limits
        self._show = show
        self._patterns = patterns
        self._voices = voices
        self._note = note
        self._made_sha256 = made_sha256 or sha256_of_json(asdict(made))
        self._ledger = ledger or Ledger()
        self._is_kept = is_kept
        self._stop = stop or asyncio.Event()
        self._filing: set[asyncio.Future[WindowAnswer]] = set()
        self._gate = _Gate(limits)
        self._in_flight = asyncio.Semaphore(limits.in_flight)
        self._pieces = asyncio.Semaphore(limits.workers)
        self._decoders = DecoderPool(limits.workers)

    async def run(self, paths: Sequence[Path]) -> AsyncGenerator[Outcome, None]:
        """The outcomes, each as soon as its recording is finished; close it with `aclose`.

        Whatever ends it, answers that are there by then are filed.
        """
        await asyncio.to_thread(self._ledger.expect, paths)
        finished: asyncio.Queue[Outcome] = asyncio.Queue(self._limits.in_flight)
        tasks: set[asyncio.Task[object]] = set()

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
        tasks.add(stopped := asyncio.create_task(self._stop.wait()))
        try:
            for _ in paths:
                tasks.add(following := asyncio.create_task(finished.get()))
                await asyncio.wait((following, stopped), return_when=asyncio.FIRST_COMPLETED)
                tasks.discard(following)
                if not following.done():
                    following.cancel()
                    break
                yield following.result()
        finally:
            for task in tuple(tasks):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.gather(*self._filing, return_exceptions=True)
            await self._decoders.close()

    async def _outcome(self, path: Path, ticket: int) -> Outcome:
        try:
            if await self._is_done(path):
                self._gate.prepared(ticket, 0)
                return Outcome(path, None, None)
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

    async def _is_done(self, path: Path) -> bool:
        """Whether an earlier run has done the same work on the same bytes, and it is all there."""
        entry = await asyncio.to_thread(self._ledger.entry, path)
        if entry is None or entry.state != State.COMPLETED or entry.made != self._made_sha256:
            return False
        try:
            return self._is_kept(path) and entry.sha256 == await asyncio.to_thread(sha256_of, path)
        except OSError:  # decoding says what is wrong with it
            return False

    async def _process(self, path: Path, ticket: int) -> Result:
        windows: list[Window] = []
        try:
            recording = await self._decoders.decode(path, self._options.channels)
            self._show(Progress(path, planned_s=recording.duration_s))
            note = partial(_note_about, self._note, recording)
            note("decoded", sha256=recording.source.sha256, pcm_sha256=recording.pcm_sha256)
            work = sha256_of_json([recording.source.path, recording.pcm_sha256, self._made_sha256])
            await self._begin(path, recording, work)
            planned = await self._plan(path, recording, work)
            windows = planned.windows(recording)
        finally:
            self._gate.prepared(ticket, len(windows))
        note("speech_found", windows=len(windows))
        known = await asyncio.to_thread(self._ledger.answers, work)
        share = recording.duration_s / planned.seconds if planned.seconds else 0.0

        async def hear_once(window: Window) -> Heard:
            answer = known.get((window.channel, window.span))
            if answer is None:
                async with self._in_flight:
                    self._gate.sent(ticket)
                    answer = await hear(
                        self._server, window, self._options, self._patterns, self._limits.timeout_s
                    )
                answer = await self._file(work, window, answer)
            else:
                self._gate.sent(ticket)
            note(
                "window_answered",
                channel=window.channel,
                start=window.span.start_s,
                end=window.span.end_s,
                evidence_sha256=_sha256(answer.evidence),
            )
            self._show(Progress(path, done_s=share * window.span.seconds))
            return Heard(
                window.span,
                window.channel,
                json.loads(answer.evidence),
                answer.evidence,
                answer.embeddings,
            )

        heard = await all_of(hear_once(window) for window in windows)
        summary: Summary | None = None
        if heard:
            await asyncio.to_thread(self._ledger.advance, path, State.FORENSIC)
            text = await sum_up(
                self._server,
                heard,
                planned.local_turns(),
                self._options,
                self._limits.timeout_s,
            )
            note("summed_up", summary_sha256=_sha256(text))
            summary = json.loads(text)
        await asyncio.to_thread(self._ledger.advance, path, State.REPORT)
        return assemble(
            recording, heard, summary, self._made, self._voices, weights=planned.weights
        )

    async def _file(self, work: str, window: Window, answer: WindowAnswer) -> WindowAnswer:
        """File an answer in the ledger, also where the run is ended meanwhile."""
        keep = partial(self._ledger.keep_answer, work, window.channel, window.span, answer)
        filing = asyncio.ensure_future(asyncio.to_thread(keep))
        self._filing.add(filing)
        filing.add_done_callback(self._filing.discard)
        return await asyncio.shield(filing)

    async def _begin(self, path: Path, recording: Recording, work: str) -> None:
        begin = partial(
            self._ledger.begin,
            path,
            sha256=recording.source.sha256,
            made=self._made_sha256,
            work=work,
            duration_s=recording.duration_s,
        )
        await asyncio.to_thread(begin)

    async def _plan(self, path: Path, recording: Recording, work: str) -> Plan:
        planned = await asyncio.to_thread(self._ledger.plan, work)
        if planned is None:
            planned = await plan(self._server, recording, self._pieces, self._limits.timeout_s)
        await asyncio.to_thread(self._ledger.keep_plan, path, work, planned)
        return planned


def _note_about(note: Note, recording: Recording, event: str, **facts: object) -> None:
    note(event, {"file": recording.source.path, **facts})


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
