"""The claims about an older program's key, and mutants of the guard: each leaves one thing out, and a claim falls.

A claim that no mutant breaks would prove nothing.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest
from tests.coordination.legacy_world import KEPT, KEY, SCRIPT, TTL, Noting, World
from tests.engine.workshop import Workshop
from tests.servers.redis_server import OwnRedis

from comporta.coordination import legacy_locks
from comporta.core.guard import KeyState, Without
from comporta.core.run import RunState
from comporta.guards.redis_keys import STATE

Claim = Callable[[World], Awaitable[bool]]
NewWorld = Callable[..., Awaitable[World]]


async def nobody_elses_key_is_deleted(world: World) -> bool:
    """Another token came into the key; when the run has ended it is still there."""
    task, turn = await world.halfway()
    world.redis.overwrite(KEY.name, SCRIPT)
    turn.release()
    await task
    return world.redis.get(KEY.name) == SCRIPT


async def nobody_elses_key_is_renewed(world: World) -> bool:
    """Another token came into the key with a time to live; it gets no longer one from us."""
    task, turn = await world.halfway()
    world.redis.overwrite(KEY.name, SCRIPT, ttl_ms=5_000)
    turn.release()
    await task
    return 0 < world.redis.left_ms(KEY.name) <= 5_000


async def no_batch_follows_a_deleted_key(world: World) -> bool:
    """Two pages were committed when somebody deleted it, and two it stays."""
    task, turn = await world.halfway()
    world.redis.delete(KEY.name)
    turn.release()
    run = await task
    return (run.state, run.counts.read) == (RunState.INTERRUPTED, 20)


async def a_hanging_run_hears_of_a_deleted_key(world: World) -> bool:
    """Its page never comes, so no commit asks."""
    task, turn = await world.halfway()
    world.redis.delete(KEY.name)
    ended = [False]
    task.add_done_callback(lambda _: ended.append(True))
    try:
        await world.until(lambda: len(ended) > 1)
    except TimeoutError:
        turn.release()
        await task
        return False
    return (await task).state is RunState.INTERRUPTED


async def the_older_program_is_kept_out_for_long(world: World) -> bool:
    """Its page takes longer than the key lives."""
    task, turn = await world.halfway()
    got_in = await world.tries(1.5 * KEPT)
    turn.release()
    await task
    return not got_in


async def a_held_key_keeps_a_run_out(world: World) -> bool:
    """The older program was first."""
    world.redis.lock(KEY.name, SCRIPT)
    return (await world.sync()).state is RunState.SKIPPED


async def what_came_back_empty_is_not_taken_for_ours(world: World) -> bool:
    """Nobody knows who had the key meanwhile."""
    task, turn = await world.halfway()
    world.redis.restart()
    turn.release()
    return (await task).state is RunState.INTERRUPTED


class DeletesAnything(Noting):
    """DEL, as a script without a token does."""

    async def release(self, key: str, token: str) -> None:
        await self._run("release", STATE + "redis.call('DEL', KEYS[1]) return state()", key, token)


class RenewsAnything(Noting):
    """PEXPIRE without comparing first."""

    async def renew(self, key: str, token: str, ttl: timedelta) -> KeyState:
        script = STATE + "redis.call('PEXPIRE', KEYS[1], ARGV[2]) return state()"
        return await self._run("renew", script, key, token, "30000")


class RenewsByTaking(Noting):
    """A key that is gone is simply taken again."""

    async def renew(self, key: str, token: str, ttl: timedelta) -> KeyState:
        return await self.take(key, token, ttl)


class TakesByForce(Noting):
    """SET without NX."""

    async def take(self, key: str, token: str, ttl: timedelta) -> KeyState:
        script = STATE + "redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) return state()"
        return await self._run("take", script, key, token, "30000")


class ChecksAtTheStartOnly(Noting):
    """What was once ours is ours."""

    async def renew(self, key: str, token: str, ttl: timedelta) -> KeyState:
        return KeyState(token, ttl)


class LooksWithoutRenewing(Noting):
    """The key is looked at, and runs out."""

    async def renew(self, key: str, token: str, ttl: timedelta) -> KeyState:
        seen = await self.look(key)
        return KeyState(token, ttl) if seen.token is None else seen


CLAIMS: dict[str, Claim] = {
    claim.__name__: claim
    for claim in (
        nobody_elses_key_is_deleted,
        nobody_elses_key_is_renewed,
        no_batch_follows_a_deleted_key,
        a_hanging_run_hears_of_a_deleted_key,
        the_older_program_is_kept_out_for_long,
        a_held_key_keeps_a_run_out,
        what_came_back_empty_is_not_taken_for_ours,
    )
}
MUTANTS: dict[str, tuple[type[Noting], Claim]] = {
    "deleted without comparing": (DeletesAnything, nobody_elses_key_is_deleted),
    "renewed without comparing": (RenewsAnything, nobody_elses_key_is_renewed),
    "taken again when it is gone": (RenewsByTaking, no_batch_follows_a_deleted_key),
    "taken again from a Redis that came back": (RenewsByTaking, what_came_back_empty_is_not_taken_for_ours),
    "taken by force": (TakesByForce, a_held_key_keeps_a_run_out),
    "checked at the start only": (ChecksAtTheStartOnly, no_batch_follows_a_deleted_key),
    "never renewed": (LooksWithoutRenewing, the_older_program_is_kept_out_for_long),
}


@pytest.fixture
async def new_world(workshop: Workshop, redis_server: OwnRedis) -> AsyncIterator[NewWorld]:
    """Return what makes a world with a guard of that kind."""
    async with AsyncExitStack() as stack:

        async def make(kind: type[Noting], claim: Claim) -> World:
            ttl = KEPT if claim is the_older_program_is_kept_out_for_long else TTL
            world = World(workshop, redis_server, without=Without.REFUSE, ttl=ttl, keys_kind=kind)
            return await stack.enter_async_context(world)

        yield make


@pytest.mark.full
@pytest.mark.parametrize("name", CLAIMS)
async def test_the_claim_holds(name: str, new_world: NewWorld) -> None:
    """For the product as it is."""
    assert await CLAIMS[name](await new_world(Noting, CLAIMS[name]))


@pytest.mark.full
@pytest.mark.parametrize("name", MUTANTS)
async def test_the_mutant_is_caught(name: str, new_world: NewWorld) -> None:
    """By the claim about the thing that it leaves out."""
    kind, claim = MUTANTS[name]

    assert not await claim(await new_world(kind, claim))


@pytest.mark.full  # it waits in vain
async def test_a_guard_without_its_heart_is_caught(new_world: NewWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only commits ask, so a run that hangs does not hear that its key is gone."""
    monkeypatch.setattr(legacy_locks, "BEAT_MAX_S", 3_600.0)
    claim = a_hanging_run_hears_of_a_deleted_key
    world = await new_world(Noting, claim)
    monkeypatch.setattr(legacy_locks, "BEATS_PER_TTL", 0.01)

    assert not await claim(world)
