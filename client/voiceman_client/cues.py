"""What each speaker says in a stretch of time: the lines of subtitles and of plain text."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from voiceman_client.result import ResultSegment


@dataclass(frozen=True)
class Cue:
    """A stretch of text by one speaker; times in seconds."""

    start: float
    end: float
    speaker: str
    text: str


def by_speaker(
    segment: ResultSegment, characters: float = float("inf"), seconds: float = float("inf")
) -> Iterator[Cue]:
    """The segment's own text, cut before words; spaces and signs stay as they were written.

    Args:
        segment: to cut where the speaker changes.
        characters: that a cue may have.
        seconds: that a cue may last.
    """
    text, words = segment["text"], segment["words"]
    cursor = cut = first = 0
    for index, word in enumerate(words):
        at = text.find(word["word"].strip(), cursor)
        if at < 0:
            continue
        end = at + len(word["word"].strip())
        opening = words[first]
        if index > first and (
            word.get("speaker") != opening.get("speaker")
            or end - cut > characters
            or word["end"] - opening["start"] > seconds
        ):
            yield _cue(segment, first, index, text[cut:at])
            cut, first = at, index
        cursor = end
    yield _cue(segment, first, len(words), text[cut:])


def _cue(segment: ResultSegment, first: int, last: int, text: str) -> Cue:
    words = segment["words"][first:last]
    clean = re.sub(r"\s+", " ", text).strip()
    if not words:
        return Cue(segment["start"], segment["end"], segment.get("speaker", ""), clean)
    speaker = words[0].get("speaker", segment.get("speaker", ""))
    return Cue(words[0]["start"], words[-1]["end"], speaker, clean)


def clock(seconds: float, point: str = ".") -> str:
    """Hours, minutes, seconds and milliseconds, these after the point."""
    milliseconds = max(0, round(seconds * 1000))
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d}{point}{rest % 1000:03d}"
