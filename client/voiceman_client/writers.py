"""Result files: JSON, SubRip, WebVTT and plain text, written whole or not at all."""

import contextlib
import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from voiceman.errors import ResultNotWrittenError
from voiceman_client.cues import Cue, by_speaker, clock
from voiceman_client.plain_text import to_txt
from voiceman_client.result import Result

TEMPORARY_PREFIX = ".voiceman-"  # of the names of files that are not whole yet
_CUE_CHARACTERS = 84  # two lines of 42, the usual limit of subtitles
_CUE_SECONDS = 7.0  # the usual longest time of a subtitle


@dataclass(frozen=True)
class Written:
    """A file that was written.

    Attributes:
        path: where it is.
        size_bytes: of what was written.
        sha256: of what was written, before a disk had it; 64 hexadecimal digits.
    """

    path: Path
    size_bytes: int
    sha256: str


def to_json(result: Result) -> str:
    """The result as it is."""
    return json.dumps(result, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def to_transcript(result: Result) -> str:
    """What WhisperX's JSON has, and where it comes from."""
    names = ("language", "segments", "word_segments", "provenance")
    part = {name: result[name] for name in names}
    return json.dumps(part, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def to_srt(result: Result) -> str:
    """SubRip with the speaker in square brackets."""
    return "".join(
        f"{number}\n{clock(cue.start, ',')} --> {clock(cue.end, ',')}\n"
        f"{f'[{cue.speaker}] ' if cue.speaker else ''}{cue.text}\n\n"
        for number, cue in enumerate(_cues(result), start=1)
    )


def to_vtt(result: Result) -> str:
    """WebVTT with the speaker as a voice span."""
    return "WEBVTT\n\n" + "".join(
        f"{clock(cue.start)} --> {clock(cue.end)}\n"
        f"{f'<v {_escaped(cue.speaker)}>' if cue.speaker else ''}{_escaped(cue.text)}\n\n"
        for cue in _cues(result)
    )


FORMATS: dict[str, Callable[[Result], str]] = {
    "json": to_json,
    "srt": to_srt,
    "vtt": to_vtt,
    "txt": to_txt,
}


# What else can be written of a result, in layouts that have a place for it.
WRITERS = FORMATS | {"transcript": to_transcript}


def write_result(result: Result, path: Path, kind: str) -> Written:
    """Write a result in one of `WRITERS`; the file appears complete or not at all.

    Raises:
        ResultNotWrittenError: the disk is full, no permission, or the result holds what the
            format cannot; names the file.
    """
    try:
        content = WRITERS[kind](result).encode()
    except ValueError as err:  # not a finite number, or half of a surrogate pair
        raise ResultNotWrittenError(f"{path}: the result cannot be {kind} ({err})") from err
    return write_whole(path, content)


def write_whole(path: Path, content: bytes) -> Written:
    """Write beside the target, then rename: a reader never sees half a file.

    When it returns, a power cut does not take the file any more.

    Raises:
        ResultNotWrittenError: the disk is full, or no permission; names the file.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=TEMPORARY_PREFIX, delete=False
        ) as file:
            temporary = Path(file.name)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as err:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink()
        raise ResultNotWrittenError(
            f"{path}: {len(content)} bytes could not be written ({err.strerror}); "
            "make room or give another --output"
        ) from err
    return Written(path, len(content), hashlib.sha256(content).hexdigest())


def _sync_folder(folder: Path) -> None:
    """Let the disk have the names in a folder; file systems that cannot be asked to do it soon."""
    try:
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except PermissionError:  # it may be written into, and not be read
        return
    try:
        os.fsync(opened)
    except OSError as err:
        if err.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(opened)


def _umask() -> int:
    """The process's file mode mask, which temporary files ignore."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _cues(result: Result) -> list[Cue]:
    """Subtitles: segments cut where the speaker changes and where they grow too long."""
    return [
        cue
        for segment in result["segments"]
        for cue in by_speaker(segment, _CUE_CHARACTERS, _CUE_SECONDS)
        if cue.text
    ]


def _escaped(text: str) -> str:
    """Text that WebVTT cannot take for markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
