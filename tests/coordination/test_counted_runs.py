"""What a server's meter is told of its runs by the server itself: each retry, refusal and loss once."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import cast

import pytest
from tests.coordination.always_on import Server, kill_all, until
from tests.coordination.processes import queue
from tests.coordination.test_measured import Kept
from tests.engine.workshop import ORDERS, Witness, Workshop, at

from comporta.coordination.measured import Measured
from comporta.coordination.rescuer import release
from comporta.coordination.watchers import Watchers
from comporta.core.run import RunState
from comporta.core.window import Kind
from comporta.errors import LoginRefused, SourceUnavailable

SCOPE = ("matriz", ORDERS)
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)


@pytest.fixture
async def kept(workshop: Workshop) -> AsyncIterator[Kept]:
    """The meter of every process that shares the workshop; whatever a test leaves running is gone at its end."""
    meter = Kept()
    workshop.source.stream().put_many(range(1, 4), stamp=at(9))
    workshop.account(workshop.plan(ORDERS, children=()))
    workshop.witness = cast("Witness", Watchers(Witness(), Measured(meter)))
    yield meter
    await kill_all()


async def serve_until(workshop: Workshop, kept: Kept, state: RunState) -> None:
    """Let a server live until a run has ended so."""
    server = Server(workshop, has_scheduler=False, poll=SECOND).start()
    await until(workshop, lambda: kept.counted["runs_total", *SCOPE, state] > 0)
    await server.stop()


async def test_a_run_that_a_server_tries_again_is_counted(workshop: Workshop, kept: Kept) -> None:
    """Once, when its successor is queued."""
    workshop.source.script.on("page", raises=SourceUnavailable("gone"))
    await queue(workshop)
    await serve_until(workshop, kept, RunState.SUCCEEDED)

    assert kept.counted["run_retries_total", *SCOPE] == 1


@pytest.mark.parametrize("kind", [Kind.INCREMENTAL, Kind.CLEAR_FIRST])
async def test_a_run_that_nobody_tries_again_is_not_counted(workshop: Workshop, kept: Kept, kind: Kind) -> None:
    """Nor does its log say that it is."""
    error = SourceUnavailable("gone") if kind is Kind.CLEAR_FIRST else LoginRefused("no")
    workshop.source.script.on("page", raises=error)
    run = await queue(workshop, kind)
    await serve_until(workshop, kept, RunState.FAILED)

    assert kept.counted["run_retries_total", *SCOPE] == 0
    assert "run_retrying" not in await workshop.steps(run)
    assert await workshop.queued() == []


async def test_a_run_that_waits_for_a_stream_and_one_that_was_lost_are_counted_once(
    workshop: Workshop, kept: Kept
) -> None:
    """Though the one is looked at every two seconds, and nobody of the other's process lives to tell."""
    dead = await queue(workshop, Kind.FULL)
    await workshop.store.acquire(dead, ttl=20 * SECOND, timeout=HOUR, instance="dead")
    await queue(workshop)
    await serve_until(workshop, kept, RunState.SUCCEEDED)

    assert kept.counted["lease_refusals_total", *SCOPE] == 1
    assert kept.counted["leases_lost_total", *SCOPE] == 1
    assert kept.counted["runs_total", *SCOPE, "lost"] == 1
    assert kept.counted["run_retries_total", *SCOPE] == 1


async def test_a_lease_that_was_taken_over_is_counted(workshop: Workshop, kept: Kept) -> None:
    """By who took it, before any rescuer came."""
    dead = await queue(workshop, Kind.FULL)
    await workshop.store.acquire(dead, ttl=20 * SECOND, timeout=HOUR, instance="dead")
    workshop.passes(seconds=21)
    await workshop.run()

    assert kept.counted["leases_lost_total", *SCOPE] == 1


async def test_a_run_that_loses_its_lease_in_the_process_that_takes_it_is_counted_once(
    workshop: Workshop, kept: Kept
) -> None:
    """Who held it tells its end, and who took it the loss."""
    turn = workshop.source.script.on("page", waits=True)
    executing = workshop.begin()
    await turn.reached.wait()
    workshop.clock.is_jumping = False
    workshop.passes(seconds=31)
    for lost in await workshop.store.reap():
        workshop.witness.taken(lost)
    turn.release()
    run = await executing

    assert run.state is RunState.LOST
    assert kept.counted["leases_lost_total", *SCOPE] == 1
    assert kept.counted["runs_total", *SCOPE, "lost"] == 1


async def test_a_run_that_a_person_releases_is_counted_where_they_do(workshop: Workshop, kept: Kept) -> None:
    """Its holder, if alive, leaves that to who took the lease; where nobody holds it there is nothing to count."""
    dead = await queue(workshop, Kind.FULL)
    await workshop.store.acquire(dead, ttl=20 * SECOND, timeout=HOUR, instance="dead")
    released = [await release(workshop.store, workshop.witness, dead.scope) for _ in range(2)]

    assert released == [True, False]
    assert kept.counted["leases_lost_total", *SCOPE] == 1
    assert kept.counted["runs_total", *SCOPE, "lost"] == 1
    assert kept.counted["run_retries_total", *SCOPE] == 1
