"""Whether a result that is read alone is what the log of its folder says."""

import logging
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from voiceman_client.chain import read_chain
from voiceman_client.documents import Document
from voiceman_client.log_lines import is_about_files, outputs_of
from voiceman_client.run_log import LOG_NAME

log = logging.getLogger(__name__)


def warn_if_changed(document: Document) -> None:
    """Say it where a result is not what the log of its folder says; most folders have none."""
    path = document.path.absolute()
    for folder in (path.parent, path.parent.parent):  # the latter: in `completed/` of a job
        logged = _outputs(folder).get(os.path.relpath(path, folder))
        if logged and logged["sha256"] != document.sha256:
            log.warning(
                "%s: changed since a run wrote it; see `voiceman-client verify %s`",
                document.path,
                folder,
            )


def _outputs(folder: Path) -> Mapping[str, Any]:
    """What the log in a folder says was written; nothing without a log, or where it is broken."""
    path = folder / LOG_NAME
    try:
        found = path.stat()
        return _read(path, found.st_size, found.st_mtime_ns)
    except OSError:
        return {}


@lru_cache(maxsize=2)  # a case has thousands of results and one log
def _read(path: Path, size_bytes: int, modified_ns: int) -> Mapping[str, Any]:
    """Size and time are parts of the key alone: a log that grew is read again."""
    chain = read_chain(path.read_bytes(), is_about_files)
    return {} if chain.breaks else outputs_of(chain.lines)
