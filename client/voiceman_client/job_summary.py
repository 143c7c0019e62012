"""What became of a job: `job_summary.json`, written at the end of every run."""

import json
import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from voiceman_client.entries import Entry, State
from voiceman_client.layout import Layout
from voiceman_client.ledger import Ledger
from voiceman_client.run_log import RunLog
from voiceman_client.writers import write_whole

_SCHEMA = "voiceman/job/1"


def write_summary(
    layout: Layout, ledger: Ledger, log: RunLog, asked: Mapping[str, Any], seconds: float
) -> None:
    """Write what became of a job so far, and log it.

    Args:
        layout: of the job.
        ledger: of the job.
        log: of the job.
        asked: what its last run was asked for.
        seconds: that its last run took, which a clock that is set meanwhile does not change.

    Raises:
        ResultNotWrittenError: the disk is full, or no permission.
    """
    names = ledger.names()
    now_unix_s = time.time()
    document = {
        "schema": _SCHEMA,
        "counts": ledger.counts(),
        "last_run": {
            "started": _time(now_unix_s - seconds),
            "ended": _time(now_unix_s),
            "seconds": round(seconds, 3),
        },
        **asked,
        "recordings": [
            _recording(entry, names.get(entry.path), layout, log) for entry in ledger.entries()
        ],
    }
    text = json.dumps(document, ensure_ascii=False, indent=1) + "\n"
    # As in the log: half a surrogate pair, from a name that is not UTF-8, becomes its escape.
    content = text.encode(errors="backslashreplace")
    log.written("summary_written", {}, [write_whole(layout.summary, content)])


def _recording(entry: Entry, name: str | None, layout: Layout, log: RunLog) -> dict[str, Any]:
    files = {kind: layout.path(name, kind) for kind in layout.kinds} if name else {}
    return {
        "file": entry.path,
        "id": name,
        "state": entry.state,
        "attempts": entry.attempts,
        "duration_s": entry.duration_s,
        "windows": entry.windows,
        "sha256": entry.sha256 or None,
        "error": entry.error or None,
        "why": entry.why or None,
        "changed": _time(entry.changed_unix_s),
        "outputs": {
            kind: os.path.relpath(path, layout.folder)
            for kind, path in files.items()
            if log.wrote(path) and (entry.state == State.COMPLETED or kind == "error")
        },
    }


def _time(unix_s: float) -> str:
    """UTC, ISO 8601, to the second."""
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
