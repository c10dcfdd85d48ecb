"""The legacy guard with a real Redis: an older program and Comporta never work at the same time."""

import asyncio
import sys
from collections.abc import AsyncIterator

import pytest
from tests.coordination.legacy_world import KEPT, KEY, SCRIPT, SHORT, World
from tests.coordination.processes import queue, successor_of
from tests.engine.workshop import LINES, Workshop, at, code
from tests.servers.redis_server import OwnRedis

from comporta.coordination import legacy_locks
from comporta.coordination.legacy_locks import Denied
from comporta.core.guard import Without
from comporta.core.instant import instant_text
from comporta.core.run import Run, RunState
from comporta.core.window import Kind
from comporta.errors import StandDown
from comporta.errors_guard import LegacyLockLost, RedisMissing
from comporta.guards.redis_keys import RedisKeys

BOTH = pytest.mark.parametrize("without", list(Without))


@pytest.fixture
async def world(workshop: Workshop, redis_server: OwnRedis) -> AsyncIterator[World]:
    """Return a process that refuses to run without Redis."""
    async with World(workshop, redis_server) as entered:
        yield entered


@pytest.fixture
async def easy(workshop: Workshop, redis_server: OwnRedis) -> AsyncIterator[World]:
    """Return a process to which the database is enough while Redis is away."""
    async with World(workshop, redis_server, without=Without.DATABASE) as entered:
        yield entered


def message(run: Run) -> str:
    """Return what a person is told of how a run ended."""
    assert run.error is not None
    return run.error["message"]


async def interrupted(world: World, task: "asyncio.Task[Run]") -> Run:
    """Return a run that stopped after its two batches and left a successor, of which there are so many in a row."""
    run = await task
    assert (run.state, code(run), run.counts.read) == (RunState.INTERRUPTED, "CMP-RUN-007", 20)
    assert (await world.workshop.covered()).intervals == ()
    following = await successor_of(world.workshop)
    assert following is not None
    assert following.attempt == run.attempt + 1
    return run


def whose(token: str | None) -> str:
    """Return the id of the run that a token names."""
    return str(token).partition("/")[0]


async def test_a_run_holds_the_key_while_it_works_and_frees_it(world: World) -> None:
    """Its id is the token, the key runs out by itself, and the time of the success stands beside it."""
    task, turn = await world.halfway()
    (running,) = await world.workshop.store.runs(state=RunState.RUNNING)
    held, left_ms = world.redis.get(KEY.name), world.redis.left_ms(KEY.name)
    turn.release()

    run = await task

    assert (whose(held), 0 < left_ms <= 30_000) == (running.id, True)
    assert (run.state, world.is_whole) == (RunState.SUCCEEDED, True)
    assert world.redis.get(KEY.name) is None
    assert run.finished_at is not None
    assert world.redis.get(KEY.last_run) == instant_text(run.finished_at)


async def test_nothing_runs_while_the_older_program_holds_the_key(world: World) -> None:
    """The run is skipped and says who holds the key for how long; the key is left alone; the next run succeeds."""
    world.redis.lock(KEY.name, SCRIPT, ttl_ms=90_000)

    skipped = await world.sync()

    assert (skipped.state, code(skipped)) == (RunState.SKIPPED, "CMP-BUSY-002")
    assert message(skipped).startswith(f"the key {KEY.name!r} in Redis is held by {SCRIPT!r}, which runs out in ")
    assert world.workshop.tables() == []
    assert world.redis.get(KEY.name) == SCRIPT
    world.redis.delete(KEY.name)
    assert (await world.sync()).state is RunState.SUCCEEDED
    assert world.is_whole


async def test_a_key_that_never_runs_out_is_told_so(world: World) -> None:
    """Also one that is no text, which some programs use as a lock."""
    world.redis.lock(KEY.name, SCRIPT)
    forever = await world.sync()
    world.redis.delete(KEY.name)
    with world.redis.client as client:
        client.hset(KEY.name, "owner", SCRIPT)
    strange = await world.sync()

    assert message(forever).endswith(f"held by {SCRIPT!r}, which never runs out")
    assert message(strange).endswith("held by '(no text)', which never runs out")


@pytest.mark.full
async def test_a_run_that_waits_begins_when_the_key_runs_out(world: World) -> None:
    """The older program died; nobody has to delete anything."""
    world.redis.lock(KEY.name, SCRIPT, ttl_ms=400)

    run = await world.sync(wait=True)

    assert (run.state, world.is_whole) == (RunState.SUCCEEDED, True)
    assert "legacy_lock_awaited" in world.workshop.witness.steps


async def test_a_key_deleted_in_the_middle_ends_the_run_before_its_next_batch(world: World) -> None:
    """The third page is not committed; the successor goes on where the second ended, and every row is right."""
    task, turn = await world.halfway()
    world.redis.delete(KEY.name)
    turn.release()

    run = await interrupted(world, task)

    assert "was deleted" in message(run)
    assert (await world.sync()).state is RunState.SUCCEEDED
    assert world.is_whole
    assert world.workshop.query("SELECT sum(inserted), sum(updated) FROM cmp_run") == [(35, 0)]


