"""One recording, from its file to its result: decoded, planned, heard, summed up, assembled."""

import asyncio
import hashlib
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from voiceman.evidence import Summary
from voiceman.manifest import sha256_of
from voiceman_client.admission import InFlight
from voiceman_client.answer_cache import AnswerCache
from voiceman_client.answers import Answers
from voiceman_client.asking import hear, sum_up
from voiceman_client.cores import read_cores
from voiceman_client.decode import Recording
from voiceman_client.decoded import Decoded
from voiceman_client.decoding import DecodeProgress, DecoderPool
from voiceman_client.entries import State
from voiceman_client.identity import sha256_of_json
from voiceman_client.intake import Intake
from voiceman_client.ledger import Ledger
from voiceman_client.options import Limits, SubmitOptions
from voiceman_client.planning import Plan, Window, all_of, plan
from voiceman_client.recall import Recall
from voiceman_client.result import Heard, Made, Result, assemble
from voiceman_client.server_weights import ServerWeights
from voiceman_client.transport import Server
from voiceman_client.voices import Voice
from voiceman_client.window_answer import WindowAnswer
from voiceman_client.windows import Span

T = TypeVar("T")

# Called with every step of a run and its facts, for a log; see `voiceman_client.run_log`.
Note = Callable[[str, Mapping[str, Any]], object]


def keep_no_log(event: str, facts: Mapping[str, Any]) -> None:
    """A `Note` for those who want none."""


@dataclass(frozen=True)
class Asked:
    """What a run asks of every recording, and of which server.

    Attributes:
        made: for the provenance of results.
        options: the caller's.
        made_sha256: of all that results depend on beside the recordings, weights included.
        patterns: users' crime-language patterns as text; empty: none.
        voices: enrolled ones to compare the speakers with; None: nobody is compared.
    """

    made: Made
    options: SubmitOptions
    made_sha256: str = ""
    patterns: str = ""
    voices: Mapping[str, Voice] | None = None


@dataclass(frozen=True)
class Kept:
    """What of a run outlives it.

    Attributes:
        ledger: where answers are filed, and found again.
        is_kept: whether the files of a recording that the ledger calls completed are there.
        note: called with every step, in any thread: it may wait for a disk.
        cache: answers of other runs; None: they are asked for again.
        is_logged: whether the log knows a hash of an answer or a plan that is in the ledger; what
            it does not know is asked for again.
    """

    ledger: Ledger = field(default_factory=Ledger)
    is_kept: Callable[[Path], bool] = lambda _: False
    note: Note = keep_no_log
    cache: AnswerCache | None = None
    is_logged: Callable[[str], bool] = lambda _: True


