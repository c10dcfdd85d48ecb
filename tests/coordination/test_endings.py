"""However a run ends: one state, written by the holder, with the successor that it deserves."""

from datetime import timedelta

import pytest
from tests.coordination.processes import successor_of
from tests.engine.workshop import ORDERS, Workshop, at, code

from comporta import errors, errors_odoo
from comporta.core.run import RunState

RETRIED = [
    errors.SourceUnavailable("down"),
    errors.SourceTimedOut("slow"),
    errors.SourceBadGateway("502"),
    errors.SourceTruncated("cut"),
    errors.SourceAnsweredPage("a login page"),
    errors.RateLimited("too many"),
    errors.SourceIncomplete("some are missing"),
    errors.UnconfirmedEmpty("nothing came"),
    errors.TotalShrank("fewer"),
    errors.DestinationBusy("locked"),
]
STOPPED = [
    errors.SourceRefused("no"),
    errors.LoginRefused("wrong key"),
    errors.AccessRefused("no right"),
    errors_odoo.UnknownDatabase("no such database"),
    errors.SourceChangedShape("odd"),
    errors.UnknownStream("no such model"),
    errors.UnknownField("no such field"),
    errors.FilterIgnored("ignored"),
    errors.OtherDatabase("another"),
    errors_odoo.ProtocolUnsupported("none"),
    errors.DestinationRefused("full"),
    errors.BadValue("odd setting"),
    errors.SecretMissing("no key"),
]


async def fail_with(workshop: Workshop, error: Exception, *, call: str = "page") -> None:
    """Let the next request of that kind fail."""
    workshop.source.stream().put_many(range(1, 6), stamp=at(9))
    workshop.source.script.on(call, raises=error)


@pytest.mark.parametrize("call", ["login", "page"])
@pytest.mark.parametrize("error", RETRIED, ids=lambda error: type(error).__name__)
async def test_what_may_work_later_is_tried_again(workshop: Workshop, error: errors.ComportaError, call: str) -> None:
    """The run failed with its own code; the second attempt waits in the queue for its time."""
    await fail_with(workshop, error, call=call)

    run = await workshop.run()

    successor = await successor_of(workshop)
    assert (run.state, code(run)) == (RunState.FAILED, error.code)
    assert successor is not None
    assert (successor.attempt, successor.request, successor.trigger) == (2, "incremental", "retry")
    assert successor.not_before is not None
    assert timedelta() <= successor.not_before - workshop.clock.now() <= timedelta(seconds=4)


@pytest.mark.parametrize("call", ["login", "page"])
@pytest.mark.parametrize("error", STOPPED, ids=lambda error: type(error).__name__)
async def test_what_cannot_work_unchanged_is_not_tried_again(
    workshop: Workshop, error: errors.ComportaError, call: str
) -> None:
    """The run failed with its own code and next step, and nothing waits."""
    await fail_with(workshop, error, call=call)

    run = await workshop.run()

    assert (run.state, code(run)) == (RunState.FAILED, error.code)
    assert run.error is not None
    assert run.error["next_step"] == error.next_step
    assert await successor_of(workshop) is None


@pytest.mark.parametrize("error", [ValueError("surprise"), KeyError("x"), AssertionError(), ZeroDivisionError()])
async def test_what_nobody_foresaw_is_a_fault_of_ours(workshop: Workshop, error: Exception) -> None:
    """It ends as failed with the code for our own faults, names the error, and frees the stream."""
    await fail_with(workshop, error)

    run = await workshop.run()

    assert (run.state, code(run)) == (RunState.FAILED, "CMP-BUG-001")
    assert run.error is not None
    assert type(error).__name__ in run.error["message"]
    assert (await workshop.store.scope_state(f"matriz/{ORDERS}")).holder is None
    assert await successor_of(workshop) is None


async def test_the_sources_own_wish_is_kept(workshop: Workshop) -> None:
    """Retry-After is never undercut."""
    await fail_with(workshop, errors.RateLimited("later", retry_after=timedelta(minutes=7)))

    await workshop.run()

    successor = await successor_of(workshop)
    assert successor is not None
    assert successor.not_before == workshop.clock.now() + timedelta(minutes=7)


