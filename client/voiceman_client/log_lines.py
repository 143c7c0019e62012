"""What the lines of a run log say of the files in its folder."""

import hashlib
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from voiceman_client.chain import Line
from voiceman_client.identity import sha256_of_json


@dataclass(frozen=True)
class Origin:
    """What a file of a result was made of.

    Attributes:
        source_sha256: of the recording; empty: the log does not say.
        provenance_sha256: of all that its provenance names, as JSON.
    """

    source_sha256: str
    provenance_sha256: str

    @classmethod
    def of(cls, provenance: Mapping[str, Any]) -> Self:
        """The origin that a provenance names."""
        source_sha256 = provenance.get("source", {}).get("sha256", "")
        return cls(source_sha256, sha256_of_json(provenance))


def is_about_files(line: bytes) -> bool:
    """Whether a line of a log may say that a file was written or removed."""
    return b'"outputs":' in line or b'"file_removed"' in line


def outputs_of(lines: Iterable[Line]) -> dict[str, Any]:
    """Size and SHA-256 of every file that the lines say was written, as it was last."""
    found: dict[str, Any] = {}
    for line in lines:
        if line.event == "file_removed":
            found.pop(line.facts["name"], None)
        elif line.event != "run_finished":  # which says again what was written
            found |= line.facts.get("outputs", {})
    return found


def origins_of(lines: Iterable[Line]) -> dict[str, Origin]:
    """What every file of a result was made of when it was written last."""
    found: dict[str, Origin] = {}
    for line in lines:
        if line.event == "result_written":
            found |= dict.fromkeys(line.facts["outputs"], Origin.of(line.facts["provenance"]))
    return found


def measure(path: Path) -> dict[str, Any]:
    """Size and SHA-256 of a file as the log writes them; a link is no file. Raises OSError."""
    if not stat.S_ISREG(path.lstat().st_mode):
        return {"size_bytes": None, "sha256": "none, it is no ordinary file"}
    content = path.read_bytes()
    return {"size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
