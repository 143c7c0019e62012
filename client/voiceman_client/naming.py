"""Names of result files: recordings of the same name never overwrite each other."""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from voiceman_client.inputs import printable
from voiceman_client.writers import FORMATS

PERFORMANCE_NAME = "performance"  # without suffix, of the report about a run
_MAX_STEM_BYTES = 240  # file systems take names of 255; a hyphen, 8 digits and a suffix follow


def result_names(
    paths: Sequence[Path], folder: Path, formats: Sequence[str] = ("json",)
) -> dict[Path, str]:
    """A file name without suffix for the results of every recording.

    It is the stem of the recording. Eight digits of the SHA-256 of the recording's absolute
    path follow wherever the stem alone could overwrite the results of another recording:

    - recordings of this run share the stem;
    - `folder` holds a file of this stem, and no JSON result beside it says that it was made of
      this recording;
    - the stem is that of the report about a run;
    - JSON is not among `formats`, so that the next run could not tell whose the files are.

    Stems too long for a file system are cut and get the digits as well. The same recording
    gets the same name in every later run into that folder, from whichever working directory.
    """
    stems = Counter(path.stem.casefold() for path in paths)
    names: dict[Path, str] = {}
    for path in paths:
        stem = os.fsencode(path.stem)
        if (
            len(stem) > _MAX_STEM_BYTES
            or stems[path.stem.casefold()] > 1
            or path.stem.casefold() == PERFORMANCE_NAME
            or "json" not in formats
            or _belongs_to_another(folder / path.stem, path)
        ):
            digest = hashlib.sha256(os.fsencode(path.absolute())).hexdigest()
            start = path.stem if len(stem) <= _MAX_STEM_BYTES else _cut(stem)
            names[path] = f"{start}-{digest[:8]}"
        else:
            names[path] = path.stem
    return names


def _cut(stem: bytes) -> str:
    """The start of a long stem, without half a character at its end."""
    return stem[:_MAX_STEM_BYTES].decode(errors="ignore")


def _belongs_to_another(result: Path, recording: Path) -> bool:
    """Whether results (a path without suffix) are there that were not made of this recording."""
    if not any(os.path.lexists(f"{result}.{kind}") for kind in FORMATS):
        return False
    try:
        document = json.loads(Path(f"{result}.json").read_text(encoding="utf-8"))
        made_of = document["provenance"]["source"]["file"]
    except (OSError, ValueError, KeyError, TypeError):
        return True
    return made_of != printable(recording.absolute())
