"""A sync waits a while for the next attempt, and not for a day."""

from datetime import timedelta

import pytest
from tests.coordination.processes import queue
from tests.engine.workshop import ORDERS, Workshop, at

from comporta.core.outcome import ExitCode, exit_code
from comporta.core.retry import FOREGROUND_WAIT_MAX
from comporta.core.run import RunState
from comporta.core.window import Kind
from comporta.errors import RateLimited

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


async def throttled(workshop: Workshop, retry_after: timedelta) -> None:
    """Let the source ask once for that long a pause."""
    workshop.source.stream().put_many(range(1, 6), stamp=at(9))
    workshop.source.script.on("page", raises=RateLimited("429", retry_after=retry_after))


@pytest.mark.parametrize("asked", [FOREGROUND_WAIT_MAX + SECOND, timedelta(days=1)])
async def test_a_pause_of_a_day_is_not_waited_for(workshop: Workshop, asked: timedelta) -> None:
    """The attempt stays queued for its time, the sync ends at once and says that it failed."""
    await throttled(workshop, asked)
    before = workshop.clock.now()

    runs = await workshop.sync()

    (successor,) = await workshop.queued()
    assert ([run.state for run in runs], exit_code(runs)) == ([RunState.FAILED], ExitCode.FAILED)
    assert workshop.clock.now() - before < SECOND
    assert successor.not_before is not None
    assert successor.not_before - before >= asked
    assert workshop.witness.delays == [pytest.approx(asked, abs=SECOND)]


async def test_a_pause_of_some_minutes_is_waited_for(workshop: Workshop) -> None:
    """Whoever started the sync wants it done."""
    await throttled(workshop, FOREGROUND_WAIT_MAX)

    runs = await workshop.sync()

    assert [run.state for run in runs[:2]] == [RunState.FAILED, RunState.SUCCEEDED]
    assert workshop.rows() == workshop.truth()


async def test_the_next_sync_does_what_was_put_off(workshop: Workshop) -> None:
    """A person who asks again knows why; the pause is not waited for then either."""
    await throttled(workshop, timedelta(days=1))
    await workshop.sync()

    runs = await workshop.sync()

    assert (runs[0].state, runs[0].attempt) == (RunState.SUCCEEDED, 2)
    assert workshop.rows() == workshop.truth()


async def test_what_was_put_off_for_hours_does_not_wait_on_once_a_sync_asked_for_it(workshop: Workshop) -> None:
    """Though the stream is held just now, and the sync ends without it."""
    await throttled(workshop, timedelta(days=1))
    await workshop.sync()
    other = await queue(workshop, Kind.RECONCILE)
    await workshop.store.acquire(other, ttl=MINUTE, timeout=MINUTE, instance="there")

    skipped = await workshop.sync()

    (waiting,) = await workshop.queued()
    assert ([run.state for run in skipped], skipped[0].id) == ([RunState.SKIPPED], waiting.id)
    assert waiting.not_before is not None
    assert waiting.not_before - workshop.clock.now() <= MINUTE


async def test_a_run_that_a_person_unlocked_says_so(workshop: Workshop) -> None:
    """And not that its process died."""
    workshop.source.stream().put_many(range(1, 36), stamp=at(9))
    turn = workshop.source.script.on("page", skip=2, waits=True)
    executing = workshop.begin()
    await turn.reached.wait()

    await workshop.store.unlock(f"matriz/{ORDERS}")

    turn.release()
    run = await executing
    assert run.error is not None
    assert run.error["message"] == f"matriz/{ORDERS}: a person released it (`comporta unlock`)"
