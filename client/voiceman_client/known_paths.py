"""What a ledger calls recordings: those in its own folder by their place there.

So a folder that is renamed, or mounted somewhere else, keeps what was done in it.
"""

import os
from pathlib import Path

from voiceman_client.inputs import printable


class KnownPaths:
    """Turns paths into the names that a ledger knows them by, and back."""

    def __init__(self, folder: Path | None) -> None:
        """Begin.

        Args:
            folder: of the ledger; None: it is in memory, and every path is absolute.
        """
        self.folders: list[str] = []  # as text with its end, the one for reading first
        if folder is not None:
            written, real = folder.absolute(), folder.resolve()
            # Recordings found below a path with `..` are known by the real one.
            found = [real, written] if ".." in written.parts else [written, real]
            self.folders = [f"{printable(path)}{os.sep}" for path in dict.fromkeys(found)]

    def name(self, path: Path) -> str:
        """What the ledger calls a recording: relative to its folder, else absolute."""
        text = printable(path.absolute())
        for folder in self.folders:
            if text.startswith(folder):
                return text.removeprefix(folder)
        return text

    def path(self, name: str) -> str:
        """The absolute path, as `printable` writes it, of what the ledger calls so."""
        return name if name.startswith(os.sep) or not self.folders else self.folders[0] + name
