"""What a caller may ask of a whole recording: the RECORDING_OPTIONS tensor, parsed.

RECORDING_OPTIONS is a JSON object; an empty string stands for all defaults:

    window_starts   start of every window in the recording, seconds; default: one after another
    channels        channel of every window, or null for a mixdown; default: all null
    speakers        number of speakers, if known
    min_speakers    the fewest speakers, if known
    max_speakers    the most speakers, if known
    turns           local speaker turns of the whole recording: [start, end, speaker, channel],
                    seconds; the speaker is a number, the same for the same person near by
"""

import math
from dataclasses import dataclass
from typing import cast

from voiceman.analysis.speaker_turns import LocalTurn
from voiceman.analysis.speakers import SpeakerCount
from voiceman.errors import InvalidRequestError
from voiceman.options import parse_object


@dataclass(frozen=True)
class RecordingOptions:
    """RECORDING_OPTIONS, checked; see the module.

    Attributes:
        window_starts: [w] seconds; None: one after another.
        channels: [w]; None: a mixdown.
        count: what is known about the number of speakers.
        turns: local speaker turns; None: not known.
    """

    window_starts: tuple[float, ...] | None
    channels: tuple[int | None, ...] | None
    count: SpeakerCount
    turns: tuple[LocalTurn, ...] | None


def parse_recording_options(text: str) -> RecordingOptions:
    """Parse a RECORDING_OPTIONS tensor.

    Raises:
        InvalidRequestError: not a JSON object, an unknown key, a wrong type or range; names
            the option.
    """
    values = parse_object(text, "RECORDING_OPTIONS")
    counts = ("speakers", "min_speakers", "max_speakers")
    known = ("window_starts", "channels", *counts, "turns")
    for name in values:
        if name not in known:
            raise InvalidRequestError(
                f"RECORDING_OPTIONS: unknown option {name!r}; known are {', '.join(known)}"
            )
    numbers = {name: _positive(values.get(name), name) for name in counts}
    fewest, most = numbers["min_speakers"], numbers["max_speakers"]
    if fewest is not None and most is not None and fewest > most:
        raise InvalidRequestError(
            f"RECORDING_OPTIONS: min_speakers is {fewest}, more than max_speakers, {most}"
        )
    starts = _items(values.get("window_starts"), "window_starts", (int, float))
    channels = _items(values.get("channels"), "channels", (int, type(None)))
    turns = values.get("turns")
    return RecordingOptions(
        None if starts is None else tuple(float(cast("float", start)) for start in starts),
        None if channels is None else tuple(cast("int | None", item) for item in channels),
        SpeakerCount(numbers["speakers"], fewest, most),
        None if turns is None else tuple(_turn(item) for item in _list(turns, "turns")),
    )


def _positive(value: object, name: str) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InvalidRequestError(f"RECORDING_OPTIONS: {name} is {value!r}, expected 1 or more")
    return value


def _items(value: object, name: str, types: tuple[type, ...]) -> list[object] | None:
    if value is None:
        return None
    items = _list(value, name)
    for item in items:
        wrong = not isinstance(item, types) or isinstance(item, bool)
        if wrong or (isinstance(item, float) and not math.isfinite(item)):
            raise InvalidRequestError(f"RECORDING_OPTIONS: {name} holds {item!r}, not a number")
    return items


def _list(value: object, name: str) -> list[object]:
    if not isinstance(value, list):
        raise InvalidRequestError(f"RECORDING_OPTIONS: {name} is {value!r}, expected a list")
    return cast("list[object]", value)


def _turn(item: object) -> LocalTurn:
    match item:
        case [float() | int() as start, float() | int() as end, int() as speaker, channel] if (
            math.isfinite(start)
            and math.isfinite(end)
            and start <= end
            and (channel is None or isinstance(channel, int))
        ):
            return LocalTurn(float(start), float(end), speaker, channel)
        case _:
            pass
    raise InvalidRequestError(
        f"RECORDING_OPTIONS: turns hold {item!r}, expected [start, end, speaker, channel] in "
        "seconds and whole numbers, the channel null for a mixdown"
    )
