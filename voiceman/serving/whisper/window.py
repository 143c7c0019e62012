"""One request of the engine and its answer."""

from dataclasses import dataclass, field

from voiceman.analysis.coverage import Intervals, union
from voiceman.audio import (
    MAX_WINDOW_S,
    MAX_WINDOW_SAMPLES,
    MIN_WAVEFORM_SAMPLES,
    SAMPLE_RATE_HZ,
    Waveform,
)
from voiceman.errors import InvalidRequestError
from voiceman.evidence import Transcript
from voiceman.options import WindowOptions
from voiceman.serving.whisper.alignment import Matrix


@dataclass(frozen=True, eq=False)
class Window:
    """One request.

    Attributes:
        waveform: float32 samples [n] at 16 kHz in [-1, 1).
        language: ISO 639-1 code; empty or "auto": to be detected.
        options: see `WindowOptions`.
        speech: where speech was detected, seconds from the start of the window; None: nobody
            looked for any, which is not the same as none found.
    """

    waveform: Waveform
    language: str = ""
    options: WindowOptions = field(default_factory=WindowOptions)
    speech: Intervals | None = None

    def speech_from(self, offset_s: float) -> Intervals | None:
        """The detected speech after a time in the window, in seconds from that time."""
        if self.speech is None:
            return None
        shifted = ((start - offset_s, end - offset_s) for start, end in self.speech)
        return union(shifted, 0.0, len(self.waveform) / SAMPLE_RATE_HZ - offset_s)


@dataclass(frozen=True, eq=False)
class WindowResult:
    """The answer: transcript, attention [rows, frames], and the raw tokens of every decode."""

    transcript: Transcript
    cross_attention: Matrix
    tokens: tuple[tuple[int, ...], ...]


def check_waveform(waveform: Waveform) -> None:
    """Refuse what no window can be.

    Raises:
        InvalidRequestError: shorter than 25 ms or longer than 30 s; names both numbers.
    """
    samples = len(waveform)
    if not MIN_WAVEFORM_SAMPLES <= samples <= MAX_WINDOW_SAMPLES:
        raise InvalidRequestError(
            f"WAVEFORM: {samples} samples ({samples / SAMPLE_RATE_HZ:.3f} s); a window has "
            f"{MIN_WAVEFORM_SAMPLES} to {MAX_WINDOW_SAMPLES} samples (0.025 to {MAX_WINDOW_S:g} s)"
        )
