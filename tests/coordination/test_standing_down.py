"""Runs that have to end before they are done: cancelled, hung, overdue, handed over at a shutdown."""

import asyncio
from datetime import timedelta

import pytest
from tests.coordination.processes import FAST, ended, queue, start, started, successor_of
from tests.engine.workshop import ORDERS, Workshop, at, code

from comporta.core.run import Run, RunState
from comporta.core.window import Kind
from comporta.testing import Turn


@pytest.fixture
def hanging(workshop: Workshop) -> Turn:
    """Let the third page never come; two pages are committed before."""
    workshop.source.stream().put_many(range(1, 36), stamp=at(9))
    return workshop.source.script.on("page", skip=2, waits=True)


async def level_of(workshop: Workshop, run: Run, step: str) -> str:
    """Return how grave a step of a run's log is: what was meant to happen is no error."""
    return next(line.level for _, _, line in await workshop.store.log(run.id) if line.step == step)


async def test_a_queued_run_is_cancelled_at_once(workshop: Workshop) -> None:
    """Nobody has begun it; it is over before its turn comes, and is then not begun."""
    workshop.source.stream().put_many(range(1, 6), stamp=at(9))
    queued = await queue(workshop)

    cancelled = await workshop.store.cancel(queued.id)

    runs = await workshop.sync()
    assert cancelled is not None
    assert (cancelled.state, code(cancelled)) == (RunState.CANCELLED, "CMP-RUN-002")
    assert [run.id for run in runs] != [queued.id]


async def test_a_running_run_is_cancelled_within_a_beat(workshop: Workshop, hanging: Turn) -> None:
    """Its heartbeat sees the wish; what was committed stays, nothing is claimed, nobody tries it again."""
    task = await started(workshop, hanging)
    await workshop.witness.saw("batch_committed", 2)
    (running,) = await workshop.store.runs(state=RunState.RUNNING)

    asked = await workshop.store.cancel(running.id)
    run = await ended(task)

    assert asked is not None
    assert (asked.state, asked.cancel_requested) == (RunState.RUNNING, True)
    assert (run.state, code(run), run.counts.read) == (RunState.CANCELLED, "CMP-RUN-002", 20)
    assert await successor_of(workshop) is None
    assert (await workshop.covered()).intervals == ()
    assert await level_of(workshop, run, "run_cancelled") == "warning"


async def test_a_cancelled_run_is_gone_on_with_when_wanted(workshop: Workshop, hanging: Turn) -> None:
    """Cancelling loses nothing: the next sync reads what was left."""
    task = await started(workshop, hanging)
    await workshop.witness.saw("batch_committed", 2)
    (running,) = await workshop.store.runs(state=RunState.RUNNING)
    await workshop.store.cancel(running.id)
    await ended(task)

    run = await workshop.run()

    assert (run.state, run.counts.read) == (RunState.SUCCEEDED, 15)
    assert workshop.rows() == workshop.truth()


async def test_a_request_that_never_returns_ends_the_run(workshop: Workshop, hanging: Turn) -> None:
    """No page and no batch for the stall limit: the run is timed out and tried again after a pause."""
    task = await started(workshop, hanging)
    await workshop.witness.saw("batch_committed", 2)
    workshop.passes(minutes=5, seconds=1)

    run = await ended(task)

    successor = await successor_of(workshop)
    assert (run.state, code(run), run.counts.read) == (RunState.TIMED_OUT, "CMP-RUN-003", 20)
    assert successor is not None
    assert (successor.attempt, successor.not_before is not None) == (2, True)
    assert (await workshop.store.scope_state(f"matriz/{ORDERS}")).holder is None


async def test_an_account_may_have_a_patience_of_its_own(workshop: Workshop, hanging: Turn) -> None:
    """What is set for one account holds there, whatever the process has; the message says what was meant."""
    workshop.account(stall_timeout=timedelta(seconds=20))
    task = await started(workshop, hanging)
    await workshop.witness.saw("batch_committed", 2)
    workshop.passes(seconds=21)

    run = await ended(task)

    assert (run.state, code(run)) == (RunState.TIMED_OUT, "CMP-RUN-003")
    assert run.error is not None
    assert run.error["message"].endswith("for 20s")


