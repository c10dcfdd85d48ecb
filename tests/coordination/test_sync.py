"""A sync: holes after fresh data, accounts side by side, reconciliation when due, and who waits for whom."""

import asyncio
from datetime import timedelta

import pytest
from tests.coordination.processes import FAST
from tests.engine.workshop import LINES, ORDERS, Workshop, at, code, counted

from comporta.coordination.sync import Wish
from comporta.core.coverage import Interval
from comporta.core.instant import BEGINNING
from comporta.core.run import RunState
from comporta.core.window import Kind, Request
from comporta.errors import SourceUnavailable
from comporta.testing import FakeSource

LANES = {ORDERS: ORDERS, LINES: LINES}


async def a_hole(workshop: Workshop) -> None:
    """Cover the past, skip half a day, read the last hour by hand: what lies between is a hole."""
    orders = workshop.source.stream()
    orders.put_many(range(1, 6), stamp=at(9))
    await workshop.run()
    workshop.passes(hours=11)
    orders.put(6, stamp=at(15), name="in the hole")
    orders.put(7, stamp=at(22, 30), name="fresh")
    await workshop.run(Kind.MANUAL, since=at(22))


async def test_the_next_sync_fills_a_hole_as_a_run_of_its_own(workshop: Workshop) -> None:
    """After the incremental run, and only what lies in it; then nothing is missing and nothing uncovered."""
    await a_hole(workshop)
    missing = set(workshop.truth()) - set(workshop.rows())

    runs = await workshop.sync()

    assert missing == {6}
    assert [(run.window_kind, run.trigger) for run in runs[:2]] == [("incremental", "manual"), ("hole", "catch_up")]
    assert counted(runs[1])[:2] == (1, 1)
    assert (await workshop.covered()).intervals == (Interval(BEGINNING, at(22, 58)),)
    assert workshop.rows() == workshop.truth()


async def test_a_hole_that_keeps_failing_never_starves_fresh_data(workshop: Workshop) -> None:
    """However often it fails, each sync first brings what is new."""
    await a_hole(workshop)
    fresh = []
    for key in (8, 9, 10):
        workshop.passes(minutes=30)
        workshop.source.stream().put(key, name="new")
        workshop.passes(minutes=30)
        workshop.source.script.on("page", skip=1, times=4, raises=SourceUnavailable("that part is broken"))
        runs = await workshop.sync()
        workshop.source.script.clear()
        fresh.append((runs[0].state, key in workshop.rows(), runs[1].state))

    assert fresh == [(RunState.SUCCEEDED, True, RunState.FAILED)] * 3
    assert 6 not in workshop.rows()
    assert len((await workshop.covered()).holes(BEGINNING)) == 1


async def test_a_hole_that_failed_is_filled_by_a_later_sync(workshop: Workshop) -> None:
    """It stays a hole until it is read, and is gone on with where it stopped."""
    await a_hole(workshop)
    workshop.source.script.on("page", skip=1, times=4, raises=SourceUnavailable("that part is broken"))
    await workshop.sync()

    await workshop.sync()

    assert workshop.rows() == workshop.truth()
    assert (await workshop.covered()).holes(BEGINNING) == ()


async def test_accounts_are_synced_side_by_side(workshop: Workshop) -> None:
    """An account whose source hangs delays no other: they are done while it still waits."""
    slow = FakeSource(workshop.clock)
    slow.stream().put(1, stamp=at(9))
    turn = slow.script.on("page", waits=True)
    workshop.source.stream().put_many(range(1, 6), stamp=at(9))
    workshop.account(name="filial")
    workshop.account(name="slow", source=slow)
    workshop.account(name="matriz")
    syncing = asyncio.ensure_future(workshop.sync(syncer=workshop.syncer(lease=FAST)))
    await turn.reached.wait()
    while len(workshop.witness.ended_runs) < 2:
        await asyncio.sleep(0)
    done = [run.account for run in workshop.witness.ended_runs]
    turn.release()

    runs = await syncing

    assert sorted(done) == ["filial", "matriz"]
    assert [(run.account, run.state) for run in runs] == [
        ("filial", RunState.SUCCEEDED),
        ("slow", RunState.SUCCEEDED),
        ("matriz", RunState.SUCCEEDED),
    ]


