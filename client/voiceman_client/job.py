"""A run into a results folder: what is asked for, carried out to its last file.

The folder holds the results, `run_log.jsonl` (see `voiceman_client.run_log`) and the ledger (see
`voiceman_client.ledger`). A recording counts as done when its files are on the disk and in the log.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from voiceman.errors import RecordingError, ServerUnreachableError, VoicemanError
from voiceman_client.answer_cache import AnswerCache
from voiceman_client.client import Client
from voiceman_client.completeness import untold
from voiceman_client.delivery import deliver
from voiceman_client.ledger import LEDGER_NAME, Ledger
from voiceman_client.naming import result_names
from voiceman_client.observer import Observer
from voiceman_client.options import Limits, OptionValues
from voiceman_client.own_metrics import PageAddress, served
from voiceman_client.processing import Kept
from voiceman_client.run_log import RunLog
from voiceman_client.run_report import write_performance
from voiceman_client.submit import Outcome, Submission, Watched
from voiceman_client.telemetry import Telemetry
from voiceman_client.vitals import Readings, Vitals

if TYPE_CHECKING:
    from voiceman_client.signing import Signer


class Display(Protocol):
    """Shows how a run goes on."""

    def show(self, vitals: Vitals) -> None:
        """The run stands so; comes from another thread."""
        ...

    def say(self, message: str) -> None:
        """A line for the reader."""
        ...


@dataclass(frozen=True)
class Order:
    """What a run is to do.

    Attributes:
        recordings: files to work on.
        missing: arguments that named none.
        output: the results folder.
        formats: files to write per recording.
        server: host:port of gRPC.
        limits: how much may happen at once.
        options: of all recordings.
        watched: what is looked at meanwhile.
        cache: answers of other runs.
        signer: to sign the run with.
        own_metrics: where the client's own metrics are served.
    """

    recordings: Sequence[Path]
    missing: Sequence[RecordingError]
    output: Path
    formats: Sequence[str]
    server: str
    limits: Limits
    options: OptionValues
    watched: Watched
    cache: AnswerCache | None = None
    signer: "Signer | None" = None
    own_metrics: PageAddress = field(default_factory=PageAddress)


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
    order: Order, display: Display, printed: Callable[[Path], None], tally: Tally
) -> None:
    """Work through an order; an earlier run of the same order is taken up where it ended.

    Args:
        order: what to do.
        display: shows how it goes on.
        printed: called with the first file of every recording that is done.
        tally: is kept up to date, also when an error ends the run.

    Raises:
        ServerUnreachableError, ServerNotReadyError: nothing can be done now.
        ConfigurationError: the voices, the patterns or the address of the metrics cannot be used.
        RunLogError, LedgerError, ResultNotWrittenError: the folder cannot be used.
    """
    files = _files(order)
    telemetry = Telemetry(len(order.recordings))
    runs: list[Submission] = []  # one, from its beginning on
    with RunLog(order.output) as log, Ledger(order.output / LEDGER_NAME) as ledger:
        kept = Kept(
            ledger,
            lambda path: log.holds(files[path].values()),
            partial(log.append, sync=False),
            order.cache,
            log.knows,
        )
        watched = replace(order.watched, began=runs.append, retried=telemetry.retried)
        with (
            served(order.own_metrics, telemetry.vitals),
            Observer(
                telemetry,
                order.output,
                display.show,
                read=lambda: runs[0].readings() if runs else Readings(),
                states=ledger.counts,
            ) as observer,
            Client(order.server, order.limits) as client,
            closing(
                client.process_batch(
                    order.recordings, telemetry.step, kept=kept, watched=watched, **order.options
                )
            ) as outcomes,
        ):
            _tell_missing(order, log, display, telemetry)
            tally.failures += order.missing
            for outcome in outcomes:
                error = deliver(outcome, log, ledger, files[outcome.path])
                telemetry.ended(outcome, error)
                _count(outcome, error, tally)
                _tell(outcome, error, display)
                if error is None:
                    printed(_shown(files[outcome.path]))
                if isinstance(error, ServerUnreachableError):
                    break
            observer.beat()
            observed = runs[0].observed() if runs else None
            for path in write_performance(order.output, telemetry.course(), log, observed):
                display.say(f"performance: {path}")
            display.say(f"seal: {_seal(order, tally, log)}")


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


def _tell_missing(order: Order, log: RunLog, display: Display, telemetry: Telemetry) -> None:
    """Arguments that name no recording are failures too."""
    for err in order.missing:
        telemetry.failed(err)
        display.say(f"failed: {err}")
        log.append("recording_failed", {"error": type(err).__name__, "why": str(err)})


def _files(order: Order) -> dict[Path, dict[str, Path]]:
    """The files of every recording, by format."""
    names = result_names(order.recordings, order.output, order.formats)
    return {
        path: {kind: order.output / f"{name}.{kind}" for kind in order.formats}
        for path, name in names.items()
    }


def _seal(order: Order, tally: Tally, log: RunLog) -> str:
    counts = {
        "finished": tally.finished,
        "given": len(order.recordings),
        "failed": len(tally.failures),
    }
    return log.seal(counts, order.signer)


def _shown(files: Mapping[str, Path]) -> Path:
    return files.get("json") or next(iter(files.values()))
