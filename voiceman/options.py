"""What a caller may ask of one window: the LANGUAGE and OPTIONS tensors, parsed.

OPTIONS is a JSON object; an empty string stands for all defaults. Unknown keys are errors,
so that a misspelt option is never silently ignored.
"""

import json
import math
from dataclasses import dataclass, fields

from voiceman.errors import InvalidRequestError

AUTO_LANGUAGE = "auto"


@dataclass(frozen=True)
class WindowOptions:
    """Options of one `forensic` (or `whisper`) request.

    Attributes:
        timestamps: let Whisper emit segment times; without them a window is one segment.
        max_new_tokens: the most tokens generated per window, 1 to 444 (the decoder's 448
            positions less the prompt of 4).
        initial_prompt: text that stands before the window, for spelling and vocabulary.
        deadline_unix_s: wall-clock time after which the answer is of no use to the caller;
            0 means none. It travels here because cancellation does not cross an ensemble.
    """

    timestamps: bool = True
    max_new_tokens: int = 224
    initial_prompt: str = ""
    deadline_unix_s: float = 0.0

    def __post_init__(self) -> None:
        """Check ranges; raises InvalidRequestError naming the option and its limit."""
        if not 1 <= self.max_new_tokens <= 444:
            raise InvalidRequestError(
                f"OPTIONS: max_new_tokens is {self.max_new_tokens}, allowed are 1 to 444"
            )
        try:
            self.initial_prompt.encode()
        except UnicodeEncodeError as err:
            raise InvalidRequestError(f"OPTIONS: initial_prompt is not Unicode: {err}") from err
        if math.isnan(self.deadline_unix_s):
            raise InvalidRequestError("OPTIONS: deadline_unix_s is not a number")


def parse_window_options(text: str) -> WindowOptions:
    """Parse an OPTIONS tensor.

    Raises:
        InvalidRequestError: not a JSON object, an unknown key, a wrong type or range.
    """
    values = parse_object(text, "OPTIONS")
    known = {field.name: type(field.default) for field in fields(WindowOptions)}
    for name, value in values.items():
        if name not in known:
            raise InvalidRequestError(
                f"OPTIONS: unknown option {name!r}; known are {', '.join(sorted(known))}"
            )
        allowed = (int, float) if known[name] is float else (known[name],)
        if not isinstance(value, allowed) or (isinstance(value, bool) and known[name] is not bool):
            raise InvalidRequestError(
                f"OPTIONS: {name} is {value!r}, expected {known[name].__name__}"
            )
    return WindowOptions(**values)  # type: ignore[arg-type]  # checked field by field above


def parse_object(text: str, tensor: str) -> dict[str, object]:
    """Parse the JSON object in a BYTES tensor; empty text is an empty object.

    Raises:
        InvalidRequestError: the text is not a JSON object.
    """
    if not text.strip():
        return {}
    try:
        values = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as err:
        raise InvalidRequestError(f"{tensor}: not valid JSON: {err}") from err
    if not isinstance(values, dict):
        raise InvalidRequestError(f"{tensor}: expected a JSON object, got {type(values).__name__}")
    return values
