"""Servers that are always on: each tick one run, what was missed made up for once, the urgent first."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from tests.coordination.always_on import POLL, Behind, Server, open_awaited_workshop, until
from tests.engine.workshop import ORDERS, Workshop, at

from comporta.coordination import dispatcher, scheduler
from comporta.core.run import Run, RunState, Trigger
from comporta.core.schedule import Every
from comporta.core.ticket import Ticket
from comporta.core.window import Kind, Request
from comporta.ports.store import Granted
from comporta.testing import FakeSource

pytestmark = pytest.mark.usefixtures("nobody_stays")
HALF_HOUR, HOUR, DAY = timedelta(minutes=30), timedelta(hours=1), timedelta(days=1)
TICKS = "SELECT scheduled_for, count(*) FROM cmp_run WHERE scheduled_for IS NOT NULL GROUP BY 1 ORDER BY 1"


@pytest.fixture
async def workshop(path: Path) -> AsyncIterator[Workshop]:
    """Return a workshop whose clock waits for the database."""
    async with open_awaited_workshop(path) as opened:
        yield opened


def open_shop(workshop: Workshop, *names: str, orders: int = 3) -> None:
    """Give each account some orders, and half an hour between its ticks."""
    for name in names or ("matriz",):
        source = FakeSource(workshop.clock)
        source.stream().put_many(range(1, orders + 1), stamp=at(9))
        workshop.account(workshop.plan(ORDERS, children=(), schedule=Every(HALF_HOUR)), name=name, source=source)


def ticket(account: str, kind: Kind, trigger: Trigger) -> Ticket:
    """Return a wish for a run, as urgent as such a run is."""
    return Ticket(account, ORDERS, Request(kind), trigger)


async def ended(workshop: Workshop, state: RunState = RunState.SUCCEEDED) -> list[Run]:
    """Return the runs that ended so, the oldest first."""
    runs = await workshop.store.runs(state=state, limit=1_000)
    return sorted(runs, key=lambda run: run.started_at or run.queued_at or at(0))


@pytest.mark.full
async def test_each_tick_is_one_run_however_many_schedulers(workshop: Workshop) -> None:
    """Three of them, one killed on the way; the ledger takes each tick once."""
    open_shop(workshop)
    servers = [Server(workshop, name=f"here:{number}").start() for number in range(3)]
    await workshop.clock.sleep(2 * HOUR)
    await servers[0].kill()
    await workshop.clock.sleep(2 * HOUR)
    for server in servers[1:]:
        await server.stop()

    ticks = workshop.query(TICKS)
    assert len(ticks) in {8, 9}
    assert {count for _, count in ticks} == {1}
    assert {run.state for run in await workshop.store.runs(limit=99)} <= {RunState.SUCCEEDED, RunState.QUEUED}


async def test_ticks_of_many_streams_are_offered_side_by_side(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two hundred streams, 60 ms away, the last would begin a minute late, and a deploy would wait for it."""
    names = [f"loja{number}" for number in range(60)]
    open_shop(workshop, *names)
    tick = workshop.store.tick

    async def slow(ticket: Ticket, at: datetime, *, run_id: str) -> Run | None:
        await workshop.clock.sleep(timedelta(seconds=1))
        return await tick(ticket, at, run_id=run_id)

    monkeypatch.setattr(workshop.store, "tick", slow)
    await Server(workshop, has_dispatcher=False).lives(timedelta(seconds=5))

    offered = len(await workshop.store.runs(limit=99))
    assert 4 * scheduler.ABREAST <= offered <= 6 * scheduler.ABREAST < len(names)


@pytest.mark.full
async def test_a_machine_whose_clock_is_behind_schedules_by_the_databases(workshop: Workshop) -> None:
    """By its own it would offer for hours what was served before."""
    open_shop(workshop)
    for behind in (timedelta(), 3 * HOUR):
        server = Server(workshop, has_dispatcher=False, poll=timedelta(minutes=5), behind=behind)
        await server.lives(HOUR + timedelta(minutes=1))

    assert [tick for tick, _ in workshop.query(TICKS)] == ["2026-03-10T14:00:00.000000Z"]