@pytest.mark.parametrize("call", ["login", "clock", "count", "lookups"])
async def test_a_run_that_hangs_before_its_first_page_ends_too(workshop: Workshop, call: str) -> None:
    """Whatever request it is that never returns."""
    workshop.source.stream().put_many(range(1, 6), stamp=at(9))
    task = await started(workshop, workshop.source.script.on(call, waits=True))
    workshop.passes(minutes=5, seconds=1)

    run = await ended(task)

    assert (run.state, code(run)) == (RunState.TIMED_OUT, "CMP-RUN-003")


async def test_a_run_that_works_too_long_is_overdue(workshop: Workshop, hanging: Turn) -> None:
    """Its deadline passes while it makes progress: timed out, with what it has, and gone on with later."""
    workshop.account(workshop.plan(timeout=timedelta(minutes=3)))
    task = await started(workshop, hanging)
    await workshop.witness.saw("batch_committed", 2)
    workshop.passes(minutes=3)

    run = await ended(task)

    successor = await successor_of(workshop)
    assert (run.state, code(run), run.counts.read) == (RunState.TIMED_OUT, "CMP-RUN-004", 20)
    assert successor is not None
    assert run.deadline_at == at(12, 3)


async def test_a_slow_run_that_moves_is_left_alone(workshop: Workshop, hanging: Turn) -> None:
    """Four minutes without a page are no stall; the heartbeat keeps the lease meanwhile."""
    task = await started(workshop, hanging)
    await workshop.witness.saw("batch_committed", 2)
    for _ in range(3):
        workshop.passes(minutes=1, seconds=19)
        (lease,) = await workshop.store.leases()
        while lease.expires_at is not None and lease.expires_at <= workshop.clock.now():
            (lease,) = await workshop.store.leases()
    hanging.release()

    run = await ended(task)

    assert run.state is RunState.SUCCEEDED
    assert workshop.rows() == workshop.truth()


async def test_stop_hands_over(workshop: Workshop, hanging: Turn) -> None:
    """At a shutdown the run is interrupted, its lease free at once, and its successor may begin at once."""
    executor = workshop.executor(lease=FAST)
    task = await started(workshop, hanging, executor)
    await workshop.witness.saw("batch_committed", 2)
    executor.stop()

    run = await ended(task)

    successor = await successor_of(workshop)
    assert (run.state, code(run), run.counts.read) == (RunState.INTERRUPTED, "CMP-RUN-005", 20)
    assert await level_of(workshop, run, "run_interrupted") == "warning"
    assert successor is not None
    assert (successor.id, successor.attempt, successor.not_before) == (f"{run.id}.2", 1, None)
    assert (await workshop.store.scope_state(f"matriz/{ORDERS}")).holder is None


async def test_another_process_takes_the_successor(workshop: Workshop, hanging: Turn) -> None:
    """The next sync of another process adopts it and goes on from the resume point."""
    executor = workshop.executor(lease=FAST)
    task = await started(workshop, hanging, executor)
    await workshop.witness.saw("batch_committed", 2)
    executor.stop()
    await ended(task)

    runs = await workshop.sync()

    assert [(run.state, run.attempt, run.counts.read) for run in runs] == [(RunState.SUCCEEDED, 1, 15)]
    assert await successor_of(workshop) is None
    assert workshop.rows() == workshop.truth()


async def deploys(workshop: Workshop, times: int, *, pages: int) -> list[Run]:
    """Hand a run over so often, each time after so many pages, and return the run of each process."""
    workshop.source.page_size = 2
    workshop.source.stream().put_many(range(1, 36), stamp=at(9))
    runs: list[Run] = []
    following: Run | None = await queue(workshop, Kind.FULL)
    while following is not None and len(runs) < times:
        turn = workshop.source.script.on("page", skip=pages, waits=True)
        executor = workshop.executor(lease=FAST)
        task = start(workshop, following, executor)
        await turn.reached.wait()
        await workshop.witness.saw("batch_committed", pages * (len(runs) + 1))
        executor.stop()
        runs.append(await ended(task))
        following = await successor_of(workshop)
    return runs


