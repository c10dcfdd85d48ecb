"""What a store promises: who may write, and that rows and ledger are one transaction."""

import asyncio
from datetime import timedelta

import pytest
from tests.conformance.conftest import TTL, StoreFactory
from tests.conformance.tables import THINGS, thing

from comporta.core.counts import Counts
from comporta.core.coverage import Interval
from comporta.core.lease import Lease, ScopeState
from comporta.core.record import Rejected
from comporta.core.run import Run, RunState, Trigger
from comporta.core.ticket import Ticket
from comporta.core.window import Kind, Request, Window
from comporta.errors import Busy, LeaseLost
from comporta.ports.progress import Requests
from comporta.ports.store import Batch, Ending, Granted, LogLine, Occupied, Pass, Store, StreamFacts
from comporta.testing.clock import BEGUN, FakeClock

SCOPE = "shop/thing"
HOUR = timedelta(hours=1)
MARCH = Interval(BEGUN - HOUR, BEGUN)


def ticket(request: Request | None = None, **more: object) -> Ticket:
    """Return a wish to read shop/thing."""
    return Ticket("shop", "thing", request or Request(), Trigger.MANUAL, **more)  # type: ignore[arg-type]  # Ticket's own


async def start(store: Store, wish: Ticket | None = None) -> Granted:
    """Queue a run and take its lease."""
    run = await store.enqueue(wish or ticket())
    granted = await store.acquire(run, ttl=TTL, timeout=HOUR, instance="here")
    assert isinstance(granted, Granted)
    return granted


async def get(store: Store, run: Run) -> Run:
    """Return what the ledger says of a run now."""
    found = await store.run(run.id)
    assert found is not None
    return found


async def begin(store: Store, granted: Granted, pass_id: str = "p1", position: str | None = None) -> Pass:
    """Record a pass over March."""
    plan = Pass(pass_id, granted.run.request, Window(MARCH.since, MARCH.until, Kind.INCREMENTAL), "f", position)
    await store.begin_pass(granted.lease, plan, resumable=True)
    return plan


async def test_a_wish_is_queued_as_it_was_made(store: Store) -> None:
    """With who asked for what."""
    run = await store.enqueue(ticket(Request(Kind.FULL), priority=3))

    assert await get(store, run) == run
    assert (run.scope, run.state, run.request, run.queued_at) == (SCOPE, RunState.QUEUED, "full", BEGUN)


async def test_an_equal_wish_joins_the_queued_one_and_hurries_it_along(store: Store) -> None:
    """A second click makes no second run; an unequal one does."""
    late = await store.enqueue(ticket(not_before=BEGUN + HOUR))
    joined = await store.enqueue(ticket(priority=5))
    other = await store.enqueue(ticket(Request(Kind.FULL)))

    assert (joined.id, joined.not_before) == (late.id, None)
    assert other.id != late.id


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


async def test_a_batch_writes_rows_counts_position_and_log_at_once(store: Store) -> None:
    """And renews the lease."""
    granted = await start(store)
    await begin(store, granted)
    committed = await store.commit(
        granted.lease,
        Batch(
            THINGS,
            [thing(1), thing(2)],
            rejected=[Rejected("9", "CMP-ROW-001", "no name", '{"id": 9}')],
            position="2",
            pass_id="p1",
            requests=Requests(sent=4, waited_s=1.5),
            log=[LogLine("info", "batch_committed", "2 new", {"position": "2"})],
        ),
    )
    run = await get(store, granted.run)
    waiting = await store.quarantine()
    found = await store.open_pass(SCOPE, Request())

    assert committed.counts == run.counts == Counts(read=3, inserted=2, rejected=1)
    assert committed.lease == granted.lease.advanced()
    assert (run.requests_sent, run.waited_s, run.progress_at) == (4, 1.5, BEGUN)
    assert [(each.scope, each.key, each.times) for each in waiting] == [(SCOPE, "9", 1)]
    assert found is not None
    assert (found.position, found.read) == ("2", 3)
    assert [line.step for _, _, line in await store.log(run.id)] == ["batch_committed"]
    assert await store.count_rows("shop", THINGS) == 2


