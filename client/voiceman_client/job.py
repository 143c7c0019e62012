"""A run into a results folder: what is asked for, carried out to its last file.

The folder holds the results, `run_log.jsonl` (see `voiceman_client.run_log`) and the ledger (see
`voiceman_client.ledger`). A recording counts as done when its files are on the disk and in the log.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
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
from voiceman_client.options import Limits, OptionValues
from voiceman_client.processing import Kept, Progress
from voiceman_client.run_log import RunLog
from voiceman_client.submit import Outcome, Watched

if TYPE_CHECKING:
    from voiceman_client.signing import Signer


class Display(Protocol):
    """Shows how a run goes on."""

    def step(self, step: Progress) -> None:
        """Something went on; may come from another thread."""
        ...

    def finish(self, outcome: Outcome) -> None:
        """A recording is finished."""
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
        ConfigurationError: the voices or the patterns cannot be used.
        RunLogError, LedgerError, ResultNotWrittenError: the folder cannot be used.
    """
    names = result_names(order.recordings, order.output, order.formats)
    files = {
        path: {kind: order.output / f"{name}.{kind}" for kind in order.formats}
        for path, name in names.items()
    }
    with (
        RunLog(order.output) as log,
        Ledger(order.output / LEDGER_NAME) as ledger,
        Client(order.server, order.limits) as client,
        closing(
            client.process_batch(
                order.recordings,
                display.step,
                kept=Kept(
                    ledger,
                    lambda path: log.holds(files[path].values()),
                    partial(log.append, sync=False),
                    order.cache,
                    log.knows,
                ),
                watched=order.watched,
                **order.options,
            )
        ) as outcomes,
    ):
        tally.failures += order.missing
        for err in order.missing:
            display.say(f"failed: {err}")
            log.append("recording_failed", {"error": type(err).__name__, "why": str(err)})
        for outcome in outcomes:
            tally.finished += 1
            display.finish(outcome)
            error = deliver(outcome, log, ledger, files[outcome.path])
            if error:
                tally.failures.append(error)
                display.say(f"failed: {error}")
            else:
                tally.recalled += outcome.result is None
                printed(_shown(files[outcome.path]))
            if outcome.result and not error and (line := untold(outcome.result)):
                display.say(f"{outcome.path}: {line}")
            if isinstance(error, ServerUnreachableError):
                break
        counts = {
            "finished": tally.finished,
            "given": len(order.recordings),
            "failed": len(tally.failures),
        }
        display.say(f"seal: {log.seal(counts, order.signer)}")


def _shown(files: Mapping[str, Path]) -> Path:
    return files.get("json") or next(iter(files.values()))
