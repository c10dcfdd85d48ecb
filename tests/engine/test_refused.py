"""Records that are refused for good stop nobody; that we lack the right is said all the same, once."""

import pytest
from tests.engine.shipping import SCOPE, SHIPMENTS, ship, shipments, shipped, waiting
from tests.engine.workshop import Workshop, code, counted, hint, hints

from comporta.core.hint import DELAYS
from comporta.core.run import RunState
from comporta.core.window import Kind
from comporta.errors import AccessRefused

FIVE = {101, 102, 103, 104, 105}


async def refused_once(workshop: Workshop) -> None:
    """Load six orders, of which the shipments of five were refused beside one that was not."""
    shipments(workshop)
    ship(workshop, *range(1, 7))
    workshop.source.stream(SHIPMENTS).refused = set(FIVE)
    workshop.passes(minutes=5)
    await workshop.run()
    await workshop.run(stream=SHIPMENTS)
    workshop.passes(seconds=DELAYS[0].total_seconds())


@pytest.mark.parametrize("kind", [Kind.INCREMENTAL, Kind.NOTIFICATION, Kind.QUARANTINE, Kind.RECONCILE])
async def test_records_refused_for_good_stop_no_run_although_nothing_else_is_due(
    workshop: Workshop, kind: Kind
) -> None:
    """That they were answered before says that it is them, not us."""
    await refused_once(workshop)
    workshop.source.stream(SHIPMENTS).refused |= {106} if kind is Kind.RECONCILE else set()

    run = await workshop.run(kind, stream=SHIPMENTS)

    assert (run.state, run.error) == (RunState.SUCCEEDED, None)
    assert {int(key) for key, _ in await waiting(workshop)} >= FIVE


async def test_records_refused_for_good_and_named_again_stop_no_run(workshop: Workshop) -> None:
    """Their orders change, and they begin anew; but they wait in quarantine already."""
    await refused_once(workshop)
    hint(workshop, *FIVE, scope=SCOPE)

    run = await workshop.run(stream=SHIPMENTS)

    assert run.state is RunState.SUCCEEDED


async def test_where_all_of_many_are_refused_it_is_us_and_that_is_said_once(workshop: Workshop) -> None:
    """They are postponed first: what is told of afterwards is not held up behind them."""
    shipments(workshop)
    ship(workshop, *range(1, 6))
    workshop.source.stream(SHIPMENTS).refused = set(FIVE)
    workshop.passes(minutes=5)
    await workshop.run()

    first = await workshop.run(stream=SHIPMENTS)
    kept, shown = hints(workshop, SCOPE), await waiting(workshop)
    ship(workshop, 6)
    hint(workshop, 106, told_at=workshop.source.now(), scope=SCOPE)
    workshop.passes(seconds=DELAYS[0].total_seconds())
    second = await workshop.run(Kind.NOTIFICATION, stream=SHIPMENTS)
    workshop.source.stream(SHIPMENTS).refused = set()
    workshop.passes(minutes=1)
    third = await workshop.run(Kind.RECONCILE, stream=SHIPMENTS)

    assert (first.state, code(first)) == (RunState.FAILED, AccessRefused.code)
    assert kept == {str(key): (1, 1) for key in FIVE}
    assert shown == [(str(key), AccessRefused.code) for key in sorted(FIVE)]
    assert (second.state, list(workshop.rows(SHIPMENTS))[-1]) == (RunState.SUCCEEDED, 106)
    assert counted(third) == (5, 5, 0, 0, 0, 0)
    assert (hints(workshop, SCOPE), await waiting(workshop)) == ({}, [])


async def test_that_we_lack_the_right_to_what_we_had_is_said(workshop: Workshop) -> None:
    """Told of by notifications, or named: we have read these before."""
    await shipped(workshop, *range(1, 6))
    workshop.source.stream(SHIPMENTS).refused = set(FIVE)
    hint(workshop, *FIVE, told_at=workshop.source.now(), scope=SCOPE)

    run = await workshop.run(Kind.NOTIFICATION, stream=SHIPMENTS)

    assert (run.state, code(run)) == (RunState.FAILED, AccessRefused.code)
    assert hints(workshop, SCOPE) == {str(key): (1, 1) for key in FIVE}


async def test_five_forged_notifications_stop_no_run(workshop: Workshop) -> None:
    """What nobody of ours names, and we never had, says nothing of us."""
    await shipped(workshop, 1)
    workshop.source.stream(SHIPMENTS).refused = {901, 902, 903, 904, 905}
    hint(workshop, 901, 902, 903, 904, 905, told_at=workshop.source.now(), scope=SCOPE)

    run = await workshop.run(Kind.NOTIFICATION, stream=SHIPMENTS)

    assert (run.state, await waiting(workshop)) == (RunState.SUCCEEDED, [])


async def test_what_is_refused_is_not_let_go(workshop: Workshop) -> None:
    """Of a stream that has a list, too: it was seen there, and a refusal does not say that it went."""
    workshop.source.stream().put_many(range(1, 31))
    workshop.source.stream().put(7, spoilt="a date of the year 0")
    workshop.passes(minutes=5)
    await workshop.run()
    workshop.source.stream().refused = {7}

    await workshop.run(Kind.QUARANTINE)

    assert [(each.key, each.code) for each in await workshop.store.quarantine()] == [("7", AccessRefused.code)]
