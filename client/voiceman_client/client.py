"""The client object: what programs use, and the commands too."""

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Sequence
from contextlib import aclosing
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self, TypeVar, Unpack

from voiceman.errors import RequestCancelledError
from voiceman.manifest import sha256_of
from voiceman_client import answer_cache
from voiceman_client.batch import Batch
from voiceman_client.cache_size import answers_folder
from voiceman_client.emotion import emotions_of
from voiceman_client.enrolment import embedding_model, enrol
from voiceman_client.identity import sha256_of_json, weights_in_use
from voiceman_client.options import Limits, OptionValues, SubmitOptions
from voiceman_client.patterns import UsersPatterns, read_patterns
from voiceman_client.processing import Asked, Kept, Progress
from voiceman_client.result import Made, Result
from voiceman_client.sensors import choose_sensor
from voiceman_client.status import (
    ModelStatus,
    describe_models,
    describe_server,
    find_broken_models,
    wait_until_loaded,
    wait_until_ready,
)
from voiceman_client.submit import Outcome, Submission, Watched
from voiceman_client.transport import DEFAULT_SERVER, Server
from voiceman_client.voices import EmbeddingModel, Voice, Voices, read_voices, write_voices

T = TypeVar("T")

StrPath = str | os.PathLike[str]


class Client:
    """A connection to a voiceman server.

        with Client("127.0.0.1:8001") as client:
            result = client.process("call.m4a", language="ko")
            for outcome in client.process_batch(["a.wav", "b.mp3"]):
                print(outcome.path, outcome.error or outcome.result["language"])

    Work goes on in a thread of its own while the caller handles an outcome.
    """

    def __init__(self, server: str | None = None, limits: Limits | None = None) -> None:
        """Prepare a connection; nothing is sent yet.

        Args:
            server: host:port of gRPC; None: VOICEMAN_SERVER, else 127.0.0.1:8001.
            limits: how much may happen at once; None: the defaults.
        """
        self._server = Server(
            server or os.environ.get("VOICEMAN_SERVER") or DEFAULT_SERVER,
            (limits or Limits()).away_s,
        )
        self._limits = limits or Limits()
        self._batches: list[Batch] = []  # that run
        self._stop = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection and all that runs; outcomes not yet fetched are lost."""
        if self._loop.is_closed():
            return
        for batch in tuple(self._batches):
            self._run(batch.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._server.close()

    def process(self, path: StrPath, **options: Unpack[OptionValues]) -> Result:
        """Process one recording.

        Args:
            path: the file.
            options: fields of `SubmitOptions`.

        Raises:
            VoicemanError: the recording or the server failed; see `voiceman.errors`.
        """
        for outcome in self.process_batch([path], **options):
            return _result_of(outcome)
        raise RequestCancelledError(f"{path}: the client was stopped")

    async def aprocess(self, path: StrPath, **options: Unpack[OptionValues]) -> Result:
        """`process` for programs that run an event loop; see there."""
        async with aclosing(self.aprocess_batch([path], **options)) as outcomes:
            async for outcome in outcomes:
                return _result_of(outcome)
        raise RequestCancelledError(f"{path}: the client was stopped")

    def process_batch(
        self,
        paths: Sequence[StrPath],
        show: Callable[[Progress], None] = lambda _: None,
        *,
        kept: Kept | None = None,
        watched: Watched | None = None,
        **options: Unpack[OptionValues],
    ) -> Generator[Outcome, None, None]:
        """Process recordings; outcomes come as they are finished, not in order.

        Args:
            paths: the files.
            show: called with progress, from another thread.
            kept: what outlives the run, so that an interrupted one goes on; None: nothing.
            watched: what is looked at meanwhile; None: the temperature, and the memory.
            options: fields of `SubmitOptions`.

        Raises:
            ServerUnreachableError: nobody answers at the server's address.
            ServerNotReadyError: it answers, but does not get all models loaded in `Limits.away_s`.
            ConfigurationError: the file of voices or of patterns cannot be used, or the
                temperature must be watched and cannot be.
        """
        batch = self._begin(paths, options, show=show, kept=kept, watched=watched)
        try:
            # A client that was closed meanwhile has closed the run as well.
            while not self._loop.is_closed() and (outcome := self._run(batch.fetch())) is not None:
                yield outcome
        finally:
            self._batches.remove(batch)
            if not self._loop.is_closed():
                self._run(batch.close())

    async def aprocess_batch(
        self, paths: Sequence[StrPath], **options: Unpack[OptionValues]
    ) -> AsyncGenerator[Outcome, None]:
        """`process_batch` for programs that run an event loop; see there. Close it with `aclose`.

        The work goes on in the client's own thread: the program's loop is never held up.
        """
        batch = await asyncio.to_thread(self._begin, paths, options)
        try:
            while (
                not self._loop.is_closed()
                and (outcome := await self._bring(batch.fetch())) is not None
            ):
                yield outcome
        finally:
            self._batches.remove(batch)
            if not self._loop.is_closed():
                await self._bring(batch.close())

    def stop(self) -> None:
        """End all batches early: what is there is handed out and filed, and nothing more comes.

        May be called from any thread and from a signal handler. The client takes no more work.
        """
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop.set)

    def _begin(
        self,
        paths: Sequence[StrPath],
        options: OptionValues,
        *,
        show: Callable[[Progress], None] = lambda _: None,
        kept: Kept | None = None,
        watched: Watched | None = None,
    ) -> Batch:
        """Start the work on recordings; for arguments and errors see `process_batch`."""
        wanted = SubmitOptions(**options)
        kept = kept or Kept()
        asked = self._asked(wanted)
        kept.note("run_started", {**asdict(asked.made), "recordings": len(paths)})
        submission = Submission(
            self._server,
            asked,
            self._limits,
            show,
            kept=kept,
            watched=watched or Watched(choose_sensor("auto", self._server.address)),
            stop=self._stop,
        )
        batch = Batch(submission, [Path(path) for path in paths])
        self._batches.append(batch)
        return batch

    def emotion(self, path: StrPath, **options: Unpack[OptionValues]) -> dict[str, Any]:
        """The emotions in one recording, overall and by utterance; see `emotions_of`.

        The recording is processed as by `process`: utterances are what is said between its
        pauses, by one speaker each. For arguments and errors see there.
        """
        return emotions_of(self.process(path, **options))

    def preload_models(self, timeout_s: float = 600.0) -> None:
        """Wait until every model of the server is loaded and has answered a second of silence.

        The server loads its models when it starts and keeps them; there is nothing to load here.

        Args:
            timeout_s: for all of it.

        Raises:
            ServerUnreachableError: nobody answered at the server's address.
            ServerNotReadyError: names the models that were not ready, or do not answer.
        """
        wait_until_ready(self._server, timeout_s)

    def clear_model_cache(self) -> None:
        """Empty the cache of answers on this machine; see `voiceman_client.answer_cache`.

        Models belong to the server. It serves other callers too, so that no client can unload
        them, and it gives back memory by itself when that runs short.

        Raises:
            OSError: an answer cannot be removed.
        """
        answer_cache.clear(answers_folder())

    def enrol(self, name: str, paths: Sequence[StrPath], voices: StrPath) -> Voice:
        """Store a person's voice in a voices file, so that results can name it.

        Args:
            name: of the person; a voice of that name is replaced.
            paths: recordings in which only this person speaks.
            voices: the file; made when missing.

        Raises:
            RecordingError: a recording cannot be used, holds several voices, or they hold too
                little speech.
            ConfigurationError: the file cannot be read, or its voices were made by other weights.
            ResultNotWrittenError: it cannot be written.
            ServerError: the server failed; see `voiceman.errors`.
        """
        file = Path(voices)
        known = read_voices(file) if file.exists() else None
        model = self._embedding_model()
        if known:
            known.check_model(model, file)
        recordings = [Path(path) for path in paths]
        voice = self._run(enrol(self._server, recordings, self._limits.timeout_s))
        write_voices(file, (known or Voices(model, {})).with_voice(name, voice))
        return voice

    def _asked(self, options: SubmitOptions) -> Asked:
        """Read what the options name, and ask the server what it is."""
        voices = read_voices(Path(options.voices)) if options.voices else None
        patterns = read_patterns(Path(options.patterns)) if options.patterns else None
        wait_until_loaded(self._server, self._limits.away_s, self._stop.is_set)
        if voices and options.voices:
            voices.check_model(self._embedding_model(), Path(options.voices))
        made = self._made(options, patterns)
        weights = self._run(weights_in_use(self._server, options.language, self._limits.timeout_s))
        return Asked(
            made,
            options,
            made_sha256=sha256_of_json([asdict(made), weights]),
            patterns=patterns.text if patterns else "",
            voices=voices and voices.voices,
        )

    def _embedding_model(self) -> EmbeddingModel:
        return self._run(embedding_model(self._server, self._limits.timeout_s))

    def models(self) -> list[ModelStatus]:
        """What the server says of its models; raises ServerUnreachableError."""
        return describe_models(self._server)

    def health(self, timeout_s: float = 60.0) -> dict[str, str]:
        """The models that do not answer a canary, with the reason; empty: all work.

        Raises:
            ServerUnreachableError: nobody answers at the server's address.
        """
        return find_broken_models(self._server, timeout_s)

    def _made(self, options: SubmitOptions, patterns: UsersPatterns | None) -> Made:
        models = describe_models(self._server)
        given = asdict(options)
        if options.voices:
            given["voices_sha256"] = sha256_of(Path(options.voices))
        if patterns:
            given["patterns_sha256"] = patterns.sha256
        return Made(
            voiceman=version("voiceman"),
            options=given,
            server=describe_server(self._server),
            models={model.name: model.version for model in models},
            configurations={m.name: m.config_sha256 for m in models if m.config_sha256},
        )

    async def _bring(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the client's loop for a caller in another one."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, self._loop))

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        except BaseException:  # an interrupt of the calling thread
            future.cancel()
            raise


def _result_of(outcome: Outcome) -> Result:
    if outcome.error is not None:
        raise outcome.error
    if outcome.result is None:
        raise AssertionError("a run without a ledger recalls nothing")
    return outcome.result
