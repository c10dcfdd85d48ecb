"""Which slice of source time a run asks for."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.hours import coverages, covered, hour, interval

from comporta.core.coverage import Coverage
from comporta.core.instant import BEGINNING
from comporta.core.window import (
    GIVEN,
    WHOLE,
    Kind,
    Request,
    Window,
    hole_requests,
    next_window,
    parse_request,
    plan_window,
)

MARGIN = timedelta(minutes=2)
OVERLAP = timedelta(minutes=10)
origins = st.sampled_from([BEGINNING, hour(-2), hour(3)])


def regular(coverage: Coverage, *, clock: datetime, origin: datetime = BEGINNING) -> Window:
    """Return what a regular run asks for, with the defaults."""
    return next_window(coverage, origin=origin, clock=clock, overlap=OVERLAP, margin=MARGIN)


def test_the_first_load_asks_for_everything_and_sends_no_filter() -> None:
    """So rows without a stamp come too."""
    window = regular(Coverage(), clock=hour(5))

    assert window == Window(BEGINNING, hour(5) - MARGIN, Kind.FULL)
    assert (window.asked_since, window.asked_until) == (None, None)


def test_the_first_load_begins_at_the_start_that_was_set() -> None:
    """With a start, the filter is sent."""
    window = regular(Coverage(), clock=hour(5), origin=hour(1))

    assert (window.since, window.asked_since) == (hour(1), hour(1))


def test_a_regular_run_reaches_back_by_the_overlap_and_ends_before_the_clock_by_the_margin() -> None:
    """Every 30 minutes with an overlap of 10: it asks for 40."""
    window = regular(covered((0, 4)), clock=hour(4.5) + MARGIN)

    assert window == Window(hour(4) - OVERLAP, hour(4.5), Kind.INCREMENTAL)


def test_a_run_that_was_missed_changes_only_the_length_of_the_next_window() -> None:
    """Nothing stands between the end of coverage and the next window, however late it comes."""
    window = regular(covered((0, 4)), clock=hour(400))

    assert (window.since, window.until) == (hour(4) - OVERLAP, hour(400) - MARGIN)


@given(coverages.filter(lambda coverage: bool(coverage.intervals)), origins, st.floats(-3, 48))
def test_a_regular_run_that_succeeds_never_makes_a_hole(coverage: Coverage, origin: datetime, clock: float) -> None:
    """What follows the end of coverage is asked for from there on, or from a later origin."""
    window = regular(coverage, clock=hour(clock), origin=origin)
    after = coverage.add(window.interval) if window.interval is not None else coverage

    assert set(after.holes(origin)) <= set(coverage.holes(origin))


@given(coverages, origins, st.floats(-3, 48))
def test_a_window_never_reaches_into_the_margin_nor_before_the_origin(
    coverage: Coverage, origin: datetime, clock: float
) -> None:
    """It claims nothing that the source's clock has not passed, however the clock stands."""
    window = regular(coverage, clock=hour(clock), origin=origin)

    assert window.since >= origin
    assert window.interval is None or window.until <= hour(clock) - MARGIN


@pytest.mark.parametrize("clock", [-50, 0, 3.5])
def test_a_clock_that_went_back_claims_nothing_and_takes_nothing_away(clock: float) -> None:
    """The window is empty, or lies inside what is covered."""
    coverage = covered((0, 4))
    window = regular(coverage, clock=hour(clock), origin=hour(0))
    after = coverage.add(window.interval) if window.interval is not None else coverage

    assert after == coverage


def test_an_overlap_longer_than_the_coverage_stops_at_the_origin() -> None:
    """An origin at the beginning of time leaves nothing to subtract from."""
    coverage = Coverage((interval(0, 0.1),))

    assert regular(coverage, clock=hour(1), origin=hour(0)).since == hour(0)


