"""The window of a search for orders: whole hours, because its filter drops minutes and seconds.

So it is asked outward: from the hour that holds the beginning to the hour after the end. Whether that last hour is
still in it, nobody says; both readings hold the window. What comes from beside it is true, and kept. A search shows no
more than 10,000 records, so a window that has more is split into parts of some hours each.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import ceil

HOUR = timedelta(hours=1)
PART = 5_000
"""Records in one part, if they were spread evenly: half of what a search shows, because they are not."""
PARTS_MAX = 366 * 24
LATER_MAX = timedelta(minutes=10)
"""The stamp that a search goes by lies this much behind the one that every answer shows, at most."""


@dataclass(frozen=True, slots=True)
class Hours:
    """Whole hours ``[since, until)``; ``None`` for no bound."""

    since: datetime | None = None
    until: datetime | None = None

    def query(self) -> Mapping[str, str]:
        """Return the filter to send. Any other name of it would be ignored in silence.

        >>> around(datetime(2026, 3, 1, 8, 5, tzinfo=UTC), None).query()
        {'order.date_last_updated.from': '2026-03-01T08:00:00.000-00:00'}
        """
        asked = {}
        if self.since is not None:
            asked["order.date_last_updated.from"] = _text(self.since)
        if self.until is not None:
            asked["order.date_last_updated.to"] = _text(self.until)
        return asked

    def excludes(self, stamp: datetime) -> bool:
        """Say whether no reading of the filter lets a record of this stamp through."""
        is_early = self.since is not None and stamp < self.since - LATER_MAX
        return is_early or (self.until is not None and stamp >= self.until + HOUR)

    def split(self, total: int, *, oldest: datetime, now: datetime) -> Sequence["Hours"]:
        """Return the parts of the window that hold ``total`` records, oldest first; nothing for a single hour.

        >>> day = Hours(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC))
        >>> noon = datetime(2026, 3, 2, 12, tzinfo=UTC)
        >>> [(part.since.hour, part.until.hour) for part in day.split(11_000, oldest=noon, now=noon)]
        [(0, 8), (8, 16), (16, 0)]
        """
        since = self.since or floor(oldest)
        until = self.until or floor(now) + HOUR
        hours = int((until - since) / HOUR)
        if hours <= 1:
            return ()
        parts = min(max(2, ceil(total / PART)), hours, PARTS_MAX)
        edges = [since + hours * place // parts * HOUR for place in range(parts + 1)]
        found = [Hours(begin, end if end < until or self.until is not None else None) for begin, end in pairwise(edges)]
        return found if self.since is not None else [Hours(None, found[0].until), *found[1:]]


def around(since: datetime | None, until: datetime | None) -> Hours:
    """Return the whole hours that hold a window, also by the later stamp that the search goes by.

    >>> noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    >>> around(noon, noon + HOUR) == Hours(noon, noon + 2 * HOUR)
    True
    """
    end = None if until is None else floor(until + LATER_MAX) + HOUR
    return Hours(None if since is None else floor(since), end)


def floor(instant: datetime) -> datetime:
    """Return the beginning of the hour."""
    return instant.replace(minute=0, second=0, microsecond=0)


def _text(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000-00:00")
