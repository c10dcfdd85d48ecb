"""What becomes of alerts: whatever comes and goes, each opening and each end is told at most once, openings first."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.hours import hour

from comporta.core.alert import AWAKE, Alert, Kind, Wanted
from comporta.core.alert_settling import (
    CLAIM,
    QuietHours,
    Settled,
    claimed,
    confirmed,
    given_back,
    may_tell,
    settle,
    to_tell,
)

NIGHT = QuietHours(time(22), time(7), UTC)
KINDS = {"stale/a": Kind.STALE, "disk/box": Kind.DISK, "hole/b": Kind.HOLE}
steps = st.tuples(st.sets(st.sampled_from(sorted(KINDS))), st.booleans(), st.sampled_from([0.01, 0.2, 3]))
"""What is wanted, whether a channel takes the letter, and how many hours pass."""


def want(key: str, message: str = "m") -> Wanted:
    """Return what should be."""
    return Wanted(key, KINDS[key], message, "n", fields={"error": message})


def row(key: str = "stale/a", **more: object) -> Alert:
    """Return an open alert."""
    opened = settle([], [want(key)], hour(0)).opened[0]
    return replace(opened, **more)  # type: ignore[arg-type]  # Alert's own


@given(st.lists(steps, max_size=25), st.booleans(), st.sampled_from([timedelta(), timedelta(minutes=10)]))
def test_each_opening_and_each_end_is_told_at_most_once(
    story: Sequence[tuple[set[str], bool, float]], has_night: bool, over_after: timedelta
) -> None:
    """Over every story of troubles that come and go, channels that fail, and nights."""
    rows: dict[str, Alert] = {}
    told: list[tuple[str, object, str]] = []
    now = hour(0)
    for keys, works, passed in story:
        settled = settle(list(rows.values()), [want(key) for key in sorted(keys)], now, over_after=over_after)
        rows |= {each.key: each for each in (*settled.opened, *settled.updated, *settled.closed)}
        for each in to_tell(list(rows.values()), now, NIGHT if has_night else None):
            claim = claimed(each, now)
            rows[each.key] = confirmed(claim) if works else given_back(claim)
            told += [(each.key, each.opened_at, "opened" if each.is_open else "closed")] if works else []
        assert {key for key, each in rows.items() if each.is_open and each.well_since is None} == keys
        assert all(now - each.well_since < over_after for each in rows.values() if each.is_open and each.well_since)
        now += timedelta(hours=passed)

    assert len(told) == len(set(told))
    for place, (key, opened_at, what) in enumerate(told):
        assert what == "opened" or (key, opened_at, "opened") in told[:place]


@given(st.lists(st.sets(st.sampled_from(sorted(KINDS))), min_size=1, max_size=9))
def test_seen_again_nothing_changes(story: list[set[str]]) -> None:
    """A second look at the same troubles does nothing."""
    rows: dict[str, Alert] = {}
    for keys in story:
        wanted = [want(key) for key in sorted(keys)]
        settled = settle(list(rows.values()), wanted, hour(1))
        rows |= {each.key: each for each in (*settled.opened, *settled.updated, *settled.closed)}
        again = settle(list(rows.values()), wanted, hour(2))
        assert (again.opened, again.updated, again.closed) == ([], [], [])


def test_an_alert_is_over_when_nobody_found_it_for_a_while() -> None:
    """It ended when it was last found; found again before that, it never ended."""
    minute = timedelta(minutes=1)
    after = 5 * minute

    def looked(one: Alert, at: timedelta, *wanted: Wanted) -> Alert:
        settled = settle([one], wanted, hour(1) + at, over_after=after)
        assert settled.opened == []
        return next(iter([*settled.updated, *settled.closed]), one)

    well = looked(row(told_at=hour(0)), 0 * minute)
    again = looked(well, 4 * minute, want("stale/a"))
    over = looked(looked(looked(again, 5 * minute), 9 * minute), 10 * minute)

    assert (well.is_open, well.well_since, well.updated_at) == (True, hour(1), hour(0))
    assert (again.well_since, again.opened_at, again.times, again.told_at) == (None, hour(0), 1, hour(0))
    assert (over.closed_at, over.updated_at) == (hour(1) + 5 * minute, hour(1) + 10 * minute)


def test_what_nobody_could_look_at_for_an_hour_must_be_well_for_a_while_again() -> None:
    """Once it was found well, then there was no answer; meanwhile it may have been anything."""
    after = timedelta(minutes=5)
    (kept,) = settle([row()], [], hour(1), over_after=after).updated
    assert settle([kept], [], hour(1.5), keeps=lambda _: True, over_after=after) == Settled([], [], [])
    again = settle([kept], [], hour(2), over_after=after)
    over = settle(again.updated, [], hour(2) + after, over_after=after)

    assert (again.closed, [each.well_since for each in again.updated]) == ([], [hour(2)])
    assert [each.closed_at for each in over.closed] == [hour(2)]


def test_an_alert_ends_although_others_look_who_cannot_tell() -> None:
    """A full disk is known on its own machine; the other machine's looks come in between."""
    minute = timedelta(minutes=1)

    def looked(one: Alert, now: datetime, *, can_tell: bool) -> Alert:
        settled = settle([one], [], now, keeps=lambda _: not can_tell, over_after=5 * minute)
        return next(iter([*settled.updated, *settled.closed]), one)

    one = row("disk/box", told_at=hour(0))
    for passed in range(6):
        for can_tell in (True, False):
            one = looked(one, hour(1) + passed * minute, can_tell=can_tell)

    assert one.closed_at == hour(1)


def test_what_may_be_over_is_told_to_nobody_who_has_not_heard_of_it() -> None:
    """No channel worked while it was there; when it comes back they hear of it."""
    well = row(well_since=hour(1))

    assert not may_tell(well, hour(1))
    assert may_tell(settle([well], [want("stale/a")], hour(1)).updated[0], hour(1))


def test_a_claim_holds_others_off_until_it_runs_out() -> None:
    """Of opening and end alike."""
    opening = claimed(row(), hour(1))
    end = claimed(row(told_at=hour(1), closed_at=hour(2)), hour(2))

    assert not may_tell(opening, hour(1) + CLAIM)
    assert may_tell(opening, hour(1) + CLAIM + timedelta(seconds=1))
    assert not may_tell(end, hour(2) + CLAIM)
    assert may_tell(end, hour(2) + CLAIM + timedelta(seconds=1))
    assert not may_tell(confirmed(opening), hour(9))


def test_what_closes_while_somebody_tells_that_it_opened_waits_for_them() -> None:
    """They may still fail; then nobody heard of it, and nobody needs to hear that it is over."""
    closed = replace(claimed(row(), hour(1)), closed_at=hour(1))

    assert not may_tell(closed, hour(1) + CLAIM)
    assert may_tell(confirmed(closed), hour(1))
    assert may_tell(closed, hour(1) + CLAIM + timedelta(seconds=1))  # they are gone, and what they told may have left


@pytest.mark.parametrize("kind", Kind)
def test_at_night_only_what_cannot_wait_is_told(kind: Kind) -> None:
    """The others in the morning."""
    sleeping = replace(row(), kind=kind)

    assert bool(to_tell([sleeping], hour(23), NIGHT)) == (kind in AWAKE)
    assert to_tell([sleeping], hour(8), NIGHT) == [sleeping]
