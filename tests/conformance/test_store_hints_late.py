"""Hints that were postponed by a clock that was ahead, once it is set right."""

from datetime import timedelta

import pytest
from tests.conformance.conftest import StoreFactory
from tests.conformance.store_steps import MARCH, SCOPE, begin, start
from tests.conformance.tables import THINGS
from tests.conformance.test_store_notifications import Ledger

from comporta.core.hint import POSTPONED_MAX, SLOWEST
from comporta.core.run import RunState
from comporta.ports.store import Batch, Ending
from comporta.testing.clock import BEGUN, FakeClock

YEARS = timedelta(days=3 * 365)


@pytest.fixture
async def ledger(store_factory: StoreFactory) -> Ledger:
    """Return a ledger whose stream was loaded."""
    opened = Ledger(store_factory())
    granted = await start(opened.store)
    plan = await begin(opened.store, granted)
    ending = Ending(RunState.SUCCEEDED, covered=MARCH, fingerprint="f", pass_id=plan.id)
    await opened.store.commit(granted.lease, Batch(THINGS), ending)
    return opened


async def postponed(ledger: Ledger, by: timedelta) -> None:
    """Let a run postpone all hints by so much."""
    granted = await start(ledger.store)
    later = [(each, BEGUN + by) for each in await ledger.store.hints(SCOPE, 9)]
    await ledger.store.commit(granted.lease, Batch(THINGS, postponed_hints=later), Ending(RunState.SUCCEEDED))


async def test_what_was_postponed_by_a_clock_that_was_ahead_is_looked_at_now(ledger: Ledger) -> None:
    """The clock would be there again in three years, and nobody may tell of the record a second time."""
    ledger.hint(("1", BEGUN), ("2", None))
    await postponed(ledger, YEARS)

    assert await ledger.inbox.due() == [SCOPE]
    assert [each.key for each in await ledger.store.hints(SCOPE, 9)] == ["1", "2"]
    assert [each.key for each in await ledger.store.hints(SCOPE, 9, due=BEGUN)] == ["1", "2"]


async def test_what_is_looked_for_as_seldom_as_can_be_waits_for_its_time(ledger: Ledger, clock: FakeClock) -> None:
    """Also under the run that postponed it, which would go round and round otherwise."""
    ledger.hint(("1", None))
    await postponed(ledger, SLOWEST)
    waiting = (await ledger.inbox.due(), await ledger.store.hints(SCOPE, 9, due=BEGUN - timedelta(hours=12)))
    clock.advance(SLOWEST)

    assert waiting == ([], [])
    assert await ledger.inbox.due() == [SCOPE]
    assert SLOWEST < POSTPONED_MAX
