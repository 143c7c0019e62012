"""What becomes of a finished recording: its files, and its lines in the log."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from voiceman.errors import RecordingError, ResultNotWrittenError, VoicemanError
from voiceman.manifest import sha256_of
from voiceman_client.inputs import printable
from voiceman_client.run_log import RunLog
from voiceman_client.submit import Outcome
from voiceman_client.writers import Written, write_result


def deliver(
    outcome: Outcome, log: RunLog, folder: Path, name: str, formats: Sequence[str]
) -> tuple[list[Written], VoicemanError | None]:
    """Write the files of a recording and log them, or log why there are none.

    Returns:
        The files that were written, and what failed; None: nothing did.
    """
    written: list[Written] = []
    error = outcome.error
    try:
        if outcome.result is not None:
            try:
                for kind in formats:
                    written += write_result(outcome.result, folder, name, [kind])
            finally:
                if written:
                    log.written(outcome.result["provenance"], written)
    except ResultNotWrittenError as err:
        error = type(err)(f"{outcome.path}: {err}")
    if error:
        try:
            log.append("recording_failed", _failure(outcome.path, error))
        except ResultNotWrittenError as err:
            error.add_note(str(err))
    return written, error


def _failure(path: Path, error: VoicemanError) -> dict[str, Any]:
    facts = {"file": printable(path.absolute()), "error": type(error).__name__, "why": str(error)}
    if isinstance(error, RecordingError):  # the file itself is the reason: say which it was
        try:
            return {**facts, "sha256": sha256_of(path)}
        except OSError:
            pass
    return facts
