"""A running submission, as threads and other event loops see it."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from voiceman_client.submit import Outcome, Submission


class Batch:
    """Hands out what a submission brings; its coroutines belong to the client's event loop."""

    def __init__(self, submission: Submission, paths: Sequence[Path]) -> None:
        self._run = submission.run(paths)
        self._using = asyncio.Lock()  # an interrupted fetch must end before the run can be closed

    async def fetch(self) -> Outcome | None:
        """The next outcome; None: there are no more."""
        async with self._using:
            return await anext(self._run, None)

    async def close(self) -> None:
        """End what still runs."""
        async with self._using:
            await self._run.aclose()
