"""Names of result files: recordings of the same name never overwrite each other."""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from voiceman_client.inputs import printable
from voiceman_client.layout import KINDS, SUMMARY_NAME, Layout
from voiceman_client.vitals_file import VITALS_NAME

PERFORMANCE_NAME = "performance"  # without suffix, of the report about a run
_MAX_STEM_BYTES = 230  # file systems take names of 255; a hyphen, 8 digits and a suffix follow
_RESERVED = {
    *(name.removesuffix(".json") for name in (SUMMARY_NAME, VITALS_NAME)),
    PERFORMANCE_NAME,
}


def result_names(
    paths: Sequence[Path], layout: Layout, known: Mapping[str, str] | None = None
) -> dict[Path, str]:
    """A name for the results of every recording, as `Layout.path` takes it.

    It is the name that the recording is known to have, or its stem. Eight digits of the SHA-256
    of the recording's absolute path follow wherever the stem alone could overwrite the results
    of another recording:

    - recordings of this run share the stem, or another is known to have it;
    - the folder holds a file of this stem, and no JSON result beside it says that it was made of
      this recording;
    - the stem is that of the report about a run, its vitals, or the job's summary;
    - JSON is not among the formats, so that the next run could not tell whose the files are.

    Stems too long for a file system are cut and get the digits as well. The same recording
    gets the same name in every later run into that folder, from whichever working directory.

    Args:
        paths: of the recordings.
        layout: of the folder.
        known: names that earlier runs gave, by path as `printable` writes it.
    """
    known = known or {}
    stems = Counter(path.stem.casefold() for path in paths)
    taken = {name.casefold() for name in known.values()} | _RESERVED
    names: dict[Path, str] = {}
    for path in paths:
        stem = os.fsencode(path.stem)
        if earlier := known.get(printable(path.absolute())):
            names[path] = earlier
        elif (
            len(stem) > _MAX_STEM_BYTES
            or stems[path.stem.casefold()] > 1
            or path.stem.casefold() in taken
            or "json" not in layout.formats
            or _belongs_to_another(layout, path)
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


def _belongs_to_another(layout: Layout, recording: Path) -> bool:
    """Whether results of its stem are there that were not made of this recording."""
    if not any(os.path.lexists(layout.path(recording.stem, kind)) for kind in KINDS):
        return False
    try:
        document = json.loads(layout.path(recording.stem, "json").read_text(encoding="utf-8"))
        made_of = document["provenance"]["source"]["file"]
    except (OSError, ValueError, KeyError, TypeError):
        return True
    return made_of != printable(recording.absolute())
