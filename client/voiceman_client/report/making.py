"""From result files to report files."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

from reportlab.platypus.doctemplate import LayoutError

from voiceman.errors import ResultNotWrittenError, ResultUnreadableError
from voiceman_client.documents import Document, read_result, shown
from voiceman_client.logged import warn_if_changed
from voiceman_client.report.case import Case, Entry, entry, examine, json_files, ranked
from voiceman_client.report.failures import failure, told_by_log
from voiceman_client.report.fonts import Fonts, load
from voiceman_client.report.integrity import Recording, embedded_url, recording_of, relative_url
from voiceman_client.report.messages import Messages, messages_for
from voiceman_client.report.page import Sound, case_page, report_page
from voiceman_client.report.pdf import report_pdf
from voiceman_client.report.pdf_case import case_pdf
from voiceman_client.report.view import View, view
from voiceman_client.writers import write_whole

_CASE = "case-report"
# What a document that is no result by the schema raises when its fields are read, or set on pages.
_WRONG_SHAPE = (
    *(KeyError, TypeError, AttributeError, IndexError, ValueError, OverflowError),
    LayoutError,
)

Outcome = Path | ResultUnreadableError | ResultNotWrittenError


@dataclass(frozen=True)
class Maker:
    """Writes reports with the same settings.

    Attributes:
        formats: out of html and pdf.
        language: of the reports; None: by that of the recording.
        audio: the recording or its folder; None: where it was analysed.
        font: of the PDF; None: one that is found.
        embed_audio: put the recording into the page.
        made_at: stands in the reports.
    """

    formats: Sequence[str]
    language: str | None = None
    audio: Path | None = None
    font: Path | None = None
    embed_audio: bool = False
    made_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def of_results(self, paths: Sequence[Path], output: Path) -> Iterator[Outcome]:
        """Write the reports of results; yields each file, or why there is none.

        Raises:
            ConfigurationError: a PDF is wanted and there is no font for it.
        """
        names = report_names(paths)
        for path in paths:
            try:
                document = read_result(path)
                warn_if_changed(document)
                yield from self._write(checked_view(document), output, names[path])
            except (ResultUnreadableError, ResultNotWrittenError) as err:
                yield err

    def write(self, result: Path, report: Path) -> None:
        """Write the report of a result to a path whose suffix is one of the formats.

        Raises:
            ConfigurationError: a PDF is wanted and there is no font for it.
            ResultUnreadableError: it is no result by the schema; names it.
            ResultNotWrittenError: disk full, or no permission.
        """
        for _ in self._write(checked_view(read_result(result)), report.parent, report.stem):
            pass

    def of_case(self, folder: Path, output: Path) -> Iterator[Outcome]:
        """Write the reports of the results in a folder, and the one over all of them.

        Raises:
            ConfigurationError: a PDF is wanted and there is no font for it.
            ResultUnreadableError: the folder cannot be listed.
            ResultNotWrittenError: the report over all of them cannot be written.
        """
        paths = json_files(folder)
        names = report_names(paths)
        entries: list[Entry] = []
        failures = told_by_log(folder)
        others: list[str] = []
        for path in paths:
            links: dict[str, str] = {}
            try:
                found = examine(path)
                if isinstance(found, Document):
                    warn_if_changed(found)
                    seen = checked_view(found)
                    for written in self._write(seen, output, names[path]):
                        links[written.suffix[1:]] = quote(os.fsencode(written.name))
                        yield written
                    entries.append(entry(seen, links))
                elif found:
                    failures.append(found)
                else:
                    others.append(shown(path.name))
            except (ResultUnreadableError, ResultNotWrittenError) as err:
                failures.append(failure(path.name, str(err)))
                yield err
        failures = list(dict.fromkeys(failures))  # the log and an error file tell the same
        case = Case(folder.absolute(), ranked(entries), failures, others)
        yield from self._write_case(case, output, names.values())

    def _write(self, seen: View, folder: Path, name: str) -> Iterator[Path]:
        recording = recording_of(seen.result, self.audio)
        messages = self._messages(seen.result["language"])
        for kind in self.formats:
            sound = self._sound(recording, folder) if kind == "html" else None
            try:
                content = (
                    report_page(seen, recording, sound, messages, self.made_at).encode()
                    if sound
                    else report_pdf(seen, recording, self._fonts, messages, self.made_at)
                )
            except _WRONG_SHAPE as err:
                raise _wrong(seen.document.path, err) from err
            path = folder / f"{name}.{kind}"
            write_whole(path, content)
            yield path

    def _write_case(self, case: Case, folder: Path, taken: Iterable[str]) -> Iterator[Path]:
        languages = Counter(one.language for one in case.entries)
        messages = self._messages(max(languages, key=languages.__getitem__, default=None))
        name, others = _CASE, {other.casefold() for other in taken}
        while name in others:
            name += "-"
        for kind in self.formats:
            content = (
                case_page(case, messages, self.made_at).encode()
                if kind == "html"
                else case_pdf(case, self._fonts, messages, self.made_at)
            )
            path = folder / f"{name}.{kind}"
            write_whole(path, content)
            yield path

    @cached_property
    def _fonts(self) -> Fonts:
        return load(self.font)

    def _sound(self, recording: Recording, folder: Path) -> Sound:
        if self.embed_audio:
            return Sound(embedded_url(recording.path), embedded=True)
        return Sound(relative_url(recording.path, folder), embedded=False)

    def _messages(self, spoken: str | None) -> Messages:
        return Messages(self.language) if self.language else messages_for(spoken)


def checked_view(document: Document) -> View:
    """What a report shows of a result.

    Raises:
        ResultUnreadableError: it is no result by the schema; names it.
    """
    try:
        return view(document)
    except _WRONG_SHAPE as err:
        raise _wrong(document.path, err) from err


def report_names(paths: Sequence[Path]) -> dict[Path, str]:
    """A name without suffix for the reports of each result.

    It is the stem of the result; where several share it, eight digits of the SHA-256 of the
    result's absolute path follow.
    """
    stems = Counter(path.stem.casefold() for path in paths)
    names: dict[Path, str] = {}
    for path in paths:
        digest = hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:8]
        alone = stems[path.stem.casefold()] == 1
        names[path] = path.stem if alone else f"{path.stem}-{digest}"
    return names


def _wrong(path: Path, err: Exception) -> ResultUnreadableError:
    return ResultUnreadableError(
        f"{path}: not a complete result ({err!r}); submit the recording again"
    )
