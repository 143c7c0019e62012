"""What a caller may ask of one window: the LANGUAGE and OPTIONS tensors, parsed.

OPTIONS is a JSON object; an empty string stands for all defaults. Unknown keys are errors,
so that a misspelt option is never silently ignored.
"""

import json
import math
from dataclasses import dataclass, fields
from itertools import pairwise

from voiceman.errors import InvalidRequestError

AUTO_LANGUAGE = "auto"
_MOST_TEMPERATURES = 10  # each may cost a whole decode
MOST_PATTERNS_BYTES = 1 << 16  # of a user's file of patterns, sent with every window
_LOWEST_TEMPERATURE = 0.01  # below it, logits over the temperature leave the range of fp32


@dataclass(frozen=True)
class WindowOptions:
    """Options of one `forensic` (or `whisper`) request.

    The thresholds are those of openai/whisper `transcribe.py`.

    Attributes:
        timestamps: let Whisper emit segment times; without them a window is one segment.
        max_new_tokens: the most tokens generated per decode, 1 to 444 (the decoder's 448
            positions less the prompt of 4).
        initial_prompt: text that stands before the window, for spelling and vocabulary.
        hotwords: words that are likely to be said, names for example; they stand before
            `initial_prompt`.
        temperatures: of the first decode and of the further ones that follow while a decode is
            too repetitive or too unlikely, 0 to 1 each, ascending; [0] never decodes again.
        max_compression_ratio: above it a decode is too repetitive (UTF-8 bytes over bytes after
            zlib).
        min_avg_logprob: below it a decode is too unlikely (mean over its tokens).
        no_speech_threshold: an unlikely decode is taken for silence above this probability of
            no speech, and not decoded again.
        patterns: a user's table of crime language (TOML) on top of the shipped one of its
            language, at most 64 KiB; see `voiceman.analysis.pattern_tables`.
        timeout_s: seconds after which the answer is of no use to the caller, counted from when
            the model receives the request; 0 means none.
        deadline_unix_s: wall-clock time after which it is of no use, which counts the time in
            the server's queue too; read once, when the model receives the request, so that a
            clock that jumps later changes nothing. 0 means none. Both travel here because
            cancellation does not cross an ensemble.
    """

    timestamps: bool = True
    max_new_tokens: int = 224
    initial_prompt: str = ""
    hotwords: str = ""
    temperatures: tuple[float, ...] = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    max_compression_ratio: float = 2.4
    min_avg_logprob: float = -1.0
    no_speech_threshold: float = 0.6
    patterns: str = ""
    timeout_s: float = 0.0
    deadline_unix_s: float = 0.0

    def __post_init__(self) -> None:
        """Check ranges; raises InvalidRequestError naming the option and its limit."""
        if not 1 <= self.max_new_tokens <= 444:
            raise InvalidRequestError(
                f"OPTIONS: max_new_tokens is {self.max_new_tokens}, allowed are 1 to 444"
            )
        if not _are_temperatures(self.temperatures):
            raise InvalidRequestError(
                f"OPTIONS: temperatures are {list(self.temperatures[:_MOST_TEMPERATURES])}, "
                f"allowed are 1 to {_MOST_TEMPERATURES} numbers, ascending, each 0 or from "
                f"{_LOWEST_TEMPERATURE} to 1"
            )
        for name in ("initial_prompt", "hotwords", "patterns"):
            try:
                size = len(getattr(self, name).encode())
            except UnicodeEncodeError as err:
                raise InvalidRequestError(f"OPTIONS: {name} is not Unicode: {err}") from err
            if name == "patterns" and size > MOST_PATTERNS_BYTES:
                raise InvalidRequestError(
                    f"OPTIONS: patterns has {size} bytes, allowed are {MOST_PATTERNS_BYTES}"
                )
        for name, kind in _kinds().items():
            if kind is float and math.isnan(getattr(self, name)):
                raise InvalidRequestError(f"OPTIONS: {name} is not a number")


def _are_temperatures(values: tuple[float, ...]) -> bool:
    """Whether decodes can be drawn at these temperatures, in this order."""
    in_range = all(value == 0 or _LOWEST_TEMPERATURE <= value <= 1 for value in values)
    ascending = all(low < high for low, high in pairwise(values))
    return 1 <= len(values) <= _MOST_TEMPERATURES and in_range and ascending


def _kinds() -> dict[str, type]:
    """The type of every option, by name."""
    return {field.name: type(field.default) for field in fields(WindowOptions)}


def parse_window_options(text: str) -> WindowOptions:
    """Parse an OPTIONS tensor.

    Raises:
        InvalidRequestError: not a JSON object, an unknown key, a wrong type or range.
    """
    values = parse_object(text, "OPTIONS")
    known = _kinds()
    for name, value in values.items():
        if name not in known:
            raise InvalidRequestError(
                f"OPTIONS: unknown option {name!r}; known are {', '.join(sorted(known))}"
            )
        if not _fits(value, known[name]):
            expected = "list of numbers" if known[name] is tuple else known[name].__name__
            raise InvalidRequestError(f"OPTIONS: {name} is {value!r}, expected {expected}")
        try:
            if isinstance(value, list):
                values[name] = tuple(float(item) for item in value)
            elif known[name] is float:
                values[name] = float(value)  # type: ignore[arg-type]  # a number
        except OverflowError as err:
            raise InvalidRequestError(f"OPTIONS: {name} is too large") from err
    return WindowOptions(**values)  # type: ignore[arg-type]  # checked field by field above


def _fits(value: object, kind: type) -> bool:
    """Whether a JSON value may stand for an option of this type."""
    if kind is tuple:
        return isinstance(value, list) and all(_fits(item, float) for item in value)
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is kind


def parse_object(text: str, tensor: str) -> dict[str, object]:
    """Parse the JSON object in a BYTES tensor; empty text is an empty object.

    Raises:
        InvalidRequestError: the text is not a JSON object.
    """
    if not text.strip():
        return {}
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as err:  # no JSON, or an integer of 4,300 digits
        raise InvalidRequestError(f"{tensor}: not valid JSON: {err}") from err
    if not isinstance(values, dict):
        raise InvalidRequestError(f"{tensor}: expected a JSON object, got {type(values).__name__}")
    return values
