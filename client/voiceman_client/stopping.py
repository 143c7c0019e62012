"""Ending a run before it is done: by a signal, or from another process."""

import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress

from voiceman.errors import VoicemanError
from voiceman_client.ledger import Ledger

CANCEL = "cancel"  # a fact in the ledger; whoever states it wants the run to end
CANCELLED = "cancelled"  # the reason that a run then has
_LOOK_EVERY_S = 0.5
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """Ends a run once somebody asks; from any thread, and from a signal handler.

    Attributes:
        reason: of whoever asked first; empty: nobody did.
    """

    def __init__(self) -> None:
        self.reason = ""
        self._end: Callable[[], None] | None = None

    def ask(self, reason: str) -> None:
        """End the run, or the one that is about to begin."""
        self.reason = self.reason or reason
        if self._end:
            self._end()

    def ends(self, end: Callable[[], None]) -> None:
        """Say what ends the run; it may be called more than once, and in a signal handler."""
        self._end = end
        if self.reason:
            end()


@contextmanager
def heeding_signals(stop: Stop) -> Generator[None]:
    """Let SIGINT and SIGTERM end a run gracefully; a second one ends the process as usual.

    One that is ignored, as shells make the jobs in their background ignore SIGINT, stays so. To be
    entered in the main thread.
    """
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    usual = {number: known for number, known in handlers.items() if known != signal.SIG_IGN}

    def restore() -> None:
        for number, handler in usual.items():
            signal.signal(number, handler)

    def handle(number: int, _: object) -> None:
        restore()
        stop.ask(signal.Signals(number).name)

    for number in usual:
        signal.signal(number, handle)
    try:
        yield
    finally:
        restore()


@contextmanager
def heeding_ledger(stop: Stop, ledger: Ledger) -> Generator[None]:
    """Let `voiceman-client cancel` end a run within a second."""
    done = threading.Event()
    ledger.state_fact({CANCEL: ""})  # one that came before this run was meant for another

    def look() -> None:
        while not done.wait(_LOOK_EVERY_S):
            with suppress(VoicemanError):  # whoever writes into the ledger says what is wrong
                if ledger.fact(CANCEL):
                    stop.ask(CANCELLED)
                    return

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    try:
        yield
    finally:
        done.set()
        looking.join()
