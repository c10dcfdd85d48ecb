"""The orders of one seller: searched by the hours in which they changed, in parts that a search can show.

Parts are read from the oldest to the newest. An order that changes while we read leaves its part for the newest, which
is read last; so whatever was there all the time is met. Within a part, pages by offset overlap and are stitched
(``offset_pages``); an hour with more than a search shows is scanned. The position of a pass is the beginning of its
part: to go on there is sound for the same reason. With it stands how many orders the parts before brought, if their
pages proved that this was all; so a pass in two runs is proven as one in a single run is.

A search may stop before its end without a word, or leave orders out of pages that it counts them in. So a part of
which less came than its total says is read backwards too. Where that brings nothing but what came in meanwhile, the
total is wrong; where it brings what was there, and still not all, the part is split as one that is too large.

Cancelled orders may be hidden from searches. They are found by key: by a notification, and by comparing (``settled``).
"""

from array import array
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from comporta.core.instant import instant_text, parse_instant
from comporta.core.record import Bucket, Key, Lookup, Page
from comporta.errors import FilterIgnored, SourceChangedShape
from comporta.errors_mercadolivre import SearchTooFar
from comporta.ports.progress import Progress
from comporta.ports.source import Identity, StreamRequest
from comporta.sources.id_set import IdSet
from comporta.sources.mercadolivre_hours import LATER_MAX, Hours, around, floor
from comporta.sources.mercadolivre_rows import Plan, Record, digest
from comporta.sources.mercadolivre_scroll import scanned
from comporta.sources.mercadolivre_session import MercadoLivreSession
from comporta.sources.mercadolivre_shape import table_for
from comporta.sources.mercadolivre_single import Looked, other_seller, records_by_key
from comporta.sources.mercadolivre_values import instant_of
from comporta.sources.offset_pages import EndlessError, OffsetPages

