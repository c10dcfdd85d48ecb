"""Two processes on one file, each with a connection of its own: one works, and what dies is rescued."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest
from tests.coordination.processes import FAST, ended, queue, start, started
from tests.engine.workshop import Witness, Workshop, at, open_workshop

from comporta.coordination.rescuer import EVERY, rescue_forever
from comporta.core.run import Run, RunState
from comporta.errors import ComportaError, DestinationBusy, DestinationRefused, SourceRefused
from comporta.ports.progress import LogLine
from comporta.ports.store import Store

RETENTION = timedelta(days=90)


@pytest.fixture
async def other(workshop: Workshop, path: Path) -> AsyncIterator[Workshop]:
    """Return another process on the same file, which reads the same source by the same clock."""
    async with open_workshop(path, clock=workshop.clock) as opened:
        opened.source = workshop.source
        yield opened


@dataclass
class Failing:
    """A store of which one method fails for a while."""

    store: Store
    method: str
    error: ComportaError
    times: int

    def __getattr__(self, name: str) -> object:
        known = getattr(self.store, name)
        if name != self.method or not self.times:
            return known
        self.times -= 1
        return self._fail if name == "renew" else self._fail_later

    def _fail(self, *_: object) -> None:
        raise self.error

    async def _fail_later(self, *_: object, **__: object) -> None:
        raise self.error


async def test_two_that_begin_at_once_do_the_work_once(workshop: Workshop, other: Workshop) -> None:
    """Whoever is second is skipped or handed the other's run; each row is inserted once."""
    workshop.source.stream().put_many(range(1, 36), stamp=at(9))

    ours, theirs = await asyncio.gather(workshop.sync(), other.sync())

    assert {run.state for run in (*ours, *theirs)} <= {RunState.SUCCEEDED, RunState.SKIPPED}
    assert workshop.query("SELECT sum(inserted), sum(updated) FROM cmp_run") == [(35, 0)]
    assert workshop.rows() == workshop.truth()


async def test_two_that_wait_for_one_another_both_succeed(workshop: Workshop, other: Workshop) -> None:
    """With --wait nobody is skipped, and nobody waits for ever."""
    workshop.source.stream().put_many(range(1, 36), stamp=at(9))
    wish = workshop.wish(wait=True)

    ours, theirs = await asyncio.gather(workshop.sync(wish=wish), other.sync(wish=wish))

    assert {run.state for run in (*ours, *theirs)} == {RunState.SUCCEEDED}
    assert workshop.query("SELECT sum(inserted), sum(updated) FROM cmp_run") == [(35, 0)]


async def test_a_sleeper_that_wakes_writes_nothing(workshop: Workshop, other: Workshop) -> None:
    """Stopped past its lease, it finds another at work: its next batch is refused, and its end too."""
    workshop.source.stream().put_many(range(1, 36), stamp=at(9))
    turn = workshop.source.script.on("page", skip=2, waits=True)
    sleeping = workshop.begin()
    await turn.reached.wait()
    await workshop.witness.saw("batch_committed", 2)
    workshop.passes(seconds=31)
    successor = await other.run()
    before = workshop.everything()
    turn.release()

    lost = await sleeping

    assert (successor.state, successor.counts.read) == (RunState.SUCCEEDED, 15)
    assert (lost.state, lost.counts.read) == (RunState.LOST, 20)
    assert workshop.everything() == before


async def test_a_dead_process_is_rescued_by_any_other(workshop: Workshop, other: Workshop) -> None:
    """When its lease has run out its run is called lost, and its successor waits in the queue."""
    workshop.source.stream().put_many(range(1, 36), stamp=at(9))
    queued = await queue(workshop)
    await workshop.store.acquire(queued, ttl=timedelta(seconds=30), timeout=timedelta(hours=2), instance="dead:1")
    rescuing = asyncio.ensure_future(rescue_forever(other.store, other.clock, RETENTION, other.witness))
    while not (found := await other.store.runs(state=RunState.LOST)):
        await asyncio.sleep(0)
    rescuing.cancel()

    (successor,) = await other.queued()

    assert [(run.id, run.finished_at) for run in found] == [(queued.id, at(12) + 3 * EVERY)]
    assert (successor.attempt, successor.request) == (2, "incremental")


@pytest.mark.parametrize("error", [DestinationBusy("locked"), DestinationRefused("full")])
async def test_the_rescuer_outlives_a_database_in_trouble(workshop: Workshop, error: ComportaError) -> None:
    """It asks again in the next round."""
    store = cast("Store", Failing(workshop.store, "reap", error, times=2))
    queued = await queue(workshop)
    workshop.account()
    await workshop.store.acquire(queued, ttl=timedelta(seconds=5), timeout=timedelta(hours=2), instance="dead:1")
    rescuing = asyncio.ensure_future(rescue_forever(store, workshop.clock, RETENTION, workshop.witness))
    while not await workshop.store.runs(state=RunState.LOST):
        await asyncio.sleep(0)
    rescuing.cancel()

    assert len(workshop.clock.slept) >= 3