async def test_an_account_that_hangs_is_timed_out_alone(workshop: Workshop) -> None:
    """Its run ends by the stall limit; the others have long ended well."""
    slow = FakeSource(workshop.clock)
    slow.stream().put(1, stamp=at(9))
    turn = slow.script.on("page", times=None, waits=True)
    workshop.source.stream().put_many(range(1, 6), stamp=at(9))
    workshop.account(name="matriz")
    workshop.account(name="slow", source=slow)
    executor = workshop.executor(lease=FAST)
    syncing = asyncio.ensure_future(workshop.sync(syncer=workshop.syncer(executor)))
    await turn.reached.wait()
    while len(workshop.witness.ended_runs) < 1:
        await asyncio.sleep(0)
    workshop.passes(minutes=5, seconds=1)
    while len(workshop.witness.ended_runs) < 2:
        await asyncio.sleep(0.001)
    executor.stop()

    runs = await syncing

    assert [(run.account, run.state) for run in runs][:2] == [
        ("matriz", RunState.SUCCEEDED),
        ("slow", RunState.TIMED_OUT),
    ]


@pytest.mark.parametrize("error", [ValueError("surprise"), SourceUnavailable("down")])
async def test_one_account_that_fails_stops_no_other(workshop: Workshop, error: Exception) -> None:
    """Not even by an error that nobody foresaw."""
    broken = FakeSource(workshop.clock)
    broken.stream().put(1, stamp=at(9))
    broken.script.on("page", times=None, raises=error)
    workshop.source.stream().put_many(range(1, 6), stamp=at(9))
    workshop.account(name="broken", source=broken)
    workshop.account(name="matriz")

    runs = await workshop.sync()

    assert {(run.account, run.state) for run in runs} == {
        ("broken", RunState.FAILED),
        ("matriz", RunState.SUCCEEDED),
    }
    assert workshop.rows() == workshop.truth()


async def test_a_failed_stream_stops_no_other_of_its_account(workshop: Workshop) -> None:
    """Orders that cannot be read are no reason to leave the lines."""
    workshop.source.lines().put(1, stamp=at(9), order_id=1)
    workshop.account(workshop.plan(ORDERS), workshop.plan(LINES))

    runs = await workshop.sync()

    assert [(run.stream, run.state, code(run)) for run in runs] == [
        (ORDERS, RunState.FAILED, "CMP-SRC-002"),
        (LINES, RunState.SUCCEEDED, None),
    ]


async def test_a_reconciliation_follows_when_a_day_has_passed(workshop: Workshop) -> None:
    """Right after an incremental run, as a run of its own; not again before the next day."""
    workshop.source.stream().put_many(range(1, 6), stamp=at(9))
    await workshop.sync()
    workshop.passes(hours=25)
    workshop.source.stream().remove(2)

    runs = await workshop.sync()
    again = await workshop.sync()

    assert [run.request for run in runs] == ["incremental", "reconcile"]
    assert workshop.deleted() == [2]
    assert [run.request for run in again] == ["incremental"]


async def test_a_reconciliation_follows_a_hole_that_was_filled(workshop: Workshop) -> None:
    """What was long uncovered is compared at once; what could not be filled is not."""
    await a_hole(workshop)
    workshop.source.script.on("page", skip=1, times=4, raises=SourceUnavailable("that part is broken"))
    failed = await workshop.sync()

    runs = await workshop.sync()

    assert "reconcile" not in [run.request for run in failed]
    assert [run.trigger for run in runs][-1] == "reconcile"


async def test_a_stream_that_began_by_hand_is_reconciled_too(workshop: Workshop) -> None:
    """Loaded by a window and a hole, never by a full pass: deletions are found all the same."""
    orders = workshop.source.stream()
    orders.put_many(range(1, 6), stamp=at(9))
    await workshop.run(Kind.MANUAL, since=at(8))
    await workshop.sync()
    orders.remove(3)
    workshop.passes(hours=25)

    await workshop.sync()

    assert workshop.deleted() == [3]


async def test_a_stream_with_a_hole_at_its_beginning_is_not_reconciled_yet(workshop: Workshop) -> None:
    """All that lies in the hole would be missing, and would be fetched record by record."""
    workshop.source.stream().put_many(range(1, 6), stamp=at(9))
    await workshop.run(Kind.MANUAL, since=at(10))
    workshop.source.script.on("page", skip=1, times=4, raises=SourceUnavailable("that part is broken"))

    runs = await workshop.sync()

    assert [run.state for run in runs] == [RunState.SUCCEEDED, *[RunState.FAILED] * 4]
    assert "fetch" not in workshop.source.script.asked


