"""Hints: whether what was told is known already, and how long a record is looked for that is not there."""

from datetime import UTC, datetime, timedelta

import pytest

from comporta.core.coverage import Coverage, Interval
from comporta.core.hint import DELAYS, NEAR, SLOW, SLOWEST, TICK, Hint, Version, is_answered, looked_in_vain
from comporta.core.instant import instant_text

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MORNING = Coverage((Interval(NOON - 12 * HOUR, NOON),))


def told(at: datetime | None) -> Hint:
    """Return a hint that was told at that instant."""
    return Hint("7", told_at=at)


@pytest.mark.parametrize(
    ("told_at", "stamp", "has_stamp", "is_known"),
    [
        (NOON - HOUR, NOON - HOUR, True, True),
        (NOON - HOUR, NOON - HOUR - NEAR, True, True),
        (NOON - HOUR, NOON - HOUR - NEAR - TICK, True, False),
        (NOON - HOUR, NOON + HOUR, True, True),
        (NOON - HOUR, None, True, False),
        (NOON - HOUR, None, False, True),
        (NOON - TICK, NOON, True, True),
        (NOON, NOON, True, False),
        (NOON - 13 * HOUR, NOON, True, False),
        (None, NOON, True, False),
        (None, None, False, False),
    ],
)
def test_it_is_known_if_its_instant_is_covered_by_a_version_of_then(
    told_at: datetime | None, stamp: datetime | None, has_stamp: bool, is_known: bool
) -> None:
    """Coverage alone would miss what searches hide; a version alone would miss what followed it."""
    ours = Version(instant_text(stamp) if stamp else None)
    known = is_answered(told(told_at), MORNING, ours, has_stamp=has_stamp)

    assert known is is_known


@pytest.mark.parametrize(
    ("stamp", "begun_at", "is_known"),
    [
        (NOON - HOUR - NEAR, NOON - HOUR, True),
        (NOON - HOUR - NEAR - TICK, NOON - HOUR, False),
        (NOON - HOUR, NOON - HOUR - TICK, False),
        (NOON - HOUR, None, False),
    ],
)
def test_where_records_are_hidden_it_is_known_only_if_read_since(
    stamp: datetime, begun_at: datetime | None, is_known: bool
) -> None:
    """What was read between two changes, of which a search hides the second, says nothing of that one."""
    ours = Version(instant_text(stamp), begun_at)

    assert is_answered(told(NOON - HOUR), MORNING, ours, has_stamp=True, hides=True) is is_known


def test_in_a_hole_nothing_is_known() -> None:
    """Whatever is covered before and after it."""
    holed = Coverage((Interval(NOON - 12 * HOUR, NOON - 2 * HOUR), Interval(NOON - HOUR, NOON)))

    known = is_answered(told(NOON - HOUR - TICK), holed, Version(instant_text(NOON)), has_stamp=True)

    assert not known


def test_a_record_is_looked_for_less_and_less_often_and_at_last_given_up() -> None:
    """The tries so far say when the next one is."""
    times = [looked_in_vain(Hint("7", tries=tries), NOON) for tries in range(len(DELAYS) + 2)]

    assert times == [*(NOON + delay for delay in DELAYS), None, None]
    assert list(DELAYS) == sorted(DELAYS)


def test_a_record_that_ours_names_is_looked_for_ever_less_often_but_always() -> None:
    """Once a week in the end, however long it has been away."""
    tries = [len(DELAYS) + more for more in (0, 1, 2, 5, 1000)]
    times = [looked_in_vain(Hint("7", tries=each), NOON, is_ours=True) for each in tries]

    assert times == [NOON + SLOW, NOON + 2 * SLOW, NOON + 4 * SLOW, NOON + SLOWEST, NOON + SLOWEST]