async def test_a_run_that_got_on_is_handed_over_as_often_as_there_are_deploys(workshop: Workshop) -> None:
    """It did not fail: what a person asked for is not given up at the fourth."""
    first, *others = await deploys(workshop, 6, pages=1)
    following = await successor_of(workshop)
    assert following is not None

    last = await ended(start(workshop, following))

    assert {(run.attempt, run.state) for run in (first, *others)} == {(1, RunState.INTERRUPTED)}
    assert [run.id for run in (*others, last)] == [f"{first.id}.{number}" for number in range(2, 8)]
    assert (last.state, last.attempt) == (RunState.SUCCEEDED, 1)
    assert workshop.rows() == workshop.truth()


async def test_a_run_that_gets_nowhere_is_handed_over_three_times(workshop: Workshop) -> None:
    """Whatever keeps it from its first batch, the schedule's next is as good."""
    runs = await deploys(workshop, 6, pages=0)

    assert [run.attempt for run in runs] == [1, 2, 3, 4]
    assert [run.id for run in runs[1:]] == [f"{runs[0].id}.{number}" for number in (2, 3, 4)]


async def test_a_run_that_begins_after_stop_is_handed_over(workshop: Workshop) -> None:
    """Nothing is begun any more: not a page is read."""
    workshop.source.stream().put_many(range(1, 36), stamp=at(9))
    executor = workshop.executor(lease=FAST)
    executor.stop()

    run = await ended(start(workshop, await queue(workshop), executor))

    assert (run.state, run.counts.read) == (RunState.INTERRUPTED, 0)
    assert "page" not in workshop.source.script.asked


async def test_a_sync_that_is_stopped_starts_nothing_more(workshop: Workshop, hanging: Turn) -> None:
    """The other streams of the account are left for the next process."""
    workshop.source.lines().put(1, stamp=at(9), order_id=1)
    workshop.account(workshop.plan(ORDERS), workshop.plan("sale.order.line"))
    executor = workshop.executor(lease=FAST)
    syncing = asyncio.ensure_future(workshop.sync(syncer=workshop.syncer(executor)))
    await hanging.reached.wait()
    executor.stop()

    runs = await syncing

    assert [(run.stream, run.state) for run in runs] == [(ORDERS, RunState.INTERRUPTED)]


async def test_a_cancelled_task_hands_over_and_stays_cancelled(workshop: Workshop, hanging: Turn) -> None:
    """Whoever cancels the task that executes a run gets its end written, and the cancellation back."""
    task = await started(workshop, hanging)
    await workshop.witness.saw("batch_committed", 2)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task

    (run,) = await workshop.store.runs(state=RunState.INTERRUPTED)
    assert run.counts.read == 20
    assert await successor_of(workshop) is not None
    assert await workshop.store.runs(state=RunState.RUNNING) == []


async def test_a_cancelled_sync_begins_no_other_stream(workshop: Workshop, hanging: Turn) -> None:
    """Cancelling is not stopping one run: nothing of the sync goes on."""
    workshop.source.lines().put(1, stamp=at(9), order_id=1)
    workshop.account(workshop.plan(ORDERS), workshop.plan("sale.order.line"))
    syncing = asyncio.ensure_future(workshop.sync(syncer=workshop.syncer(lease=FAST)))
    await hanging.reached.wait()
    syncing.cancel()

    with pytest.raises(asyncio.CancelledError):
        await syncing

    assert [run.stream for run in await workshop.store.runs(limit=10) if run.started_at] == [ORDERS]


async def test_a_heartbeat_that_lost_its_lease_says_so(workshop: Workshop, hanging: Turn) -> None:
    """A hanging run whose lease was taken away ends by its heartbeat, without writing anything."""
    task = await started(workshop, hanging)
    await workshop.witness.saw("batch_committed", 2)
    await workshop.store.unlock(f"matriz/{ORDERS}")
    before = workshop.everything()
    workshop.passes(seconds=1)

    run = await ended(task)

    assert run.state is RunState.LOST
    assert workshop.everything() == before
