"""One list of one ActiveCampaign account: by offset with pages that overlap, contacts by id.

Counts cost no requests of their own: the first page is fetched when the count is asked for, and its total is the count;
the total of the last page is the count after. A list without a filter for its stamp is read whole whatever the window.
"""

from array import array
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime
from typing import cast

from comporta.core.record import Bucket, Key, Lookup, Page, Shape
from comporta.errors import ComportaError, Retryable, SourceIncomplete, UnconfirmedEmpty
from comporta.ports.progress import Progress
from comporta.ports.source import Identity, StreamRequest
from comporta.sources.activecampaign_bounds import Bounds
from comporta.sources.activecampaign_children import Children
from comporta.sources.activecampaign_rows import Batch, Plan
from comporta.sources.activecampaign_session import ActiveCampaignSession, Leaf
from comporta.sources.activecampaign_shape import KEY, Field, fields_of, shape_of
from comporta.sources.activecampaign_streams import ENDPOINTS
from comporta.sources.id_set import IdSet
from comporta.sources.offset_pages import EndlessError, OffsetPages
from comporta.sources.one_by_one import each_told, end_of, failure_of_all, unseen

AHEAD_FRESH_S = 30.0
"""Seconds for which a page that was fetched to be counted may begin a traversal."""

LISTING_WALKS = 3
"""How often a list whose pages do not meet is walked through, before its total is not believed any more."""

LISTED = 10_000
"""Keys in one part of a listing."""