@pytest.mark.parametrize("error", [DestinationBusy("locked"), DestinationRefused("full")])
async def test_a_heartbeat_outlives_a_database_in_trouble(workshop: Workshop, error: ComportaError) -> None:
    """A beat that cannot renew is no end: the next one does, and the run goes on."""
    workshop.source.stream().put_many(range(1, 36), stamp=at(9))
    turn = workshop.source.script.on("page", skip=2, waits=True)
    failing = Failing(workshop.store, "renew", error, times=3)
    task = await started(workshop, turn, workshop.executor(cast("Store", failing), lease=FAST))
    await workshop.witness.saw("batch_committed", 2)
    while failing.times:
        workshop.passes(milliseconds=20)
        await asyncio.sleep(0)
    turn.release()

    run = await ended(task)

    assert run.state is RunState.SUCCEEDED
    assert failing.times == 0


@pytest.mark.parametrize("error", [DestinationBusy("locked"), DestinationRefused("full")])
async def test_an_end_that_cannot_be_written_is_left_to_the_rescuer(workshop: Workshop, error: ComportaError) -> None:
    """The run still stands as running, and nobody is told otherwise; it is lost when its lease runs out."""
    workshop.source.stream().put_many(range(1, 36), stamp=at(9))
    workshop.source.script.on("page", skip=2, raises=DestinationBusy("the source is not to blame"))
    store = cast("Store", Failing(workshop.store, "finish", error, times=3))

    run = await ended(start(workshop, await queue(workshop), workshop.executor(store)))
    told = workshop.witness.steps[:]
    workshop.passes(seconds=31)
    (lost,) = await workshop.store.reap()
    resumed = await workshop.run()

    assert run.state is RunState.RUNNING
    assert not {"run_failed", "lease_released"} & set(told)
    assert told.count("end_not_written") == 1
    assert lost.id == run.id
    assert (resumed.state, resumed.attempt, resumed.counts.read) == (RunState.SUCCEEDED, 2, 15)


async def test_what_a_run_ended_with_is_in_the_programs_log_though_the_database_is_gone(workshop: Workshop) -> None:
    """Nowhere else is it told any more: not even the run's row can be read."""

    class Lines(Witness):
        def stepped(self, run: Run, line: LogLine) -> None:
            super().stepped(run, line)
            lines.append(line)

    lines: list[LogLine] = []
    workshop.witness = Lines()
    workshop.source.stream().put_many(range(1, 36), stamp=at(9))
    workshop.source.script.on("page", skip=2, raises=SourceRefused("no"))
    finish = cast("Store", Failing(workshop.store, "finish", DestinationBusy("locked"), times=9))
    store = cast("Store", Failing(finish, "run", DestinationBusy("locked"), times=9))

    with pytest.raises(DestinationBusy):
        await ended(start(workshop, await queue(workshop), workshop.executor(store)))

    (told,) = [line for line in lines if line.step == "end_not_written"]
    assert (told.level, told.fields["code"], told.fields["unwritten"]) == ("error", SourceRefused.code, "locked")


async def test_an_end_that_is_written_at_the_second_try_has_the_whole_log(workshop: Workshop) -> None:
    """What was told since the last batch is written with the end, however often that is tried, and told once."""
    workshop.source.stream().put_many(range(1, 36), stamp=at(9))
    workshop.source.script.on("page", skip=2, raises=SourceRefused("no"))
    store = cast("Store", Failing(workshop.store, "finish", DestinationBusy("locked"), times=2))

    run = await ended(start(workshop, await queue(workshop), workshop.executor(store)))

    kept = await workshop.steps(run)
    assert kept[-3:] == ["batch_committed", "run_failed", "lease_released"]
    assert workshop.witness.steps == kept


@pytest.mark.parametrize("method", ["enqueue", "coverage", "facts"])
async def test_a_ledger_in_trouble_ends_one_stream_and_no_other(workshop: Workshop, method: str) -> None:
    """The stream it happened to is told as failed; the other account's runs are all there."""
    workshop.source.stream().put_many(range(1, 6), stamp=at(9))
    workshop.account(name="filial")
    workshop.account(name="matriz")
    failing = Failing(workshop.store, method, DestinationRefused("no space left"), times=1)

    runs = await workshop.sync(syncer=workshop.syncer(store=cast("Store", failing)))

    states = sorted((run.account, run.state.value) for run in runs)
    assert {account for account, _ in states} == {"filial", "matriz"}
    assert [state for _, state in states].count("failed") == 1


async def test_a_cancelled_run_has_no_successor_when_it_dies(workshop: Workshop) -> None:
    """The process died before it looked; what a person ended does not come back."""
    run = await queue(workshop)
    await workshop.store.acquire(run, ttl=FAST, timeout=FAST, instance="dead")
    await workshop.store.cancel(run.id)
    workshop.passes(minutes=5)

    (lost,) = await workshop.store.reap()

    assert lost.state is RunState.LOST
    assert await workshop.queued() == []


async def test_the_lines_of_a_paused_stream_wait(workshop: Workshop) -> None:
    """Paused means left alone, also by what orders hint at."""
    orders, lines = workshop.source.stream(), workshop.source.lines()
    orders.put(1, stamp=at(9), name="S1")
    lines.put(1, stamp=at(9), name="L1", order_id=1)
    workshop.account(workshop.plan(), workshop.plan("sale.order.line"))
    await workshop.sync()
    workshop.passes(hours=1)
    orders.put(1, name="S1 changed")
    workshop.account(workshop.plan(), workshop.plan("sale.order.line", is_paused=True))

    runs = await workshop.sync("sale.order")

    assert [run.stream for run in runs] == ["sale.order"]
    assert [each.key for each in await workshop.store.hints("matriz/sale.order.line", 10)] == ["1"]
