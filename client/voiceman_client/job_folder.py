"""The folder of a run: results, log, ledger, and where each of them lies.

It holds the results, `run_log.jsonl` (see `voiceman_client.run_log`), the ledger (see
`voiceman_client.ledger`), `job_summary.json` and the performance report; where is up to its
`Layout`. A recording counts as done when its files are on the disk and in the log.
"""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voiceman.errors import VoicemanError
from voiceman_client import incoming
from voiceman_client.answer_cache import AnswerCache
from voiceman_client.delivery import WritePdf, deliver
from voiceman_client.inputs import printable
from voiceman_client.inventory import compare_files
from voiceman_client.job_reports import JobReports
from voiceman_client.layout import JOB, Layout
from voiceman_client.ledger import LEDGER_NAME, Ledger
from voiceman_client.naming import result_names
from voiceman_client.order import Order
from voiceman_client.processing import Kept
from voiceman_client.run_log import RunLog
from voiceman_client.submit import Outcome


@dataclass(frozen=True)
class JobFolder:
    """The folder of a run while it is written into.

    Attributes:
        layout: of the folder.
        log: of the folder.
        ledger: of the folder.
        names: of the results of each recording.
        write_pdf: where there is a place for reports.
        paths: of the recordings, by what the log calls them.
    """

    layout: Layout
    log: RunLog
    ledger: Ledger
    names: Mapping[Path, str]
    write_pdf: WritePdf | None
    paths: Mapping[str, Path]

    def note(self, event: str, facts: Mapping[str, Any]) -> None:
        """Log a step; a job shows in `processing/` what was begun."""
        if event == "run_started":
            facts = {**facts, "layout": self.layout.style}
        self.log.append(event, facts, sync=False)
        if event == "decoded" and self.layout.style == JOB:
            path = self.paths[facts["file"]]
            incoming.begin(path, self.names[path], self.layout.folder)

    def kept(self, cache: AnswerCache | None) -> Kept:
        """What of a run outlives it here.

        Args:
            cache: answers of other runs.
        """
        return Kept(self.ledger, self.is_kept, self.note, cache, self.log.knows)

    def is_kept(self, path: Path) -> bool:
        """Whether the files of a recording are there."""
        return self.log.holds(self.layout.files(self.names[path]).values())

    def changed(self, path: Path) -> list[Path]:
        """Files of a recording that lie there and are not what an earlier run wrote."""
        files = self.layout.files(self.names[path]).values()
        outputs = self.log.outputs_among(file for file in files if file.exists())
        found = compare_files(self.layout.folder, outputs)
        return [self.layout.folder / finding.name for finding in found]

    def deliver(self, outcome: Outcome) -> VoicemanError | None:
        """Write and log what became of a recording; returns what failed."""
        name = self.names[outcome.path]
        error = deliver(outcome, self.log, self.ledger, self.layout, name, write_pdf=self.write_pdf)
        if self.layout.style == JOB:
            incoming.end(outcome.path, name, self.layout.folder)
        return error

    def shown(self, path: Path) -> Path:
        """The file that stands for all of a recording's."""
        files = self.layout.files(self.names[path])
        return files.get("json") or next(iter(files.values()))


@contextmanager
def opened(order: Order, say: Callable[[str], None]) -> Generator[JobFolder]:
    """Open the folder of an order; no other run can write into it meanwhile.

    Args:
        order: what is to be done.
        say: called with lines for the reader.

    Raises:
        RunLogError, LedgerError, ResultNotWrittenError: the folder cannot be used.
    """
    layout = order.layout
    is_job = layout.style == JOB
    with RunLog(layout.folder) as log, Ledger(layout.folder / LEDGER_NAME) as ledger:
        if is_job:
            incoming.end_all(layout.folder)
            incoming.take_in(order.recordings, layout.folder)
        names = result_names(order.recordings, layout, ledger.names(order.recordings))
        ledger.keep_names(names)
        order.keep(ledger)
        paths = {printable(path.absolute()): path for path in order.recordings}
        write_pdf = JobReports(say).write if is_job else None
        try:
            yield JobFolder(layout, log, ledger, names, write_pdf, paths)
        finally:
            if is_job:
                incoming.end_all(layout.folder)