async def test_a_run_is_tried_again_three_times_in_a_row(workshop: Workshop) -> None:
    """Four attempts, longer and longer apart, then nothing waits any more."""
    workshop.source.stream().put_many(range(1, 6), stamp=at(9))
    workshop.source.script.on("page", times=None, raises=errors.SourceUnavailable("down"))

    runs = await workshop.sync()

    assert [(run.attempt, run.state) for run in runs] == [(number, RunState.FAILED) for number in (1, 2, 3, 4)]
    assert len(workshop.witness.delays) == 3
    assert await successor_of(workshop) is None


async def test_an_attempt_that_succeeds_ends_the_row(workshop: Workshop) -> None:
    """The second attempt goes on where the first stopped, and the stream is up to date."""
    workshop.source.stream().put_many(range(1, 36), stamp=at(9))
    workshop.source.script.on("page", skip=2, raises=errors.SourceUnavailable("down"))

    runs = await workshop.sync()

    assert [(run.attempt, run.state, run.counts.read) for run in runs] == [
        (1, RunState.FAILED, 20),
        (2, RunState.SUCCEEDED, 15),
    ]
    assert workshop.rows() == workshop.truth()


async def test_a_failed_dry_run_is_not_tried_again(workshop: Workshop) -> None:
    """Somebody looks at it; it is theirs to repeat."""
    await fail_with(workshop, errors.SourceUnavailable("down"))

    runs = await workshop.sync(wish=workshop.wish(dry_run=True))

    assert [run.state for run in runs] == [RunState.FAILED]
    assert await successor_of(workshop) is None


@pytest.mark.parametrize("call", ["login", "clock", "count", "page", "lookups"])
async def test_the_log_tells_how_it_ended(workshop: Workshop, call: str) -> None:
    """With its error, also when it failed before it began; then when it is tried again, and the lease is free."""
    await fail_with(workshop, errors.SourceUnavailable("the cable is cut"), call=call)

    run = await workshop.run()

    *_, last, again, free = [line for _, _, line in await workshop.store.log(run.id)]
    assert (last.step, last.level, last.message) == ("run_failed", "error", "the cable is cut")
    assert (again.step, again.fields["attempt"], again.fields["attempts"]) == ("run_retrying", 2, 4)
    assert (free.step, free.fields) == ("lease_released", {"epoch": 1})
    assert {last.step, again.step, free.step} <= set(workshop.witness.steps)


async def test_a_lost_lease_writes_nothing(workshop: Workshop) -> None:
    """Unlocked by hand in mid-run: the next batch is refused, and not even the run's end is ours to write."""
    workshop.source.stream().put_many(range(1, 36), stamp=at(9))
    turn = workshop.source.script.on("page", skip=2, waits=True)
    executing = workshop.begin()
    await turn.reached.wait()
    await workshop.store.unlock(f"matriz/{ORDERS}")
    before = workshop.everything()
    turn.release()

    run = await executing

    assert (run.state, code(run)) == (RunState.LOST, "CMP-RUN-006")
    assert workshop.everything() == before
    assert len(workshop.rows()) == 20


async def test_a_successor_goes_on_after_a_lost_lease(workshop: Workshop) -> None:
    """While the old holder still hangs, another takes over and finishes; the old one then writes nothing."""
    workshop.source.stream().put_many(range(1, 36), stamp=at(9))
    turn = workshop.source.script.on("page", skip=2, waits=True)
    executing = workshop.begin()
    await turn.reached.wait()
    await workshop.store.unlock(f"matriz/{ORDERS}")
    successor = await workshop.run()
    before = workshop.everything()
    turn.release()

    lost = await executing

    assert (successor.state, successor.attempt, successor.counts.read) == (RunState.SUCCEEDED, 2, 15)
    assert lost.state is RunState.LOST
    assert workshop.everything() == before
    assert workshop.rows() == workshop.truth()
