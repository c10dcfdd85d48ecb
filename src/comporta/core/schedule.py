"""Schedules: which tick a stream should have been synced at, and which comes next.

A tick is an instant that follows from the schedule alone, so however many schedulers look, they see the same. Only the
latest tick matters: what was missed while nobody ran is not made up for run by run, for the next window begins at the
end of coverage anyway. A run bears the tick it serves, and the ledger takes each tick of a stream once.

Streams that are due at the same instant begin a little apart, each always by the same time (``spread``).
"""

from collections.abc import Hashable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Protocol

from comporta.core.run import Trigger
from comporta.core.window import EVERYTHING, parse_request

ANCHOR = datetime(2000, 1, 1, tzinfo=UTC)
"""Intervals are counted from here, so that ``every = "30m"`` means on the hour and half past."""
SPREAD_SHARE = 20
SPREAD_MAX = timedelta(seconds=30)
PERSON, SCHEDULED, BULK = 2, 1, 0
"""Priorities of queued runs: the higher goes first."""


class Schedule(Hashable, Protocol):
    """When a stream is due; equal ones have the same ticks."""

    @property
    def usual(self) -> timedelta:
        """Return about how far ticks are apart."""

    def last(self, now: datetime) -> datetime | None:
        """Return the latest tick at or before an instant."""

    def following(self, now: datetime) -> datetime | None:
        """Return the first tick after an instant."""


@dataclass(frozen=True, slots=True)
class Every:
    """A tick at every multiple of an interval.

    >>> half_hours = Every(timedelta(minutes=30))
    >>> noon = datetime(2026, 3, 1, 12, 10, tzinfo=UTC)
    >>> half_hours.last(noon).minute, half_hours.following(noon).minute
    (0, 30)
    """

    interval: timedelta

    @property
    def usual(self) -> timedelta:
        """Return the interval."""
        return self.interval

    def last(self, now: datetime) -> datetime:
        """Return the latest tick at or before an instant."""
        return ANCHOR + (now - ANCHOR) // self.interval * self.interval

    def following(self, now: datetime) -> datetime:
        """Return the first tick after an instant."""
        return self.last(now) + self.interval


def spread(scope: str, interval: timedelta) -> timedelta:
    """Return how long after its ticks a stream begins: always the same, at most 30 s or a twentieth of the interval.

    >>> spread("a/orders", timedelta(minutes=30)) == spread("a/orders", timedelta(minutes=30))
    True
    >>> timedelta() <= spread("b/items", timedelta(minutes=1)) <= timedelta(seconds=3)
    True
    """
    share = int.from_bytes(blake2b(scope.encode(), digest_size=4).digest()) / 2**32
    return min(SPREAD_MAX, interval / SPREAD_SHARE) * share


def urgency(trigger: Trigger, request: str) -> int:
    """Return the priority of a queued run: a person's, then the schedule's, then what reads everything again.

    >>> urgency(Trigger.MANUAL, "incremental"), urgency(Trigger.MANUAL, "full"), urgency(Trigger.SCHEDULE, "full")
    (2, 1, 0)
    """
    is_bulk = parse_request(request).kind in EVERYTHING
    if trigger is Trigger.MANUAL:
        return SCHEDULED if is_bulk else PERSON
    return BULK if is_bulk else SCHEDULED
