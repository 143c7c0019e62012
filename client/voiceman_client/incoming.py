"""The recordings of a job: `incoming/`, and `processing/` for those that are worked on.

A recording that is given by its path stays where it is: what lies in `incoming/` is a link to it,
and results name the path that it leads to.
"""

import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from voiceman.errors import RecordingNotFoundError, ResultNotWrittenError
from voiceman_client.inputs import Found, find_recordings, straight
from voiceman_client.layout import INCOMING, PROCESSING

_NAME_MAX_BYTES = 255  # of a file, in every file system of Linux


def take_in(recordings: Sequence[Path], folder: Path) -> None:
    """Put links to recordings into `incoming/`; those that are there already stay.

    Args:
        recordings: files; those that do not exist are left to whoever decodes them.
        folder: of the job.

    Raises:
        ResultNotWrittenError: no link can be there; names it.
    """
    incoming = folder.absolute() / INCOMING
    try:
        incoming.mkdir(parents=True, exist_ok=True)
        there = {_place(_led_to(path)) for path in incoming.iterdir()}
        within = incoming.resolve()
        for path in recordings:
            target = path.absolute()
            place = _place(target)
            if place in there or within in place.parents or not target.exists():
                continue
            link = incoming / target.name
            if os.path.lexists(link):
                digest = hashlib.sha256(os.fsencode(target)).hexdigest()[:8]
                most_bytes = _NAME_MAX_BYTES - len(os.fsencode(f"-{digest}{target.suffix}"))
                stem = os.fsdecode(os.fsencode(target.stem)[:most_bytes])
                link = incoming / f"{stem}-{digest}{target.suffix}"
            link.symlink_to(target)
    except OSError as err:
        raise ResultNotWrittenError(
            f"{err.filename2 or err.filename}: no link can be made ({err.strerror}); give another "
            "--job, or -o for a folder without links"
        ) from err


def waiting(folder: Path) -> Found:
    """The recordings in `incoming/`, and what is wrong with it.

    Args:
        folder: of the job.

    Returns:
        Where links lead to, and files that lie there themselves; see `find_recordings`.
    """
    incoming = folder.absolute() / INCOMING
    if not incoming.is_dir():
        missing = f"{incoming}: not there; put recordings into it, or name them"
        return Found(errors=[RecordingNotFoundError(missing)])
    found = find_recordings([str(incoming)])
    found.errors += [
        RecordingNotFoundError(f"{link}: leads to {_led_to(link)}, and nothing is there")
        for link in sorted(incoming.rglob("*"))
        if link.is_symlink() and not link.exists()
    ]
    found.recordings = [_led_to(path) for path in found.recordings]
    return found


def begin(recording: Path, name: str, folder: Path) -> None:
    """Show in `processing/` that a recording is worked on.

    Args:
        recording: the file.
        name: of its results.
        folder: of the job.
    """
    link = _link(recording, name, folder)
    with suppress(OSError):  # nothing depends on it
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(recording.absolute())


def end(recording: Path, name: str, folder: Path) -> None:
    """Show that it is not worked on any more; for the arguments see `begin`."""
    with suppress(OSError):
        _link(recording, name, folder).unlink()


def end_all(folder: Path) -> None:
    """Remove the links that a run left in `processing/`."""
    with suppress(OSError):
        for link in (folder / PROCESSING).iterdir():
            if link.is_symlink():
                link.unlink()


def _link(recording: Path, name: str, folder: Path) -> Path:
    return folder / PROCESSING / f"{name}{recording.suffix}"


def _place(path: Path) -> Path:
    """The same for every way to a file; a link stays what it is."""
    return path.parent.resolve() / path.name


def _led_to(path: Path) -> Path:
    """Where a link leads, one step; another file is itself."""
    return straight(path.parent / path.readlink()) if path.is_symlink() else path
