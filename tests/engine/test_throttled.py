"""A throttle that lasts, or a source that is not reached any more: what was read by key before is kept."""

import pytest
from tests.engine.shipping import SCOPE, SHIPMENTS, ship, shipments, shipped, waiting
from tests.engine.workshop import ORDER_SCOPE, Workshop, at, code, counted, hints

from comporta.core.run import Run, RunState
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


async def test_under_a_throttle_that_lasts_the_look_by_key_goes_on_where_it_was(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A source that allows fewer requests than a slice takes would be asked for the same ones for ever."""
    monkeypatch.setattr("comporta.engine.reconcile.PORTION", 2)
    orders = workshop.source.stream(settled=("state", frozenset({"done"})))
    orders.put_many(range(1, 9), stamp=at(9))
    await workshop.run()
    runs = []
    for left in ([5, 6, 7, 8], [7, 8], []):
        orders.odd = dict.fromkeys(left, RateLimited)
        runs.append(await workshop.run(Kind.RECONCILE))

    facts = await workshop.store.facts(ORDER_SCOPE)
    assert [run.counts.read for run in runs] == [4, 2, 2]
    assert [code(run) for run in runs] == [RateLimited.code, RateLimited.code, None]
    assert facts.reconcile_result is not None
    assert facts.reconcile_result["rechecked_upto"] is None


async def test_under_a_throttle_that_lasts_what_is_referred_to_is_not_begun_anew(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attempts of one comparison; the next day's looks at all that may still change once more."""
    monkeypatch.setattr("comporta.engine.hinted.PORTION", 2)
    await shipped(workshop, *range(1, 7))
    runs = []
    for left in ([104, 105, 106], [106], []):
        workshop.source.stream(SHIPMENTS).odd = dict.fromkeys(left, RateLimited)
        asked = [run for run in await workshop.queued() if run.stream == SHIPMENTS]
        runs.append(await again(workshop, asked[0]) if asked else await workshop.run(Kind.RECONCILE, stream=SHIPMENTS))
    workshop.passes(days=1)
    next_day = await workshop.run(Kind.RECONCILE, stream=SHIPMENTS)

    assert [run.counts.read for run in runs] == [3, 2, 1]
    assert [code(run) for run in runs] == [RateLimited.code, RateLimited.code, None]
    assert next_day.counts.read == 6


async def again(workshop: Workshop, queued: Run) -> Run:
    """Execute the next attempt of a run."""
    workshop.passes(hours=1)
    account = workshop.plans["matriz"]
    ended = await workshop.executor().execute(queued, account, account.streams[queued.stream])
    assert isinstance(ended, Run)
    return ended
