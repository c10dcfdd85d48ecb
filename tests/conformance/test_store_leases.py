"""Who may write: runs are queued, leased, lost, unlocked and cancelled as the port of the store promises."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.conformance.conftest import TTL, StoreFactory
from tests.conformance.store_steps import HOUR, SCOPE, begin, get, start, ticket
from tests.conformance.tables import THINGS, thing

from comporta.core.lease import Lease, ScopeState
from comporta.core.run import RunState, Trigger
from comporta.core.ticket import Ticket, successor
from comporta.core.window import Kind, Request
from comporta.errors import Busy, LeaseLost
from comporta.ports.progress import LogLine
from comporta.ports.store import Batch, Ending, Occupied, Store
from comporta.ports.stream_state import StreamFacts
from comporta.testing.clock import BEGUN, FakeClock

MINUTE = timedelta(minutes=1)
AHEAD = timedelta(hours=3)
SAID = LogLine("warning", "request_retried", "said")


async def test_a_wish_is_queued_as_it_was_made(store: Store) -> None:
    """With who asked for what."""
    run = await store.enqueue(ticket(Request(Kind.FULL), at_least=3))

    assert await get(store, run) == run
    assert (run.scope, run.state, run.request, run.queued_at) == (SCOPE, RunState.QUEUED, "full", BEGUN)


async def test_an_equal_wish_joins_the_queued_one_and_hurries_it_along(store: Store) -> None:
    """A second click makes no second run; an unequal one does."""
    late = await store.enqueue(ticket(not_before=BEGUN + HOUR))
    joined = await store.enqueue(ticket(at_least=5))
    other = await store.enqueue(ticket(Request(Kind.FULL)))

    assert (joined.id, joined.not_before) == (late.id, None)
    assert other.id != late.id


@pytest.mark.parametrize(
    ("trigger", "wait"), [(Trigger.MANUAL, MINUTE), (Trigger.CATCH_UP, HOUR), (Trigger.RETRY, HOUR)]
)
async def test_a_person_who_joins_a_waiting_run_ends_its_wait(store: Store, trigger: Trigger, wait: timedelta) -> None:
    """Also one who keeps it to themselves for a minute; nobody puts it off, and only a person hurries it."""
    late = await store.enqueue(ticket(not_before=BEGUN + HOUR))
    joined = await store.enqueue(replace(ticket(not_before=BEGUN + MINUTE), trigger=trigger))
    again = await store.enqueue(replace(ticket(not_before=BEGUN + 2 * HOUR), trigger=trigger))

    assert (joined.id, joined.not_before) == (late.id, BEGUN + wait)
    assert again.not_before == joined.not_before


@pytest.mark.parametrize("waiting", [Trigger.SCHEDULE, Trigger.RETRY])
async def test_a_queued_run_that_a_person_asks_for_is_the_persons_from_then_on(store: Store, waiting: Trigger) -> None:
    """Else it would wait with what nobody asked for: while the account is paused, and behind others in the budget."""
    unasked = Ticket("shop", "thing", Request(), waiting)
    queued = await store.enqueue(unasked)
    joined = await store.enqueue(ticket())
    again = await store.enqueue(unasked)

    assert (joined.id, joined.trigger) == (queued.id, Trigger.MANUAL)
    assert (again.id, again.trigger) == (queued.id, Trigger.MANUAL)


async def test_a_successor_is_as_urgent_as_what_it_follows(store: Store) -> None:
    """Whether it was handed over or lost: what waits for less stays behind it."""
    handed_over = await start(store, ticket())
    interrupted = await store.finish(
        handed_over.lease, Ending(RunState.INTERRUPTED, successor=successor(handed_over.run, not_before=None))
    )
    lost = await start(store, ticket(Request(Kind.QUARANTINE)))
    await store.unlock(lost.lease.scope)
    await store.enqueue(ticket(Request(Kind.FULL)))

    due = [(run.id, run.priority) for run in await store.due(9)]
    assert set(due[:2]) == {(f"{interrupted.id}.2", 2), (f"{lost.run.id}.2", 2)}
    assert [priority for _, priority in due[2:]] == [1]


async def test_a_dry_run_has_a_scope_of_its_own(store: Store) -> None:
    """It neither blocks nor is blocked."""
    real = await start(store)
    dry = await start(store, ticket(dry_run=True))

    assert real.lease.scope == SCOPE
    assert dry.lease.scope == f"dry/{dry.run.id}"


async def test_only_one_of_two_gets_the_lease(store_factory: StoreFactory) -> None:
    """The other is told who has it, since when and until when."""
    one, other = store_factory(), store_factory()
    granted = await start(one)
    second = await other.enqueue(ticket())
    told = await other.acquire(second, ttl=TTL, timeout=HOUR, instance="there")

    assert told == Occupied(SCOPE, granted.run.id, BEGUN, BEGUN + TTL, "here")
    assert (await get(other, second)).state is RunState.QUEUED


async def test_of_many_who_ask_at_once_one_is_granted(store_factory: StoreFactory) -> None:
    """Whatever process they are in."""
    stores = [store_factory() for _ in range(4)]
    requests = [Request(Kind.MANUAL, BEGUN - n * HOUR, BEGUN) for n in range(1, 9)]
    runs = [await stores[0].enqueue(ticket(request)) for request in requests]
    asked = [stores[n % 4].acquire(run, ttl=TTL, timeout=HOUR, instance=str(n)) for n, run in enumerate(runs)]
    answers = await asyncio.gather(*asked)

    assert sorted(type(answer).__name__ for answer in answers) == ["Granted"] + ["Occupied"] * 7


async def test_a_lease_that_ran_out_is_taken_and_its_run_is_lost(store: Store, clock: FakeClock) -> None:
    """In one transaction, under the next epoch; the dead run's wish is queued again."""
    dead = await start(store)
    clock.advance(TTL)
    heir = await start(store, ticket(Request(Kind.FULL)))
    lost = await get(store, dead.run)
    queued = await store.runs(state=RunState.QUEUED)

    assert (dead.lease.epoch, heir.lease.epoch) == (1, 2)
    assert list(heir.lost) == [lost]
    assert (lost.state, lost.finished_at, (lost.error or {})["code"]) == (RunState.LOST, clock.now(), "CMP-RUN-006")
    assert [(run.id, run.attempt, run.trigger) for run in queued] == [(f"{dead.run.id}.2", 2, Trigger.RETRY)]