@pytest.mark.full
async def test_a_deleted_key_ends_a_run_that_commits_nothing_too(world: World) -> None:
    """Its page never comes; the heartbeat finds it out."""
    task, _ = await world.halfway()
    world.redis.delete(KEY.name)

    await interrupted(world, task)


async def test_somebody_elses_token_ends_the_run_and_stays(world: World) -> None:
    """The run takes away only its own."""
    task, turn = await world.halfway()
    world.redis.overwrite(KEY.name, SCRIPT)
    turn.release()

    run = await interrupted(world, task)

    assert f"held by {SCRIPT!r}" in message(run)
    assert (world.redis.get(KEY.name), world.redis.left_ms(KEY.name)) == (SCRIPT, -1)
    assert (await world.sync()).state is RunState.SKIPPED


@BOTH
async def test_a_redis_that_was_emptied_ends_the_run(
    workshop: Workshop, redis_server: OwnRedis, without: Without
) -> None:
    """FLUSHALL deletes the key like DEL, and Redis was never silent."""
    async with World(workshop, redis_server, without=without) as world:
        task, turn = await world.halfway()
        redis_server.flush()
        turn.release()

        await interrupted(world, task)


@pytest.mark.full
async def test_a_key_is_renewed_for_as_long_as_the_run_works(workshop: Workshop, redis_server: OwnRedis) -> None:
    """A page takes longer than the key lives, and the older program is kept out all the time."""
    async with World(workshop, redis_server, ttl=KEPT) as world:
        task, turn = await world.halfway()
        got_in = await world.tries(1.5 * KEPT)
        turn.release()

        assert ((await task).state, got_in) == (RunState.SUCCEEDED, 0)


async def test_without_redis_a_run_is_refused(world: World) -> None:
    """It is skipped with what to do, and the next one works as soon as Redis is back."""
    world.redis.kill()

    refused = await world.sync()

    assert (refused.state, code(refused)) == (RunState.SKIPPED, "CMP-NET-008")
    assert f"127.0.0.1:{world.redis.port}" in message(refused)
    assert world.workshop.tables() == []
    world.redis.start()
    assert (await world.sync()).state is RunState.SUCCEEDED


async def test_without_redis_the_database_may_be_enough(easy: World) -> None:
    """The run says once that it goes on with the lease alone."""
    easy.redis.kill()

    run = await easy.sync()

    easy.redis.start()
    assert (run.state, easy.is_whole) == (RunState.SUCCEEDED, True)
    assert (await easy.workshop.steps(run)).count("legacy_lock_unreachable") == 1


@pytest.mark.full
async def test_a_redis_that_never_answers_is_a_redis_that_is_down(world: World) -> None:
    """Its port is open; the run waits two seconds, not for ever."""
    world.redis.freeze()
    try:
        refused = await world.sync()
    finally:
        world.redis.thaw()

    assert (refused.state, code(refused)) == (RunState.SKIPPED, "CMP-NET-008")


async def test_a_short_silence_is_borne(world: World) -> None:
    """The key is ours for its time to live, whoever cannot reach it; back with its data, it still is."""
    task, turn = await world.halfway()
    world.redis.restart(keeps=True)
    turn.release()

    run = await task

    assert (run.state, world.is_whole, world.redis.get(KEY.name)) == (RunState.SUCCEEDED, True, None)


async def test_a_long_silence_ends_a_run_that_must_not_be_alone(world: World) -> None:
    """After its time to live the key may be anybody's."""
    task, turn = await world.halfway()
    world.redis.kill()
    world.workshop.passes(seconds=31)
    turn.release()

    run = await interrupted(world, task)

    world.redis.start()
    assert "was not renewed for 30 s" in message(run)
    assert (await world.sync()).state is RunState.SUCCEEDED


async def test_a_redis_that_came_back_empty_ends_a_run_that_must_not_be_alone(world: World) -> None:
    """The older program may have had the key meanwhile."""
    task, turn = await world.halfway()
    world.redis.restart()
    turn.release()

    await interrupted(world, task)


async def test_a_long_silence_is_borne_where_the_database_is_enough(easy: World) -> None:
    """The run ends well, warned once, whatever the length of the silence."""
    task, turn = await easy.halfway()
    easy.redis.kill()
    easy.workshop.passes(seconds=31)
    turn.release()

    run = await task

    easy.redis.start()
    assert (run.state, easy.is_whole) == (RunState.SUCCEEDED, True)
    assert (await easy.workshop.steps(run)).count("legacy_lock_unreachable") == 1


