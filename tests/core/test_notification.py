"""Notifications: what makes two of them one, whose time is believed, and when a stream is run again."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from comporta.core.notification import (
    AGAIN_LAST,
    AGAIN_WELL,
    Notification,
    again_after,
    believed,
    later,
    merged,
)
from comporta.core.run import RunState

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
ONE = Notification("shop", "7", "orders", "/orders/1", "app", NOON)
MINUTE = timedelta(minutes=1)


def test_those_of_one_resource_are_one_that_was_sent_last() -> None:
    """However often and in whatever order they came; who sent it is not forgotten."""
    told = [ONE, replace(ONE, sent_at=NOON - MINUTE, application_id=None), replace(ONE, times=3)]

    assert merged(told, NOON) == [replace(ONE, times=5)]


def test_users_topics_and_resources_keep_them_apart() -> None:
    """They come in the order of their keys, so that two processes lock rows in one order."""
    others = [replace(ONE, user_id="8"), replace(ONE, topic="items"), replace(ONE, resource="/orders/2")]

    found = merged([*others, ONE], NOON)

    assert [each.times for each in found] == [1, 1, 1, 1]
    assert [each.key for each in found] == sorted(each.key for each in [*others, ONE])


def test_one_without_a_time_is_never_overtaken() -> None:
    """Nobody knows what it tells; so whatever follows, it is looked at."""
    found = merged([replace(ONE, sent_at=None), ONE], NOON)

    assert found[0].sent_at is None
    assert later(NOON, None) is later(None, NOON) is None
    assert later(NOON, NOON + MINUTE) == later(NOON + MINUTE, NOON) == NOON + MINUTE


@pytest.mark.parametrize(
    ("ahead", "is_believed"), [(-MINUTE, True), (timedelta(), True), (timedelta(seconds=1), False), (MINUTE, False)]
)
def test_a_time_that_is_not_yet_is_not_believed(ahead: timedelta, is_believed: bool) -> None:
    """A false notification of in an hour, or of the year 9999, would make every true one until then look old."""
    found = believed(replace(ONE, sent_at=NOON + ahead), NOON)

    assert (found.sent_at is not None) is is_believed


def test_a_stream_whose_runs_fail_is_left_alone_for_longer_each_time() -> None:
    """One that went well is run again at once; one that was held by another run, soon."""
    waits = [again_after(RunState.FAILED, failures) for failures in range(1, 7)]

    assert waits == [MINUTE, 2 * MINUTE, 4 * MINUTE, 8 * MINUTE, AGAIN_LAST, AGAIN_LAST]
    assert again_after(RunState.LOST, 1_000_000) == AGAIN_LAST
    assert again_after(RunState.SUCCEEDED, 0) == AGAIN_WELL
    assert timedelta() < again_after(RunState.SKIPPED, 0) < MINUTE
