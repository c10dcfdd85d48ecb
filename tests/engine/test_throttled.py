"""A throttle that lasts, or a source that is not reached any more: what was read by key before is kept."""

import pytest
from tests.engine.shipping import SCOPE, SHIPMENTS, ship, shipments, waiting
from tests.engine.workshop import Workshop, at, code, counted, hints

from comporta.core.run import RunState
from comporta.core.window import Kind
from comporta.errors import RateLimited, SourceUnavailable


@pytest.mark.parametrize("error", [RateLimited, SourceUnavailable])
async def test_what_was_read_is_written_and_the_next_attempt_goes_on_behind_it(
    workshop: Workshop, error: type[RateLimited | SourceUnavailable]
) -> None:
    """Else a source that allows fewer requests than a portion takes would be read from its beginning for ever."""
    shipments(workshop)
    ship(workshop, *range(1, 7))
    workshop.source.stream(SHIPMENTS).odd = dict.fromkeys((104, 105, 106), error)
    workshop.passes(minutes=5)
    await workshop.run()

    first = await workshop.run(stream=SHIPMENTS)
    left, shown = hints(workshop, SCOPE), await waiting(workshop)
    workshop.source.stream(SHIPMENTS).odd = {}
    second = await workshop.run(stream=SHIPMENTS)

    assert (first.state, code(first), counted(first)) == (RunState.FAILED, error.code, (3, 3, 0, 0, 0, 0))
    assert (left, shown) == ({"104": (1, 0), "105": (1, 0), "106": (1, 0)}, [])
    assert (second.state, counted(second)) == (RunState.SUCCEEDED, (3, 3, 0, 0, 0, 0))


@pytest.mark.parametrize("kind", [Kind.QUARANTINE, Kind.RECONCILE])
async def test_what_was_not_asked_for_is_not_gone(workshop: Workshop, kind: Kind) -> None:
    """Neither what waits in quarantine nor what is to be compared; what was read beside it is written."""
    workshop.source.stream().put_many(range(1, 31), stamp=at(9))
    for key in (7, 8):
        workshop.source.stream().put(key, stamp=at(9), spoilt="a date of the year 0")
    await workshop.run()
    for key in (7, 8, 9):
        workshop.source.stream().put(key, stamp=at(10), name="mended")
    workshop.source.stream().odd = {8: RateLimited}

    run = await workshop.run(kind)

    assert (run.state, code(run)) == (RunState.FAILED, RateLimited.code)
    assert workshop.rows()[7] == "mended"
    assert [each.key for each in await workshop.store.quarantine()] == ["8"]
    assert workshop.deleted() == []
