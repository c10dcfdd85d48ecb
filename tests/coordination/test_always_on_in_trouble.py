"""A server whose database refuses for a moment: it says so, goes on, and does what is due when that can be done."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest
from tests.coordination.always_on import LOOK, Server, kill_all, open_awaited_workshop
from tests.coordination.test_always_on import open_shop, ticket
from tests.coordination.test_two_processes import Failing
from tests.engine.workshop import ORDERS, Workshop

from comporta.coordination.pulse import EVERY, beat_until_stopped
from comporta.core.run import RunState, Trigger
from comporta.core.window import Kind
from comporta.errors import ComportaError, DestinationRefused, LeaseLost
from comporta.ports.store import Store

FULL = DestinationRefused("no space left")


@dataclass
class Kept:
    """A log that a test reads."""

    lines: list[tuple[str, object]] = field(default_factory=list)

    def write(self, level: str, event: str, fields: Mapping[str, object]) -> None:
        self.lines.append((event, fields.get("code")))


@pytest.fixture
async def workshop(path: Path) -> AsyncIterator[Workshop]:
    """Return a workshop whose clock waits for the database, and end what a test leaves running."""
    async with open_awaited_workshop(path) as opened:
        open_shop(opened)
        yield opened
        await kill_all()


def in_trouble(workshop: Workshop, method: str, error: ComportaError = FULL, times: int = 1) -> Store:
    """Return a store of which one method fails at first."""
    return cast("Store", Failing(workshop.store, method, error, times))


@pytest.mark.parametrize("method", ["stranded", "due", "acquire"])
async def test_what_is_queued_is_done_when_the_database_takes_it(workshop: Workshop, method: str) -> None:
    """Whatever failed first: the look at what is left over, the look at what is due, or the lease."""
    run = await workshop.store.enqueue(ticket("matriz", Kind.INCREMENTAL, Trigger.MANUAL))
    log = Kept()
    await Server(workshop, has_scheduler=False, store=in_trouble(workshop, method), log=log).lives(timedelta(minutes=2))
    found = await workshop.store.run(run.id)

    assert log.lines == [("dispatching_failed", FULL.code)]
    assert found is not None
    assert found.state is RunState.SUCCEEDED


async def test_a_run_that_another_process_took_first_is_left_to_it(workshop: Workshop) -> None:
    """Between the look and the claim; that is nothing to tell."""
    run = await workshop.store.enqueue(ticket("matriz", Kind.INCREMENTAL, Trigger.MANUAL))
    log = Kept()
    store = in_trouble(workshop, "acquire", LeaseLost("taken"))
    await Server(workshop, has_scheduler=False, store=store, log=log).lives(timedelta(minutes=2))
    found = await workshop.store.run(run.id)

    assert log.lines == []
    assert found is not None
    assert found.state is RunState.SUCCEEDED


async def test_a_tick_that_could_not_be_queued_is_offered_again(workshop: Workshop) -> None:
    """At the next look, long before the next tick."""
    log = Kept()
    await Server(workshop, store=in_trouble(workshop, "tick"), log=log).lives(LOOK * 3)

    assert ("scheduling_failed", FULL.code) in log.lines
    assert [run.state for run in await workshop.store.runs()] == [RunState.SUCCEEDED]


async def test_a_stream_without_a_schedule_is_read_at_once_where_that_is_asked_for(workshop: Workshop) -> None:
    """And never by itself."""
    workshop.account(workshop.plan(ORDERS, children=(), schedule=None), source=workshop.plans["matriz"].source)
    await Server(workshop).lives(LOOK * 3)
    before = await workshop.store.runs()
    server = Server(workshop, name="here:2").start(at_once=True)
    await workshop.clock.sleep(timedelta(minutes=2))
    await server.stop()

    assert before == []
    assert [run.trigger for run in await workshop.store.runs()] == [Trigger.SCHEDULE]


async def test_a_sign_of_life_that_could_not_be_given_is_told_and_given_the_next_time(workshop: Workshop) -> None:
    """And at the end of the process the row says that it ended as it should."""
    log, stopping = Kept(), asyncio.Event()
    store = in_trouble(workshop, "beat")
    pulse = beat_until_stopped(
        store, clock=workshop.clock, instance="here:1", roles="scheduler", stopping=stopping, log=log
    )
    beating = asyncio.ensure_future(pulse)
    await workshop.clock.sleep(EVERY * 1.5)
    alive = await workshop.store.instances()
    stopping.set()
    await beating

    assert log.lines == [("beat_failed", FULL.code)]
    assert [(each.instance, each.roles, each.ended_at) for each in alive] == [("here:1", "scheduler", None)]
    assert [each.ended_at is not None for each in await workshop.store.instances()] == [True]
