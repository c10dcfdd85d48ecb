"""Notifications that claim to be of a time that is not yet: they are looked at, and silence no others."""

from datetime import timedelta

from tests.conformance.test_store_notifications import Ledger, ledger, told

from comporta.core.instant import instant_text
from comporta.testing.clock import BEGUN, FakeClock

__all__ = ["ledger"]
AHEAD = timedelta(minutes=59)
LATER = timedelta(minutes=1)
PLACE = ("7", "things", "/things/1")


async def test_a_false_time_does_not_silence_the_true_ones_after_it(ledger: Ledger, clock: FakeClock) -> None:
    """An order that is cancelled is told of once, and found by no search: nothing else would repair it for hours."""
    await ledger.inbox.keep([told(sent_at=BEGUN + AHEAD)])
    first = await ledger.hand_over()
    clock.advance(LATER)

    await ledger.inbox.keep([told(sent_at=clock.now())])

    assert (first, ledger.rows()) == (1, {PLACE: ("waiting", 2, None)})


async def test_one_that_was_believed_before_is_not_any_more(ledger: Ledger, clock: FakeClock) -> None:
    """A row that a version before this one wrote, or a clock that was ahead itself."""
    await ledger.inbox.keep([told()])
    await ledger.hand_over()
    schema = "" if "Sqlite" in type(ledger.database).__name__ else "comporta."
    late = f"UPDATE {schema}cmp_notification SET sent_at = '{instant_text(BEGUN + AHEAD)}'"
    ledger.database.write_now(lambda session: session.connection.execute(late))
    clock.advance(LATER)

    await ledger.inbox.keep([told(sent_at=clock.now())])

    assert ledger.rows() == {PLACE: ("waiting", 2, None)}