async def test_a_sync_that_resumed_an_old_pass_goes_on_to_the_present(workshop: Workshop) -> None:
    """The old window closes with its own bounds; then the same sync brings what came since."""
    orders = workshop.source.stream()
    orders.put_many(range(1, 36), stamp=at(9))
    workshop.source.script.on("page", skip=2, raises=SourceUnavailable("gone"))
    await workshop.run()
    workshop.passes(hours=3)
    orders.put(36, name="new")
    workshop.passes(hours=3)

    runs = await workshop.sync()

    assert [(run.window_kind, run.window_until) for run in runs] == [
        ("full", at(11, 58)),
        ("incremental", at(17, 58)),
    ]


async def test_a_run_that_finds_the_stream_held_says_by_whom(workshop: Workshop) -> None:
    """Two processes on one file: the second is skipped, and told who works there since when, and until when."""
    workshop.source.stream().put_many(range(1, 36), stamp=at(9))
    turn = workshop.source.script.on("page", skip=2, waits=True)
    first = asyncio.ensure_future(workshop.sync(syncer=workshop.syncer(instance="there:7")))
    await turn.reached.wait()

    (skipped,) = await workshop.sync()

    turn.release()
    (run,) = await first
    assert (skipped.state, code(skipped)) == (RunState.SKIPPED, "CMP-BUSY-001")
    assert skipped.error is not None
    assert skipped.error["message"] == (
        f"matriz/sale.order is held by run {run.id} since 2026-03-10T12:00:00.000000Z on there:7;"
        " its lease runs until 2026-03-10T12:00:30.000000Z unless it is renewed"
    )
    assert await workshop.told(skipped) == [f"already running - skipped: {skipped.error['message']}"]
    assert run.state is RunState.SUCCEEDED


async def test_a_run_may_wait_for_the_stream(workshop: Workshop) -> None:
    """With --wait it looks every second, and runs when the other has ended."""
    workshop.source.stream().put_many(range(1, 36), stamp=at(9))
    workshop.clock.is_jumping = False
    turn = workshop.source.script.on("page", skip=2, waits=True)
    first = asyncio.ensure_future(workshop.sync())
    await turn.reached.wait()
    second = asyncio.ensure_future(workshop.sync(wish=workshop.wish(wait=True)))
    while not workshop.clock.sleepers:
        await asyncio.sleep(0)
    turn.release()
    held, *_ = await first
    workshop.passes(seconds=1)

    (waited,) = await second

    assert (held.counts.read, waited.state, waited.counts.read) == (35, RunState.SUCCEEDED, 0)
    assert held.id != waited.id
    assert len(await workshop.store.runs()) == 2
    assert len(workshop.witness.occupied) == 1
    assert (await workshop.told(waited))[0] == f"already running as {held.id} - waits for it"


async def test_accounts_and_streams_do_not_hold_one_another(workshop: Workshop) -> None:
    """While one stream is held, the others are synced; only the held one is skipped."""
    workshop.source.stream().put_many(range(1, 36), stamp=at(9))
    workshop.source.lines().put(1, stamp=at(9), order_id=1)
    workshop.account(workshop.plan(ORDERS), workshop.plan(LINES))
    turn = workshop.source.script.on("page", skip=2, waits=True)
    first = workshop.begin()
    await turn.reached.wait()

    runs = await workshop.sync()

    turn.release()
    await first
    assert [(run.stream, run.state) for run in runs] == [(ORDERS, RunState.SKIPPED), (LINES, RunState.SUCCEEDED)]


async def test_what_was_left_in_the_queue_is_adopted(workshop: Workshop) -> None:
    """A window by hand that an earlier process could not finish is finished by the next sync."""
    workshop.source.stream().put_many(range(1, 36), stamp=at(9))
    await workshop.run()
    workshop.source.script.on("page", raises=SourceUnavailable("gone"))
    await workshop.run(Kind.MANUAL, since=at(8), until=at(10))
    workshop.passes(minutes=10)

    runs = await workshop.sync()

    assert [(run.window_kind, run.attempt, run.state) for run in runs] == [
        ("incremental", 1, RunState.SUCCEEDED),
        ("manual", 2, RunState.SUCCEEDED),
    ]


