"""Five recordings wait: intake pauses; fewer than three: it resumes."""

import asyncio

from clockwork import run, settle
from hypothesis import given
from hypothesis import strategies as st

from voiceman_client.intake import PAUSE_AT, Intake


class Feeder:
    """The one caller of an intake."""

    def __init__(self, intake: Intake, recordings: int) -> None:
        self.intake = intake
        self.tickets: list[int] = []
        self.task = asyncio.create_task(self._feed(recordings))

    async def _feed(self, recordings: int) -> None:
        for _ in range(recordings):
            self.tickets.append(await self.intake.enter())


async def prepare(intake: Intake, ticket: int, windows: int, duration_s: float = 60.0) -> None:
    intake.prepared(ticket, windows, duration_s)
    await settle()


async def send(intake: Intake, ticket: int, windows: int) -> None:
    for _ in range(windows):
        intake.sent(ticket)
    await settle()


def test_intake_pauses_at_five_and_resumes_under_three():
    async def play() -> None:
        intake = Intake(20, workers=10)
        feeder = Feeder(intake, 20)
        await settle()
        assert feeder.tickets == [0, 1, 2, 3, 4], "they may all have to wait"
        for ticket in range(5):
            await prepare(intake, ticket, 2)
        assert (intake.waiting, intake.paused, len(feeder.tickets)) == (5, True, 5)
        for ticket in (0, 1):
            await send(intake, ticket, 2)
        assert (intake.waiting, intake.paused, len(feeder.tickets)) == (3, True, 5)
        await send(intake, 2, 1)
        assert len(feeder.tickets) == 5, "one of its windows still waits"
        await send(intake, 2, 1)
        assert (intake.waiting, intake.paused, len(feeder.tickets)) == (2, False, 8)
        feeder.task.cancel()

    run(play())


def test_no_more_are_prepared_than_there_are_workers():
    async def play() -> None:
        intake = Intake(20, workers=2)
        feeder = Feeder(intake, 20)
        await settle()
        assert len(feeder.tickets) == 2
        await prepare(intake, 0, 0)  # it failed
        intake.finished(0)
        await settle()
        assert len(feeder.tickets) == 3
        feeder.task.cancel()

    run(play())


def test_short_memory_holds_all_but_the_only_one():
    async def play() -> None:
        intake = Intake(20, workers=4)
        intake.hold(held=True)
        feeder = Feeder(intake, 20)
        await settle()
        assert len(feeder.tickets) == 1
        await prepare(intake, 0, 1)
        await send(intake, 0, 1)
        assert len(feeder.tickets) == 1, "its answers are still in memory"
        intake.finished(0)
        await settle()
        assert len(feeder.tickets) == 2
        intake.hold(held=False)
        await settle()
        assert len(feeder.tickets) == 5
        feeder.task.cancel()

    run(play())


def test_the_backlog_counts_windows_of_recordings_to_come():
    async def play() -> None:
        intake = Intake(10, workers=2)
        assert intake.backlog == 10
        feeder = Feeder(intake, 10)
        await settle()
        await prepare(intake, 0, 30)
        assert intake.backlog == 30 + 9 * 30
        await prepare(intake, 1, 10)
        assert intake.backlog == 40 + 8 * 20
        await send(intake, 0, 30)
        assert intake.backlog == 10 + 8 * 20
        feeder.task.cancel()

    run(play())


def test_the_share_of_recordings_over_ten_minutes_is_by_waiting_windows():
    async def play() -> None:
        intake = Intake(10, workers=4)
        feeder = Feeder(intake, 10)
        await settle()
        assert intake.long_share == 0.0
        await prepare(intake, 0, 30, duration_s=600.1)
        await prepare(intake, 1, 10, duration_s=600.0)
        assert intake.long_share == 0.75
        feeder.task.cancel()

    run(play())


@given(st.integers(1, 12), st.lists(st.integers(0, 200), max_size=150))
def test_never_more_than_five_wait_and_everything_gets_in(workers: int, choices: list[int]):
    async def play() -> None:
        intake = Intake(30, workers)
        feeder = Feeder(intake, 30)
        preparing: set[int] = set()
        waiting: dict[int, int] = {}
        seen = 0

        async def step(choice: int) -> None:
            nonlocal seen
            preparing.update(feeder.tickets[seen:])
            seen = len(feeder.tickets)
            assert len(preparing) <= workers
            assert sum(n > 0 for n in waiting.values()) + len(preparing) <= PAUSE_AT
            if choice % 2 and preparing:
                ticket = min(preparing)
                preparing.remove(ticket)
                waiting[ticket] = choice % 4
                await prepare(intake, ticket, waiting[ticket])
            elif (ticket := min((t for t, n in waiting.items() if n), default=-1)) >= 0:
                waiting[ticket] -= 1
                await send(intake, ticket, 1)
            elif waiting:
                ticket = min(waiting)
                intake.finished(ticket)
                del waiting[ticket]
            await settle()

        for choice in choices:
            await step(choice)
        for choice in range(300):
            await step(choice)
        assert len(feeder.tickets) == 30

    run(play())
