"""Which files did the caller mean: files, folders, globs and lists."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from voiceman.errors import RecordingError, RecordingNotFoundError

SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *("wav", "m4a", "mp3", "mp4", "flac", "ogg", "oga", "opus", "amr", "webm", "aac"),
        *("3gp", "mkv", "mov", "wma", "avi", "aiff", "au", "caf"),
    )
)
_GLOB_SIGNS = frozenset("*?[")


def find_recordings(
    arguments: Sequence[str], listed: Iterable[str] = ()
) -> tuple[list[Path], list[RecordingError]]:
    """The recordings that the arguments name, each once, in a stable order.

    Args:
        arguments: files, folders (searched to any depth for known suffixes), glob patterns,
            or "-" for the lines of `listed`.
        listed: lines, as from standard input.

    Returns:
        The files, and an error for every folder or pattern without recordings. A plain path
        that does not exist is returned as it is: decoding says what is wrong with it.
    """
    found: dict[Path, Path] = {}
    errors: list[RecordingError] = []
    for argument in _with_lists(arguments, listed):
        paths = _expand(argument)
        if not paths:
            errors.append(
                RecordingNotFoundError(
                    f"{argument}: no recordings there; known are {' '.join(sorted(SUFFIXES))}"
                )
            )
        for path in paths:
            found.setdefault(path.resolve(), path)
    return list(found.values()), errors


def _with_lists(arguments: Sequence[str], listed: Iterable[str]) -> Iterator[str]:
    for argument in arguments:
        if argument == "-":
            yield from (line.strip() for line in listed if line.strip())
        else:
            yield argument


def _expand(argument: str) -> list[Path]:
    path = Path(argument)
    if path.is_dir():
        return sorted(
            entry
            for entry in path.rglob("*")
            if entry.suffix.lower() in SUFFIXES and entry.is_file()
        )
    if _GLOB_SIGNS & set(argument) and not path.exists():
        root = Path(path.anchor)
        return sorted(match for match in root.glob(str(path.relative_to(root))) if match.is_file())
    return [path]