async def test_a_batch_of_a_run_that_lost_its_lease_leaves_nothing(store: Store, clock: FakeClock) -> None:
    """No row, no count, no log line, no record in quarantine, no coverage, no state."""
    granted = await start(store)
    await begin(store, granted)
    clock.advance(TTL)
    await store.reap()
    batch = Batch(
        THINGS,
        [thing(1)],
        rejected=[Rejected("9", "CMP-ROW-001", "no name", "{}")],
        pass_id="p1",
        position="1",
        log=[LogLine("info", "batch_committed", "1 new")],
    )

    with pytest.raises(LeaseLost):
        await store.commit(granted.lease, batch, Ending(RunState.SUCCEEDED, covered=MARCH, fingerprint="f"))
    found = await store.open_pass(SCOPE, Request())
    assert found is not None
    assert (found.position, found.read) == (None, 0)
    assert await store.count_rows("shop", THINGS) == 0
    assert (await store.coverage(SCOPE)).intervals == ()
    assert (await store.quarantine(), await store.log(granted.run.id)) == ([], [])
    assert (await get(store, granted.run)).state is RunState.LOST
    assert (await get(store, granted.run)).counts == Counts()


async def test_everything_a_run_writes_beside_its_batches_needs_the_lease_too(store: Store) -> None:
    """A run that was unlocked changes no table, no pass, no coverage and no fact any more."""
    granted = await start(store)
    await store.unlock(SCOPE)

    for writing in (
        store.prepare(granted.lease, THINGS),
        begin(store, granted),
        store.void_coverage(granted.lease),
        store.learn(granted.lease, StreamFacts(fingerprint="f")),
        store.finish(granted.lease, Ending(RunState.FAILED)),
    ):
        with pytest.raises(LeaseLost):
            await writing
    assert await store.facts(SCOPE) == StreamFacts()
    assert await store.open_pass(SCOPE, Request()) is None


async def test_a_commit_that_is_repeated_passes_once(store: Store) -> None:
    """The first was answered to nobody; the second carries the same number and is refused."""
    granted = await start(store)
    await store.commit(granted.lease, Batch(THINGS, [thing(1)]))

    with pytest.raises(LeaseLost):
        await store.commit(granted.lease, Batch(THINGS, [thing(1)]))
    assert await store.scope_state(SCOPE) == ScopeState(1, granted.run.id, 1)
    assert (await get(store, granted.run)).counts == Counts(read=1, inserted=1)


async def test_the_last_batch_closes_coverage_ends_the_run_and_frees_the_lease(store: Store) -> None:
    """One transaction: there is no moment at which one of them is true and another is not."""
    granted = await start(store)
    await begin(store, granted)
    ending = Ending(RunState.SUCCEEDED, covered=MARCH, fingerprint="f", pass_id="p1", requests=Requests(sent=2))
    await store.commit(granted.lease, Batch(THINGS, [thing(1)], pass_id="p1"), ending)
    run = await get(store, granted.run)

    assert (run.state, run.counts.inserted, run.requests_sent) == (RunState.SUCCEEDED, 1, 2)
    assert (run.window_kind, run.window_since, run.window_until) == ("incremental", MARCH.since, MARCH.until)
    assert (await store.coverage(SCOPE)).intervals == (MARCH,)
    assert await store.open_pass(SCOPE, Request()) is None
    assert await store.scope_state(SCOPE) == ScopeState(1, None, 1)


async def test_coverage_gains_or_is_replaced(store: Store) -> None:
    """A full pass is all of it; everything else is added and merged."""
    earlier = Interval(MARCH.since - 3 * HOUR, MARCH.since - 2 * HOUR)
    told = []
    for claim, replaces in ((MARCH, False), (earlier, False), (MARCH, True)):
        granted = await start(store)
        await store.finish(granted.lease, Ending(RunState.SUCCEEDED, covered=claim, replaces=replaces, fingerprint="f"))
        told.append((await store.coverage(SCOPE)).intervals)

    assert told == [(MARCH,), (earlier, MARCH), (MARCH,)]


