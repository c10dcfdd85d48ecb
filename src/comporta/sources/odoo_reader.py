"""One model of one Odoo database, read by keyset: a fixed lower stamp, order by id, ``id > last``.

The way of paging that neither misses nor repeats a row while people work (measured; offsets and
stamp-ordered keysets do both). Nothing a server answers is believed: ids must rise, stamps must lie
within the bounds asked, and a short page is the last one only if nothing follows it.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import pairwise
from typing import cast

from comporta.core.record import Bucket, Key, Lookup, Page, Shape
from comporta.errors import FilterIgnored, SourceIncomplete, UnconfirmedEmpty
from comporta.errors_odoo import ProtocolUnsupported
from comporta.ports.progress import Progress
from comporta.ports.source import Identity
from comporta.sources.odoo_buckets import read_buckets, summed, whole_hours
from comporta.sources.odoo_domain import Bounds, Domain, all_of
from comporta.sources.odoo_lookups import read_lookups
from comporta.sources.odoo_rows import Batch, Plan
from comporta.sources.odoo_session import OdooSession

LISTING_SIZE = 10_000
"""Rows of id and stamp in one answer: 0.5 MB, 170 ms at a real server."""

CHUNK = 1_000
"""Ids in one domain."""

PARENTS = 200
"""Parents in one domain: their children are a page or two."""

CLOCK_FRESH_S = 5.0
"""Seconds for which the clock read with the description answers: an older clock only claims less."""


@dataclass(frozen=True, slots=True)
class Wish:
    """Pages to ask for: which rows, how many at once, after which id, and up to which one can come."""

    domain: Domain
    size: int
    after: int | None = None
    end: int | None = None
    bounds: Bounds = field(default_factory=Bounds)
    name: str = ""

    @property
    def what(self) -> str:
        """Say what is asked for, for messages."""
        return self.name or ("the first page" if self.after is None else f"page after id {self.after}")


class OdooReader:
    """A stream of one account, ready to be read."""

    is_resumable = True
    oldest = None
    sweep_rows = None
    is_unbroken = False  # servers that cut pages short, or ignore an order, are found out by counts and listings

    def __init__(
        self,
        session: OdooSession,
        progress: Progress,
        *,
        shape: Shape,
        identity: Identity,
        domain: Sequence[object],
        clock: datetime | None,
    ) -> None:
        self.shape = shape
        self.identity = identity
        self._clock = clock
        self._opened_at = session.clock.monotonic()
        self._session = session
        self._progress = progress
        self._domain = all_of(domain)
        self._plan = Plan(shape.columns)
        listed = [column for column in shape.columns if column.name in (shape.key, shape.stamp)]
        self._listing_plan = Plan(sorted(listed, key=lambda column: column.name != shape.key))

    @property
    def query(self) -> Mapping[str, object]:
        """What decides which rows and columns are asked for."""
        companies = self._session.config.companies
        return {
            "fields": list(self._plan.fields),
            "domain": list(self._domain),
            "companies": None if companies is None else list(companies),
            # Another user may see other records.
            "login": self._session.config.login,
        }

    async def clock(self) -> datetime:
        """Return the source's clock: the one that came with the description while that is fresh."""
        if self._clock is not None and self._session.clock.monotonic() - self._opened_at <= CLOCK_FRESH_S:
            return self._clock
        return await self._session.time(self._progress)

    async def pages(
        self, *, since: datetime | None, until: datetime | None, after: str | None, limit: int | None = None
    ) -> AsyncGenerator[Page, None]:
        """Yield the pages of records stamped in ``[since, until)`` that follow position ``after``."""
        bounds = Bounds(since, until)
        size = min(limit or self._session.config.page_size, self._session.config.page_size)
        last = None if after is None else int(after)
        wish = Wish(self._window(bounds), size, last, bounds=bounds)
        async for batch, is_last in self._batches(wish, self._plan):
            last = batch.keys[-1] if batch.keys else last
            position = None if last is None else str(last)
            yield Page(batch.rows, batch.rejected, batch.extras, position=position, is_last=is_last)

    async def count(self, *, since: datetime | None, until: datetime | None) -> int:
        """Return how many records the source says are stamped in ``[since, until)``."""
        return await self._count(self._window(Bounds(since, until)), "the count")

    async def listing(
        self, *, since: datetime | None, until: datetime | None
    ) -> AsyncIterator[Sequence[tuple[Key, str | None]]]:
        """Yield (key, stamp) of every record stamped in ``[since, until)``, by key."""
        bounds = Bounds(since, until)
        wish = Wish(self._window(bounds), LISTING_SIZE, bounds=bounds)
        async for batch, _ in self._batches(wish, self._listing_plan):
            stamps = {cast("int", row[0]): cast("str", row[1]) if len(row) > 1 else None for row in batch.rows}
            if batch.keys:
                yield [(key, stamps.get(key)) for key in batch.keys]

    async def fetch(self, keys: Sequence[Key]) -> Page:
        """Return those of the records that exist and the stream's domain admits, as one page."""
        asked = sorted({int(key) for key in keys})
        batches = []
        for chunk in _chunks(asked, min(CHUNK, self._session.config.page_size)):
            domain = all_of([["id", "in", chunk]], self._domain)
            wish = Wish(domain, len(chunk), end=chunk[-1], name=f"{len(chunk)} records by id")
            async for batch, _ in self._batches(wish, self._plan):
                _check_asked(batch.keys, chunk, self._subject(wish.what))
                batches.append(batch)
        return _merged(batches)

    async def fetch_children(self, parents: Sequence[Key]) -> Page:
        """Return every record whose parent is one of ``parents``, as one page."""
        if self.shape.parent is None:
            return _merged([])
        place = self.shape.index(self.shape.parent)
        batches = []
        for chunk in _chunks(sorted({int(key) for key in parents}), PARENTS):
            domain = all_of([[self.shape.columns[place].field, "in", chunk]], self._domain)
            wish = Wish(domain, self._session.config.page_size, name=f"the children of {len(chunk)} parents")
            async for batch, _ in self._batches(wish, self._plan):
                _check_asked([cast("int", row[place]) for row in batch.rows], chunk, self._subject(wish.what))
                batches.append(batch)
        return _merged(batches)

    async def existing(self, keys: Sequence[Key]) -> frozenset[Key]:
        """Return which of the keys live at the source: by search, since read echoes deleted ids.

        What is not found is counted as well: a search that came back short must not look like deletes.
        """
        alive: set[Key] = set()
        for chunk in _chunks(sorted({int(key) for key in keys}), CHUNK):
            what = f"which of {len(chunk)} ids exist"
            found = await self._search([["id", "in", chunk]], len(chunk), what)
            _check_asked(found, chunk, self._subject(what))
            missing = sorted(set(chunk).difference(found))
            if missing and (still := await self._count([["id", "in", missing]], f"which of {len(missing)} ids exist")):
                seen = (
                    f"a search found {len(found)} of {len(chunk)} ids, and a count {still} of the {len(missing)} others"
                )
                raise SourceIncomplete(f"{self._subject(what)}: {seen}; expected them to agree")
            alive.update(found)
        return frozenset(alive)

    async def buckets(self, *, until: datetime) -> Sequence[Bucket]:
        """Return count and sum of keys for every hour before ``until``, in order of the hour."""
        if self.shape.stamp is None:
            return []
        try:
            return await read_buckets(self._session, self._progress, self.shape.stream, self._domain, until=until)
        except ProtocolUnsupported:
            # No method that groups, or sums beyond XML-RPC's 32 bits: sum them up here.
            buckets: dict[str, Bucket] = {}
            async for chunk in self.listing(since=None, until=whole_hours(until)):
                buckets = summed(chunk, buckets)
            return [buckets[hour] for hour in sorted(buckets)]

    async def lookups(self) -> Sequence[Lookup]:
        """Return the currencies, for the streams that have amounts."""
        return await read_lookups(self._session, self._progress, self.shape.stream)

    def _window(self, bounds: Bounds) -> Domain:
        return all_of(bounds.domain(self.shape.stamp), self._domain)

    def _subject(self, what: str) -> str:
        return f"odoo/{self._session.account} {self.shape.stream}: {what}"

    async def _batches(self, wish: Wish, plan: Plan) -> AsyncIterator[tuple[Batch, bool]]:
        """Yield batches until nothing follows; the last one, empty or not, comes with ``True``."""
        was_empty = False
        while True:
            batch = await self._batch(wish, plan)
            seen = replace(wish, after=batch.keys[-1]) if batch.keys else wish
            is_full = len(batch.keys) == wish.size
            follower = 0 if is_full else await self._follower(seen)
            if follower is None or (wish.end is not None and seen.after == wish.end):
                yield batch, True
                return
            if batch.keys:
                yield batch, False
            elif was_empty:
                found = f"expected id {follower}, which a search finds"
                raise UnconfirmedEmpty(f"{self._subject(wish.what)} answered no rows, twice; {found}")
            was_empty = not batch.keys
            wish = seen

    async def _batch(self, wish: Wish, plan: Plan) -> Batch:
        args = {"domain": _following(wish.domain, wish.after)}
        call = self._session.call(
            self.shape.stream,
            "search_read",
            wish.what,
            args,
            fields=plan.fields,
            limit=wish.size,
            order="id",
            load=False,
        )
        batch = await self._session.records(call, self._progress, plan, self.shape)
        _check_order(batch, wish, call.subject)
        _check_stamps(batch, plan, self.shape, wish.bounds, call.subject)
        return batch

    async def _follower(self, wish: Wish) -> int | None:
        """Return the next id after a short page, or ``None``: some servers cut pages below the limit."""
        what = "whether anything follows" + ("" if wish.after is None else f" id {wish.after}")
        found = await self._search(_following(wish.domain, wish.after), 1, what)
        return found[0] if found else None

    async def _count(self, domain: Domain, what: str) -> int:
        call = self._session.call(self.shape.stream, "search_count", what, {"domain": domain})
        return await self._session.ask(call, self._progress, int)

    async def _search(self, domain: Domain, limit: int, what: str) -> list[int]:
        args = {"domain": domain}
        call = self._session.call(self.shape.stream, "search", what, args, limit=limit, order="id")
        return await self._session.ask(call, self._progress, list[int])


