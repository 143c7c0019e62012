"""What the caller of a run may choose."""

from dataclasses import dataclass, field
from typing import TypedDict

from voiceman.errors import InvalidRequestError
from voiceman.options import AUTO_LANGUAGE
from voiceman_client.channels import CHANNEL_MODES
from voiceman_client.decode_limits import DecodeLimits


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
        away_s: for how long the server may be away before requests fail.
        decode: what a decoder may use for one recording.
    """

    in_flight: int = 32
    workers: int = 2
    timeout_s: float = 600.0
    away_s: float = 300.0
    decode: DecodeLimits = field(default_factory=DecodeLimits)