KEPT = timedelta(days=365)
"""How long the source keeps orders."""
EDGE = timedelta(days=1)
"""What is about to be kept no longer is not looked for."""
CAP = 10_000
"""Records that a search shows; a request beyond is refused."""
SPLIT_AT = 9_000
"""From so many on a window is split: more may come while it is read."""
AHEAD_FRESH_S = 30.0
"""Seconds for which a page that was fetched to be counted may begin a traversal."""
RISING, FALLING = "date_asc", "date_desc"
"""The orders in which a search can be asked; the date is that of an order's making."""
LISTED = 10_000
"""Keys in one part of a listing."""
NO_ID = 2**63
"""From here on no number is an id."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """One answer of a search."""

    records: Sequence[Record]
    keys: Sequence[int]
    total: int | None
    scroll: str | None = None

    @property
    def order(self) -> Sequence[Any]:
        """Return when each order was made: what pages are in order of. Orders of one cart have one instant."""
        made = [instant_of(each.get("date_created")) for each in self.records]
        return [None if at and made[at - 1] == time else time for at, time in enumerate(made)]


class OrdersReader:
    """The orders of one seller, ready to be read."""

    is_resumable = True

    def __init__(self, session: MercadoLivreSession, request: StreamRequest, progress: Progress, seller: str) -> None:
        self._plan = Plan(table_for(request), keeps_unknown=request.fields is None)
        self.shape = self._plan.shape
        self.identity = Identity(session.config.shown_url, "", seller, "1")
        self.is_unbroken = False
        self.sweep_rows = None
        self.oldest: datetime | None = None
        self._session = session
        self._progress = progress
        self._seller = seller
        self._concurrency = request.concurrency
        self._ahead: tuple[Hours, Sheet, float] | None = None
        self._total: int | None = None
        self._begun: datetime | None = None

    @property
    def query(self) -> Mapping[str, object]:
        """What decides which rows and columns are asked for."""
        return {"fields": [each.column.name for each in self._plan.fields], "seller": self._seller}

    async def clock(self) -> datetime:
        """Return the source's clock."""
        now = await self._session.time(self._progress)
        self._begun = self._begun or now
        self.oldest = now - KEPT + EDGE
        return now

    async def count(self, *, since: datetime | None, until: datetime | None) -> int | None:
        """Return the total that a search gives; its first page is kept for the traversal that follows."""
        hours = around(since, until)
        sheet = await self._page(hours, 0, self._session.config.page_size)
        self._ahead = (hours, sheet, self._session.clock.monotonic())
        self._total = sheet.total
        return sheet.total

    async def pages(
        self, *, since: datetime | None, until: datetime | None, after: str | None, limit: int | None = None
    ) -> AsyncGenerator[Page, None]:
        """Yield the orders of the hours that hold the window, each once."""
        size = min(limit or self._session.config.page_size, self._session.config.page_size)
        instant, _, brought = (after or "").partition(" ")
        begin = parse_instant(instant) if instant else since
        before = int(brought or 0) if after else None
        self.is_unbroken = after is None or bool(brought)
        async with aclosing(self._walk(around(begin, until), size, before=before)) as parts:
            async for position, records, is_last in parts:
                page = self._plan.page(records)
                yield Page(
                    page.rows, page.rejected, page.extras, position=position, is_last=is_last,
                    nested=page.nested, lookups=page.lookups,
                )  # fmt: skip

    async def listing(
        self, *, since: datetime | None, until: datetime | None
    ) -> AsyncIterator[Sequence[tuple[Key, str | None]]]:
        """Yield (key, stamp) of every order that changed in ``[since, until)``, by key."""
        keys, stamps = array("q"), list[str | None]()
        async with aclosing(self._walk(around(since, until), self._session.config.page_size)) as parts:
            async for _, records, _ in parts:
                for record in records:
                    key, stamp = _key(record), instant_of(record.get("last_updated"))
                    if key < NO_ID and _is_within(stamp, since, until):
                        keys.append(key)
                        stamps.append(None if stamp is None else instant_text(stamp))
        places = sorted(range(len(keys)), key=keys.__getitem__)
        for start in range(0, len(places), LISTED):
            yield [(keys[place], stamps[place]) for place in places[start : start + LISTED]]

    async def fetch(self, keys: Sequence[Key]) -> Page:
        """Return those of the orders that exist and are the seller's, each asked for by itself."""
        looked = await self._looked_at(keys)
        page = self._plan.page(list(looked.found.values()))
        return replace(page, unseen=looked.unseen, failure=looked.end)

    async def fetch_children(self, parents: Sequence[Key]) -> Page:  # noqa: ARG002  no order has a parent
        """Return nothing."""
        return Page([], is_last=True)

    async def existing(self, keys: Sequence[Key]) -> frozenset[Key]:
        """Return which of the keys live: each is looked at by itself, and only a 404 says that it is gone.

        What is refused or answered oddly lives. Where all of many are, it is us.
        """
        looked = await self._looked_at(keys)
        if (failure := looked.end or looked.failure) is not None:
            raise failure
        return frozenset(key for key in keys if str(key) not in looked.absent)

    async def buckets(self, *, until: datetime) -> Sequence[Bucket]:
        """Return count and sum of keys for every hour before ``until``, summed up here."""
        hours: dict[str, tuple[int, int]] = {}
        async for part in self.listing(since=self.oldest, until=floor(until)):
            for key, stamp in part:
                rows, total = hours.get((stamp or "")[:13], (0, 0))
                hours[(stamp or "")[:13]] = (rows + 1, total + int(key))
        return [Bucket(hour, rows, total) for hour, (rows, total) in sorted(hours.items())]

    async def lookups(self) -> Sequence[Lookup]:
        """Return nothing: buyers come with their orders."""
        return []

    async def _looked_at(self, keys: Sequence[Key]) -> Looked:
        width = self._session.in_flight(self._concurrency)
        return await records_by_key(
            self._session, "orders", keys, seller=self._seller, progress=self._progress, width=width
        )

    async def _walk(
        self, whole: Hours, size: int, *, before: int | None = None
    ) -> AsyncGenerator[tuple[str | None, Sequence[Record], bool], None]:
        """Yield the orders that did not come before, with the position of their part, and whether they are the last.

        ``before`` is how many an earlier run of the pass read, ``None`` where there was none.
        """
        seen = IdSet()
        waiting = deque([whole])
        crowded = set[Hours]()  # of which a search shows less than there is, whatever its total says
        while waiting:
            hours = waiting.popleft()
            first = self._kept(hours, size) or await self._page(hours, 0, size)
            total = max(first.total or 0, SPLIT_AT + 1 if hours in crowded else 0)
            is_crowded = total > SPLIT_AT
            if is_crowded and (parts := await self._split(hours, total)):
                waiting.extendleft(reversed(parts))
                continue
            walk = self._scan(hours, size) if is_crowded else self._by_offset(hours, size, first)
            position = self._position(hours, (before or 0) + len(seen))
            try:
                async with aclosing(walk) as sheets:
                    async for records, keys, is_last in sheets:
                        fresh = [records[place] for place in seen.new_places(keys)]
                        is_end = is_last and not waiting
                        if is_end and before is not None:  # by the engine's count what came again came twice
                            self.is_unbroken &= before + len(seen) >= (self._total or 0)
                        if fresh or is_end:
                            yield position, fresh, is_end
            except SearchTooFar:
                if is_crowded:
                    raise
                self.is_unbroken = False
                crowded.add(hours)
                waiting.appendleft(hours)

    def _position(self, hours: Hours, before: int) -> str | None:
        """Return where to go on at the beginning of a part; a pass that begins with the first order has no such place.

        ``before`` is how many orders came with the parts before it.
        """
        if hours.since is None:
            return None
        return f"{instant_text(hours.since)} {before}" if self.is_unbroken else instant_text(hours.since)

    async def _split(self, hours: Hours, total: int) -> Sequence[Hours]:
        now = await self._session.time(self._progress)
        return hours.split(total, oldest=now - KEPT, now=now)

    async def _by_offset(
        self, hours: Hours, size: int, first: Sheet
    ) -> AsyncGenerator[tuple[Sequence[Record], Sequence[int], bool], None]:
        """Yield the orders of a part that a search can show whole; where less comes than it tells of, backwards too."""
        begun = await self._session.time(self._progress)
        rising = self._offset_pages(hours, size, RISING, first)
        async with aclosing(self._stitched(rising)) as parts:
            async for records, keys, is_end in parts:
                is_short = is_end and (rising.total or 0) > len(rising.seen)
                if is_end:  # said before the last page is handed on: whoever has it asks for no more
                    self.is_unbroken = self.is_unbroken and rising.is_unbroken and not is_short
                yield records, keys, is_end and not is_short
        if is_short:
            async with aclosing(self._backwards(hours, size, rising.seen, begun - LATER_MAX)) as parts:
                async for part in parts:
                    yield part

    async def _backwards(
        self, hours: Hours, size: int, seen: IdSet, before: datetime
    ) -> AsyncGenerator[tuple[Sequence[Record], Sequence[int], bool], None]:
        """Yield the orders of a part from its other end; raise where it brings others from ``before``, and not all."""
        was_hidden = False
        falling = self._offset_pages(hours, size, FALLING)
        async with aclosing(self._stitched(falling)) as parts:
            async for records, keys, is_end in parts:
                others = [records[place] for place in seen.new_places(keys)]
                was_hidden |= any((instant_of(each.get("last_updated")) or before) < before for each in others)
                if is_end and was_hidden and len(seen) < (falling.total or 0):
                    message = f"{self._subject('its pages')}: {len(seen)} of {falling.total} orders from both ends"
                    raise SearchTooFar(message)
                yield records, keys, is_end

    def _offset_pages(self, hours: Hours, size: int, order: str, first: Sheet | None = None) -> OffsetPages[Sheet]:
        async def fetch(offset: int, count: int) -> Sheet:
            if offset + count > CAP:
                message = f"{self._subject('its pages')}: {count} orders from {offset}; expected at most {CAP} in all"
                raise SearchTooFar(message)
            return await self._page(hours, offset, count, order)

        return OffsetPages(
            fetch,
            size=size,
            in_flight=lambda: self._session.in_flight(self._concurrency),
            first=first,
            grows_inside=hours.until is None or order == FALLING,
        )

    async def _stitched(
        self, pages: OffsetPages[Sheet]
    ) -> AsyncGenerator[tuple[Sequence[Record], Sequence[int], bool], None]:
        """Yield what each page brings that did not come before, and whether it is the last."""
        async with aclosing(pages.parts()) as parts:
            try:
                async for part in parts:
                    sheet = part.sheet
                    records = [sheet.records[place] for place in part.fresh]
                    yield records, [sheet.keys[place] for place in part.fresh], part.is_last
            except EndlessError as error:
                message = f"{self._subject('its pages')}: {error}; expected others, or the end"
                raise FilterIgnored(message) from error

    async def _scan(
        self, hours: Hours, size: int
    ) -> AsyncGenerator[tuple[Sequence[Record], Sequence[int], bool], None]:
        """Yield the orders of a single hour that has more than a search shows; one answer leads to the next."""
        self.is_unbroken = False

        async def ask(scroll: str | None) -> Sheet:
            more = {"scroll_id": scroll} if scroll else {"limit": size}  # a limit beside a scroll may cause errors
            return await self._search(hours, {"search_type": "scan", **more}, "a scan of one hour")

        async with aclosing(scanned(ask, self._subject("a scan of one hour"), size=size)) as sheets:
            async for sheet in sheets:
                yield sheet.records, sheet.keys, False
        yield (), (), True

    def _kept(self, hours: Hours, size: int) -> Sheet | None:
        """Return the page that was fetched to be counted, if it is the one that is wanted now."""
        ahead, self._ahead = self._ahead, None
        if ahead is None or ahead[0] != hours or size != self._session.config.page_size:
            return None
        return ahead[1] if self._session.clock.monotonic() - ahead[2] <= AHEAD_FRESH_S else None

    async def _page(self, hours: Hours, offset: int, size: int, order: str = RISING) -> Sheet:
        what = f"{size} orders from {offset}" if offset else "the first page"
        sheet = await self._search(hours, {"offset": offset, "sort": order, "limit": size}, what)
        if len(sheet.keys) > size:
            message = f"{self._subject(what)} answered {len(sheet.keys)} orders; expected at most the {size} asked"
            raise FilterIgnored(message)
        return sheet

    async def _search(self, hours: Hours, more: Mapping[str, object], what: str) -> Sheet:
        query = {"seller": self._seller, **hours.query(), **more}
        told = await self._session.get(
            "orders/search", query, what=what, operation="orders: search", progress=self._progress
        )
        sheet = _sheet(told, self._subject(what))
        for record in sheet.records:
            if (other := other_seller(record, self._seller)) is not None:
                message = f"{self._subject(what)} answered an order of seller {other}; expected {self._seller}'s only"
                raise FilterIgnored(message)
            stamp = instant_of(record.get("date_last_updated")) or instant_of(record.get("last_updated"))
            if stamp is not None and hours.excludes(stamp) and not self._changed_meanwhile(stamp):
                asked = dict(hours.query())
                message = f"{self._subject(what)} answered an order changed at {instant_text(stamp)}; expected {asked}"
                raise FilterIgnored(message)
        return sheet

    def _changed_meanwhile(self, stamp: datetime) -> bool:
        """Say whether an order changed since we began: it may be found by what it was, and shown as it is."""
        return self._begun is not None and stamp >= self._begun

    def _subject(self, what: str) -> str:
        return self._session.subject("orders", what)


