"""Where the files of a job lie in its folder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

SUMMARY_NAME = "job_summary.json"
INCOMING, PROCESSING, COMPLETED, FAILED = "incoming", "processing", "completed", "failed"
RESULT_SUFFIX = "_forensic.json"  # of results in a job
FLAT, JOB = "flat", "job"
# Files that a run may write of a recording, whatever formats it was asked for.
KINDS = ("json", "transcript", "srt", "vtt", "txt", "pdf", "error")
_JOB_PLACES = {
    "json": f"{COMPLETED}/{{}}{RESULT_SUFFIX}",
    "transcript": f"{COMPLETED}/{{}}_transcript.json",
    "pdf": f"{COMPLETED}/{{}}_report.pdf",
    "error": f"{FAILED}/{{}}_error.json",
}


@dataclass(frozen=True)
class Layout:
    """Where the files of a job lie; made by `flat` or `job`.

    Attributes:
        folder: of the job.
        formats: kinds of files that every result has.
        style: FLAT or JOB.
        elsewhere: where kinds of files lie that are not `<name>.<kind>`, with {} for the name.
    """

    folder: Path
    formats: tuple[str, ...]
    style: str = FLAT
    elsewhere: Mapping[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def flat(cls, folder: Path, formats: Sequence[str] = ("json",)) -> Self:
        """All results beside each other: `<name>.json`, `<name>.srt`."""
        return cls(folder, tuple(formats))

    @classmethod
    def job(cls, folder: Path, formats: Sequence[str] = ("json",)) -> Self:
        """In folders by state; result, transcript and what else is asked for.

        incoming/      the recordings, or links to them
        processing/    links to those that are worked on
        completed/     <name>_forensic.json, <name>_transcript.json, <name>_report.pdf
        failed/        <name>_error.json
        """
        more = (kind for kind in formats if kind not in _JOB_PLACES)
        places = {kind: f"{COMPLETED}/{{}}.{kind}" for kind in KINDS} | _JOB_PLACES
        return cls(folder, ("json", "transcript", *more), JOB, places)

    def path(self, name: str, kind: str) -> Path:
        """Where a file lies.

        Args:
            name: of the recording's results, see `voiceman_client.naming`.
            kind: one of KINDS.
        """
        return self.folder / self.elsewhere.get(kind, f"{{}}.{kind}").format(name)

    def files(self, name: str) -> dict[str, Path]:
        """The files that every result has, by kind."""
        return {kind: self.path(name, kind) for kind in self.formats}

    @property
    def kinds(self) -> tuple[str, ...]:
        """All kinds of files that a recording may have here."""
        return (*self.formats, "pdf", "error") if self.style == JOB else self.formats

    @property
    def summary(self) -> Path:
        """Where the summary of the job lies."""
        return self.folder / SUMMARY_NAME


LAYOUTS = {FLAT: Layout.flat, JOB: Layout.job}
