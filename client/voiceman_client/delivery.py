"""What becomes of a finished recording: its files, and its lines in the log."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from voiceman.errors import RecordingError, ResultNotWrittenError, VoicemanError
from voiceman.manifest import sha256_of
from voiceman_client.inputs import printable
from voiceman_client.layout import JOB, Layout
from voiceman_client.ledger import Ledger, State
from voiceman_client.result import Result
from voiceman_client.run_log import RunLog
from voiceman_client.submit import Outcome
from voiceman_client.writers import Written, write_result, write_whole

# Writes the PDF of a result (a JSON file) to a path; None: there is none.
WritePdf = Callable[[Path, Path], Written | None]


def deliver(
    outcome: Outcome,
    log: RunLog,
    ledger: Ledger,
    layout: Layout,
    name: str,
    *,
    write_pdf: WritePdf | None = None,
) -> VoicemanError | None:
    """Write the files of a recording, log them and call it completed; or say why there are none.

    Args:
        outcome: of the recording.
        log: of the folder.
        ledger: of the folder.
        layout: of the folder.
        name: of the recording's results.
        write_pdf: of a layout that has a place for reports.

    Returns:
        What failed; None: nothing did.
    """
    error = outcome.error
    try:
        if outcome.result is not None:
            _write(outcome.result, log, layout, name, write_pdf)
            log.remove(layout.path(name, "error"))  # of an earlier run
            ledger.advance(outcome.path, State.COMPLETED)
    except ResultNotWrittenError as err:
        error = type(err)(f"{outcome.path}: {err}")
    if error:
        try:
            _write_failure(outcome.path, error, log, layout, name)
            ledger.fail(outcome.path, error)
        except ResultNotWrittenError as err:
            error.add_note(str(err))
    return error


def _write(
    result: Result, log: RunLog, layout: Layout, name: str, write_pdf: WritePdf | None
) -> None:
    files = layout.files(name)
    written: list[Written] = []
    try:
        for kind, path in files.items():
            written.append(write_result(result, path, kind))
        if write_pdf and (pdf := write_pdf(files["json"], layout.path(name, "pdf"))):
            written.append(pdf)
    finally:
        if written:
            log.written("result_written", {"provenance": result["provenance"]}, written)


def _write_failure(
    path: Path, error: VoicemanError, log: RunLog, layout: Layout, name: str
) -> None:
    facts = _failure(path, error)
    if layout.style != JOB:
        log.append("recording_failed", facts)
        return
    document = {"file": facts["file"], "error": facts["why"], "type": facts["error"]}
    document |= {"sha256": facts["sha256"]} if "sha256" in facts else {}
    content = json.dumps(document, ensure_ascii=False, indent=1) + "\n"
    file = write_whole(layout.path(name, "error"), content.encode())
    log.written("recording_failed", facts, [file])


def _failure(path: Path, error: VoicemanError) -> dict[str, Any]:
    why = printable(str(error))
    facts = {"file": printable(path.absolute()), "error": type(error).__name__, "why": why}
    if isinstance(error, RecordingError):  # the file itself is the reason: say which it was
        try:
            return {**facts, "sha256": sha256_of(path)}
        except OSError:
            pass
    return facts