@dataclass(frozen=True)
class Progress:
    """Something to show while recordings are worked on; without numbers: this one is begun.

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


class Processing:
    """Works on recordings, several at a time, within the bounds of a run."""

    def __init__(
        self,
        server: Server,
        asked: Asked,
        limits: Limits,
        kept: Kept,
        *,
        intake: Intake,
        flight: InFlight,
        show: Callable[[Progress], None],
    ) -> None:
        """Prepare; no decoder is started yet.

        Args:
            server: to ask.
            asked: of every recording.
            limits: how much may happen at once.
            kept: what outlives the run.
            intake: is told how far recordings are.
            flight: gives places to windows.
            show: called with progress.
        """
        self._server = server
        self._asked = asked
        self._limits = limits
        self._kept = kept
        self._intake = intake
        self._flight = flight
        self._show = show
        self._recall: Recall | None = None
        if kept.cache:
            weights = ServerWeights(server, limits.timeout_s)
            self._recall = Recall(kept.cache, weights, asked.made, asked.options)
        self._filing: set[asyncio.Future[Any]] = set()
        self._pieces = asyncio.Semaphore(limits.workers)
        self._decoders = DecoderPool(
            limits.workers, limits=limits.decode, cores=read_cores(), denoised=asked.options.denoise
        )

    async def close(self) -> None:
        """Let what is being filed get to the disk, and end the decoders."""
        await asyncio.gather(*self._filing, return_exceptions=True)
        await self._decoders.close()

    async def is_done(self, path: Path) -> bool:
        """Whether an earlier run has done the same work on the same bytes, and it is all there."""
        entry = await asyncio.to_thread(self._kept.ledger.entry, path)
        if entry is None or entry.state != State.COMPLETED:
            return False
        try:
            return (
                entry.made == self._asked.made_sha256
                and await asyncio.to_thread(self._kept.is_kept, path)
                and entry.sha256 == await asyncio.to_thread(sha256_of, path)
            )
        except OSError:  # decoding says what is wrong with it
            return False

    async def recall(self, path: Path) -> Result | None:
        """The result from answers of other runs; None: there are none."""
        found = await self._recall.find(path) if self._recall else None
        if found is None:
            return None
        decoded, answers = found
        note = self._noting(decoded)
        hashes = {"sha256": decoded.source.sha256, "pcm_sha256": decoded.pcm_sha256}
        await note("decoded", **hashes, cached=True)
        work = await self._begin(path, decoded)
        for item in answers.heard:
            await note("window_answered", **_facts_of(item, work))
        if answers.summary_text is not None:
            await note("summed_up", summary_sha256=_sha256(answers.summary_text))
        self._show(Progress(path, planned_s=decoded.duration_s, done_s=decoded.duration_s))
        return await self._assemble(path, decoded, answers)

    async def process(self, path: Path, ticket: int) -> Result:
        """Decode a recording and ask the server about it.

        Args:
            path: the file.
            ticket: of the intake; it is told when the recording is prepared.

        Raises:
            VoicemanError: the recording or the server failed; see `voiceman.errors`.
        """
        windows: list[Window] = []
        duration_s = 0.0
        try:
            self._show(Progress(path))
            recording = await self._decode(path)
            duration_s = recording.duration_s
            work = await self._begin(path, recording)
            planned = await self._plan(path, recording, work)
            windows = planned.windows(recording)
        finally:
            self._intake.prepared(ticket, len(windows), duration_s)
        note = self._noting(recording)
        await note("speech_found", windows=len(windows), plan_sha256=_plan_sha256(work, planned))
        share = duration_s / planned.seconds if planned.seconds else 0.0
        known = await self._known(work, note)

        def heard_in(window: Window, answer: WindowAnswer) -> Heard:
            evidence = json.loads(answer.evidence)
            heard = Heard(window.span, window.channel, evidence, answer.evidence, answer.embeddings)
            self._note(recording, "window_answered", **_facts_of(heard, work))
            return heard

        def keep(window: Window, answer: WindowAnswer) -> Heard:
            # In one go, for who is cancelled in between: what no log knows is asked for again.
            ledger = self._kept.ledger
            return heard_in(window, ledger.keep_answer(work, window.channel, window.span, answer))

        async def hear_once(window: Window) -> Heard:
            answer = known.get((window.channel, window.span))
            if answer is None:
                async with self._flight.window(window.span.seconds):
                    self._intake.sent(ticket)
                    answer = await hear(self._server, window, self._asked.options, *self._how)
                heard = await self._file(partial(keep, window, answer))
            else:
                self._intake.sent(ticket)
                heard = await self._file(partial(heard_in, window, answer))
            self._show(Progress(path, done_s=share * window.span.seconds))
            return heard

        heard = await all_of(hear_once(window) for window in windows)
        await self._file(partial(self._kept.ledger.advance, path, State.FORENSIC))
        answers = await self._sum_up(heard, planned)
        if answers.summary_text is not None:
            await note("summed_up", summary_sha256=_sha256(answers.summary_text))
        if self._recall:
            await self._recall.keep(Decoded.of(recording), answers)
        return await self._assemble(path, recording, answers)

    @property
    def _how(self) -> tuple[str, float]:
        return self._asked.patterns, self._limits.timeout_s

    async def _decode(self, path: Path) -> Recording:
        recording = await self._decoders.decode(
            path,
            self._asked.options.channels,
            lambda decoding: self._show(Progress(path, decoding=decoding)),
        )
        self._show(Progress(path, planned_s=recording.duration_s))
        hashes = {"sha256": recording.source.sha256, "pcm_sha256": recording.pcm_sha256}
        await self._noting(recording)("decoded", **hashes)
        return recording

    async def _begin(self, path: Path, recording: Recording | Decoded) -> str:
        """Call a recording begun; returns what its answers are filed under."""
        asked = self._asked.made_sha256
        called = self._kept.ledger.known_as(path)
        work = sha256_of_json([called, recording.pcm_sha256, asked])
        begin = partial(
            self._kept.ledger.begin,
            path,
            sha256=recording.source.sha256,
            made=asked,
            work=work,
            duration_s=recording.duration_s,
        )
        await self._file(begin)
        return work

    async def _plan(self, path: Path, recording: Recording, work: str) -> Plan:
        planned = await asyncio.to_thread(self._kept.ledger.plan, work)
        if planned is None or not self._kept.is_logged(_plan_sha256(work, planned)):
            planned = await plan(self._server, recording, self._turn, self._limits.timeout_s)
        await self._file(partial(self._kept.ledger.keep_plan, path, work, planned))
        return planned

    @asynccontextmanager
    async def _turn(self) -> AsyncGenerator[None]:
        """A piece of sound is searched for speech; not while nothing may be sent."""
        async with self._pieces:
            await self._flight.not_stopped()
            yield

    async def _known(
        self, work: str, note: Callable[..., Awaitable[None]]
    ) -> dict[tuple[int | None, Span], WindowAnswer]:
        """The answers of earlier runs, without those that are not what they were."""
        ledger, is_logged = self._kept.ledger, self._kept.is_logged
        for channel, span in await asyncio.to_thread(ledger.forget_doubtful, work, is_logged):
            await note("answer_doubted", channel=channel, start=span.start_s, end=span.end_s)
        return await asyncio.to_thread(ledger.answers, work)

    async def _file(self, keep: Callable[[], T]) -> T:
        """Put something on the disk, also where the run is ended meanwhile."""
        filing = asyncio.ensure_future(asyncio.to_thread(keep))
        self._filing.add(filing)
        filing.add_done_callback(self._filing.discard)
        return await asyncio.shield(filing)

    async def _sum_up(self, heard: Sequence[Heard], planned: Plan) -> Answers:
        turns = tuple(planned.local_turns())
        text: str | None = None
        if heard:
            text = await sum_up(
                self._server, heard, turns, self._asked.options, self._limits.timeout_s
            )
        return Answers(tuple(heard), turns, text, planned.weights)

    async def _assemble(
        self, path: Path, recording: Recording | Decoded, answers: Answers
    ) -> Result:
        await self._file(partial(self._kept.ledger.advance, path, State.REPORT))
        summary: Summary | None = answers.summary
        return assemble(
            recording,
            answers.heard,
            summary,
            self._asked.made,
            self._asked.voices,
            weights=answers.weights,
        )

    def _noting(self, recording: Recording | Decoded) -> Callable[..., Awaitable[None]]:
        async def note(event: str, **facts: object) -> None:
            # The log may wait for the disk; answers and heat must not.
            await self._file(partial(self._note, recording, event, **facts))

        return note

    def _note(self, recording: Recording | Decoded, event: str, **facts: object) -> None:
        self._kept.note(event, {"file": recording.source.path, **facts})


def _facts_of(heard: Heard, work: str) -> dict[str, Any]:
    answer = WindowAnswer(heard.evidence_text, heard.embeddings)
    return {
        "channel": heard.channel,
        "start": heard.span.start_s,
        "end": heard.span.end_s,
        "evidence_sha256": _sha256(heard.evidence_text),
        "answer_sha256": answer.sha256(work, heard.channel, heard.span),
    }


def _plan_sha256(work: str, planned: Plan) -> str:
    return sha256_of_json([work, planned.to_json()])


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
