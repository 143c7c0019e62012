"""What becomes of a finished recording: its files, and its lines in the log."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from voiceman.errors import RecordingError, ResultNotWrittenError, VoicemanError
from voiceman.manifest import sha256_of
from voiceman_client.inputs import printable
from voiceman_client.ledger import Ledger, State
from voiceman_client.run_log import RunLog
from voiceman_client.submit import Outcome
from voiceman_client.writers import Written, write_result


def deliver(
    outcome: Outcome, log: RunLog, ledger: Ledger, files: Mapping[str, Path]
) -> VoicemanError | None:
    """Write the files of a recording, log them and call it completed; or say why there are none.

    Args:
        outcome: of the recording.
        log: of the folder.
        ledger: of the folder.
        files: where to write, by format.

    Returns:
        What failed; None: nothing did.
    """
    written: list[Written] = []
    error = outcome.error
    try:
        if outcome.result is not None:
            try:
                for kind, path in files.items():
                    written.append(write_result(outcome.result, path, kind))
            finally:
                if written:
                    log.written(outcome.result["provenance"], written)
            ledger.advance(outcome.path, State.COMPLETED)
    except ResultNotWrittenError as err:
        error = type(err)(f"{outcome.path}: {err}")
    if error:
        try:
            log.append("recording_failed", _failure(outcome.path, error))
            ledger.fail(outcome.path, error)
        except ResultNotWrittenError as err:
            error.add_note(str(err))
    return error


def _failure(path: Path, error: VoicemanError) -> dict[str, Any]:
    facts = {"file": printable(path.absolute()), "error": type(error).__name__, "why": str(error)}
    if isinstance(error, RecordingError):  # the file itself is the reason: say which it was
        try:
            return {**facts, "sha256": sha256_of(path)}
        except OSError:
            pass
    return facts
