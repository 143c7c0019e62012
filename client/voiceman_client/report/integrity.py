"""Whether a recording is the one that was analysed, and where a page finds its sound."""

import base64
import mimetypes
import os
from dataclasses import dataclass
from pathlib import Path, PurePath
from urllib.parse import quote

from voiceman.errors import ResultUnreadableError
from voiceman.manifest import sha256_of
from voiceman_client.documents import shown
from voiceman_client.result import Result

# What Python's table of types lacks or calls otherwise than browsers do.
_MEDIA_TYPES = {".m4a": "audio/mp4", ".amr": "audio/amr", ".opus": "audio/ogg", ".wav": "audio/wav"}


@dataclass(frozen=True)
class Recording:
    """The recording of a result, as it is found when the report is written.

    Attributes:
        path: where it was looked for.
        sha256: of the file there; None: no readable file.
        expected: SHA-256 of the file that was analysed.
    """

    path: Path
    sha256: str | None
    expected: str

    @property
    def place(self) -> str:
        """The path as a page can show it."""
        return shown(str(self.path))

    @property
    def state(self) -> str:
        """match, differs or absent."""
        if self.sha256 is None:
            return "absent"
        return "match" if self.sha256 == self.expected else "differs"


def recording_of(result: Result, audio: Path | None) -> Recording:
    """Look for the recording of a result and hash it.

    Args:
        result: says where it was.
        audio: another file, or a folder that holds it under its name; None: where it was.
    """
    source = result["provenance"]["source"]
    path = Path(source["file"])
    if audio is not None:
        path = audio / PurePath(source["file"]).name if audio.is_dir() else audio
    try:
        found = sha256_of(path)
    except (OSError, ValueError):  # ValueError: a name that no file can have
        found = None
    return Recording(path, found, source["sha256"])


def relative_url(path: Path, folder: Path) -> str:
    """The URL of a file as seen from a page in a folder."""
    relative = os.path.relpath(path.absolute(), folder.absolute())
    return quote(os.fsencode(relative))  # names of files need not be UTF-8


def embedded_url(path: Path) -> str:
    """The file itself as a URL.

    Raises:
        ResultUnreadableError: it cannot be read; names it.
    """
    try:
        content = path.read_bytes()
    except OSError as err:
        raise ResultUnreadableError(
            f"{path}: the recording cannot be read ({err.strerror}); name it with --audio"
        ) from err
    kind = media_type(path.name)
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def media_type(name: str) -> str:
    """The media type that a file's name speaks of."""
    suffix = PurePath(name).suffix.lower()
    return _MEDIA_TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