@pytest.mark.parametrize("kind", sorted(WHOLE))
def test_a_full_pass_goes_from_the_origin_to_the_clock(kind: Kind) -> None:
    """Whatever is covered already."""
    request = Request(kind)
    window = plan_window(request, covered((0, 4)), origin=BEGINNING, clock=hour(5), overlap=OVERLAP, margin=MARGIN)

    assert window == Window(BEGINNING, hour(5) - MARGIN, kind)
    assert window.asked_until is None


def test_a_full_pass_before_its_origin_is_empty() -> None:
    """A start in the future is read when it has come."""
    window = plan_window(Request(Kind.FULL), Coverage(), origin=hour(9), clock=hour(5), overlap=OVERLAP, margin=MARGIN)

    assert window.interval is None


@pytest.mark.parametrize(
    ("since", "until", "expected", "asked"),
    [
        (hour(1), hour(2), (hour(1), hour(2)), hour(2)),
        (hour(1), hour(99), (hour(1), hour(5) - MARGIN), None),
        (hour(1), None, (hour(1), hour(5) - MARGIN), None),
        (None, hour(2), (BEGINNING, hour(2)), None),
        (hour(50), hour(99), (hour(50), hour(50)), None),
    ],
    ids=["as given", "until in the future", "no until", "no since", "all in the future"],
)
def test_a_manual_window_is_as_given_up_to_the_sources_clock(
    since: datetime | None, until: datetime | None, expected: tuple[datetime, datetime], asked: datetime | None
) -> None:
    """A bound in the future would claim what nobody could have read yet; it is read to the present instead."""
    request = Request(Kind.MANUAL, since, until)
    window = plan_window(request, covered((0, 4)), origin=BEGINNING, clock=hour(5), overlap=OVERLAP, margin=MARGIN)

    assert (window.since, window.until) == expected
    assert window.asked_until == asked


@pytest.mark.parametrize("kind", sorted(set(Kind) - WHOLE - GIVEN))
def test_the_other_kinds_ask_for_the_regular_window(kind: Kind) -> None:
    """A reconciliation reads what is new first."""
    window = plan_window(
        Request(kind), covered((0, 4)), origin=BEGINNING, clock=hour(5), overlap=OVERLAP, margin=MARGIN
    )

    assert window == regular(covered((0, 4)), clock=hour(5))


def test_each_hole_is_a_request_of_its_own() -> None:
    """Planned after the incremental one, each with its own resume point."""
    requests = hole_requests(covered((1, 2), (3, 4)), hour(0))

    assert requests == (Request(Kind.HOLE, hour(0), hour(1)), Request(Kind.HOLE, hour(2), hour(3)))


@given(coverages, origins)
def test_holes_that_were_read_as_asked_are_closed(coverage: Coverage, origin: datetime) -> None:
    """From the hole to the request, its text, the window and back: nothing is lost at the edges."""
    for request in hole_requests(coverage, origin):
        again = parse_request(request.text)
        window = plan_window(again, coverage, origin=origin, clock=hour(99), overlap=OVERLAP, margin=MARGIN)
        assert window.interval is not None
        coverage = coverage.add(window.interval)

    assert coverage.holes(origin) == ()


instants = st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1)).map(  # noqa: DTZ001  made aware next
    lambda naive: naive.replace(tzinfo=UTC)
)
requests = st.builds(
    Request,
    kind=st.sampled_from(Kind),
    since=st.none() | instants | st.just(BEGINNING),
    until=st.none() | instants,
    max_records=st.none() | st.integers(1, 10**9),
    exact=st.booleans(),
)


@given(requests)
def test_a_request_survives_its_text(request: Request) -> None:
    """A successor asks for exactly what its predecessor asked for."""
    assert parse_request(request.text) == request


def test_equal_requests_have_equal_texts_in_any_time_zone() -> None:
    """Two people who ask for the same hours in different zones join the same run."""
    here = Request(Kind.MANUAL, hour(1), hour(2))
    lisbon = timezone(timedelta(hours=1))
    there = Request(Kind.MANUAL, hour(1).astimezone(lisbon), hour(2).astimezone(lisbon))

    assert there.text == here.text
