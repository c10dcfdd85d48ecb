"""Coverage against a set of points: the plainest thing that could be right."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.hours import HOURS, bounds, coverages, covered, hour, interval, points

from comporta.core.coverage import Coverage, Interval
from comporta.core.instant import BEGINNING


@pytest.mark.parametrize(("since", "until"), [(3, 3), (4, 3)])
def test_an_interval_ends_after_it_starts(since: int, until: int) -> None:
    """An empty claim is no claim, and a claim backwards is a mistake."""
    with pytest.raises(ValueError, match="must end after it starts"):
        interval(since, until)


@pytest.mark.parametrize(
    "bounds", [[(1, 3), (2, 4)], [(1, 2), (2, 3)], [(5, 6), (1, 2)]], ids=["overlapping", "touching", "out of order"]
)
def test_coverage_is_only_made_of_intervals_that_stand_apart_and_in_order(bounds: list[tuple[int, int]]) -> None:
    """What lies between two intervals is a hole, so two that touch would be a lie."""
    with pytest.raises(ValueError, match="apart and in order"):
        Coverage(tuple(interval(*each) for each in bounds))


@given(coverages, bounds)
def test_adding_covers_both_and_nothing_else(coverage: Coverage, added: tuple[int, int]) -> None:
    """What is covered afterwards is what was covered before and what was added."""
    after = coverage.add(interval(*added))

    assert points(after.intervals) == points(coverage.intervals) | set(range(*added))


@given(st.lists(bounds, max_size=6), st.randoms(use_true_random=False))
def test_the_order_of_claims_does_not_matter(claims: list[tuple[int, int]], chance: object) -> None:
    """Holes may be filled in any order, by any run, with the same coverage in the end."""
    shuffled = list(claims)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis gives a random.Random

    assert covered(*shuffled) == covered(*claims)


@given(coverages, bounds)
def test_the_same_claim_twice_changes_nothing(coverage: Coverage, added: tuple[int, int]) -> None:
    """An overlap is claimed again by every run."""
    once = coverage.add(interval(*added))

    assert once.add(interval(*added)) == once


@given(coverages)
def test_neighbours_are_merged(coverage: Coverage) -> None:
    """Nothing of zero length stands between two intervals."""
    pairs = list(zip(coverage.intervals, coverage.intervals[1:], strict=False))

    assert [pair for pair in pairs if pair[0].until >= pair[1].since] == []


@given(coverages, st.integers(-3, 30))
def test_holes_are_exactly_what_is_missing_before_the_end(coverage: Coverage, origin: int) -> None:
    """Between origin and end, each hour is covered or in a hole, never both, never neither."""
    end = coverage.end
    expected = {n for n in HOURS if n >= origin and end is not None and hour(n) < end} - points(coverage.intervals)

    assert points(coverage.holes(hour(origin))) == expected


@given(coverages, st.integers(-3, 30))
def test_holes_stand_apart(coverage: Coverage, origin: int) -> None:
    """A hole is as long as it can be, so that it is read once."""
    holes = coverage.holes(hour(origin))

    assert Coverage(holes).intervals == holes


@given(coverages, st.integers(-3, 30))
def test_what_fills_every_hole_leaves_none(coverage: Coverage, origin: int) -> None:
    """Reading the holes is all it takes."""
    for hole in coverage.holes(hour(origin)):
        coverage = coverage.add(hole)

    assert coverage.holes(hour(origin)) == ()


@given(coverages, st.integers(-3, 28))
def test_the_first_uncovered_instant_is_the_first_that_no_interval_holds(coverage: Coverage, origin: int) -> None:
    """Freshness counts from it, so it is neither early nor late."""
    expected = next(n for n in range(origin, 60) if n not in points(coverage.intervals))

    assert coverage.first_uncovered(hour(origin)) == hour(expected)


@given(coverages, bounds)
def test_covers_means_every_point(coverage: Coverage, wanted: tuple[int, int]) -> None:
    """A hole of one hour is enough for no."""
    assert coverage.covers(interval(*wanted)) == (set(range(*wanted)) <= points(coverage.intervals))


def test_nothing_covered_has_no_end_and_no_hole() -> None:
    """Before the first load there is no hole, only an origin."""
    nothing = Coverage()

    assert (nothing.end, nothing.holes(hour(0)), nothing.first_uncovered(hour(0))) == (None, (), hour(0))


def test_the_end_is_that_of_the_last_interval() -> None:
    """Also when a hole was filled last."""
    assert covered((8, 9), (1, 2)).end == hour(9)


def test_the_beginning_of_time_is_an_origin() -> None:
    """A stream without a start has a hole from minus infinity when its old part is not there."""
    assert covered((2, 3)).holes(BEGINNING) == (Interval(BEGINNING, hour(2)),)
