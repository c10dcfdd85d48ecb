"""What a batch writes and how a run ends: rows and ledger are one transaction, or nothing happened."""

import asyncio
from datetime import timedelta

import pytest
from tests.conformance.conftest import TTL, StoreFactory
from tests.conformance.store_steps import HOUR, MARCH, SCOPE, begin, get, start, ticket
from tests.conformance.tables import THINGS, thing

from comporta.core.counts import Counts
from comporta.core.coverage import Interval
from comporta.core.instant import instant_text
from comporta.core.lease import ScopeState
from comporta.core.record import Rejected
from comporta.core.run import RunState, Trigger
from comporta.core.ticket import Ticket
from comporta.core.window import Kind, Request
from comporta.errors import LeaseLost
from comporta.ledger.store import LedgerStore
from comporta.ports.progress import LogLine, Requests
from comporta.ports.store import Batch, Ending, Granted, Store
from comporta.ports.stream_state import StreamFacts
from comporta.testing.clock import BEGUN, FakeClock


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


async def test_a_run_keeps_what_it_used_of_its_limit(store: Store) -> None:
    """The limit as it was then, the share that was sent, and what went wrong how often."""
    granted = await start(store)
    rate = (5, timedelta(seconds=1))
    used = Requests(sent=10, first_s=100.0, last_s=101.5, rate=rate, failures={"things: page": 2})

    committed = await store.commit(granted.lease, Batch(THINGS, [thing(1)], requests=used))
    ended = await store.finish(committed.lease, Ending(RunState.FAILED))

    assert (ended.limit, ended.limit_used, ended.failures) == ("5/1s", 1.0, {"things: page": 2})
    rates = ended.as_json()["rates"]
    assert isinstance(rates, dict)
    assert (rates["limit"], rates["limit_used"]) == ("5/1s", 1.0)


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
    lease = (await store.commit(granted.lease, Batch(THINGS, [thing(1)], hints={SCOPE: None}))).lease
    await store.void_coverage(lease)

    assert (await store.coverage(SCOPE)).intervals == ()
    assert (await store.open_pass(SCOPE, Request()), await store.hints(SCOPE, 10)) == (None, [])


async def test_voided_coverage_leaves_what_a_source_told_of(store: LedgerStore) -> None:
    """A pass over everything would not meet what is hidden, whatever the fields; what our own rows name it would."""
    granted = await start(store)
    values = [{"scope": SCOPE, "parent": key, "told_at": at} for key, at in (("1", None), ("2", instant_text(BEGUN)))]
    store._database.write_now(lambda session: session.each("hint", values))
    await store.void_coverage(granted.lease)

    assert [(each.key, each.told_at) for each in await store.hints(SCOPE, 10)] == [("2", BEGUN)]


async def test_a_parent_of_which_only_a_part_is_shown_tells_nothing_of_its_children(store: Store) -> None:
    """Who may not see it may not see these either; it is told of when it comes whole."""
    granted = await start(store)
    rows = [thing(1), thing(2, stamp=None)]
    batch = Batch(THINGS, rows, limited=frozenset({1}), hints={"shop/line": None})
    committed = await store.commit(granted.lease, batch)
    told = [each.key for each in await store.hints("shop/line", 10)]
    await store.commit(committed.lease, Batch(THINGS, [thing(2)], hints={"shop/line": None}))

    assert (committed.counts.inserted, told) == (2, ["1"])
    assert [each.key for each in await store.hints("shop/line", 10)] == ["1", "2"]


async def test_parents_that_changed_are_remembered_until_their_children_were_listed(store: Store) -> None:
    """The children's run forgets those it has handled."""
    granted = await start(store)
    lease = (await store.commit(granted.lease, Batch(THINGS, [thing(1), thing(2)], hints={"shop/line": None}))).lease
    lease = (await store.commit(lease, Batch(THINGS, [thing(1), thing(3)], hints={"shop/line": None}))).lease
    hinted = await store.hints("shop/line", 10)
    lines = await store.enqueue(Ticket("shop", "line", Request(), Trigger.MANUAL))
    child = await store.acquire(lines, ttl=TTL, timeout=HOUR, instance="here")
    assert isinstance(child, Granted)
    await store.commit(child.lease, Batch(THINGS, handled_hints=[hinted[0], hinted[2]]))

    assert [each.key for each in hinted] == ["1", "2", "3"]
    assert (await store.hints("shop/line", 10), await store.hints("shop/line", 0)) == ([hinted[1]], [])


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


