"""Names of result files: recordings of the same name never overwrite each other."""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path


def result_names(paths: Sequence[Path], folder: Path) -> dict[Path, str]:
    """A file name without suffix for the results of every recording.

    It is the stem of the recording. Where recordings of this run share a stem, or `folder`
    holds a result of another recording under it, eight digits of the SHA-256 of the
    recording's absolute path follow: the same recording gets the same name in every run.
    """
    stems = Counter(path.stem.casefold() for path in paths)
    names: dict[Path, str] = {}
    for path in paths:
        shared = stems[path.stem.casefold()] > 1
        if shared or _belongs_to_another(folder / f"{path.stem}.json", path):
            digest = hashlib.sha256(str(path.absolute()).encode(errors="surrogateescape"))
            names[path] = f"{path.stem}-{digest.hexdigest()[:8]}"
        else:
            names[path] = path.stem
    return names


def _belongs_to_another(result: Path, recording: Path) -> bool:
    """Whether a result file is there and was not made of this recording."""
    if not result.exists():
        return False
    try:
        made_of = json.loads(result.read_text(encoding="utf-8"))["provenance"]["source"]["file"]
    except (OSError, ValueError, KeyError, TypeError):
        return True
    return Path(made_of).absolute() != recording.absolute()
