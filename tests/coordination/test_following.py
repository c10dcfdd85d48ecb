"""What follows a run that ended well, and what does not."""

from datetime import timedelta

from tests.engine.workshop import ORDERS, Workshop, at

from comporta.coordination.following import Following
from comporta.core.run import RunState


async def test_a_source_whose_clock_went_back_a_little_is_not_asked_again_at_once(workshop: Workshop) -> None:
    """The window claims nothing until that clock has caught up; a run that followed it would claim as little."""
    workshop.source.stream().put_many(range(1, 4), stamp=at(9))
    await workshop.run()
    covered = await workshop.covered()
    workshop.passes(minutes=1)
    workshop.source.offset = timedelta(minutes=-4)
    ended = await workshop.run()
    account = workshop.plans["matriz"]
    follows = await Following(workshop.store, workshop.clock, workshop.conduct).tickets(
        account, account.streams[ORDERS], ended
    )
    synced = await workshop.sync(ORDERS)

    assert (ended.state, ended.window_since) == (RunState.SUCCEEDED, ended.window_until)
    assert follows == []
    assert len(synced) == 1
    assert await workshop.covered() == covered
