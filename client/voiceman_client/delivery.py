"""What becomes of a finished recording: its files, and its lines in the log."""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from voiceman.errors import RecordingError, ResultNotWrittenError, VoicemanError
from voiceman.manifest import sha256_of
from voiceman_client.entries import State
from voiceman_client.inputs import printable
from voiceman_client.layout import JOB, KINDS, Layout
from voiceman_client.ledger import Ledger
from voiceman_client.log_lines import Origin
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

    Files of an earlier result never stand beside a result that is another, nor for a recording
    that has other bytes now: they are removed. One that fails with the bytes that it had keeps
    them: they are still true of it.

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
            log.remove(layout.path(name, "error"), "there is a result now")
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
            _replace(result, written, log, layout, name)


def _replace(
    result: Result, written: list[Written], log: RunLog, layout: Layout, name: str
) -> None:
    """Log what was written, and remove what is left of another result."""
    made_of = Origin.of(result["provenance"])
    new = {file.path for file in written}
    texts = layout.files(name).values()  # PDFs tell when they were made
    is_another = any(log.differs(file) for file in written if file.path in texts)
    log.written("result_written", {"provenance": result["provenance"]}, written)
    for path in _files_of_result(layout, name):
        if path not in new and (is_another or log.origin(path) != made_of):
            log.remove(path, "the result was made anew without it")


def _write_failure(
    path: Path, error: VoicemanError, log: RunLog, layout: Layout, name: str
) -> None:
    facts = _failure(path, error)
    if kept := _remove_untrue(path, log, _files_of_result(layout, name)):
        facts["earlier_result"] = [os.path.relpath(file, layout.folder) for file in kept]
    if layout.style != JOB:
        log.append("recording_failed", facts)
        return
    document = {"file": facts["file"], "error": facts["why"], "type": facts["error"]}
    document |= {"sha256": facts["sha256"]} if "sha256" in facts else {}
    content = json.dumps(document, ensure_ascii=False, indent=1) + "\n"
    file = write_whole(layout.path(name, "error"), content.encode())
    log.written("recording_failed", facts, [file])


def _files_of_result(layout: Layout, name: str) -> list[Path]:
    """Where files of a recording's result may lie, whatever formats they were asked for in."""
    return [layout.path(name, kind) for kind in KINDS if kind != "error"]


def _failure(path: Path, error: VoicemanError) -> dict[str, Any]:
    """What the log says of a failure; of a file that is the reason, also which it was."""
    why = printable(str(error))
    facts = {"file": printable(path.absolute()), "error": type(error).__name__, "why": why}
    sha256 = _sha256(path) if isinstance(error, RecordingError) else None
    return facts if sha256 is None else {**facts, "sha256": sha256}


def _remove_untrue(path: Path, log: RunLog, files: Sequence[Path]) -> list[Path]:
    """Remove files of a result that was made of other bytes than the recording has now.

    One that cannot be read, on a disk that is not mounted for example, may have the same.

    Returns:
        The files that stay.
    """
    there = [file for file in files if log.wrote(file)]
    sha256 = _sha256(path) if there else None
    if sha256 is not None:
        for file in there:
            origin = log.origin(file)
            if origin and origin.source_sha256 != sha256:
                log.remove(file, "the recording has other bytes now, and no result")
    return [file for file in there if log.wrote(file)]


def _sha256(path: Path) -> str | None:
    try:
        return sha256_of(path)
    except OSError:
        return None