def _following(domain: Domain, after: int | None) -> Domain:
    return domain if after is None else all_of([["id", ">", after]], domain)


def _chunks(keys: Sequence[int], size: int) -> Sequence[list[int]]:
    return [list(keys[start : start + size]) for start in range(0, len(keys), size)]


def _merged(batches: Sequence[Batch]) -> Page:
    rows = [row for batch in batches for row in batch.rows]
    rejected = [record for batch in batches for record in batch.rejected]
    extras: dict[int, str] = {}
    start = 0
    for batch in batches:
        extras.update({start + place: text for place, text in batch.extras.items()})
        start += len(batch.rows)
    return Page(rows, rejected, extras, is_last=True)


def _check_order(batch: Batch, wish: Wish, subject: str) -> None:
    if len(batch.keys) > wish.size:
        message = f"{subject} answered {len(batch.keys)} records; expected at most the {wish.size} asked"
        raise FilterIgnored(message)
    if batch.keys and wish.after is not None and batch.keys[0] <= wish.after:
        message = f"{subject} answered id {batch.keys[0]}; expected ids above {wish.after}"
        raise FilterIgnored(message)
    if all(low < high for low, high in pairwise(batch.keys)):
        return
    low, high = next((low, high) for low, high in pairwise(batch.keys) if low >= high)
    message = f"{subject} answered id {high} after id {low}; expected ids that rise"
    raise FilterIgnored(message)


def _check_asked(found: Sequence[int], asked: Sequence[int], subject: str) -> None:
    others = set(found).difference(asked)
    if others:
        message = f"{subject} answered id {min(others)}, which was not asked for"
        raise FilterIgnored(message)


def _check_stamps(batch: Batch, plan: Plan, shape: Shape, bounds: Bounds, subject: str) -> None:
    if shape.stamp is None or (bounds.since is None and bounds.until is None):
        return
    place = next(place for place, column in enumerate(plan.columns) if column.name == shape.stamp)
    stamps = [row[place] for row in batch.rows]
    if None not in stamps and bounds.admits(cast("list[str]", stamps)):
        return
    wrong = next(row for row in batch.rows if row[place] is None or not bounds.admits([cast("str", row[place])]))
    message = f"{subject} answered id {wrong[0]} with write_date {wrong[place]}; expected {bounds}"
    raise FilterIgnored(message)
