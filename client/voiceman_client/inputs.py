"""Which files did the caller mean: files, folders, globs and lists."""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from voiceman.errors import RecordingError, RecordingNotFoundError, RecordingUnreadableError

SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *("wav", "m4a", "mp3", "mp4", "flac", "ogg", "oga", "opus", "amr", "webm", "aac"),
        *("3gp", "mkv", "mov", "wma", "avi", "aiff", "au", "caf"),
    )
)
_GLOB_SIGNS = frozenset("*?[")
_NAMED = 3  # of the files that are left out


@dataclass
class Found:
    """What arguments name.

    Attributes:
        recordings: files, each once, in a stable order.
        errors: one for every argument without recordings, and for every folder or name that the
            file system refuses.
        others: files in folders that have no known suffix, and are left out.
    """

    recordings: list[Path] = field(default_factory=list[Path])
    errors: list[RecordingError] = field(default_factory=list[RecordingError])
    others: list[Path] = field(default_factory=list[Path])

    def left_out(self) -> str:
        """How many files are left out, and the first of them, in a line; empty: none."""
        if not self.others:
            return ""
        names = ", ".join(printable(path) for path in self.others[:_NAMED])
        more = f" and {len(self.others) - _NAMED} more" if len(self.others) > _NAMED else ""
        return f"{len(self.others)} files are left out, no recordings by their names: {names}{more}"


def find_recordings(arguments: Sequence[str], listed: Iterable[str] = ()) -> Found:
    """The recordings that the arguments name, each once, in a stable order.

    Args:
        arguments: files, folders (searched to any depth for known suffixes), glob patterns,
            or "-" for the lines of `listed`.
        listed: lines, as from standard input.

    Returns:
        What they name. A plain path that does not exist counts as a recording: decoding says
        what is wrong with it.
    """
    found = Found()
    paths: dict[Path, Path] = {}
    for argument in _with_lists(arguments, listed):
        refused: list[OSError] = []
        try:
            expanded = _expand(argument, refused, found.others)
            named = {path.resolve(): straight(path) for path in expanded}
        # RuntimeError: a loop of links; ValueError: a NUL, or a pattern such as "a**.wav".
        except (OSError, RuntimeError, ValueError) as err:
            found.errors.append(_unreadable(argument, err))
            continue
        found.errors += [_unreadable(str(err.filename), err) for err in refused]
        if not named and not refused:
            found.errors.append(
                RecordingNotFoundError(
                    f"{argument}: no recordings there; known are {' '.join(sorted(SUFFIXES))}"
                )
            )
        for resolved, path in named.items():
            paths.setdefault(resolved, path)
    meant = set(paths.values())  # one may be named beside its folder
    found.recordings = list(paths.values())
    found.others = list(dict.fromkeys(path for path in found.others if path not in meant))
    return found


def straight(path: Path) -> Path:
    """The path without `..` on the way: a recording is known by its path in later runs as well.

    Raises:
        OSError, RuntimeError: the file system refuses, or links lead in a circle.
    """
    # Behind a link `..` is somewhere else than the text says.
    return path.parent.resolve() / path.name if ".." in path.parts else path


def printable(path: Path | str) -> str:
    r"""A path, or a text with one in it, as any file can hold it: bytes not UTF-8 become \xNN."""
    return str(path).encode(errors="surrogateescape").decode(errors="backslashreplace")


def unprinted(text: str) -> Path:
    r"""The path that `printable` wrote as text; \xNN is taken for a byte unless a file has it."""
    path = Path(text)
    if os.path.lexists(path):
        return path
    content = re.sub(
        rb"\\x([0-9a-f]{2})", lambda found: bytes.fromhex(found[1].decode()), text.encode()
    )
    return Path(os.fsdecode(content))


def _unreadable(name: str, err: Exception) -> RecordingUnreadableError:
    reason = err.strerror if isinstance(err, OSError) else err
    return RecordingUnreadableError(f"{name!r}: cannot be looked up ({reason}); check the path")


def _with_lists(arguments: Sequence[str], listed: Iterable[str]) -> Iterator[str]:
    for argument in arguments:
        if argument == "-":
            yield from (line.strip() for line in listed if line.strip())
        else:
            yield argument


def _expand(argument: str, refused: list[OSError], others: list[Path]) -> list[Path]:
    """The files that an argument names.

    Args:
        argument: a file, a folder or a pattern.
        refused: gets the folders that may not be listed.
        others: gets the files in folders that have no known suffix.
    """
    path = Path(argument)
    if path.is_dir():
        entries = sorted(
            Path(folder, name)
            for folder, _, names in os.walk(path, onerror=refused.append)
            for name in names
        )
        others += (entry for entry in entries if entry.suffix.lower() not in SUFFIXES)
        return [entry for entry in entries if entry.suffix.lower() in SUFFIXES and entry.is_file()]
    if _GLOB_SIGNS & set(argument) and not path.exists():
        root = Path(path.anchor)
        return sorted(match for match in root.glob(str(path.relative_to(root))) if match.is_file())
    return [path]
