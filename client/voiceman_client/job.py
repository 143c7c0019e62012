"""A run into a results folder: what is asked for, carried out to its last file."""

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from voiceman.errors import ServerUnreachableError, VoicemanError
from voiceman_client.client import Client
from voiceman_client.completeness import untold
from voiceman_client.job_folder import JobFolder, opened
from voiceman_client.job_summary import write_summary
from voiceman_client.observer import Observer
from voiceman_client.order import Order
from voiceman_client.own_metrics import served
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
            _tell_changed(outcome, folder, display)
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


def _tell_changed(outcome: Outcome, folder: JobFolder, display: Display) -> None:
    """Say which finished files somebody changed, before they are skipped or written again."""
    what = (
        "it is written again"
        if outcome.result
        else f"see `voiceman-client verify {folder.layout.folder}`"
    )
    for name in folder.changed(outcome.path):
        display.say(f"{name}: changed since a run wrote it; {what}")


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
