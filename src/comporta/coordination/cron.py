"""Schedules written as cron expressions, in the time zone in which people read times.

A wall clock is put forward and back: a tick in the hour that is left out comes when that hour is over, and of an hour
that comes twice a fixed time is taken once; so does Debian's cron, whose rules the library has.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim

SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Cron:
    """Implements ``core.schedule.Schedule``; the settings see to it that the expression is of a time that comes."""

    expression: str
    zone: ZoneInfo
    usual: timedelta = field(init=False)

    def __post_init__(self) -> None:
        ticks = CronSim(self.expression, datetime(2026, 1, 1, tzinfo=self.zone))
        first, second = next(ticks), next(ticks)
        object.__setattr__(self, "usual", second.astimezone(UTC) - first.astimezone(UTC))

    def last(self, now: datetime) -> datetime | None:
        """Return the latest tick at or before an instant."""
        # The library looks at whole minutes strictly before what it is given.
        begin = (now.replace(microsecond=0) + SECOND).astimezone(self.zone)
        tick = _first(CronSim(self.expression, begin, reverse=True))
        # Backwards it goes by the wall clock: in an hour that comes again it misses what the first one had behind it.
        while tick is not None and (later := self.following(tick)) is not None and later <= now:
            tick = later
        return tick

    def following(self, now: datetime) -> datetime | None:
        """Return the first tick after an instant."""
        found = CronSim(self.expression, now.astimezone(self.zone))
        # In an hour that comes again the library begins with what the first one had, and that is past.
        return _first(tick for tick in found if tick.astimezone(UTC) > now)


def _first(found: Iterator[datetime]) -> datetime | None:
    tick = next(found, None)
    return None if tick is None else tick.astimezone(UTC)
