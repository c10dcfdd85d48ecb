"""A sync on a database on which a server is at work: each run is done once, and its end is known to who asked."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import cast

import pytest
from tests.coordination.always_on import Behind, Server
from tests.engine.workshop import ORDERS, Anything, Witness, Workshop, at

from comporta.core.outcome import ExitCode, exit_code
from comporta.core.run import Run, RunState, Trigger
from comporta.core.ticket import Ticket
from comporta.core.window import Kind, Request
from comporta.errors import TooManyDeleted, UnknownAccount
from comporta.ports.store import Store
from comporta.testing import FakeSource

pytestmark = pytest.mark.usefixtures("nobody_stays")


class Overtaken:
    """A store in which something happens just before the first lease is asked for."""

    def __init__(self, store: Store, meanwhile: Callable[[Run], Awaitable[object]]) -> None:
        self._store = store
        self._meanwhile: Callable[[Run], Awaitable[object]] | None = meanwhile

    async def acquire(self, run: Run, **how: Anything) -> object:
        meanwhile, self._meanwhile = self._meanwhile, None
        if meanwhile is not None:
            await meanwhile(run)
        return await self._store.acquire(run, **how)

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)


async def overtaken(workshop: Workshop, meanwhile: Callable[[Run], Awaitable[object]]) -> list[Run]:
    """Sync while that happens."""
    workshop.source.stream().put(1, stamp=at(9))
    workshop.account()
    store = cast("Store", Overtaken(workshop.store, meanwhile))
    return await workshop.sync(syncer=workshop.syncer(store=store))


async def test_a_sync_does_all_of_it_itself(workshop: Workshop) -> None:
    """With fewer places than streams: what a preview finds is told to who asked, and nothing is left for the server."""
    sources = [FakeSource(workshop.clock) for _ in range(2)]
    for name, source in zip("ab", sources, strict=True):
        source.stream().put_many(range(1, 4), stamp=at(9))
        workshop.account(workshop.plan(ORDERS, children=()), name=name, source=source)
    turn = sources[0].script.on("page", waits=True)
    server = Server(workshop, name="server", has_scheduler=False, poll=timedelta(seconds=1)).start()
    workshop.witness = Witness()
    syncer = workshop.syncer(instance="here", workers=1)
    syncing = asyncio.ensure_future(workshop.sync(wish=workshop.wish(dry_run=True), syncer=syncer))
    await turn.reached.wait()
    await workshop.clock.sleep(timedelta(seconds=3))
    turn.release()
    runs = await syncing
    await server.stop()

    assert [(run.account, run.state, run.instance) for run in runs] == [
        ("a", RunState.SUCCEEDED, "here"),
        ("b", RunState.SUCCEEDED, "here"),
    ]
    assert len(workshop.witness.changes) == 6


@pytest.mark.parametrize("behind", [timedelta(), timedelta(hours=1)])
async def test_what_a_sync_is_about_to_begin_is_due_for_nobody_else(workshop: Workshop, behind: timedelta) -> None:
    """Between the queue and the lease there is a moment, long where the database is far away; its clock is asked."""
    due: list[Run] = []

    async def look(_: Run) -> None:
        due.extend(await workshop.store.due(9))

    workshop.source.stream().put(1, stamp=at(9))
    workshop.account()
    syncer = workshop.syncer(store=cast("Store", Overtaken(workshop.store, look)))
    syncer._clock = Behind(workshop.clock, behind)
    (run,) = await workshop.sync(syncer=syncer)

    assert run.state is RunState.SUCCEEDED
    assert due == []


async def test_what_a_sync_waits_to_begin_is_due_for_nobody_else(workshop: Workshop) -> None:
    """However long its stream is held: nobody else knows what was confirmed. A click makes it everybody's."""
    hours = timedelta(hours=9)
    workshop.source.stream().put(1, stamp=at(9))
    workshop.account()
    holder = await workshop.store.enqueue(Ticket("matriz", ORDERS, Request(Kind.FULL), Trigger.MANUAL))
    await workshop.store.acquire(holder, ttl=hours, timeout=hours, instance="there")
    executor = workshop.executor()
    syncing = asyncio.ensure_future(workshop.sync(wish=workshop.wish(wait=True), syncer=workshop.syncer(executor)))
    due: list[Run] = []
    for _ in range(40):
        await workshop.clock.sleep(timedelta(seconds=1))
        due += await workshop.store.due(9)
    clicked = await workshop.store.enqueue(Ticket("matriz", ORDERS, Request(), Trigger.MANUAL))
    await workshop.clock.sleep(timedelta(seconds=20))
    everybodys = await workshop.store.due(9)
    executor.stop()
    (run,) = await syncing

    assert due == []
    assert [each.id for each in everybodys] == [clicked.id] == [run.id]