async def test_the_key_is_taken_again_where_the_database_was_enough(
    workshop: Workshop, redis_server: OwnRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis came back empty after a silence that the run knows of: the older program is kept out again."""
    monkeypatch.setattr(legacy_locks, "BEAT_MAX_S", 0.05)
    async with World(workshop, redis_server, without=Without.DATABASE) as world:
        task, turn = await world.halfway()
        redis_server.kill()
        await world.until(lambda: world.keys.silences > 0)
        redis_server.start()
        await world.until(lambda: redis_server.get(KEY.name) is not None)
        token = redis_server.get(KEY.name)
        turn.release()

        run = await task

    assert (run.state, whose(token)) == (RunState.SUCCEEDED, run.id)
    assert redis_server.get(KEY.name) is None


@pytest.mark.full
async def test_an_older_program_that_was_quicker_ends_the_run(workshop: Workshop, redis_server: OwnRedis) -> None:
    """Redis came back empty and the older program took the key: that the database is enough counts no more."""
    async with World(workshop, redis_server, without=Without.DATABASE) as world:
        redis_server.kill()
        task, _ = await world.halfway()
        redis_server.start()
        redis_server.lock(KEY.name, SCRIPT)

        await interrupted(world, task)

    assert redis_server.get(KEY.name) == SCRIPT


async def test_streams_that_share_a_key_hold_it_together(world: World) -> None:
    """To the older program one process is one; the last stream to end frees the key."""
    workshop = world.workshop
    workshop.source.lines().put_many(range(1, 6), stamp=at(9))
    plans = (workshop.plan(legacy_key=KEY, children=()), workshop.plan(LINES, legacy_key=KEY))
    workshop.account(*plans, lanes={LINES: "beside"})
    task, turn = await world.halfway()
    # Whichever asks for the third page hangs; the other one ends.
    await world.until(lambda: len(workshop.witness.ended_runs) > 0)
    held = world.redis.get(KEY.name)
    turn.release()

    run = await task

    assert held is not None
    assert {(each.stream, each.state) for each in workshop.witness.ended_runs} >= {
        (run.stream, RunState.SUCCEEDED),
        (LINES, RunState.SUCCEEDED),
    }
    assert world.redis.get(KEY.name) is None


async def test_of_two_processes_one_holds_the_key(world: World, workshop: Workshop) -> None:
    """The second finds the first's run id in the key, before it asks the ledger."""
    task, turn = await world.halfway()
    async with World(workshop, world.redis) as other:
        skipped = await other.sync()
        turn.release()

    run = await task

    assert (run.state, skipped.state, code(skipped)) == (RunState.SUCCEEDED, RunState.SKIPPED, "CMP-BUSY-002")
    assert run.id in message(skipped)


@pytest.mark.full
async def test_a_run_that_was_cancelled_at_the_door_leaves_no_heart_beating(
    workshop: Workshop, redis_server: OwnRedis
) -> None:
    """Its key runs out, and the next run takes it."""
    async with World(workshop, redis_server, ttl=SHORT) as world:
        locks = world.locks
        first, second = [await queue(workshop, kind) for kind in (Kind.INCREMENTAL, Kind.FULL)]

        async def leave_at_a_closed_door() -> None:
            async with locks.guarding(KEY, first):
                await locks._doors[KEY.name].acquire()

        leaving = asyncio.ensure_future(leave_at_a_closed_door())
        await world.until(lambda: [not each.members for each in locks._holdings.values()] == [True])
        leaving.cancel()
        await asyncio.wait([leaving])
        locks._doors[KEY.name].release()
        await world.until(lambda: redis_server.get(KEY.name) is None)
        async with locks.guarding(KEY, second):
            token = redis_server.get(KEY.name)

    assert (whose(token), redis_server.get(KEY.name)) == (second.id, None)


async def test_a_key_is_taken_anew_beside_a_run_that_lost_it(world: World, workshop: Workshop) -> None:
    """The one that lost it is told at once, and takes nothing away from the one that has it now."""
    first, second = [await queue(workshop, kind) for kind in (Kind.INCREMENTAL, Kind.FULL)]
    told: list[StandDown] = []
    async with world.locks.guarding(KEY, first) as lost:
        assert not isinstance(lost, Denied)
        world.redis.delete(KEY.name)
        with pytest.raises(LegacyLockLost):
            await lost.check()
        async with world.locks.guarding(KEY, second) as held:
            assert not isinstance(held, Denied)
            lost.watch(told.append)
            await lost.succeeded(first)
            await held.check()
            token = world.redis.get(KEY.name)

    assert (whose(token), [type(each) for each in told]) == (second.id, [LegacyLockLost])
    assert world.redis.get(KEY.last_run) is None


async def test_a_dry_run_asks_nobody(world: World) -> None:
    """It writes nothing, and so disturbs no older program."""
    world.redis.lock(KEY.name, SCRIPT)

    (run,) = await world.workshop.sync(
        wish=world.workshop.wish(dry_run=True), syncer=world.workshop.syncer(world.executor)
    )

    assert (run.state, run.counts.read, world.redis.get(KEY.last_run)) == (RunState.SUCCEEDED, 35, None)


async def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is not installed: the message has the command, and no password."""
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)

    with pytest.raises(RedisMissing) as raised:
        RedisKeys("redis://:secret@redis.example.com:6379/0")

    assert "pip install 'comporta[redis]'" in raised.value.next_step
    assert "secret" not in raised.value.message