async def test_a_day_of_downtime_is_made_up_for_by_one_run(workshop: Workshop) -> None:
    """The window begins at the end of coverage, so one run brings all that was missed."""
    open_shop(workshop)
    await Server(workshop).lives(HOUR)
    before = len(workshop.query(TICKS))
    workshop.passes(hours=24)
    workshop.plans["matriz"].source.stream().put(9)  # type: ignore[attr-defined]  # a fake
    await Server(workshop).lives(timedelta(minutes=5))

    made_up = [run for run in await ended(workshop) if run.counts.inserted == 1]
    assert before < len(workshop.query(TICKS)) <= before + 2  # of forty-eight; the second, if the clock came so far
    assert [run.trigger for run in made_up] == [Trigger.SCHEDULE]
    assert len((await workshop.covered()).intervals) == 1


async def test_a_server_that_begins_at_once_reads_each_stream_once(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run that begins serves the tick that is due, however busy the writer; where none is due it begins as well."""
    open_shop(workshop, "a", "b")
    workshop.passes(minutes=10)
    tick = workshop.store.tick

    async def late(ticket: Ticket, at: datetime, *, run_id: str) -> Run | None:
        await workshop.clock.sleep(timedelta(seconds=10))
        return await tick(ticket, at, run_id=run_id)

    monkeypatch.setattr(workshop.store, "tick", late)
    done = []
    for _ in range(2):
        server = Server(workshop).start(at_once=True)
        await workshop.clock.sleep(timedelta(minutes=2))
        await server.stop()
        done.append(sorted(run.account for run in workshop.witness.ended_runs))

    assert done == [["a", "b"], ["a", "a", "b", "b"]]


async def test_what_a_person_asks_for_goes_first_and_what_reads_everything_last(workshop: Workshop) -> None:
    """One worker, which has something to do that a person asked for too, and everything waits."""
    open_shop(workshop, "busy", "a")
    turn = workshop.plans["busy"].source.script.on("page", waits=True)  # type: ignore[attr-defined]  # a fake
    server = Server(workshop, workers=1, has_scheduler=False).start()
    await workshop.store.enqueue(ticket("busy", Kind.INCREMENTAL, Trigger.MANUAL))
    await turn.reached.wait()
    await workshop.store.enqueue(ticket("a", Kind.FULL, Trigger.RETRY))
    server.dispatcher.wake()
    await workshop.clock.sleep(timedelta(seconds=5))  # it waits for a place already when the others come
    await workshop.store.enqueue(ticket("a", Kind.INCREMENTAL, Trigger.SCHEDULE))
    await workshop.store.enqueue(replace(ticket("a", Kind.MANUAL, Trigger.MANUAL), request=Request(Kind.MANUAL, at(9))))
    await workshop.clock.sleep(timedelta(seconds=5))
    turn.release()
    await until(workshop, lambda: len(workshop.witness.ended_runs) >= 4)
    await server.stop()

    done = [run.request.partition(" ")[0] for run in workshop.witness.ended_runs if run.account == "a"]
    assert [each for each in done if each in {"manual", "incremental", "full"}][:3] == ["manual", "incremental", "full"]


async def test_a_click_waits_for_nothing_that_runs_by_itself(workshop: Workshop) -> None:
    """Every worker is at work on a schedule's run that hangs; what nobody asked for waits behind them."""
    open_shop(workshop, "busy", "a", "b")
    turn = workshop.plans["busy"].source.script.on("page", waits=True)  # type: ignore[attr-defined]  # a fake
    server = Server(workshop, workers=1, has_scheduler=False).start()
    await workshop.store.enqueue(ticket("busy", Kind.INCREMENTAL, Trigger.SCHEDULE))
    await turn.reached.wait()
    await workshop.store.enqueue(ticket("b", Kind.INCREMENTAL, Trigger.SCHEDULE))
    await workshop.store.enqueue(ticket("a", Kind.INCREMENTAL, Trigger.MANUAL))
    server.dispatcher.wake()
    await until(workshop, lambda: bool(workshop.witness.ended_runs))
    done = [run.account for run in workshop.witness.ended_runs]
    waiting = [run.account for run in await workshop.queued()]
    turn.release()
    await server.stop()

    assert (done, waiting) == (["a"], ["b"])


async def test_what_runs_at_a_deploy_is_gone_on_with_at_once(workshop: Workshop) -> None:
    """The successor needs no lease to run out, and reads nothing twice."""
    open_shop(workshop, orders=40)
    script = workshop.plans["matriz"].source.script  # type: ignore[attr-defined]  # a fake
    turn = script.on("page", skip=2, waits=True)
    first = Server(workshop, name="old").start(at_once=True)
    await turn.reached.wait()
    second = Server(workshop, name="new").start()
    handed_over = workshop.clock.now()
    await first.stop()
    await until(workshop, lambda: len(workshop.rows()) == 40)
    await second.stop()

    interrupted, successor = (await ended(workshop, RunState.INTERRUPTED))[0], (await ended(workshop))[0]
    assert (interrupted.instance, successor.instance) == ("old", "new")
    assert successor.started_at is not None
    assert successor.started_at - handed_over <= POLL  # and not the thirty seconds of a lease
    assert interrupted.counts.read + successor.counts.read == 40


async def test_a_long_queue_does_not_hold_up_the_end(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those who wait for a place look into the queue no more; each look at a long one takes a while."""
    names = [f"loja{number}" for number in range(12)]
    open_shop(workshop, "busy", *names)
    turn = workshop.plans["busy"].source.script.on("page", waits=True)  # type: ignore[attr-defined]  # a fake
    server = Server(workshop, workers=1, has_scheduler=False).start()
    await workshop.store.enqueue(ticket("busy", Kind.INCREMENTAL, Trigger.SCHEDULE))
    await turn.reached.wait()
    for name in names:
        await workshop.store.enqueue(ticket(name, Kind.INCREMENTAL, Trigger.SCHEDULE))
    server.dispatcher.wake()
    await workshop.clock.sleep(timedelta(seconds=5))
    looks: list[int] = []

    async def looked(limit: int, _: object) -> list[Run]:
        looks.append(limit)
        return []

    monkeypatch.setattr(workshop.store, "due", looked)
    server.executor.stop()
    turn.release()
    await asyncio.gather(*server.tasks)

    assert not looks
    assert len(await workshop.queued()) == len(names) + 1  # and the one that was handed over


@pytest.mark.full
async def test_a_paused_account_is_left_alone_but_by_name(workshop: Workshop) -> None:
    """Also by runs that were queued before."""
    open_shop(workshop)
    await workshop.store.enqueue(ticket("matriz", Kind.INCREMENTAL, Trigger.SCHEDULE))
    server = Server(workshop, paused={"matriz"}).start()
    await workshop.clock.sleep(HOUR)
    scheduled = list(workshop.witness.ended_runs)
    await workshop.store.enqueue(replace(ticket("matriz", Kind.MANUAL, Trigger.MANUAL), request=Request(Kind.FULL)))
    server.dispatcher.wake()
    await until(workshop, lambda: bool(workshop.witness.ended_runs))
    await server.stop()

    assert scheduled == []
    assert [run.request for run in workshop.witness.ended_runs] == ["full"]


async def test_a_click_on_a_paused_account_is_served_though_a_run_of_it_waits(workshop: Workshop) -> None:
    """The waiting run, which the click joins, is not left alone any more."""
    open_shop(workshop)
    waiting = await workshop.store.enqueue(ticket("matriz", Kind.INCREMENTAL, Trigger.SCHEDULE))
    server = Server(workshop, has_scheduler=False, paused={"matriz"}).start()
    clicked = await workshop.store.enqueue(ticket("matriz", Kind.INCREMENTAL, Trigger.MANUAL))
    server.dispatcher.wake()
    await until(workshop, lambda: bool(workshop.witness.ended_runs))
    await server.stop()

    assert clicked.id == waiting.id
    assert [run.id for run in await ended(workshop)] == [waiting.id]


async def test_a_stream_that_another_process_holds_is_done_when_it_is_free(workshop: Workshop) -> None:
    """It waits in the queue, and nobody is told that it failed."""
    open_shop(workshop)
    other = await workshop.store.enqueue(ticket("matriz", Kind.FULL, Trigger.MANUAL))
    granted = await workshop.store.acquire(other, ttl=timedelta(seconds=20), timeout=HOUR, instance="other")
    assert isinstance(granted, Granted)
    server = Server(workshop, has_scheduler=False).start()
    await workshop.store.enqueue(ticket("matriz", Kind.INCREMENTAL, Trigger.MANUAL))
    server.dispatcher.wake()
    await workshop.clock.sleep(timedelta(seconds=10))
    waiting = [run.state for run in await workshop.queued()]
    await workshop.clock.sleep(timedelta(seconds=15))
    await until(workshop, lambda: bool(workshop.witness.ended_runs))
    await server.stop()

    assert waiting == [RunState.QUEUED]
    assert workshop.witness.ended_runs[0].state is RunState.SUCCEEDED
    assert workshop.witness.occupied


async def end_of(workshop: Workshop, run: Run) -> Run:
    """Let time pass until a run has ended, and return it."""
    while (found := await workshop.store.run(run.id)) is None or found.state in {RunState.QUEUED, RunState.RUNNING}:
        await workshop.clock.sleep(timedelta(seconds=1))
    return found


async def test_a_run_of_a_stream_that_is_gone_ends_with_a_reason(workshop: Workshop) -> None:
    """Somebody took it out of the settings while its run waited."""
    open_shop(workshop)
    run = await workshop.store.enqueue(Ticket("matriz", "gone", Request(), Trigger.SCHEDULE))
    server = Server(workshop, has_scheduler=False).start()
    found = await end_of(workshop, run)
    await server.stop()

    assert (found.state, found.error and found.error["code"]) == (RunState.SKIPPED, "CMP-SET-005")


@pytest.mark.full
async def test_what_waits_for_an_account_that_is_gone_hides_nothing_and_ends(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many such runs there are; of one that another process may have they wait for a day."""
    monkeypatch.setattr(dispatcher, "DUE_MAX", 2)
    open_shop(workshop)
    gone = [await workshop.store.enqueue(ticket(f"gone{n}", Kind.FULL, Trigger.SCHEDULE)) for n in range(2)]
    workshop.passes(hours=25)
    other = await workshop.store.enqueue(ticket("other", Kind.INCREMENTAL, Trigger.SCHEDULE))
    ours = await workshop.store.enqueue(ticket("matriz", Kind.INCREMENTAL, Trigger.SCHEDULE))
    server = Server(workshop, has_scheduler=False).start()
    await workshop.clock.sleep(timedelta(minutes=1))
    await server.stop()

    found = {run.id: run for run in await workshop.store.runs()}
    assert [found[run.id].state for run in (ours, other)] == [RunState.SUCCEEDED, RunState.QUEUED]
    assert {found[run.id].state for run in gone} == {RunState.SKIPPED}
    assert [(found[run.id].error or {}).get("code") for run in gone] == ["CMP-SET-005"] * 2


async def test_a_comparison_that_is_due_follows_as_a_run_of_its_own(workshop: Workshop) -> None:
    """In the queue, so that whoever is free does it, behind what is fresh."""
    open_shop(workshop)
    await Server(workshop).lives(timedelta(minutes=5))
    workshop.passes(hours=25)
    await Server(workshop).lives(timedelta(minutes=5))

    triggers = [run.trigger for run in workshop.witness.ended_runs]
    assert triggers == [Trigger.SCHEDULE, Trigger.SCHEDULE, Trigger.RECONCILE]


async def test_many_runs_of_many_accounts_are_done_by_two_processes_once_each(workshop: Workshop) -> None:
    """Whoever takes the lease first does it, and the other finds it gone."""
    names = [f"loja{number}" for number in range(12)]
    open_shop(workshop, *names)
    both = [Server(workshop, name=f"here:{number}", has_scheduler=False).start() for number in range(2)]
    await asyncio.gather(*(workshop.store.enqueue(ticket(name, Kind.FULL, Trigger.MANUAL)) for name in names))
    await until(workshop, lambda: len(workshop.witness.ended_runs) >= len(names))
    for server in both:
        await server.stop()

    runs = await ended(workshop)
    assert sorted(run.account for run in runs) == sorted(names)
    assert {run.instance for run in runs} <= {"here:0", "here:1"}


@pytest.mark.parametrize("age", [timedelta(), 2 * DAY])
async def test_what_waits_for_an_account_that_is_gone_is_ended_by_the_databases_clock(
    workshop: Workshop, age: timedelta
) -> None:
    """A machine whose clock is days ahead ends nothing of another process's that was queued just now."""
    open_shop(workshop)
    gone = await workshop.store.enqueue(ticket("gone", Kind.INCREMENTAL, Trigger.SCHEDULE))
    workshop.passes(seconds=age.total_seconds())
    server = Server(workshop, has_scheduler=False)
    server.dispatcher._clock = Behind(workshop.clock, -3 * DAY)
    await server.lives(timedelta(minutes=1))

    (run,) = await workshop.store.runs(account="gone")
    assert (run.id, run.state) == (gone.id, RunState.SKIPPED if age else RunState.QUEUED)
