"""Whose an older program's key is, where two processes want to do one and the same run."""

from collections.abc import AsyncIterator

import pytest
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