async def test_a_run_that_ends_badly_keeps_what_it_wrote_and_claims_nothing(store: Store) -> None:
    """Its pass waits for the successor, which is queued in the same transaction."""
    granted = await start(store)
    await begin(store, granted)
    lease = (await store.commit(granted.lease, Batch(THINGS, [thing(1)], pass_id="p1", position="1"))).lease
    again = ticket(attempt=2, not_before=BEGUN + HOUR)
    ended = await store.finish(lease, Ending(RunState.FAILED, error={"code": "CMP-NET-001"}, successor=again))
    heir = await store.enqueue(ticket())
    found = await store.open_pass(SCOPE, Request())

    assert (ended.state, ended.error, ended.counts.inserted) == (RunState.FAILED, {"code": "CMP-NET-001"}, 1)
    assert (heir.id, heir.attempt) == (f"{granted.run.id}.2", 2)
    assert found is not None
    assert (found.window.interval, found.position, found.read, found.fingerprint) == (MARCH, "1", 1, "f")
    assert await store.count_rows("shop", THINGS) == 1


async def test_going_on_with_a_pass_keeps_its_position_and_a_new_one_begins_anew(store: Store) -> None:
    """A request has one pass; another request's is not disturbed."""
    granted = await start(store)
    await begin(store, granted)
    lease = (await store.commit(granted.lease, Batch(THINGS, [thing(1)], pass_id="p1", position="1"))).lease
    await store.finish(lease, Ending(RunState.INTERRUPTED))
    manual = await start(store, ticket(Request(Kind.FULL)))
    await begin(store, manual, "p2")
    await store.finish(manual.lease, Ending(RunState.INTERRUPTED))
    resumed = await start(store)
    await begin(store, resumed, "p1")
    kept = await store.open_pass(SCOPE, Request())
    await begin(store, resumed, "p3")
    new = await store.open_pass(SCOPE, Request())

    assert kept is not None
    assert new is not None
    assert (kept.position, kept.read) == ("1", 1)
    assert (new.id, new.position, new.read) == ("p3", None, 0)


async def test_voided_coverage_takes_passes_and_hints_with_it(store: Store) -> None:
    """Another query's resume point leads nowhere."""
    granted = await start(store)
    await store.finish(granted.lease, Ending(RunState.SUCCEEDED, covered=MARCH, fingerprint="f"))
    granted = await start(store)
    await begin(store, granted)
    lease = (await store.commit(granted.lease, Batch(THINGS, [thing(1)], hint_scope=SCOPE))).lease
    await store.void_coverage(lease)

    assert (await store.coverage(SCOPE)).intervals == ()
    assert (await store.open_pass(SCOPE, Request()), await store.hints(SCOPE, 10)) == (None, [])


async def test_parents_that_changed_are_remembered_until_their_children_were_listed(store: Store) -> None:
    """The children's run forgets those it has handled."""
    granted = await start(store)
    lease = (await store.commit(granted.lease, Batch(THINGS, [thing(1), thing(2)], hint_scope="shop/line"))).lease
    lease = (await store.commit(lease, Batch(THINGS, [thing(1), thing(3)], hint_scope="shop/line"))).lease
    hinted = await store.hints("shop/line", 10)
    lines = await store.enqueue(Ticket("shop", "line", Request(), Trigger.MANUAL))
    child = await store.acquire(lines, ttl=TTL, timeout=HOUR, instance="here")
    assert isinstance(child, Granted)
    await store.commit(child.lease, Batch(THINGS, handled_hints=["1", "3"]))

    assert hinted == ["1", "2", "3"]
    assert (await store.hints("shop/line", 10), await store.hints("shop/line", 0)) == (["2"], [])


async def test_a_record_waits_until_it_can_be_written(store: Store, clock: FakeClock) -> None:
    """Seen again, it counts up; written, it leaves."""
    bad = Rejected("7", "CMP-ROW-001", "no name", "{}")
    granted = await start(store)
    lease = (await store.commit(granted.lease, Batch(THINGS, rejected=[bad]))).lease
    clock.advance(timedelta(seconds=5))
    lease = (await store.commit(lease, Batch(THINGS, [thing(8)], rejected=[bad]))).lease
    (waiting,) = await store.quarantine(SCOPE)
    await store.commit(lease, Batch(THINGS, [thing(7)]))

    assert (waiting.times, waiting.first_seen, waiting.last_seen) == (2, BEGUN, BEGUN + timedelta(seconds=5))
    assert await store.quarantine() == []


