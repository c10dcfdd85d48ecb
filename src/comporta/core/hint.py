"""Hints: records of which somebody said that they should be looked at, by key.

A run that writes orders hints at their lines, or at their shipments; a notification hints at the record it names. A
hint stays until its record was read *after* it was told: told again meanwhile, it counts anew (``times``).

What a notification tells may be known already, read by the window that covers its instant. Then the record is not
fetched a second time, as a day of missed notifications would do with everything that was changed that day. To be sure
takes both: the instant is covered, and the version here was made about when the notification was sent. An order
that is cancelled is hidden from searches, so coverage alone says nothing of it; and paid a moment before, it may have
been read between the two. So where records are hidden the row must also be of a run that began after it was told of.

A record that is told of, is not here and is named by none of ours may be new, or a stranger's: anybody may make up
thousands. One that is new comes with the next window; so what may be asked for in vain in an hour is bounded, half of
it is for what was just told of, and the rest waits, for a day.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from comporta.core.coverage import Coverage, Interval
from comporta.core.instant import parse_instant

NEAR = timedelta(seconds=30)
"""A notification leaves so soon after the change it tells of."""
DELAYS = (
    timedelta(seconds=5),
    timedelta(seconds=30),
    timedelta(minutes=2),
    timedelta(minutes=10),
    timedelta(minutes=45),
)
"""A record that was just told of may not be there yet. After the last of these nobody waits for it any more."""
SLOW, SLOWEST = timedelta(hours=6), timedelta(days=7)
"""A record that another of ours names is looked for on and on: first after so long, then twice as long each time."""
POSTPONED_MAX = SLOWEST + timedelta(days=1)
"""Nothing waits longer: what is postponed further was postponed by a clock that was ahead, and is due."""
UNTOLD_TRIES = len(DELAYS) + 5
"""Of a record that came without all of it the rest is looked for as often: for more than a week."""
UNTOLD_SLOWEST = timedelta(days=1)
IN_VAIN = "told of: not there"
"""What a look that brought nothing is counted as, among what went wrong."""
IN_VAIN_MAX = 100
IN_VAIN_SPAN = timedelta(hours=1)
"""So many looks in a stream may bring nothing in so long, for what is not here and no record of ours names."""
PATIENCE = 24
"""So often such a one waits for its turn, which comes once."""
UNDATED = datetime(9999, 1, 1, tzinfo=UTC)
"""When a record was told of if nobody knows when: later than all that is covered."""
TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Version:
    """What we have of a record: its stamp, and when the run began that wrote it, by the source's clock."""

    stamp: str | None
    begun_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Hint:
    """One record, or parent of records, to be looked at.

    ``told_at`` is when its source told of it, ``None`` where a record of ours names it: then it is to be looked at
    whatever is known. ``tries`` is how often it was looked for in vain.
    """

    key: str
    times: int = 1
    told_at: datetime | None = None
    tries: int = 0


def is_answered(hint: Hint, coverage: Coverage, ours: Version | None, *, has_stamp: bool, hides: bool = False) -> bool:
    """Say whether what was told is here; ``has_stamp``: its stream bears versions, ``hides``: not all are listed.

    >>> told = Hint("7", told_at=datetime(2026, 3, 2, 12, tzinfo=UTC))
    >>> day = Coverage((Interval(datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 3, 3, tzinfo=UTC)),))
    >>> is_answered(told, day, Version("2026-03-02T11:59:58.000000Z"), has_stamp=True)
    True
    >>> is_answered(told, day, Version("2026-03-02T11:00:00.000000Z"), has_stamp=True)
    False
    """
    if hint.told_at is None or not coverage.covers(Interval(hint.told_at, hint.told_at + TICK)):
        return False
    if not has_stamp:
        return True
    if ours is None or ours.stamp is None:
        return False
    is_since = not hides or (ours.begun_at is not None and ours.begun_at >= hint.told_at)
    return is_since and parse_instant(ours.stamp) >= hint.told_at - NEAR


def is_sweep_cheaper(parents: int, *, rows: int, page_rows: int) -> bool:
    """Say whether to read all of a stream takes fewer requests than one for each of so many parents.

    The pages of a sweep overlap, and its end is looked at again, so it takes some more than are counted here.

    >>> is_sweep_cheaper(450, rows=45_000, page_rows=100), is_sweep_cheaper(451, rows=45_000, page_rows=100)
    (False, True)
    """
    return parents > max(1, -(-rows // page_rows))


def looked_in_vain(hint: Hint, now: datetime, *, is_ours: bool = False) -> datetime | None:
    """Return when to look for a record again that is not there, ``None`` when it was looked for often enough.

    One that a record of ours names is never looked for often enough: who else could tell of it? So it is with one of
    which a source in trouble said nothing.

    >>> noon = datetime(2026, 3, 2, 12, tzinfo=UTC)
    >>> looked_in_vain(Hint("7"), noon).second, looked_in_vain(Hint("7", tries=5), noon)
    (5, None)
    >>> looked_in_vain(Hint("7", tries=5), noon, is_ours=True).hour
    18
    """
    if hint.tries < len(DELAYS):
        return now + DELAYS[hint.tries]
    doublings = min(hint.tries - len(DELAYS), 9)
    return now + min(SLOW * 2**doublings, SLOWEST) if is_ours else None


def has_room(hint: Hint, in_vain: int) -> bool:
    """Say whether a record that may not be anywhere is looked for, after so many looks in vain.

    >>> has_room(Hint("7"), 99), has_room(Hint("7", tries=1), 50)
    (True, False)
    """
    return in_vain < (IN_VAIN_MAX if hint.tries == 0 else IN_VAIN_MAX // 2)


def put_off(hint: Hint, now: datetime, *, in_vain: int, is_named: bool = False) -> tuple[Hint, datetime] | None:
    """Return the hint as it waits, and until when; ``None`` when it waited long enough.

    Where those before it may still be there, it follows at once. Else it is looked for once, when there is room; or not
    at all, if whoever comes to name it hints at it then (``is_named``).

    >>> noon = datetime(2026, 3, 2, 12, tzinfo=UTC)
    >>> put_off(Hint("7"), noon, in_vain=100)[1].hour, put_off(Hint("7", tries=29), noon, in_vain=100)
    (13, None)
    """
    if has_room(hint, in_vain):
        return replace(hint, tries=hint.tries - 1), now + DELAYS[0]
    if is_named or hint.tries >= len(DELAYS) + PATIENCE:
        return None
    return replace(hint, tries=max(hint.tries, len(DELAYS) - 1)), now + IN_VAIN_SPAN


def told_in_part(hint: Hint, now: datetime, *, is_ours: bool) -> datetime | None:
    """Return when to ask again for the rest of a record, ``None`` when it was asked for often enough.

    Seldom from the first: the record is here, there may be no more to tell, and all of it is read each time.

    >>> noon = datetime(2026, 3, 2, 12, tzinfo=UTC)
    >>> told_in_part(Hint("7"), noon, is_ours=True).hour, told_in_part(Hint("7", tries=5), noon, is_ours=False)
    (18, None)
    """
    if hint.tries >= (UNTOLD_TRIES if is_ours else len(DELAYS)):
        return None
    return now + min(SLOW * (1 << min(hint.tries, 9)), UNTOLD_SLOWEST)


def is_slow(hint: Hint) -> bool:
    """Say whether a record was looked for so often that it should be there by now, if ever."""
    return hint.tries >= len(DELAYS)
