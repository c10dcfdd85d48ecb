"""Coverage: the intervals of source time that are committed, as a value.

An interval ``[since, until)`` in the coverage of a stream claims: every row stamped in it, that was
visible when we read, stands in our table at that version or a newer one, or waits in quarantine.
Intervals never overlap and never touch: adding one that does merges them. So the uncovered part is
exactly what lies between them, and "no gap" is a question with an answer.

The claim is about *stamps*, not about time of reading, and it is made once, in the transaction that
commits the last row of a pass. Nothing here knows about runs, leases or rows.
"""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, order=True)
class Interval:
    """Source time from ``since``, included, to ``until``, excluded."""

    since: datetime
    until: datetime

    def __post_init__(self) -> None:
        if self.since >= self.until:
            message = f"an interval must end after it starts, got {self.since} .. {self.until}"
            raise ValueError(message)


@dataclass(frozen=True, slots=True)
class Coverage:
    """A set of intervals, in order, none touching the next."""

    intervals: tuple[Interval, ...] = ()

    def __post_init__(self) -> None:
        for earlier, later in zip(self.intervals, self.intervals[1:], strict=False):
            if earlier.until >= later.since:
                message = f"coverage intervals must stand apart and in order, got {earlier} then {later}"
                raise ValueError(message)

    @property
    def end(self) -> datetime | None:
        """Return the greatest covered instant's bound, ``None`` when nothing is covered."""
        return self.intervals[-1].until if self.intervals else None

    def add(self, new: Interval) -> "Coverage":
        """Return the coverage that also holds ``new``, merged with what it overlaps or touches.

        >>> from datetime import UTC
        >>> day = lambda n: datetime(2026, 3, n, tzinfo=UTC)
        >>> covered = Coverage((Interval(day(1), day(2)), Interval(day(5), day(6))))
        >>> [(i.since.day, i.until.day) for i in covered.add(Interval(day(2), day(4))).intervals]
        [(1, 4), (5, 6)]
        """
        apart = [each for each in self.intervals if each.until < new.since or new.until < each.since]
        merged = [each for each in self.intervals if each not in apart]
        since = min([new.since, *(each.since for each in merged)])
        until = max([new.until, *(each.until for each in merged)])
        return Coverage(tuple(sorted([*apart, Interval(since, until)])))

    def cut(self, at: datetime) -> "Coverage":
        """Return what is covered before ``at``.

        >>> from datetime import UTC
        >>> day = lambda n: datetime(2026, 3, n, tzinfo=UTC)
        >>> [(i.since.day, i.until.day) for i in Coverage((Interval(day(1), day(9)),)).cut(day(4)).intervals]
        [(1, 4)]
        """
        before = [each for each in self.intervals if each.since < at]
        return Coverage(tuple(Interval(each.since, min(each.until, at)) for each in before))

    def holes(self, origin: datetime) -> tuple[Interval, ...]:
        """Return the maximal uncovered intervals between ``origin`` and the end of coverage."""
        holes = []
        edge = origin
        for each in self.intervals:
            if each.since > edge:
                holes.append(Interval(edge, each.since))
            edge = max(edge, each.until)
        return tuple(holes)

    def first_uncovered(self, origin: datetime) -> datetime:
        """Return the first instant from ``origin`` on that no interval holds: what freshness counts from."""
        holes = self.holes(origin)
        return holes[0].since if holes else max(origin, self.end or origin)

    def covers(self, wanted: Interval) -> bool:
        """Say whether all of ``wanted`` is covered."""
        return any(each.since <= wanted.since and wanted.until <= each.until for each in self.intervals)