async def test_a_row_the_database_refuses_waits_and_the_batch_goes_on(store: Store) -> None:
    """Counted in the run, shown to people, in the same transaction."""
    granted = await start(store)
    committed = await store.commit(granted.lease, Batch(THINGS, [thing(1), thing(2, name="\ud800"), thing(2**70)]))

    assert committed.counts == Counts(read=3, inserted=1, rejected=2)
    assert {each.key for each in await store.quarantine(SCOPE)} == {"2", str(2**70)}


async def test_figures_of_requests_never_fall(store: Store) -> None:
    """They are totals; an ending that says nothing of them leaves them."""
    granted = await start(store)
    lease = (await store.commit(granted.lease, Batch(THINGS, requests=Requests(sent=5, retried=1)))).lease
    ended = await store.finish(lease, Ending(RunState.FAILED))

    assert (ended.requests_sent, ended.requests_retried) == (5, 1)


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
    told = [await store.unlock(SCOPE), await store.unlock(SCOPE), await store.unlock("no/body")]

    with pytest.raises(LeaseLost):
        await store.commit(granted.lease, Batch(THINGS, [thing(1)]))
    assert told == [True, False, False]
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


async def test_what_is_learnt_of_a_stream_stays_until_something_else_is_learnt(store: Store) -> None:
    """``None`` says nothing; the result of a reconciliation comes with the end of its run."""
    granted = await start(store)
    await store.learn(granted.lease, StreamFacts("f1", "db", 0.5))
    await store.learn(granted.lease, StreamFacts(fingerprint="f2"))
    await store.finish(granted.lease, Ending(RunState.SUCCEEDED, reconciled={"identical_percent": 100.0}))

    assert await store.facts(SCOPE) == StreamFacts("f2", "db", 0.5, BEGUN, {"identical_percent": 100.0})


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


async def test_a_log_is_read_in_order_and_from_any_line_on(store: Store) -> None:
    """With its fields; notes may be added beside the batches."""
    granted = await start(store)
    await store.note(granted.run.id, [LogLine("info", "one", "1", {"n": 1}), LogLine("warning", "two", "2")])
    await store.note(granted.run.id, [LogLine("info", "three", "3")])
    lines = await store.log(granted.run.id)

    assert [(number, line.step) for number, _, line in lines] == [(1, "one"), (2, "two"), (3, "three")]
    assert lines[0][2] == LogLine("info", "one", "1", {"n": 1})
    assert [line.step for _, _, line in await store.log(granted.run.id, after=2)] == ["three"]


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


async def test_a_second_process_sees_what_the_first_committed(store_factory: StoreFactory) -> None:
    """At once, and nothing before."""
    one, other = store_factory(), store_factory()
    granted = await start(one)
    before = await other.count_rows("shop", THINGS)
    await one.commit(granted.lease, Batch(THINGS, [thing(1)]))

    assert (before, await other.count_rows("shop", THINGS)) == (0, 1)


async def test_a_table_made_by_a_batch_that_lost_its_lease_is_made_again(store: Store) -> None:
    """The same process goes on with the next run."""
    granted = await start(store)
    await store.unlock(SCOPE)
    with pytest.raises(LeaseLost):
        await store.commit(granted.lease, Batch(THINGS, [thing(1)]))
    following = await start(store, ticket(Request(Kind.FULL)))
    committed = await store.commit(following.lease, Batch(THINGS, [thing(1)]))

    assert committed.counts.inserted == 1


async def test_preview_writes_nothing_and_says_what_a_commit_would_do(store: Store) -> None:
    """Before there is a table, too."""
    batch = Batch(THINGS, [thing(1), thing(2)])
    counts, changes = await store.preview("shop", batch)
    granted = await start(store)
    committed = await store.commit(granted.lease, batch)

    assert committed.counts == counts
    assert [change.key for change in changes] == [1, 2]
