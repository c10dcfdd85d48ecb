"""Windows: which slice of source time a run asks for.

A source stamps each row with the time at which the *writing transaction started*, and shows it when
that transaction *commits*. So a row may appear with a stamp that lies before the clock of a pass that
has already ended. Three quantities answer that:

- ``margin``: a window ends this long before the source's clock read at the start of the pass, because
  the clock we can read and the clock that stamps may differ, and most transactions are short.
- ``overlap``: the next window starts this long before the end of coverage. Every transaction shorter
  than the overlap is found by the following run. It is the *promise* about late commits.
- reconciliation (engine.reconcile): finds what committed later than that.

    coverage  ────────────────────────┤ end
    window               [───overlap──┼───────────────────)            until = clock − margin
    rows may come stamped later than until: they are written and claim nothing

The end of a window is a clock, never the greatest stamp seen: that would be frozen on a quiet stream,
and a single row dated 2099 would hide every row after it. A late or missed run changes nothing but
the length of the next window.

Windows are half-open and in source time. A window is decided once; a pass that is resumed keeps its
bounds, whatever the clock says by then.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from comporta.core.coverage import Coverage, Interval
from comporta.core.instant import BEGINNING, instant_text

CLOCK_DRIFT = timedelta(minutes=5)
"""By how much the source's clock may fall behind ours from one run to the next without being doubted."""


class Kind(StrEnum):
    """Why a window is read; decides what may be claimed and deleted afterwards (docs/explanation/coverage.md)."""

    INCREMENTAL = "incremental"
    HOLE = "hole"
    MANUAL = "manual"
    FULL = "full"
    CLEAR_FIRST = "clear_first"
    NOTIFICATION = "notification"
    RECONCILE = "reconcile"
    QUARANTINE = "quarantine"


WHOLE = frozenset({Kind.FULL, Kind.CLEAR_FIRST})
"""The kinds that read everything: they renew the fingerprint and overwrite whatever the stamp says."""

EVERYTHING = WHOLE | {Kind.RECONCILE}
"""The kinds after which what is here is what the source has, also where that went back in time; they take longest."""

GIVEN = frozenset({Kind.HOLE, Kind.MANUAL})
"""The kinds whose bounds come with the request; the others follow from coverage and clock."""


@dataclass(frozen=True, slots=True)
class Window:
    """Source time ``[since, until)`` and why it is read."""

    since: datetime
    until: datetime
    kind: Kind
    is_bounded: bool = False

    @property
    def interval(self) -> Interval | None:
        """Return what coverage may gain, ``None`` when the window is empty."""
        return Interval(self.since, self.until) if self.since < self.until else None

    @property
    def asked_since(self) -> datetime | None:
        """Return the lower bound to ask the source for; ``None`` asks for rows without a stamp too."""
        return None if self.since == BEGINNING else self.since

    @property
    def asked_until(self) -> datetime | None:
        """Return the upper bound to ask the source for, ``None`` to read to the present.

        Only an end that somebody gave is asked for: without it fresher rows come too, and claim nothing.
        From the beginning of time none is, because rows without a stamp come only without a filter.
        """
        return self.until if self.is_bounded else None


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody asked for: the kind and, by hand, the bounds. Equal requests join."""

    kind: Kind = Kind.INCREMENTAL
    since: datetime | None = None
    until: datetime | None = None
    max_records: int | None = None
    exact: bool = False

    @property
    def text(self) -> str:
        """Return the canonical text that the ledger keeps.

        >>> Request(Kind.FULL, max_records=10).text
        'full max=10'
        """
        words = [self.kind.value]
        if self.since is not None or self.until is not None:
            words.append(f"{_bound(self.since)}/{_bound(self.until)}")
        if self.max_records is not None:
            words.append(f"max={self.max_records}")
        if self.exact:
            words.append("exact")
        return " ".join(words)


def parse_request(text: str) -> Request:
    """Return the request that ``Request.text`` wrote.

    >>> parse_request("incremental")
    Request(kind=<Kind.INCREMENTAL: 'incremental'>, since=None, until=None, max_records=None, exact=False)
    """
    kind, *words = text.split(" ")
    since = until = maximum = None
    for word in words:
        if word == "exact":
            continue
        if word.startswith("max="):
            maximum = int(word.removeprefix("max="))
        else:
            since, until = (datetime.fromisoformat(part) if part else None for part in word.split("/"))
    return Request(Kind(kind), since, until, maximum, exact="exact" in words)


def plan_window(
    request: Request, coverage: Coverage, *, origin: datetime, clock: datetime, overlap: timedelta, margin: timedelta
) -> Window:
    """Return the window that answers ``request``, given what is covered and the source's clock."""
    end = clock - margin
    if request.kind in WHOLE:
        return Window(origin, max(end, origin), request.kind)
    if request.kind in GIVEN:
        since = request.since if request.since is not None else origin
        until = min(request.until, end) if request.until is not None else end
        return Window(since, max(since, until), request.kind, is_bounded=request.until == until and since != BEGINNING)
    return next_window(coverage, origin=origin, clock=clock, overlap=overlap, margin=margin)


def next_window(
    coverage: Coverage, *, origin: datetime, clock: datetime, overlap: timedelta, margin: timedelta
) -> Window:
    """Return what a regular run asks for: from the end of coverage, less the overlap, to the clock.

    Nothing covered yet means everything from the origin on, which is a full load. A clock that went
    back never moves the end of coverage back: the window reaches back from the clock as it is now, and
    claims nothing.
    """
    end = clock - margin
    if coverage.end is None:
        return Window(origin, max(end, origin), Kind.FULL)
    known = min(coverage.end, end)
    reached_back = known - overlap if known - origin > overlap else origin
    until = end if end >= coverage.end else reached_back
    return Window(reached_back, max(until, reached_back), Kind.INCREMENTAL)


def went_back(*, known_offset_s: float | None, offset_s: float) -> bool:
    """Say whether the source's clock was ahead when it was read last: what was claimed by it is not sure.

    An offset is the source's clock less ours, in seconds; ours drifts a little, too.

    >>> went_back(known_offset_s=10_800, offset_s=0), went_back(known_offset_s=0, offset_s=10_800)
    (True, False)
    """
    return known_offset_s is not None and known_offset_s - offset_s > CLOCK_DRIFT.total_seconds()


def hole_requests(coverage: Coverage, origin: datetime) -> tuple[Request, ...]:
    """Return a request for each hole, to be planned after the incremental one.

    So a hole that keeps failing never starves fresh data.
    """
    return tuple(Request(Kind.HOLE, hole.since, hole.until) for hole in coverage.holes(origin))


def _bound(instant: datetime | None) -> str:
    return "" if instant is None else instant_text(instant)
