"""Whose an older program's key is where two processes want to do one run, and what a server says while it waits."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from tests.coordination.always_on import Server
from tests.coordination.legacy_world import KEY, World
from tests.coordination.processes import queue
from tests.engine.workshop import Workshop
from tests.servers.redis_server import OwnRedis

from comporta.coordination.legacy_locks import Denied


@pytest.fixture
async def world(workshop: Workshop, redis_server: OwnRedis) -> AsyncIterator[World]:
    """Return a process."""
    async with World(workshop, redis_server) as opened:
        yield opened


async def test_who_comes_too_late_for_one_run_leaves_the_key_to_who_does_it(world: World, workshop: Workshop) -> None:
    """Two processes find it in the queue; were it held as theirs by both, the one that ends first would free it."""
    run = await queue(workshop)
    async with World(workshop, world.redis) as other, world.locks.guarding(KEY, run):
        held = world.redis.get(KEY.name)
        async with other.locks.guarding(KEY, run) as late:
            assert isinstance(late, Denied)

        assert held == world.redis.get(KEY.name)


async def test_a_run_that_waits_for_redis_says_so_once_in_its_log(world: World) -> None:
    """A server leaves it in the queue, where nothing else would say why nothing begins; each reason is said once."""
    world.redis.kill()
    run = await queue(world.workshop)
    server = Server(world.workshop, has_scheduler=False, locks=world.locks)
    await server.lives(timedelta(minutes=2))

    waits = [line for _, _, line in await world.workshop.store.log(run.id)]

    assert [line.step for line in waits] == ["legacy_lock_awaited"]
    assert waits[0].fields["code"] == "CMP-NET-008"
    assert world.workshop.witness.steps.count("legacy_lock_awaited") == 1
    world.redis.start()
