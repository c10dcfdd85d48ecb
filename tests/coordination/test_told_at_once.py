"""What comes up below a run is told and kept when it does, not with the next batch, which may never come."""

import asyncio
from datetime import timedelta

import pytest
from tests.coordination.processes import ended
from tests.engine.workshop import Anything, Workshop, at, code

from comporta import errors
from comporta.core.run import RunState
from comporta.ports.progress import LogLine

AGAIN = LogLine("warning", "request_retried", "attempt 2 of 5 in 0.4 s: 502", {"attempt": 2})
LOGGED = "SELECT step FROM cmp_log ORDER BY seq"


@pytest.mark.parametrize("dry_run", [False, True])
async def test_a_request_that_is_sent_again_stands_in_the_log_before_it_is(
    workshop: Workshop, *, dry_run: bool
) -> None:
    """Whoever follows the log sees it while the run still waits for its first answer, behind what was told before."""
    workshop.source.stream().put_many(range(1, 6), stamp=at(9))
    first = workshop.source.script.on("clock", waits=True)
    task = workshop.begin(dry_run=dry_run)
    await first.reached.wait()
    workshop.witness.progress[0].tell(AGAIN)
    await workshop.witness.saw("request_retried")
    while ("request_retried",) not in workshop.query(LOGGED):
        await asyncio.sleep(0)
    seen = [step for (step,) in workshop.query(LOGGED)]
    first.release()
    run = await ended(task)

    assert run.state is RunState.SUCCEEDED
    assert seen == ["run_started", "lease_acquired", "request_retried"]
    steps = [step for (step,) in workshop.query(LOGGED)]
    assert steps[:3] == seen
    assert [steps.count(step) for step in ("run_started", "request_retried", "run_succeeded")] == [1, 1, 1]


async def test_what_is_tried_again_while_a_login_is_made_stands_in_the_log_too(workshop: Workshop) -> None:
    """A server that hangs at the login is the first thing people look for; the run's end, too, keeps what it told."""
    workshop.source.stream()
    login = workshop.source.script.on("login", waits=True, raises=errors.SourceUnavailable("no answer"))
    task = workshop.begin()
    await login.reached.wait()
    workshop.witness.progress[0].tell(AGAIN)
    await workshop.witness.saw("request_retried")
    while ("request_retried",) not in workshop.query(LOGGED):
        await asyncio.sleep(0)
    seen = [step for (step,) in workshop.query(LOGGED)]
    workshop.witness.progress[0].tell(AGAIN)
    login.release()
    run = await ended(task)

    assert run.state is RunState.FAILED
    assert seen == ["run_started", "lease_acquired", "request_retried"]
    assert [step for (step,) in workshop.query(LOGGED)][3:] == [
        "request_retried",
        "run_failed",
        "run_retrying",
        "lease_released",
    ]


async def test_what_waits_for_a_batch_that_does_not_come_is_kept_by_the_next_look(workshop: Workshop) -> None:
    """Who follows the log of a run that hangs at its first answer sees how far it came."""
    workshop.source.stream()
    login = workshop.source.script.on("login", waits=True)
    task = workshop.begin(executor=workshop.executor(lease=timedelta(seconds=0.06)))
    await login.reached.wait()
    while len(workshop.query(LOGGED)) < 2:
        await asyncio.sleep(0)
    seen = [step for (step,) in workshop.query(LOGGED)]
    login.release()
    run = await ended(task)

    assert run.state is RunState.SUCCEEDED
    assert seen == ["run_started", "lease_acquired"]
    assert [step for (step,) in workshop.query(LOGGED)].count("run_started") == 1


async def test_what_cannot_be_kept_now_is_kept_with_the_next_batch(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that is busy for a moment costs no line."""

    async def busy(*_: object) -> None:
        message = "locked"
        raise errors.DestinationBusy(message)

    monkeypatch.setattr(workshop.store, "tell", busy)
    workshop.source.stream().put_many(range(1, 6), stamp=at(9))
    first = workshop.source.script.on("page", waits=True)
    task = workshop.begin()
    await first.reached.wait()
    workshop.witness.progress[0].tell(AGAIN)
    await workshop.witness.saw("request_retried")
    first.release()
    run = await ended(task)

    assert (run.state, code(run)) == (RunState.SUCCEEDED, None)
    assert [step for (step,) in workshop.query(LOGGED)].count("request_retried") == 1


@pytest.mark.parametrize("skip", [0, 1])
async def test_what_a_batch_was_to_keep_that_was_refused_is_kept_with_the_end(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, skip: int
) -> None:
    """Where the database takes no rows any more, as on a full disk, the log is what one looks at; the last one, too."""
    commit, left = workshop.store.commit, [skip]

    async def full(*told: Anything, **more: Anything) -> object:
        if left.pop() if left else False:
            return await commit(*told, **more)
        message = "no space left"
        raise errors.DestinationRefused(message)

    workshop.source.stream().put_many(range(1, 6), stamp=at(9))
    monkeypatch.setattr(workshop.store, "commit", full)
    run = await workshop.run()
    steps = [step for (step,) in workshop.query(LOGGED)]

    assert run.state is RunState.FAILED
    assert steps[:3] == ["run_started", "lease_acquired", "window_planned"]
    assert steps[-2:] == ["run_failed", "lease_released"]
    assert [steps.count(step) for step in ("run_started", "run_succeeded")] == [1, 0]
