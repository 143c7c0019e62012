"""An event loop whose time passes only while everybody waits, and then at once."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _NoWait(selectors.SelectSelector):
    """Tells how long it was asked to wait, instead of waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.waited_s = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("everybody waits for something that nobody will do")
        self.waited_s += timeout
        return super().select(0)


class ClockworkLoop(asyncio.SelectorEventLoop):
    """`time()` starts at 0."""

    def __init__(self) -> None:
        self._pace = _NoWait()
        super().__init__(self._pace)

    def time(self) -> float:
        return self._pace.waited_s


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """What a coroutine returns, in made-up time; a deadlock is an error."""
    with asyncio.Runner(loop_factory=ClockworkLoop) as runner:
        return runner.run(coroutine)


async def settle() -> None:
    """Let everybody go on who can."""
    for _ in range(10):
        await asyncio.sleep(0)
