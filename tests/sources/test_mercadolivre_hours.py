"""The hours that a search is asked for hold the window, whichever way its filter is read."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from comporta.sources.mercadolivre_hours import HOUR, LATER_MAX, Hours, around, floor

BEGUN = datetime(2026, 3, 1, tzinfo=UTC)
instants = st.integers(0, 3 * 86_400_000).map(lambda ms: BEGUN + timedelta(milliseconds=ms))
edges = st.tuples(st.integers(0, 3), st.integers(-8, 8)).map(lambda at: BEGUN + at[0] * HOUR + timedelta(seconds=at[1]))
SOON = timedelta(seconds=6)


@given(instants | edges, instants | edges, instants | edges, st.booleans())
@example(BEGUN, BEGUN + HOUR - timedelta(seconds=1), BEGUN + HOUR - timedelta(seconds=2), False)
@example(BEGUN, BEGUN + HOUR, BEGUN + HOUR - timedelta(seconds=2), False)
def test_a_window_lies_within_its_hours(one: datetime, other: datetime, stamp: datetime, inclusive: bool) -> None:
    """A record in the window is found though the search goes by a later stamp, whatever ``to`` means of its hour."""
    since, until = min(one, other), max(one, other)
    hours = around(since, until)
    assert hours.since is not None
    assert hours.until is not None

    indexed = stamp + SOON
    last = hours.until + HOUR if inclusive else hours.until
    if since <= stamp < until:
        assert hours.since <= indexed < last
        assert not hours.excludes(indexed)


@given(instants, instants)
def test_hours_are_whole(one: datetime, other: datetime) -> None:
    """What is asked has no minutes to be dropped."""
    hours = around(min(one, other), max(one, other))

    assert all(floor(each) == each for each in (hours.since, hours.until) if each is not None)
    assert all(text.endswith(":00:00.000-00:00") for text in hours.query().values())


def test_no_bound_asks_for_no_filter() -> None:
    """Then records without a stamp come too."""
    assert around(None, None).query() == {}
    assert not around(None, None).excludes(BEGUN)


@given(st.none() | instants.map(floor), st.none() | instants.map(floor), st.integers(1, 400_000))
def test_parts_follow_one_another_and_are_the_whole(since: datetime | None, until: datetime | None, total: int) -> None:
    """Oldest first, none overlapping, with the outer bounds that the whole had: none stays none."""
    whole = Hours(since, until)
    parts = whole.split(total, oldest=BEGUN - timedelta(days=30), now=BEGUN + timedelta(days=4))

    if parts:
        assert (parts[0].since, parts[-1].until) == (since, until)
        assert all(low.until == high.since for low, high in pairwise(parts))
        assert len(parts) >= 2


@given(instants.map(floor))
def test_an_hour_is_not_split(since: datetime) -> None:
    """It is scanned instead."""
    assert Hours(since, since + HOUR).split(50_000, oldest=BEGUN, now=BEGUN) == ()


def test_splitting_ends_also_without_a_lower_bound() -> None:
    """The part from the beginning on gets shorter each time, down to one hour."""
    part, now = Hours(), BEGUN + timedelta(days=365)
    times = 0
    while found := part.split(20_000, oldest=BEGUN, now=now):
        part, times = found[0], times + 1

    assert part == Hours(None, BEGUN + HOUR)
    assert times < 20


def test_what_no_reading_lets_through_is_excluded() -> None:
    """Before the hour of the beginning, and after the hour of the end."""
    hours = Hours(BEGUN, BEGUN + HOUR)

    assert hours.excludes(BEGUN - LATER_MAX - timedelta(seconds=1))
    assert hours.excludes(BEGUN + 2 * HOUR)
    assert not hours.excludes(BEGUN + 2 * HOUR - timedelta(milliseconds=1))
