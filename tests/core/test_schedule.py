"""Schedules: ticks follow from them alone, and streams that are due together begin a little apart."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comporta.coordination.cron import Cron
from comporta.core.run import Trigger
from comporta.core.schedule import ANCHOR, SPREAD_MAX, Every, spread, urgency
from comporta.workspace.alarms import TICKS_MAX, interval_of

HALF_HOUR = timedelta(minutes=30)
NEW_YORK, SAO_PAULO = ZoneInfo("America/New_York"), ZoneInfo("America/Sao_Paulo")
BEGUN = datetime(2020, 1, 1, tzinfo=UTC)
instants = st.integers(0, 20 * 365 * 86_400).map(lambda seconds: BEGUN + timedelta(seconds=seconds))
intervals = st.timedeltas(timedelta(seconds=1), timedelta(days=30))


@given(interval=intervals, now=instants)
def test_ticks_of_an_interval_stand_around_now(interval: timedelta, now: datetime) -> None:
    """The latest is not later, the next one is, and they are one interval apart."""
    schedule = Every(interval)

    assert schedule.last(now) <= now < schedule.following(now)
    assert schedule.following(now) - schedule.last(now) == interval
    assert (schedule.last(now) - ANCHOR) % interval == timedelta()


@given(now=instants)
def test_half_hours_are_on_the_hour_and_half_past(now: datetime) -> None:
    """Wherever a scheduler was started."""
    assert Every(HALF_HOUR).last(now).minute in {0, 30}


@given(now=instants, expression=st.sampled_from(["*/30 * * * *", "5 4 * * *", "0 9 * * 1-5", "0 0 1 * *"]))
def test_ticks_of_cron_stand_around_now(now: datetime, expression: str) -> None:
    """In a zone with summer time."""
    schedule = Cron(expression, NEW_YORK)
    last, following = schedule.last(now), schedule.following(now)

    assert last is not None
    assert following is not None
    assert last <= now < following
    assert schedule.last(last) == last
    assert schedule.following(following - timedelta(seconds=1)) == following


def ticks(expression: str, zone: ZoneInfo, since: datetime, count: int) -> list[str]:
    """Return the next ticks after an instant, as the wall clock shows them."""
    schedule, found = Cron(expression, zone), [since]
    for _ in range(count):
        following = schedule.following(found[-1])
        assert following is not None
        found.append(following)
    return [f"{each.astimezone(zone):%d %H:%M %z}" for each in found[1:]]


def test_a_time_that_the_clock_leaves_out_comes_when_the_hour_is_over() -> None:
    """On 8 March 2026 New York goes from two o'clock to three."""
    found = ticks("30 2 * * *", NEW_YORK, datetime(2026, 3, 7, 12, tzinfo=UTC), 2)

    assert found == ["08 03:00 -0400", "09 02:30 -0400"]


def test_a_time_that_comes_twice_is_taken_once_and_an_interval_twice() -> None:
    """On 1 November 2026 New York has the hour from one to two again."""
    fixed = ticks("30 1 * * *", NEW_YORK, datetime(2026, 11, 1, 4, tzinfo=UTC), 2)
    steady = ticks("*/30 * * * *", NEW_YORK, datetime(2026, 11, 1, 4, 40, tzinfo=UTC), 4)

    assert fixed == ["01 01:30 -0400", "02 01:30 -0500"]
    assert steady == ["01 01:00 -0400", "01 01:30 -0400", "01 01:00 -0500", "01 01:30 -0500"]


@pytest.mark.parametrize("expression", ["30 1 * * *", "45 1 * * SUN", "5 1-3 * * *", "*/20 1-2 * * *"])
def test_what_follows_is_never_past(expression: str) -> None:
    """Also in the hour that comes again, whose fixed times were served: a scheduler sleeps until what it is told."""
    schedule, begun = Cron(expression, NEW_YORK), datetime(2026, 11, 1, 4, tzinfo=UTC)
    moments = [begun + minutes * timedelta(minutes=1) for minutes in range(0, 240, 5)]

    for now in moments:
        following = schedule.following(now)

        assert following is not None
        assert now < following


@pytest.mark.parametrize("expression", ["30 1 * * *", "45 1 * * SUN", "*/20 1-2 * * *", "0 2 * * *"])
def test_the_latest_tick_never_goes_back(expression: str) -> None:
    """Also in the hour that comes twice: what was due in the first of the two stays the latest."""
    schedule, begun = Cron(expression, NEW_YORK), datetime(2026, 11, 1, 4, tzinfo=UTC)
    latest = [schedule.last(begun + minutes * timedelta(minutes=1)) for minutes in range(0, 240, 5)]

    assert None not in latest
    assert latest == sorted(latest, key=str)


def test_cron_is_read_in_the_zone_of_the_people() -> None:
    """Nine in the morning is nine where they are."""
    assert ticks("0 9 * * *", SAO_PAULO, datetime(2026, 3, 1, tzinfo=UTC), 1) == ["01 09:00 -0300"]


@given(scope=st.text(min_size=1), interval=intervals)
def test_a_stream_begins_always_as_long_after_its_tick(scope: str, interval: timedelta) -> None:
    """At most thirty seconds, and long before the next tick."""
    assert spread(scope, interval) == spread(scope, interval)
    assert timedelta() <= spread(scope, interval) <= min(SPREAD_MAX, interval / 20)


def test_streams_are_spread() -> None:
    """A hundred accounts do not begin in the same second."""
    seconds = {int(spread(f"loja{number}/orders", HALF_HOUR).total_seconds()) for number in range(100)}

    assert len(seconds) > 20


@pytest.mark.parametrize(
    ("trigger", "request_text", "priority"),
    [
        (Trigger.MANUAL, "incremental", 2),
        (Trigger.MANUAL, "full", 1),
        (Trigger.SCHEDULE, "incremental", 1),
        (Trigger.NOTIFICATION, "notification", 1),
        (Trigger.RETRY, "full", 0),
        (Trigger.RECONCILE, "reconcile", 0),
    ],
)
def test_a_person_goes_first_and_what_reads_everything_last(trigger: Trigger, request_text: str, priority: int) -> None:
    """A backfill that somebody started stands with the schedule's."""
    assert urgency(trigger, request_text) == priority


@pytest.mark.parametrize("fraction_s", [0.0, 0.001, 0.5, 0.999])
def test_a_tick_of_cron_is_not_there_before_its_time(fraction_s: float) -> None:
    """Nor in the last second before it: the hour has fractions."""
    now = datetime(2026, 3, 2, 8, 29, 59, tzinfo=UTC) + timedelta(seconds=fraction_s)

    assert Cron("*/30 * * * *", SAO_PAULO).last(now) == datetime(2026, 3, 2, 8, tzinfo=UTC)


def test_the_longest_wait_of_equal_schedules_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of streams have the same few; each takes hundreds of ticks, and a server that counts answers nobody."""
    asked: list[datetime] = []
    following = Cron.following

    def counted(self: Cron, now: datetime) -> datetime | None:
        asked.append(now)
        return following(self, now)

    monkeypatch.setattr(Cron, "following", counted)
    now = datetime(2026, 5, 4, 8, 1, tzinfo=UTC)
    waits = [interval_of(Cron("*/30 8-17 * * 1-5", NEW_YORK), now + timedelta(seconds=each)) for each in range(9)]

    assert set(waits) == {timedelta(hours=62, minutes=30)}
    assert len(asked) <= TICKS_MAX
