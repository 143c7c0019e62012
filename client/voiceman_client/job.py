"""A run into a results folder: what is asked for, carried out to its last file.

The folder holds the results, `run_log.jsonl` (see `voiceman_client.run_log`), the ledger (see
`voiceman_client.ledger`), `job_summary.json` and the performance report; where is up to its
`Layout`. A recording counts as done when its files are on the disk and in the log.
"""

import time
from collections.abc import Callable, Generator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from voiceman.errors import ServerUnreachableError, VoicemanError
from voiceman_client import incoming
from voiceman_client.answer_cache import AnswerCache
from voiceman_client.client import Client
from voiceman_client.completeness import untold
from voiceman_client.delivery import WritePdf, deliver
from voiceman_client.inputs import printable
from voiceman_client.job_reports import JobReports
from voiceman_client.job_summary import write_summary
from voiceman_client.layout import JOB, Layout
from voiceman_client.ledger import LEDGER_NAME, Ledger
from voiceman_client.naming import result_names
from voiceman_client.observer import Observer
from voiceman_client.order import Order
from voiceman_client.own_metrics import served
from voiceman_client.processing import Kept
from voiceman_client.run_log import RunLog
from voiceman_client.run_report import write_performance
from voiceman_client.stopping import CANCELLED, Stop, heeding_ledger
from voiceman_client.submit import Outcome
from voiceman_client.telemetry import Telemetry
from voiceman_client.vitals import Vitals


class Display(Protocol):
    """Shows how a run goes on."""

    def show(self, vitals: Vitals) -> None:
        """The run stands so; comes from another thread."""
        ...

    def say(self, message: str) -> None:
        """A line for the reader."""
        ...


@dataclass
class Tally:
    """What came of a run so far.

    Attributes:
        finished: recordings with a result or an error.
        recalled: of these, how many an earlier run had done.
        failures: one error per failure.
    """

    finished: int = 0
    recalled: int = 0
    failures: list[VoicemanError] = field(default_factory=list[VoicemanError])


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
        names = result_names(order.recordings, layout, ledger.names())
        ledger.keep_names(names)
        order.keep(ledger)
        paths = {printable(path.absolute()): path for path in order.recordings}
        write_pdf = JobReports(say).write if is_job else None
        try:
            yield JobFolder(layout, log, ledger, names, write_pdf, paths)
        finally:
            if is_job:
                incoming.end_all(layout.folder)


def carry_out(
    order: Order,
    display: Display,
    printed: Callable[[Path], None],
    tally: Tally,
    stop: Stop | None = None,
) -> None:
    """Work through an order; an earlier run of the same order is taken up where it ended.

    Args:
        order: what to do.
        display: shows how it goes on.
        printed: called with the first file of every recording that is done.
        tally: is kept up to date, also when an error ends the run.
        stop: ends the run early, with its log sealed.

    Raises:
        ServerUnreachableError, ServerNotReadyError: nothing can be done now.
        ConfigurationError: a file or setting that the order names cannot be used.
        RunLogError, LedgerError, ResultNotWrittenError: the folder cannot be used.
    """
    stop = stop or Stop()
    began_s = time.monotonic()
    telemetry = Telemetry(len(order.recordings))
    watched = replace(order.watched(), retried=telemetry.retried)
    cache = order.cache()
    with (
        opened(order, display.say) as folder,
        served(order.own_metrics, telemetry.vitals),
        Observer(
            telemetry, order.layout.folder, display.show, states=folder.ledger.counts
        ) as observer,
        Client(order.server, order.limits) as client,
        heeding_ledger(stop, folder.ledger),
        closing(
            client.process_batch(
                order.recordings,
                telemetry.step,
                kept=folder.kept(cache),
                watched=replace(watched, began=observer.follow),
                **order.options,
            )
        ) as outcomes,
    ):
        stop.ends(client.stop)
        _tell_missing(order, folder, display, telemetry, tally)
        for outcome in outcomes:
            error = folder.deliver(outcome)
            telemetry.ended(outcome, error)
            _count(outcome, error, tally)
            _tell(outcome, error, display)
            if error is None:
                printed(folder.shown(outcome.path))
            if isinstance(error, ServerUnreachableError):
                break
        outcomes.close()  # nothing more comes, nor is filed
        _say_stopped(stop, folder)
        seconds = time.monotonic() - began_s
        write_summary(order.layout, folder.ledger, folder.log, order.asked(), seconds)
        _report(folder, display, telemetry, observer)
        display.say(f"seal: {_seal(order, tally, folder)}")


def _report(folder: JobFolder, display: Display, telemetry: Telemetry, observer: Observer) -> None:
    """Write the performance report, and say where."""
    observer.beat()
    observed = observer.run.observed() if observer.run else None
    course = telemetry.course()
    for path in write_performance(folder.layout.folder, course, folder.log, observed):
        display.say(f"performance: {path}")


def _count(outcome: Outcome, error: VoicemanError | None, tally: Tally) -> None:
    tally.finished += 1
    if error:
        tally.failures.append(error)
    elif outcome.result is None:
        tally.recalled += 1


def _tell(outcome: Outcome, error: VoicemanError | None, display: Display) -> None:
    if error:
        display.say(f"failed: {error}")
    elif outcome.result and (line := untold(outcome.result)):
        display.say(f"{outcome.path}: {line}")


def _tell_missing(
    order: Order, folder: JobFolder, display: Display, telemetry: Telemetry, tally: Tally
) -> None:
    """Arguments that name no recording are failures too."""
    tally.failures += order.missing
    for err in order.missing:
        telemetry.failed(err)
        display.say(f"failed: {err}")
        folder.log.append("recording_failed", {"error": type(err).__name__, "why": str(err)})


def _say_stopped(stop: Stop, folder: JobFolder) -> None:
    """Log why the run ends early, where it does."""
    if stop.reason:
        folder.log.append("run_stopped", {"why": stop.reason})
    if stop.reason == CANCELLED:
        folder.ledger.cancel()


def _seal(order: Order, tally: Tally, folder: JobFolder) -> str:
    counts = {
        "finished": tally.finished,
        "given": len(order.recordings),
        "failed": len(tally.failures),
    }
    return folder.log.seal(counts, order.signer)