async def test_what_went_wrong_lately_is_summed_up_over_the_runs_of_a_stream(store: Store, clock: FakeClock) -> None:
    """Not what went wrong before, in another stream, or in none."""
    for stream in ("thing", "thing", "other", "thing"):
        granted = await start(store, Ticket("shop", stream, Request(), Trigger.MANUAL))
        used = Requests(failures={"things: page": 2, f"{stream}: one": 1})
        await store.commit(granted.lease, Batch(THINGS), Ending(RunState.SUCCEEDED, requests=used))
        clock.advance(timedelta(minutes=10))

    assert await store.failures("shop", "thing", clock.now() - timedelta(minutes=35)) == {
        "things: page": 4,
        "thing: one": 2,
    }
    assert await store.failures("shop", "thing", clock.now()) == {}


async def test_what_is_learnt_of_a_stream_stays_until_something_else_is_learnt(store: Store) -> None:
    """``None`` says nothing; the result of a reconciliation comes with the end of its run, how far it was before."""
    granted = await start(store)
    await store.learn(granted.lease, StreamFacts("f1", "db", 0.5))
    await store.learn(granted.lease, StreamFacts(fingerprint="f2"))
    await store.learn(granted.lease, StreamFacts(reconcile_result={"rechecked_upto": 7}))
    upto = await store.facts(SCOPE)
    await store.finish(granted.lease, Ending(RunState.SUCCEEDED, reconciled={"identical_percent": 100.0}))

    assert upto == StreamFacts("f2", "db", 0.5, None, {"rechecked_upto": 7})
    assert await store.facts(SCOPE) == StreamFacts("f2", "db", 0.5, BEGUN, {"identical_percent": 100.0})


async def test_a_log_is_read_in_order_and_from_any_line_on(store: Store) -> None:
    """With its fields; notes may be added beside the batches."""
    granted = await start(store)
    await store.note(granted.run.id, [LogLine("info", "one", "1", {"n": 1}), LogLine("warning", "two", "2")])
    await store.note(granted.run.id, [LogLine("info", "three", "3")])
    lines = await store.log(granted.run.id)

    assert [(number, line.step) for number, _, line in lines] == [(1, "one"), (2, "two"), (3, "three")]
    assert lines[0][2] == LogLine("info", "one", "1", {"n": 1})
    assert [line.step for _, _, line in await store.log(granted.run.id, after=2)] == ["three"]


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


async def test_lines_that_two_write_into_one_log_follow_one_another(store: Store) -> None:
    """Who waits for a run notes it while another works on it; neither may take the other's place."""
    granted = await start(store)
    lines = [LogLine("info", "page_read", f"line {number}") for number in range(3)]

    async def work() -> None:
        lease = granted.lease
        for number in range(8):
            lease = (await store.commit(lease, Batch(THINGS, [thing(number)], log=lines))).lease
        await store.finish(lease, Ending(RunState.SUCCEEDED, log=lines))

    await asyncio.gather(work(), *(store.note(granted.run.id, lines) for _ in range(8)))
    numbers = [number for number, _, _ in await store.log(granted.run.id)]

    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) == 3 * (8 + 1 + 8)


async def test_who_took_coverage_back_last_is_found_in_the_logs(store: Store) -> None:
    """Of the newest runs of the stream only."""
    line = LogLine("warning", "coverage_voided", "fields changed", {"changed": "fields"})
    first = await start(store)
    await store.note(first.run.id, [line])
    await store.finish(first.lease, Ending(RunState.FAILED))
    found = await store.voided(SCOPE, limit=10)
    await store.finish((await start(store)).lease, Ending(RunState.SUCCEEDED))

    assert found is not None
    assert (found.run, found.kind, found.message) == (first.run.id, "incremental", "fields changed")
    assert await store.voided("shop/other", limit=10) is None