def _sheet(told: object, subject: str) -> Sheet:
    """Return a search's answer, or raise that it is none."""
    results = told.get("results") if isinstance(told, Mapping) else None
    paging = told.get("paging") if isinstance(told, Mapping) else None
    if not isinstance(results, list) or not all(isinstance(each, Mapping) for each in results):
        message = f'{subject} answered no list of "results"; expected orders'
        raise SourceChangedShape(message)
    paging = paging if isinstance(paging, Mapping) else {}
    total, scroll = paging.get("total"), paging.get("scroll_id")
    is_total = isinstance(total, int) and not isinstance(total, bool) and total >= 0
    keys = [_key(each) for each in results]
    return Sheet(results, keys, total if is_total else None, scroll if isinstance(scroll, str) and scroll else None)


def _key(record: Record) -> int:
    """Return an order's id; of one without a sound id a number that none has: it waits in quarantine."""
    key = record.get("id")
    if isinstance(key, str) and key.isascii() and key.isdecimal():
        key = int(key)
    return key if type(key) is int and abs(key) < NO_ID else NO_ID + digest(record)


def _is_within(stamp: datetime | None, since: datetime | None, until: datetime | None) -> bool:
    if stamp is None:
        return since is None and until is None
    return (since is None or stamp >= since) and (until is None or stamp < until)
