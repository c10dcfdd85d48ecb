"""Instants that tests of the core speak of: whole hours after a fixed one."""

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from comporta.core.coverage import Coverage, Interval

ZERO = datetime(2026, 3, 1, tzinfo=UTC)
HOURS = range(-5, 30)
"""A day and a bit, so that every set of hours can be compared point by point."""


def hour(number: float) -> datetime:
    """Return the instant that many hours after the fixed one."""
    return ZERO + timedelta(hours=number)


def interval(since: float, until: float) -> Interval:
    """Return an interval between two hours."""
    return Interval(hour(since), hour(until))


def points(intervals: tuple[Interval, ...]) -> set[int]:
    """Return the whole hours that lie in the intervals."""
    return {number for number in HOURS if any(each.since <= hour(number) < each.until for each in intervals)}


def covered(*bounds: tuple[float, float]) -> Coverage:
    """Return the coverage with those intervals added, in that order."""
    coverage = Coverage()
    for since, until in bounds:
        coverage = coverage.add(interval(since, until))
    return coverage


bounds = st.tuples(st.integers(0, 23), st.integers(1, 6)).map(lambda pair: (pair[0], pair[0] + pair[1]))
coverages = st.lists(bounds, max_size=6).map(lambda many: covered(*many))