async def test_a_run_that_takes_over_the_same_wish_is_its_own_successor(store: Store, clock: FakeClock) -> None:
    """Nothing more is queued: it is being done."""
    await start(store)
    clock.advance(TTL)
    await start(store)

    assert await store.runs(state=RunState.QUEUED) == []


async def test_a_run_is_started_once(store: Store) -> None:
    """A message that comes twice finds it taken, also after it ended."""
    granted = await start(store)
    await store.finish(granted.lease, Ending(RunState.CANCELLED))

    with pytest.raises(LeaseLost):
        await store.acquire(granted.run, ttl=TTL, timeout=HOUR, instance="again")
    assert (await store.scope_state(SCOPE)).holder is None


async def test_a_lease_is_renewed_by_its_holder_only(store: Store, clock: FakeClock) -> None:
    """Also when it has run out and nobody took it; not when somebody did."""
    granted = await start(store)
    clock.advance(2 * TTL)
    in_time = store.renew(granted.lease, TTL)
    stranger = store.renew(Lease(SCOPE, 1, "somebody", 0), TTL)
    earlier = store.renew(Lease(SCOPE, 0, granted.run.id, 0), TTL)
    await store.unlock(SCOPE)
    too_late = store.renew(granted.lease, TTL)

    assert (in_time, stranger, earlier, too_late) == (True, False, False, False)


async def test_everything_a_run_writes_beside_its_batches_needs_the_lease_too(store: Store) -> None:
    """A run that was unlocked changes no table, no pass, no coverage and no fact any more."""
    granted = await start(store)
    await store.unlock(SCOPE)

    for writing in (
        store.prepare(granted.lease, THINGS),
        begin(store, granted),
        store.void_coverage(granted.lease),
        store.learn(granted.lease, StreamFacts(fingerprint="f")),
        store.tell(granted.lease, [SAID]),
        store.finish(granted.lease, Ending(RunState.FAILED)),
    ):
        with pytest.raises(LeaseLost):
            await writing
    assert await store.facts(SCOPE) == StreamFacts()
    assert await store.open_pass(SCOPE, Request()) is None
    assert await store.log(granted.run.id) == []


async def test_what_a_run_tells_between_its_batches_costs_none_of_them(store: Store) -> None:
    """The line is there at once, and the batch that was begun before it is committed as if nothing had been."""
    granted = await start(store)
    await begin(store, granted)
    await store.tell(granted.lease, [SAID])
    await store.commit(granted.lease, Batch(THINGS, log=[replace(SAID, message="after")]))

    assert [(number, line.message) for number, _, line in await store.log(granted.run.id)] == [
        (1, "said"),
        (2, "after"),
    ]


async def test_the_reaper_takes_what_ran_out_and_nothing_else(store: Store, clock: FakeClock) -> None:
    """Marks lost, raises the epoch, queues the successor, and finds nothing the second time."""
    dead = await start(store)
    clock.advance(TTL - timedelta(seconds=1))
    alive = await start(store, Ticket("shop", "other", Request(), Trigger.MANUAL))
    clock.advance(timedelta(seconds=1))
    lost = await store.reap()
    again = await store.reap()

    assert ([run.id for run in lost], again) == ([dead.run.id], [])
    assert await store.scope_state(SCOPE) == ScopeState(2, None, 0)
    assert (await get(store, alive.run)).state is RunState.RUNNING
    assert [run.id for run in await store.runs(state=RunState.QUEUED)] == [f"{dead.run.id}.2"]


