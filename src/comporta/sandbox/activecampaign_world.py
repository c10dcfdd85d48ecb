"""The simulated account: rows as the API shows them, the account's zone, and the one way to change them.

A row is never changed in place: a page already built keeps what it saw. How ActiveCampaign writes an
instant depends on the column: with the account's offset, which follows summer time, or without any.
"""

from collections.abc import Hashable, Mapping
from datetime import datetime
from functools import lru_cache
from threading import RLock
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from comporta.errors import BadValue
from comporta.sandbox.clock import SourceClock

Row = dict[str, Any]
STREAMS = (
    "deals",
    "dealCustomFieldMeta",
    "dealCustomFieldData",
    "dealGroups",
    "dealStages",
    "contacts",
    "accounts",
    "users",
    "dealTasks",
)
CREATED: dict[str, tuple[str, ...]] = {
    "dealCustomFieldMeta": ("createdTimestamp",),
    "dealCustomFieldData": ("createdTimestamp",),
    "accounts": ("createdTimestamp",),
    "contacts": ("cdate", "created_timestamp", "created_utc_timestamp"),
}
UPDATED: dict[str, tuple[str, ...]] = {
    "deals": ("mdate",),
    "dealCustomFieldMeta": ("updatedTimestamp",),
    "dealCustomFieldData": ("updatedTimestamp",),
    "accounts": ("updatedTimestamp",),
    "contacts": ("udate", "updated_timestamp", "updated_utc_timestamp"),
}
# What names the deal a row belongs to, and goes with it.
OF_A_DEAL = {"dealCustomFieldData": "dealId", "dealTasks": "relid"}
LINKS = "https://demo.activehosted.com/api/3"
"""Links name another host than the one asked, as the vendor's do."""


class World:
    """All rows by stream and id, in order of id; ``kept`` is what readers worked out, until anything changes."""

    def __init__(self, clock: SourceClock, zone: str) -> None:
        self.clock = clock
        self.zone = _zone(zone)
        self.lock = RLock()
        self.tables: dict[str, dict[int, Row]] = {name: {} for name in STREAMS}
        self.touched: dict[str, dict[int, int]] = {name: {} for name in STREAMS}
        self.kept: dict[Hashable, object] = {}
        self._last_ids = dict.fromkeys(STREAMS, 0)
        self._touches = 0

    def table(self, stream: str) -> dict[int, Row]:
        """Return the rows of a stream; refuse a stream there is not."""
        if stream not in self.tables:
            raise BadValue(f"unknown stream {stream!r}; expected one of {', '.join(STREAMS)}")
        return self.tables[stream]

    def insert(self, stream: str, row: Mapping[str, Any], at: datetime | None = None) -> int:
        """Add a row, stamped with that instant or now; return its id, which never comes back."""
        with self.lock:
            table = self.table(stream)
            self._last_ids[stream] += 1
            known = self._last_ids[stream]
            links = row.get("links", {name: f"{LINKS}/{stream}/{known}/{name}" for name in _linked(stream)})
            table[known] = {**self.stamps(stream, at), **row, "id": str(known), "links": links}
            self._touch(stream, known)
            return known

    def update(self, stream: str, known: int, values: Mapping[str, Any], *, is_stamped: bool = True) -> None:
        """Change a row; its stamp moves, unless told not to."""
        with self.lock:
            table = self.table(stream)
            if known not in table:
                raise BadValue(f"{stream}: no row {known}")
            stamps = self.stamps(stream, names=UPDATED.get(stream, ("udate",))) if is_stamped else {}
            table[known] = {**table[known], **stamps, **values}
            self._touch(stream, known)

    def delete(self, stream: str, known: int) -> None:
        """Remove a row without a trace; what belongs to a deal goes with it."""
        with self.lock:
            if self.table(stream).pop(known, None) is None:
                raise BadValue(f"{stream}: no row {known}")
            self.touched[stream].pop(known)
            self.kept.clear()
            for child, column in OF_A_DEAL.items() if stream == "deals" else ():
                for gone in [key for key, row in self.tables[child].items() if int(row[column]) == known]:
                    self.delete(child, gone)

    def rows(self, stream: str) -> list[Row]:
        """Return the rows as they are now, in order of id."""
        with self.lock:
            return list(self.table(stream).values())

    def stamps(self, stream: str, at: datetime | None = None, names: tuple[str, ...] | None = None) -> Row:
        """Return the stamp columns of a row that is created, or those of one that is changed."""
        both = (*CREATED.get(stream, ("cdate",)), *UPDATED.get(stream, ("udate",)))
        instant = at or self.clock.now()
        return {name: self.written(stream, name, instant) for name in names or both}

    def written(self, stream: str, column: str, instant: datetime) -> str:
        """Return an instant as a column shows it."""
        local = instant.astimezone(self.zone).replace(microsecond=0)
        is_naive = column.lower().endswith("timestamp") and stream != "accounts"
        return local.strftime("%Y-%m-%d %H:%M:%S") if is_naive else local.isoformat()

    def _touch(self, stream: str, known: int) -> None:
        self.kept.clear()
        self._touches += 1
        self.touched[stream][known] = self._touches


@lru_cache(maxsize=200_000)
def instant(stamp: str) -> datetime:
    """Return the instant of a stamp that has an offset."""
    return datetime.fromisoformat(stamp)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ValueError, ZoneInfoNotFoundError) as error:
        raise BadValue(f"time zone {name!r}; expected a name like America/Sao_Paulo") from error


def _linked(stream: str) -> tuple[str, ...]:
    if stream == "deals":
        return ("contact", "dealCustomFieldData", "group", "stage")
    return ("deal", "dealCustomFieldMetum") if stream == "dealCustomFieldData" else ()
