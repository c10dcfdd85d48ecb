"""Notifications: what a source says that it changed, as it says it, and what there is to look at because of it.

A notification is only a pointer, and its sender promises little: it comes late, twice, or not at all. So it is kept as
it came, one for each resource, and whatever it tells is read from the source afterwards. When it was sent decides
whether it is news: one that was not sent later than another of its resource tells nothing that the other did not.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from comporta.core.run import RunState

AGAIN_SOON = timedelta(seconds=5)
"""A stream that another run holds is looked at again so soon."""
AGAIN_WELL = timedelta(seconds=5)
"""What comes in the meantime becomes one run: a shop in which much happens would have thousands of them in an hour."""
AGAIN_FIRST = timedelta(minutes=1)
AGAIN_LAST = timedelta(minutes=15)
"""After a run that failed for good, the next is so far off, doubled each time up to the last."""
DOUBLINGS_MAX = 10


@dataclass(frozen=True, slots=True)
class Notification:
    """One notification. ``user_id`` is whose resource it is, in the source's words; ``times`` how often it came."""

    source: str
    user_id: str
    topic: str
    resource: str
    application_id: str | None = None
    sent_at: datetime | None = None
    times: int = 1

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Return what makes two notifications one."""
        return (self.source, self.user_id, self.topic, self.resource)


@dataclass(frozen=True, slots=True)
class Pointer:
    """The record that a notification tells of."""

    stream: str
    key: str


def merged(told: Iterable[Notification], now: datetime) -> list[Notification]:
    """Return one notification for each resource, in the order of their keys; the latest counts.

    >>> once = Notification("shop", "7", "orders", "/orders/1")
    >>> [each.times for each in merged([once, once], datetime(2026, 3, 2))]
    [2]
    """
    found: dict[tuple[str, str, str, str], Notification] = {}
    for each in (believed(one, now) for one in told):
        before = found.get(each.key)
        found[each.key] = each if before is None else _both(before, each)
    return [found[key] for key in sorted(found)]


def believed(told: Notification, now: datetime) -> Notification:
    """Return a notification without a time that is not yet: nothing that follows would be later than it.

    A sender whose clock is ahead of ours is only looked at more often.
    """
    is_ahead = told.sent_at is not None and told.sent_at > now
    return replace(told, sent_at=None) if is_ahead else told


def later(one: datetime | None, other: datetime | None) -> datetime | None:
    """Return the later instant; ``None``, of which nobody knows when it was, is never overtaken."""
    return None if one is None or other is None else max(one, other)


def _both(before: Notification, after: Notification) -> Notification:
    sent_at = later(before.sent_at, after.sent_at)
    known = after.application_id or before.application_id
    return replace(after, sent_at=sent_at, application_id=known, times=before.times + after.times)


def again_after(state: RunState, failures: int) -> timedelta:
    """Return when a stream may be run again whose last run ended so, the latest of so many failures in a row.

    >>> again_after(RunState.SUCCEEDED, 0).seconds, again_after(RunState.FAILED, 2).seconds
    (5, 120)
    """
    if state is RunState.SUCCEEDED:
        return AGAIN_WELL
    if state is RunState.SKIPPED:
        return AGAIN_SOON
    return min(AGAIN_FIRST * (1 << min(max(failures, 1) - 1, DOUBLINGS_MAX)), AGAIN_LAST)