async def test_the_reaper_takes_what_a_clock_that_was_ahead_has_leased(store: Store, clock: FakeClock) -> None:
    """Whoever was killed then would hold its stream, and be called running, until that time is reached."""
    clock.advance(AHEAD)
    dead = await start(store)
    clock.advance(-AHEAD)
    lost = await store.reap()

    assert [run.id for run in lost] == [dead.run.id]
    assert await store.scope_state(SCOPE) == ScopeState(2, None, 0)


async def test_a_run_that_is_lost_again_and_again_is_tried_four_times(store: Store, clock: FakeClock) -> None:
    """Then the schedule's next run takes over; its names tell the attempts of one wish."""
    seen = []
    for _ in range(4):
        granted = await start(store)
        seen.append((granted.run.id.partition(".")[2], granted.run.attempt))
        clock.advance(TTL)
        await store.reap()

    assert seen == [("", 1), ("2", 2), ("3", 3), ("4", 4)]
    assert await store.runs(state=RunState.QUEUED) == []


async def test_unlocking_fences_the_holder(store: Store) -> None:
    """Unlike deleting a lock key it is safe; a free scope is left as it is."""
    granted = await start(store)
    lost = await store.unlock(SCOPE)
    told = [await store.unlock(SCOPE), await store.unlock("no/body")]

    with pytest.raises(LeaseLost):
        await store.commit(granted.lease, Batch(THINGS, [thing(1)]))
    assert lost == [await get(store, granted.run)]
    assert (lost[0].state, told) == (RunState.LOST, [None, None])
    assert await store.scope_state(SCOPE) == ScopeState(2, None, 0)


async def test_a_queued_run_is_cancelled_at_once_and_a_running_one_is_asked(store: Store) -> None:
    """Only the holder of a lease may end its run."""
    queued = await store.enqueue(ticket(Request(Kind.FULL)))
    running = await start(store)
    before = store.cancel_requested(running.run.id)
    first, second = await store.cancel(queued.id), await store.cancel(running.run.id)
    assert first is not None
    assert second is not None
    after = store.cancel_requested(running.run.id)
    ended = await store.finish(running.lease, Ending(RunState.CANCELLED))

    assert ((first.error or {})["code"], first.state) == ("CMP-RUN-002", RunState.CANCELLED)
    assert (second.state, before, after) == (RunState.RUNNING, False, True)
    assert await store.cancel(ended.id) == ended
    assert (await store.cancel("nothing"), store.cancel_requested("nothing")) == (None, False)


async def test_a_queued_run_that_found_the_scope_held_is_skipped(store: Store) -> None:
    """With the reason; one that another process took meanwhile is left to it."""
    running = await start(store)
    queued = await store.enqueue(ticket(Request(Kind.FULL)))
    error = Busy("held").as_json()
    skipped = await store.skip(queued, error)

    assert (skipped.state, skipped.error) == (RunState.SKIPPED, error)
    assert (await store.skip(running.run, error)).state is RunState.RUNNING


async def test_the_newest_runs_come_first(store: Store, clock: FakeClock) -> None:
    """Of an account, of a stream, in a state, as many as asked."""
    made = []
    for stream in ("thing", "other", "more"):
        made.append(await store.enqueue(Ticket("shop", stream, Request(), Trigger.MANUAL)))
        clock.advance(timedelta(seconds=1))
    await store.cancel(made[1].id)

    assert [run.stream for run in await store.runs()] == ["more", "other", "thing"]
    assert [run.stream for run in await store.runs(limit=1)] == ["more"]
    assert [run.stream for run in await store.runs(stream="thing")] == ["thing"]
    assert [run.stream for run in await store.runs(state=RunState.CANCELLED)] == ["other"]
    assert await store.runs(account="else") == []


async def test_leases_show_every_scope_that_was_held_but_ended_dry_runs(store: Store) -> None:
    """Free ones too, with their epoch."""
    real = await start(store)
    dry = await start(store, ticket(dry_run=True))
    await store.finish(real.lease, Ending(RunState.CANCELLED))
    held = await store.leases()
    await store.finish(dry.lease, Ending(RunState.CANCELLED))

    assert [(row.scope, row.holder, row.epoch) for row in held] == [
        (f"dry/{dry.run.id}", dry.run.id, 1),
        (SCOPE, None, 1),
    ]
    assert [row.scope for row in await store.leases()] == [SCOPE]
