"""A process that is told to end while a login is being renewed."""

import asyncio

import pytest
from tests.coordination.login_world import LoginWorld
from tests.coordination.test_logins import world

from comporta.core.login import FIRST_PAUSE
from comporta.errors import SourceUnavailable

__all__ = ["world"]


async def test_a_process_that_ends_waits_for_no_further_try(world: LoginWorld) -> None:
    """The request that is under way is waited for; after it nothing is sent, and nothing held."""
    login, closing = world.process(), list[asyncio.Task[None]]()
    world.server.script = ["500"] * 9
    world.server.arrived = lambda: closing.append(asyncio.ensure_future(login.aclose()))
    with pytest.raises(SourceUnavailable, match="ending"):
        await login.tokens(world.progress)
    await closing[0]

    assert world.server.uses == ["TG-0"]


async def test_a_process_that_ends_does_not_wait_until_the_next_try(world: LoginWorld) -> None:
    """Whoever asked for the pair is gone, and what is left of the renewal sleeps."""
    login = world.process()
    world.server.script = ["500"] * 9
    world.clock.is_jumping = False
    asked = asyncio.ensure_future(login.tokens(world.progress))
    while FIRST_PAUSE not in world.clock.slept:
        await asyncio.sleep(0)
    asked.cancel()
    await asyncio.wait_for(login.aclose(), 5)

    assert world.server.uses == ["TG-0"]