class ActiveCampaignReader:
    """A stream of one account, ready to be read."""

    oldest = None

    def __init__(self, session: ActiveCampaignSession, request: StreamRequest, progress: Progress) -> None:
        fields = fields_of(request)
        self.endpoint = ENDPOINTS[request.stream]
        self.shape: Shape = shape_of(request.stream, fields)
        self.identity = Identity(session.config.shown_url, "", None, "3")
        self.is_resumable = self.endpoint.is_keyset
        self.is_unbroken = False
        self.sweep_rows = session.config.page_size if self.shape.parent is not None else None
        self._session = session
        self._progress = progress
        self._concurrency = request.concurrency
        self._plan = self._planned(fields, keeps_unknown=request.fields is None)
        listed = [
            each for each in fields if each.name in {KEY, self.shape.stamp, self.endpoint.order_field, "isDisabled"}
        ]
        self._listing_plan = self._planned(listed, keeps_unknown=False)
        self._ahead: tuple[Bounds, Leaf, float] | None = None
        self._total_after: tuple[Bounds, int | None] | None = None
        self._is_total_false = False

    @property
    def query(self) -> Mapping[str, object]:
        """What decides which rows and columns are asked for; another zone gives other times."""
        fields = [each.name for each in self._plan.fields]
        return {"fields": fields, "zone": str(self._session.config.zone)}

    async def clock(self) -> datetime:
        """Return the source's clock."""
        return await self._session.time(self._progress)

    async def count(self, *, since: datetime | None, until: datetime | None) -> int | None:
        """Return the total that came with the last page, after a traversal; else that of the first, and keep it."""
        bounds = self._bounds(since, until)
        if self._total_after is not None and self._total_after[0] == bounds:
            total = self._total_after[1]
            self._total_after = None
            return total
        leaf = await self._leaf(bounds, self._plan, {}, self._session.config.page_size, "the first page")
        if not leaf.keys and leaf.total and await self._counts_falsely(bounds, leaf.total, seen=0):
            self._is_total_false, leaf = True, replace(leaf, total=None)
        self._ahead = (bounds, leaf, self._session.clock.monotonic())
        return leaf.total

    async def pages(
        self, *, since: datetime | None, until: datetime | None, after: str | None, limit: int | None = None
    ) -> AsyncGenerator[Page, None]:
        """Yield the pages of the list, each record once; the filter's days may be wider than the window."""
        bounds = self._bounds(since, until)
        size = min(limit or self._session.config.page_size, self._session.config.page_size)
        self.is_unbroken = False
        self._total_after = None
        first = self._first(bounds, size) if after is None else None
        walk = self._by_key if self.endpoint.is_keyset else self._by_offset
        async with aclosing(walk(bounds, self._plan, size, first, int(after or 0))) as batches:
            async for batch, is_last in batches:
                position = str(batch.keys[-1]) if batch.keys and self.is_resumable else after
                after = position
                yield Page(
                    batch.rows,
                    batch.rejected,
                    batch.extras,
                    position=position,
                    is_last=is_last,
                    limited=batch.limited,
                )

    async def listing(
        self, *, since: datetime | None, until: datetime | None
    ) -> AsyncIterator[Sequence[tuple[Key, str | None]]]:
        """Yield (key, stamp) of every record stamped in ``[since, until)``, by key.

        By offset, contacts too: another way than they are read by, so that the same fault does not hide a record twice.
        """
        bounds = self._bounds(since, until)
        async for part in self._stamps(bounds):
            admitted = [(key, stamp) for key, stamp in part if bounds.admits(stamp)]
            if admitted:
                yield cast("Sequence[tuple[Key, str | None]]", admitted)

    async def fetch(self, keys: Sequence[Key]) -> Page:
        """Return those of the records that exist, each asked for by itself; what was said of others is ``unseen``."""
        batches = await self._records(keys)
        found = [batch for batch in batches.values() if isinstance(batch, Batch)]
        rows = [row for batch in found for row in batch.rows]
        places = {row[0]: place for place, row in enumerate(rows)}
        extras = {places[batch.keys[0]]: text for batch in found for text in batch.extras.values()}
        limited = frozenset(places[batch.keys[0]] for batch in found if batch.limited or self._is_uncounted(batch))
        rejected = [each for batch in found for each in batch.rejected]
        said, end = unseen(batches.items()), end_of(batches.values())
        return Page(rows, rejected, extras, is_last=True, limited=limited, unseen=said, failure=end)

    async def fetch_children(self, parents: Sequence[Key]) -> Page:
        """Return the values of these deals, each asked for by itself; other streams have no parent."""
        if self.shape.parent is None:
            return Page([], is_last=True)
        width = self._session.in_flight(self._concurrency)
        children = Children(self._session, self.endpoint, self._plan, self.shape, self._progress)
        return await children.of(parents, width=width)

    async def existing(self, keys: Sequence[Key]) -> frozenset[Key]:
        """Return which of the keys live: each is looked at by itself, and only a 404 says that it is gone.

        Where a server in trouble tells of none of many, nothing is said of any.
        """
        told = await self._records(keys)
        failure = end_of(told.values()) or failure_of_all(list(told.values()))
        if isinstance(failure, Retryable):
            raise failure
        return frozenset(key for key, batch in told.items() if batch is not None)

    async def buckets(self, *, until: datetime) -> Sequence[Bucket]:
        """Return count and sum of keys for every hour before ``until``, summed up here."""
        if self.shape.stamp is None:
            return []
        end = until.replace(minute=0, second=0, microsecond=0)
        hours: dict[str, tuple[int, int]] = {}
        async for part in self.listing(since=None, until=end):
            for key, stamp in part:
                rows, total = hours.get((stamp or "")[:13], (0, 0))
                hours[(stamp or "")[:13]] = (rows + 1, total + int(key))
        return [Bucket(hour, rows, total) for hour, (rows, total) in sorted(hours.items())]

    async def lookups(self) -> Sequence[Lookup]:
        """Return nothing: what the ids mean is in streams of their own."""
        return []

    def _is_uncounted(self, batch: Batch) -> bool:
        """Say whether a record lacks what lists count: alone it empties no column."""
        columns = [place for place, each in enumerate(self.shape.columns) if each.name in self.endpoint.counted]
        return bool(columns) and all(row[place] is None for row in batch.rows for place in columns)

    def _planned(self, fields: Sequence[Field], *, keeps_unknown: bool) -> Plan:
        return Plan(
            fields,
            stamp=self.shape.stamp,
            order=self.endpoint.order_field,
            zone=self._session.config.zone,
            keeps_unknown=keeps_unknown,
        )

    def _bounds(self, since: datetime | None, until: datetime | None) -> Bounds:
        if self.shape.stamp is None:
            return Bounds()
        return Bounds(since, until)

    def _first(self, bounds: Bounds, size: int) -> Leaf | None:
        """Return the page that was fetched to be counted, if it is the one that is wanted now."""
        ahead, self._ahead = self._ahead, None
        if ahead is None or ahead[0] != bounds or self._session.clock.monotonic() - ahead[2] > AHEAD_FRESH_S:
            return None
        leaf = ahead[1]
        cut = replace(leaf, batch=leaf.batch.only(range(min(size, len(leaf.keys)))), order=leaf.order[:size])
        return cut if size < len(leaf.keys) else leaf

    async def _by_offset(
        self, bounds: Bounds, plan: Plan, size: int, first: Leaf | None, _: int = 0
    ) -> AsyncGenerator[tuple[Batch, bool], None]:
        """Yield the records of an offset list; what the pages proved is known after the last."""

        async def fetch(offset: int, count: int) -> Leaf:
            return await self._leaf(bounds, plan, {"offset": offset}, count, f"{count} records from {offset}")

        pages = OffsetPages(
            fetch,
            size=size,
            in_flight=lambda: self._session.in_flight(self._concurrency),
            first=first,
            grows_inside=bounds.since is not None,
        )
        async with aclosing(pages.parts()) as parts:
            try:
                async for part in parts:
                    if part.is_last:
                        await self._refuse_nothing(bounds, part.sheet, seen=len(pages.seen))
                        total = None if self._is_total_false else pages.total
                        self._ended(bounds, total, is_unbroken=pages.is_unbroken)
                    yield part.sheet.batch.only(part.fresh), part.is_last
            except EndlessError as error:
                message = f"{self._subject('its pages')}: {error}; expected others, or the end"
                raise self._session.ignored(self.endpoint, message) from error

    async def _by_key(
        self, bounds: Bounds, plan: Plan, size: int, first: Leaf | None, last: int = 0
    ) -> AsyncGenerator[tuple[Batch, bool], None]:
        """Yield the records by id: what comes has a greater id than what came, so nothing shifts."""
        began, read, was_short = last, 0, False
        total: int | None = None
        while True:
            after = {"id_greater": last} if last else {}
            leaf = first or await self._leaf(bounds, plan, after, size, f"page after id {last}")
            total = leaf.total if not read else total
            first = None
            self._check_rising(leaf, last)
            read += len(leaf.keys)
            is_short = len(leaf.keys) < size
            is_last = is_short and (leaf.total == len(leaf.keys) or (was_short and not leaf.keys))
            if is_last:
                if not began:
                    await self._refuse_nothing(bounds, leaf, seen=read)
                self.is_unbroken = not began and (self._is_total_false or read >= (total or 0))
            if leaf.keys or is_last:
                yield leaf.batch, is_last
            if is_last:
                return
            last = leaf.keys[-1] if leaf.keys else last
            was_short = is_short

    async def _leaf(self, bounds: Bounds, plan: Plan, query: Mapping[str, object], size: int, what: str) -> Leaf:
        asked = {"limit": size, **query, **bounds.query()}
        leaf = await self._session.page(self.endpoint, plan, asked, what=what, progress=self._progress)
        if len(leaf.keys) > size:
            message = f"{self._subject(what)} answered {len(leaf.keys)} records; expected at most the {size} asked"
            raise self._session.ignored(self.endpoint, message)
        stamp = self.shape.stamp
        if stamp is not None and (bounds.since is not None or bounds.until is not None):
            place = next(place for place, each in enumerate(plan.fields) if each.name == stamp)
            wrong = bounds.excluded([cast("str | None", row[place]) for row in leaf.batch.rows])
            if wrong is not None:
                message = f"{self._subject(what)} answered a record of {stamp} {wrong}; expected {dict(bounds.query())}"
                raise self._session.ignored(self.endpoint, message)
        return replace(leaf, total=None) if self._is_total_false else leaf

    async def _counts_falsely(self, bounds: Bounds, total: int, *, seen: int) -> bool:
        """Say whether a total is no evidence that an empty answer lacks records: nor is it right of the whole list.

        That list must be there, and its total count what lies beside the window, or more than there is.
        """
        size, plan = self._session.config.page_size, self._listing_plan
        first = await self._leaf(Bounds(), plan, {"offset": 0}, size, "its beginning")
        if not first.keys or first.total is None:
            return False
        if bounds == Bounds() and not seen:  # the very list that was empty a moment ago
            return False
        if bounds != Bounds() and first.total == total:
            return any(bounds.excluded([stamp]) for _, stamp in self._stamped(first.batch))
        last = await self._leaf(Bounds(), plan, {"offset": first.total - 1}, size, "its last record")
        return not last.keys

    async def _records(self, keys: Sequence[Key]) -> dict[int, Batch | ComportaError | None]:
        """Return each record, ``None`` for one that is gone, or why it was not told."""
        asked = sorted({int(key) for key in keys})

        async def look(key: int) -> Batch | None:
            return await self._session.record(self.endpoint, self._plan, key, self._progress)

        width = self._session.in_flight(self._concurrency)
        told = await each_told(look, asked, width=width, dice=self._session.dice)
        return dict(zip(asked, told, strict=True))

    async def _stamps(self, bounds: Bounds) -> AsyncIterator[Sequence[tuple[int, str | None]]]:
        """Yield the whole list in order of the ids; walk through it again until its pages, or two walks, prove it."""
        keys = array("q")
        stamps: list[str | None] = []
        known = IdSet()
        for walk in range(LISTING_WALKS):
            before = len(known)
            async for batch, _ in self._by_offset(bounds, self._listing_plan, self._session.config.page_size, None):
                for key, stamp in self._stamped(batch):
                    if known.add(key):
                        keys.append(key)
                        stamps.append(stamp)
            total = self._total_after[1] if self._total_after else None
            self._total_after = None
            is_enough = walk > 0 if total is None else len(known) >= total
            if self.is_unbroken or is_enough or len(known) == before:
                break
        else:
            message = f"{self._subject('its ids')}: {len(known)} of {total} records came in {LISTING_WALKS} walks"
            raise SourceIncomplete(message)
        places = sorted(range(len(keys)), key=keys.__getitem__)
        for start in range(0, len(places), LISTED):
            yield [(keys[place], stamps[place]) for place in places[start : start + LISTED]]

    def _stamped(self, batch: Batch) -> Sequence[tuple[int, str | None]]:
        if self.shape.stamp is None:
            return [(key, None) for key in batch.keys]
        place = next(place for place, each in enumerate(self._listing_plan.fields) if each.name == self.shape.stamp)
        stamps = {row[0]: cast("str | None", row[place]) for row in batch.rows}
        return [(key, stamps.get(key)) for key in batch.keys]

    def _ended(self, bounds: Bounds, total: int | None, *, is_unbroken: bool) -> None:
        self.is_unbroken = is_unbroken
        self._total_after = (bounds, total)

    async def _refuse_nothing(self, bounds: Bounds, leaf: Leaf, *, seen: int) -> None:
        """Raise for a last page without a record where the total says that some are left, unless the total is wrong."""
        if leaf.keys or leaf.total is None or leaf.total <= seen:
            return
        self._is_total_false = await self._counts_falsely(bounds, leaf.total, seen=seen)
        if not self._is_total_false:
            message = f"{self._subject('the last page')} answered no records, twice; its total says {leaf.total}"
            raise UnconfirmedEmpty(message)

    def _check_rising(self, leaf: Leaf, last: int) -> None:
        for key in leaf.keys:
            if key <= last:
                message = f"{self._subject('a page by id')} answered id {key} after id {last}; expected ids that rise"
                raise self._session.ignored(self.endpoint, message)
            last = key

    def _subject(self, what: str) -> str:
        return self._session.subject(self.endpoint.name, what)
