"""Commits whose answer is lost, or that are under way when a run must stand down: never twice, never half."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import pytest
from tests.coordination.processes import FAST, ended, queue, start
from tests.engine.workshop import ORDERS, Workshop, at, code, counted

from comporta.core.lease import Lease
from comporta.core.run import RunState
from comporta.errors import CommitOutcomeUnknown, DestinationBusy
from comporta.ports.store import Batch, Committed, Ending, Store


@dataclass
class Wire:
    """The store, behind a connection that may break at a commit: before it happens, or after."""

    store: Store
    before: Callable[[int], bool] = lambda _: False
    after: Callable[[int], bool] = lambda _: False
    commits: int = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self.store, name)

    async def commit(self, lease: Lease, batch: Batch, ending: Ending | None = None) -> Committed:
        number, self.commits = self.commits, self.commits + 1
        if self.before(number):
            raise CommitOutcomeUnknown("the connection was lost before COMMIT arrived")
        committed = await self.store.commit(lease, batch, ending)
        if self.after(number):
            raise CommitOutcomeUnknown("the answer to COMMIT was lost")
        return committed


def thirty_five_orders(workshop: Workshop) -> None:
    """Four pages of ten, and the end: five commits."""
    workshop.source.stream().put_many(range(1, 36), stamp=at(9))


@pytest.mark.parametrize("number", range(5))
@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_commit_of_unknown_outcome_counts_once(workshop: Workshop, moment: str, number: int) -> None:
    """Whether it happened is read back from the ledger; each batch is applied once, the last one too."""
    thirty_five_orders(workshop)
    wire = Wire(workshop.store)
    setattr(wire, moment, lambda commit: commit == number)

    run = await workshop.run(executor=workshop.executor(cast("Store", wire)))

    assert run.state is RunState.SUCCEEDED, run.error
    assert counted(run) == (35, 35, 0, 0, 0, 0)
    assert (await workshop.store.scope_state(f"matriz/{ORDERS}")).commits == 5
    assert "listing" not in workshop.source.script.asked
    assert (await workshop.covered()).end == at(11, 58)
    assert workshop.rows() == workshop.truth()


async def test_every_answer_lost_is_still_every_batch_once(workshop: Workshop) -> None:
    """All commits happen, none is answered: the ledger's word is enough."""
    thirty_five_orders(workshop)
    wire = Wire(workshop.store, after=lambda _: True)

    run = await workshop.run(executor=workshop.executor(cast("Store", wire)))

    assert counted(run) == (35, 35, 0, 0, 0, 0)
    assert run.state is RunState.SUCCEEDED


async def test_an_outcome_that_stays_unknown_ends_the_attempt(workshop: Workshop) -> None:
    """After five tries the run fails, to be tried again; nothing of the batch is there, or counted."""
    thirty_five_orders(workshop)
    wire = Wire(workshop.store, before=lambda commit: commit >= 2)

    run = await workshop.run(executor=workshop.executor(cast("Store", wire)))

    assert (run.state, code(run), run.counts.read) == (RunState.FAILED, "CMP-DB-008", 20)
    assert len(workshop.rows()) == 20
    assert len(await workshop.queued()) == 1


async def test_a_lease_lost_while_the_outcome_is_unknown_writes_nothing_more(workshop: Workshop) -> None:
    """Another took over before we could ask: what the ledger shows is no longer about us."""
    thirty_five_orders(workshop)

    class Unlocking(Wire):
        async def commit(self, lease: Lease, batch: Batch, ending: Ending | None = None) -> Committed:
            try:
                return await super().commit(lease, batch, ending)
            except CommitOutcomeUnknown:
                await workshop.store.unlock(lease.scope)
                raise

    wire = Unlocking(workshop.store, before=lambda commit: commit == 2)

    run = await workshop.run(executor=workshop.executor(cast("Store", wire)))

    assert run.state is RunState.LOST
    assert len(workshop.rows()) == 20


async def test_a_locked_database_ends_the_attempt(workshop: Workshop) -> None:
    """Another program keeps the file: the run fails after what it committed and is tried again."""
    thirty_five_orders(workshop)

    class Locked(Wire):
        async def commit(self, lease: Lease, batch: Batch, ending: Ending | None = None) -> Committed:
            if self.commits == 2:
                raise DestinationBusy("locked")
            return await super().commit(lease, batch, ending)

    run = await workshop.run(executor=workshop.executor(cast("Store", Locked(workshop.store))))

    assert (run.state, code(run), run.counts.read) == (RunState.FAILED, "CMP-DB-001", 20)
    assert len(await workshop.queued()) == 1


@dataclass
class SlowCommit(Wire):
    """A store whose n-th commit is under way until the story lets it end."""

    number: int = 1

    def __post_init__(self) -> None:
        self.reached = asyncio.Event()
        self.released = asyncio.Event()

    async def commit(self, lease: Lease, batch: Batch, ending: Ending | None = None) -> Committed:
        committed = await super().commit(lease, batch, ending)
        if self.commits - 1 == self.number:
            self.reached.set()
            await self.released.wait()
        return committed


async def test_stop_lets_a_commit_under_way_end(workshop: Workshop) -> None:
    """The batch that was being written is kept and counted, then the run is handed over; asked ten times or once."""
    thirty_five_orders(workshop)
    slow = SlowCommit(workshop.store, number=1)
    executor = workshop.executor(cast("Store", slow), lease=FAST)
    task = start(workshop, await queue(workshop), executor)
    await slow.reached.wait()
    for _ in range(10):
        executor.stop()
        running = await workshop.store.runs(state=RunState.RUNNING)
    slow.released.set()

    run = await ended(task)

    assert [each.id for each in running] == [run.id]
    assert (run.state, counted(run)) == (RunState.INTERRUPTED, (20, 20, 0, 0, 0, 0))
    assert len(workshop.rows()) == 20


async def test_stop_during_the_last_commit_comes_too_late(workshop: Workshop) -> None:
    """The transaction that ends the run well was under way: it succeeded, and nothing else is written."""
    thirty_five_orders(workshop)
    slow = SlowCommit(workshop.store, number=4)
    executor = workshop.executor(cast("Store", slow), lease=FAST)
    task = start(workshop, await queue(workshop), executor)
    await slow.reached.wait()
    executor.stop()
    slow.released.set()

    run = await ended(task)

    assert (run.state, counted(run)) == (RunState.SUCCEEDED, (35, 35, 0, 0, 0, 0))
    assert await workshop.queued() == []
