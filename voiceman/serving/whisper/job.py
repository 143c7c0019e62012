"""A window on its way through the engine: decoded once or several times, piece by piece."""

import math
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

from voiceman.audio import SAMPLE_RATE_HZ, Waveform
from voiceman.errors import (
    DeadlineExceededError,
    RequestCancelledError,
    ServerError,
    VoicemanError,
)
from voiceman.serving.whisper.alignment import count_frames, stack_blocks
from voiceman.serving.whisper.batch import RowOutput
from voiceman.serving.whisper.checkpoint import Checkpoint
from voiceman.serving.whisper.encoder import Placement
from voiceman.serving.whisper.fallback import Attempt, best, draw_for, is_good
from voiceman.serving.whisper.prompt import row_start
from voiceman.serving.whisper.segments import Split, split_segments, whole
from voiceman.serving.whisper.transcript import Decode, Language, flag_silence, make_transcript
from voiceman.serving.whisper.window import Window, WindowResult

NO_SLOT = -1
ASK_EVERY_S = 0.1  # Triton answers from another process: too slow to ask at every look


@dataclass(eq=False)
class Job:
    """What the engine knows of a window.

    Attributes:
        window: the request. previous: tokens before it.
        language: given or detected; None: not known yet.
        is_cancelled: whether the caller has gone away. asked_s: when that was asked last.
        future: of the answer.
        submitted_s, admitted_s, deadline_s: on the monotonic clock.
        slot: where it is decoded, or NO_SLOT.
        running: whether its row is being stepped. steps: that it has been given so far.
        rows: how many it has had; what was handed over for an earlier one is stale.
        offset_samples: where the sound begins that is being decoded.
        attempts: at this sound so far. decodes: that were kept, of the sound before it.
    """

    window: Window
    language: str | None
    previous: list[int]
    is_cancelled: Callable[[], bool] = lambda: False
    asked_s: float = -math.inf
    future: Future[WindowResult] = field(default_factory=Future[WindowResult])
    submitted_s: float = field(default_factory=time.monotonic)
    admitted_s: float = 0.0
    deadline_s: float = field(init=False)
    slot: int = NO_SLOT
    running: bool = False
    rows: int = 0
    steps: int = 0
    offset_samples: int = 0
    language_probability: float | None = None
    attempts: list[Attempt] = field(default_factory=list[Attempt])
    decodes: list[Decode] = field(default_factory=list[Decode])

    def __post_init__(self) -> None:
        """Take the deadline over to a clock that does not jump."""
        options = self.window.options
        left_s = [options.timeout_s or math.inf]
        if options.deadline_unix_s:
            left_s.append(options.deadline_unix_s - time.time())
        self.deadline_s = time.monotonic() + min(left_s)

    @property
    def sound(self) -> Waveform:
        """What is still to be decoded."""
        return self.window.waveform[self.offset_samples :]

    @property
    def sound_s(self) -> float:
        """How long that is."""
        return len(self.sound) / SAMPLE_RATE_HZ

    @property
    def offset_s(self) -> float:
        """Where that begins in the window."""
        return self.offset_samples / SAMPLE_RATE_HZ

    def why_unwanted(self) -> VoicemanError | None:
        """Why nobody waits for the answer any more; None: somebody does."""
        try:
            if self.future.cancelled() or self._asked_and_cancelled():
                return RequestCancelledError("the caller has cancelled this request")
        except Exception as err:  # noqa: BLE001  # a fault in asking is this job's alone
            return ServerError(f"could not ask whether the request is cancelled: {err}")
        late_s = time.monotonic() - self.deadline_s
        if late_s >= 0:
            return DeadlineExceededError(
                f"the deadline passed {late_s:.1f} s ago by this machine's clock"
            )
        return None

    def _asked_and_cancelled(self) -> bool:
        now_s = time.monotonic()
        if now_s - self.asked_s < ASK_EVERY_S:
            return False
        self.asked_s = now_s
        return self.is_cancelled()

    def enter(self, slot: int) -> None:
        """Take a slot."""
        self.slot = slot
        self.admitted_s = self.admitted_s or time.monotonic()

    def start_row(self) -> None:
        """A new row is stepped for it."""
        self.running, self.steps = True, 0
        self.rows += 1

    def leave(self) -> None:
        """Give the slot up; what was being decoded begins anew if there is another one."""
        self.slot, self.running = NO_SLOT, False
        self.rows += 1
        self.attempts.clear()

    def answer(self, outcome: WindowResult | Exception) -> None:
        """Tell the caller, and whoever waits with `concurrent.futures.wait` if it cancelled."""
        if not self.future.set_running_or_notify_cancel():
            return
        if isinstance(outcome, Exception):
            self.future.set_exception(outcome)
        else:
            self.future.set_result(outcome)

    def placement(self, checkpoint: Checkpoint) -> Placement:
        """What is to be decoded next, in its slot."""
        options = self.window.options
        draw = draw_for(self.sound, len(self.attempts), options)
        start = row_start(checkpoint, self.previous, self.language, options, draw)
        return Placement(self.slot, self.sound, start)

    def keep_attempt(self, output: RowOutput, checkpoint: Checkpoint) -> Attempt | None:
        """Take what a finished row has said; the decode to keep, or None: decode again."""
        special, options = checkpoint.special, self.window.options
        if self.language is None:
            self.language = list(special.languages)[output.language]
            self.language_probability = output.language_probability
        ended = output.tokens[-1:] == [special.end_of_text]
        tokens = output.tokens[:-1] if ended else output.tokens
        text = [token for token in tokens if token < special.end_of_text]
        self.attempts.append(
            Attempt(
                temperature=options.temperatures[len(self.attempts)],
                tokens=tuple(tokens),
                text=checkpoint.tokenizer.decode(text).strip(),
                logprobs=tuple(output.logprobs),
                ended=ended,
                no_speech_probability=output.no_speech_probability,
            )
        )
        again = len(self.attempts) < len(options.temperatures)
        if again and not is_good(self.attempts[-1], options):
            return None
        return best(self.attempts, options)

    def split(self, said: Attempt, checkpoint: Checkpoint) -> Split:
        """The segments of a decode, and where to decode on."""
        if not self.window.options.timestamps:
            return whole(said.tokens, self.sound_s)
        return split_segments(
            said.tokens,
            checkpoint.special.first_timestamp,
            self.sound_s,
            self.window.speech_from(self.offset_s),
            further=bool(self.decodes),
        )

    def keep(self, decode: Decode, resume_s: float | None) -> None:
        """Keep a decode; what follows begins `resume_s` from where it began."""
        self.decodes.append(decode)
        self.attempts.clear()
        self.offset_samples += round((resume_s or 0.0) * SAMPLE_RATE_HZ)

    def result(self, checkpoint: Checkpoint, computed_in: str) -> WindowResult:
        """The answer, from all decodes; `computed_in` is the precision they were made in."""
        waveform = self.window.waveform
        duration_s = len(waveform) / SAMPLE_RATE_HZ
        transcript = make_transcript(
            self.decodes,
            Language(self.language or "", self.language_probability),
            duration_s,
            checkpoint,
            self.window.options,
        )
        transcript["computed_in"] = computed_in
        flag_silence(transcript, waveform)
        blocks = [(count_frames(decode.offset_s), decode.attention) for decode in self.decodes]
        return WindowResult(
            transcript,
            stack_blocks(blocks, count_frames(duration_s)),
            tuple(decode.said.tokens for decode in self.decodes),
        )
