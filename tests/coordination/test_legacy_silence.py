"""Who is told that Redis does not answer."""

from tests.coordination.legacy_world import KEY, World
from tests.coordination.test_legacy_locks import easy, world

__all__ = ["easy", "world"]


async def test_whether_redis_answers_matters_where_nothing_runs_without_it(world: World, easy: World) -> None:
    """Who may go by the database alone is told nothing of it."""
    heard = await world.locks.silence([KEY, KEY])
    world.redis.kill()
    unheard, minded = await world.locks.silence([KEY]), await easy.locks.silence([KEY])
    findings = [(await each.locks.findings([KEY]))[0] for each in (world, easy)]

    assert (heard, minded) == (None, None)
    assert unheard is not None
    assert unheard.code == "CMP-NET-008"
    assert [(each.ok, bool(each.next_step)) for each in findings] == [(False, True), (True, False)]
