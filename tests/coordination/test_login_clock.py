"""A login that was used while the machine's clock was ahead, once the clock is set right."""

from datetime import timedelta

import pytest
from tests.coordination.login_world import LoginWorld
from tests.coordination.test_logins import world

from comporta.errors import SourceUnavailable

__all__ = ["world"]
AHEAD = timedelta(days=3 * 365)


async def test_a_clock_that_was_ahead_leaves_no_login_behind_that_waits_for_it(world: LoginWorld) -> None:
    """A machine began three years ahead and without network; put right, it renews at once."""
    await world.process().tokens(world.progress)
    world.clock.advance(AHEAD)
    world.server.script = ["500"] * 3
    with pytest.raises(SourceUnavailable):
        await world.process().tokens(world.progress)
    world.clock._begun -= AHEAD
    world.passes(1.1)

    assert (await world.process().tokens(world.progress)).access == "APP_USR-2"


async def test_a_pair_of_a_clock_that_was_ahead_is_replaced_when_it_is_refused(world: LoginWorld) -> None:
    """It looks as if it was bought a moment ago; that was for another refusal, hours before."""
    login = world.process()
    world.clock.advance(AHEAD)
    bought = await login.refused(await login.tokens(world.progress), world.progress)
    world.clock._begun -= AHEAD
    world.passes(1.1)

    assert (await login.refused(bought, world.progress)).access == "APP_USR-3"
