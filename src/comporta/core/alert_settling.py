"""What becomes of the alerts there are, given those there should be: opened, changed, closed, and who is told what.

        wanted, no row ───────► open ──────────► closed          a row for each key; opening a closed one again
        wanted, closed ──────►  │  ▲              │              begins it anew: opened_at, told_at, told_closed_at
                    changed: ───┘  └── wanted ────┘

**Over** is an alert that nobody finds any more for a while (``over_after``): trouble that comes and goes every other
minute is one trouble, of which people hear once, and whose end they may believe. Until then it is open, ``well_since``
the look that no longer found it; found again, it is as if it had never been gone. It ended when it was last found.
Who cannot tell leaves ``well_since`` as it is, for others may know better; where nobody could for ``UNSEEN_MAX``, the
while begins anew.

**Told once.** An open alert that nobody was told of is told; a closed one is told if its opening was. However many
processes look, they see the same rows; who wants to tell first claims: it puts its own instant into ``told_at`` (or
``told_closed_at``) where the row still holds what it read, and the row says ``sending``. One claim wins. When a channel
took the message the row loses ``sending``; when none did, the claim is taken back and the next look tries again. A
process that is killed between claim and confirmation leaves a claim that others may take over after ``CLAIM``: then, if
the message had left already, it comes twice. The other choice would be that it never comes.

**Muted** until an instant, an alert is kept but not told, nor is its end. **Quiet hours** hold back what can wait until
the morning (all kinds but ``AWAKE``); what closed by then is never told.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta, tzinfo

from comporta.core.alert import AWAKE, Alert, Wanted

CLAIM = timedelta(minutes=3)
"""How long who claimed to tell may take: longer than all channels together are given."""

UNSEEN_MAX = timedelta(minutes=5)
"""By how much the look that finds an alert to be over may be late, before what was seen so long ago counts no more."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What a look changes: rows to put, by what happens to them."""

    opened: Sequence[Alert] = ()
    updated: Sequence[Alert] = ()
    closed: Sequence[Alert] = ()


@dataclass(frozen=True, slots=True)
class QuietHours:
    """The hours of the day in which people sleep; they may go over midnight."""

    since: time
    until: time
    zone: tzinfo

    def hold(self, now: datetime) -> bool:
        """Say whether it is one of these hours.

        >>> from datetime import UTC
        >>> night = QuietHours(time(22), time(7), UTC)
        >>> [night.hold(datetime(2026, 3, 1, hour, tzinfo=UTC)) for hour in (6, 7, 21, 22)]
        [True, False, False, True]
        """
        here = now.astimezone(self.zone).time()
        if self.since <= self.until:
            return self.since <= here < self.until
        return here >= self.since or here < self.until


def settle(
    known: Sequence[Alert],
    wanted: Sequence[Wanted],
    now: datetime,
    *,
    told: Sequence[Alert] = (),
    keeps: Callable[[Alert], bool] = lambda _: False,
    over_after: timedelta = timedelta(),
) -> Settled:
    """Return what becomes of the rows in ``known``, open or closed, when these alerts are wanted.

    ``over_after`` is how long an alert must not have been wanted to be over. ``keeps`` says of an open alert that is
    not wanted whether it stays open: who looks cannot tell that it is over. ``told`` are alerts that people heard of
    while no row could be written: one of them opens as told.
    """
    heard = {each.key: each.told_at for each in told}
    rows = {each.key: each for each in known}
    opened, updated = [], []
    for each in wanted:
        row = rows.get(each.key)
        if row is None or not row.is_open:
            opened.append(replace(_opened(each, row, now), told_at=heard.get(each.key)))
        elif row.well_since is not None or _differs(row, each):
            updated.append(_changed(row, each, now))
    keys = {each.key for each in wanted}
    well = [row for row in known if row.is_open and row.key not in keys and not keeps(row)]
    well = [row if _is_fresh(row, now, over_after) else replace(row, well_since=now) for row in well]
    over = [row for row in well if row.well_since is not None and now - row.well_since >= over_after]
    closed = [replace(row, closed_at=row.well_since, updated_at=now, told_closed_at=None) for row in over]
    updated += [row for row in well if row.well_since == now and row not in over]
    return Settled(opened, updated, closed)


def to_tell(rows: Sequence[Alert], now: datetime, quiet: QuietHours | None = None) -> Sequence[Alert]:
    """Return the rows that somebody should be told of now: that they opened, or that they closed."""
    is_night = quiet is not None and quiet.hold(now)
    return [
        row
        for row in rows
        if may_tell(row, now) and not _is_muted(row, now) and not (is_night and row.kind not in AWAKE)
    ]


def may_tell(row: Alert, now: datetime) -> bool:
    """Say whether this opening or end was told to nobody, and nobody is at it."""
    if row.told_at is None:  # what is over, or may be soon, is told to nobody who has not heard of it
        return row.is_open and row.well_since is None
    at = row.told_at if row.is_open else row.told_closed_at
    if row.is_sending:
        return now - (at or row.told_at) > CLAIM  # an end waits for who is telling the opening, unless they are gone
    return at is None


def claimed(row: Alert, now: datetime) -> Alert:
    """Return the row as who begins to tell leaves it."""
    if row.is_open:
        return replace(row, told_at=now, is_sending=True)
    return replace(row, told_closed_at=now, is_sending=True)


def confirmed(row: Alert) -> Alert:
    """Return a claimed row when a channel took the message."""
    return replace(row, is_sending=False)


def given_back(row: Alert) -> Alert:
    """Return a claimed row when no channel took the message."""
    if row.is_open:
        return replace(row, told_at=None, is_sending=False)
    return replace(row, told_closed_at=None, is_sending=False)


def _opened(each: Wanted, row: Alert | None, now: datetime) -> Alert:
    muted_until = row.muted_until if row is not None else None
    return Alert(
        key=each.key,
        kind=each.kind,
        level=each.level,
        message=each.message,
        next_step=each.next_step,
        account=each.account,
        stream=each.stream,
        fields=each.fields,
        opened_at=now,
        updated_at=now,
        muted_until=muted_until,
        times=row.times + 1 if row is not None else 1,
    )


def _changed(row: Alert, each: Wanted, now: datetime) -> Alert:
    return replace(
        row,
        message=each.message,
        next_step=each.next_step,
        account=each.account,
        stream=each.stream,
        fields=each.fields,
        updated_at=now,
        well_since=None,
    )


def _is_fresh(row: Alert, now: datetime, over_after: timedelta) -> bool:
    """Say whether somebody found the trouble gone, and not so long ago that nobody can have looked since."""
    return row.well_since is not None and now - row.well_since < over_after + UNSEEN_MAX


def _differs(row: Alert, each: Wanted) -> bool:
    """Say whether a person would see a difference that is more than the time that passes."""
    return (row.next_step, row.stream, _lasting(row.fields)) != (each.next_step, each.stream, _lasting(each.fields))


def _lasting(fields: Mapping[str, object]) -> Mapping[str, object]:
    return {
        name: value
        for name, value in fields.items()
        if name in {"streams", "code", "times", "error", "runs", "waiting"}
    }


def _is_muted(row: Alert, now: datetime) -> bool:
    return row.muted_until is not None and now < row.muted_until