async def test_a_partial_or_dry_sync_does_nothing_more(workshop: Workshop) -> None:
    """No holes, no queue, no reconciliation after a run that claims nothing."""
    await a_hole(workshop)
    workshop.passes(days=2)

    dry = await workshop.sync(wish=workshop.wish(dry_run=True))
    partial = await workshop.sync(wish=Wish(Request(max_records=1)))

    assert (len(dry), len(partial)) == (1, 1)


async def test_pauses_between_attempts_take_the_clocks_time(workshop: Workshop) -> None:
    """Nobody waits in reality, and the second attempt comes when its time has come."""
    workshop.source.stream().put_many(range(1, 6), stamp=at(9))
    workshop.source.script.on("page", raises=SourceUnavailable("down"))

    first, second = await workshop.sync()

    assert first.finished_at is not None
    assert second.started_at == first.finished_at + workshop.witness.delays[0]
    assert timedelta() < workshop.witness.delays[0] <= timedelta(seconds=4)


async def test_a_run_that_was_lost_here_is_followed_by_its_successor_in_the_same_sync(workshop: Workshop) -> None:
    """A process that was starved finds its lease gone; nobody else took the stream, so it goes on itself."""
    workshop.source.stream().put_many(range(1, 36), stamp=at(9))
    turn = workshop.source.script.on("page", skip=2, waits=True)
    syncing = asyncio.ensure_future(workshop.sync())
    await turn.reached.wait()
    await workshop.store.unlock(f"matriz/{ORDERS}")  # the reaper's statement, without waiting for the time
    turn.release()

    runs = await syncing

    assert [(run.attempt, run.state) for run in runs] == [(1, RunState.LOST), (2, RunState.SUCCEEDED)]
    assert workshop.rows() == workshop.truth()


@pytest.mark.parametrize("is_side_by_side", [False, True])
async def test_streams_run_side_by_side_where_none_needs_another(
    workshop: Workshop,
    is_side_by_side: bool,
) -> None:
    """While one hangs, the other is done - or not begun, where children follow their parents."""
    workshop.source.stream().put(1, stamp=at(9))
    workshop.source.lines().put(1, stamp=at(9), order_id=1)
    workshop.account(workshop.plan(ORDERS, children=()), workshop.plan(LINES), lanes=LANES if is_side_by_side else {})
    turn = workshop.source.script.on("page", waits=True)
    syncing = asyncio.ensure_future(workshop.sync())
    await turn.reached.wait()
    while is_side_by_side and not workshop.witness.ended_runs:
        await asyncio.sleep(0)
    before = len(workshop.witness.ended_runs)
    turn.release()

    runs = await syncing

    assert before == (1 if is_side_by_side else 0)
    assert [(run.stream, run.state) for run in runs] == [(ORDERS, RunState.SUCCEEDED), (LINES, RunState.SUCCEEDED)]


async def test_pages_in_flight_asked_for_one_sync_reach_its_source(workshop: Workshop) -> None:
    """Stronger than what the settings say, and of no effect on the next sync."""
    workshop.source.stream().put(1, stamp=at(9))
    asked = workshop.source.requests
    await workshop.sync(wish=Wish(Request(), concurrency=3))
    await workshop.sync()

    assert [request.concurrency for request in asked] == [3, None]


async def test_an_account_with_many_streams_leaves_room_for_the_others(workshop: Workshop) -> None:
    """All its streams hang and there are fewer places than streams: the other account is done all the same."""
    slow = FakeSource(workshop.clock)
    slow.stream().put(1, stamp=at(9))
    slow.lines().put(1, stamp=at(9), order_id=1)
    turn = slow.script.on("page", times=None, waits=True)
    workshop.source.stream().put_many(range(1, 6), stamp=at(9))
    workshop.account(workshop.plan(ORDERS, children=()), workshop.plan(LINES), name="slow", source=slow, lanes=LANES)
    workshop.account(name="matriz")
    executor = workshop.executor(workers=2)
    syncing = asyncio.ensure_future(workshop.sync(syncer=workshop.syncer(executor, workers=2)))
    await turn.reached.wait()
    while not workshop.witness.ended_runs:
        await asyncio.sleep(0)
    done = [run.account for run in workshop.witness.ended_runs]
    executor.stop()

    await syncing

    assert done == ["matriz"]
