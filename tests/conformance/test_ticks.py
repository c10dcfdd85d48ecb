"""Ticks: each is taken once, and none stays taken by a clock that was ahead."""

from datetime import datetime, timedelta

from tests.conformance.conftest import TTL
from tests.conformance.store_steps import HOUR, get

from comporta.core.run import Run, RunState, Trigger, run_name
from comporta.core.schedule import Every
from comporta.core.ticket import Ticket
from comporta.core.window import Request
from comporta.ledger.store import LedgerStore
from comporta.ports.store import Ending, Granted
from comporta.testing.clock import FakeClock

HALF_HOUR = timedelta(minutes=30)
WISH = Ticket("shop", "thing", Request(), Trigger.SCHEDULE)


async def offer(store: LedgerStore, clock: FakeClock, name: str) -> Run | None:
    """Offer the latest half-hour; return what was queued for it."""
    tick = Every(HALF_HOUR).last(clock.now())
    return await store.tick(WISH, tick, run_id=run_name(clock.now(), name))


async def serve(store: LedgerStore, clock: FakeClock, name: str) -> None:
    """Queue a run for the latest half-hour, and let it succeed."""
    run = await offer(store, clock, name)
    assert run is not None
    granted = await store.acquire(run, ttl=TTL, timeout=HOUR, instance="here")
    assert isinstance(granted, Granted)
    await store.finish(granted.lease, Ending(RunState.SUCCEEDED))


async def test_a_tick_is_taken_once(store: LedgerStore, clock: FakeClock) -> None:
    """Also when its run has ended."""
    await serve(store, clock, "first")
    clock.advance(HALF_HOUR / 2)

    assert await offer(store, clock, "second") is None


async def test_ticks_that_come_again_are_taken_again(store: LedgerStore, clock: FakeClock) -> None:
    """A clock that was set back by hours is no reason to do nothing for as long; what was served before, was."""
    for number in range(5):
        await serve(store, clock, f"n{number}")
        clock.advance(HALF_HOUR)
    clock.advance(timedelta(hours=-2))  # to the second of the five, which was served
    again = []
    for number in range(3):
        again.append(await offer(store, clock, f"again{number}") is not None)
        for queued in await store.queued(WISH.scope):
            await store.cancel(queued.id)
        clock.advance(HALF_HOUR)

    assert again == [False, True, True]


async def test_a_clock_that_is_set_right_by_minutes_doubles_no_tick(store: LedgerStore, clock: FakeClock) -> None:
    """It comes soon to where it was."""
    clock.advance(HALF_HOUR)
    await serve(store, clock, "first")
    clock.advance(timedelta(minutes=-2))
    early = await offer(store, clock, "early")
    for queued in await store.queued(WISH.scope):
        await store.cancel(queued.id)
    clock.advance(timedelta(minutes=3))

    assert early is not None
    assert await offer(store, clock, "second") is None


async def test_what_waits_for_its_time_waits_no_longer_because_a_clock_was_set_back(
    store: LedgerStore, clock: FakeClock
) -> None:
    """It would hold up the ticks too, which it serves."""
    soon = clock.now() + timedelta(minutes=1)
    waiting = await store.enqueue(Ticket("shop", "thing", Request(), Trigger.RETRY, not_before=soon))
    before = await offer(store, clock, "before"), (await get(store, waiting)).not_before
    clock.advance(timedelta(hours=-3))
    await offer(store, clock, "after")

    assert before == (None, soon)
    assert (await get(store, waiting)).not_before is None
    assert [run.id for run in await store.due(9)] == [waiting.id]


async def test_the_newest_tick_of_a_stream_is_never_forgotten(store: LedgerStore, clock: FakeClock) -> None:
    """Where a stream is due seldomer than history is kept, a process that starts would do its last tick again."""
    for number in range(2):
        clock.advance(HALF_HOUR)
        await serve(store, clock, f"n{number}")
    clock.advance(HALF_HOUR / 2)
    forgotten = [await store.forget(clock.now()) for _ in range(2)]

    assert forgotten == [1, 0]
    assert await offer(store, clock, "again") is None


async def ticked_at(store: LedgerStore) -> datetime | None:
    """Return the newest tick that was taken."""
    return (await store.states([WISH.scope]))[WISH.scope].ticked_at


async def test_the_newest_tick_that_was_taken_is_known(store: LedgerStore, clock: FakeClock) -> None:
    """Whoever shows when a stream runs next sees by it whether anybody schedules it; one to come counts for nothing."""
    before = await ticked_at(store)
    await serve(store, clock, "first")
    taken = Every(HALF_HOUR).last(clock.now())
    after = await ticked_at(store)
    clock.advance(timedelta(hours=-2))

    assert (before, after, await ticked_at(store)) == (None, taken, None)