@pytest.mark.parametrize("is_fast", [False, True])
async def test_a_run_that_somebody_else_executes_is_followed_to_its_end(workshop: Workshop, *, is_fast: bool) -> None:
    """It waited in the queue, was joined, and is taken in the same moment; its end is what came of the sync."""
    others: list[asyncio.Task[object]] = []

    async def take(run: Run) -> None:
        turn = None if is_fast else workshop.source.script.on("page", waits=True)
        plan = workshop.plans["matriz"]
        executing = workshop.executor(instance="there").execute(run, plan, plan.streams[ORDERS])
        others.append(asyncio.ensure_future(executing))
        if turn is None:
            await others[0]
        else:
            await turn.reached.wait()
            asyncio.get_running_loop().call_later(0.02, turn.release)

    (run,) = await overtaken(workshop, take)

    assert (run.state, run.instance, run.counts.read) == (RunState.SUCCEEDED, "there", 1)
    assert len(await workshop.store.runs()) == 1
    await others[0]


async def test_what_was_confirmed_is_done_though_a_server_took_the_run_that_was_joined(workshop: Workshop) -> None:
    """The server knows nothing of a confirmation: its run fails, and the sync does one of its own."""
    workshop.source.stream().put_many(range(1, 41), stamp=at(9))
    await workshop.sync()
    workshop.source.stream().remove(*range(1, 31))

    async def take(run: Run) -> None:
        plan = workshop.plans["matriz"]
        await workshop.executor(instance="there").execute(run, plan, plan.streams[ORDERS])

    store = cast("Store", Overtaken(workshop.store, take))
    wish = replace(workshop.wish(Kind.FULL), deletions_confirmed=True)
    theirs, ours = await workshop.sync(wish=wish, syncer=workshop.syncer(store=store, instance="here"))

    assert (theirs.instance, theirs.error and theirs.error["code"]) == ("there", TooManyDeleted.code)
    assert (ours.instance, ours.state, ours.counts.deleted) == ("here", RunState.SUCCEEDED, 30)
    assert exit_code([theirs, ours]) is ExitCode.DONE


async def test_a_sync_that_is_told_to_end_follows_nobody_any_longer(workshop: Workshop) -> None:
    """The run goes on where it is."""
    workshop.account()

    async def take(run: Run) -> None:
        await workshop.store.acquire(run, ttl=timedelta(hours=9), timeout=timedelta(hours=9), instance="there")
        workshop.clock.is_jumping = False
        asyncio.get_running_loop().call_later(0.02, executor.stop)

    store = cast("Store", Overtaken(workshop.store, take))
    executor = workshop.executor(store)
    (run,) = await workshop.sync(syncer=workshop.syncer(executor, store=store))

    assert (run.state, run.instance) == (RunState.RUNNING, "there")


async def test_a_run_that_is_removed_while_it_is_waited_for_is_not_followed_for_ever(workshop: Workshop) -> None:
    """Whoever removes an account removes what waits for it; the sync says so and fails."""

    async def remove(run: Run) -> None:
        workshop.database.write_now(lambda s: s.connection.execute("DELETE FROM cmp_run WHERE id = ?", (run.id,)))

    async with asyncio.timeout(5):
        (run,) = await overtaken(workshop, remove)

    assert (run.state, exit_code([run])) == (RunState.SKIPPED, ExitCode.FAILED)
    assert run.error is not None
    assert run.error["code"] == UnknownAccount.code
