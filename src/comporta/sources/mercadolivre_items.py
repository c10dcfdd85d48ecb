"""The items (products) of one seller: all ids first, by a scan, then their records, twenty at a time.

There is no filter by date, so the list is read whole; what changed in between comes by notifications. A scan's scroll
is good for five minutes and answers serially, so the ids are had before anything else is asked. Each record of a
multiget has a code of its own. A 404 is an item that went meanwhile, unless the list still names it: then it waits in
quarantine, as one does that is listed and is refused or fails, for neither was read and neither is gone. What was said
of one that somebody told of is handed on (``mercadolivre_single``).
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime
from typing import cast

from comporta.core.record import REFUSED_LEAST, Bucket, Key, Lookup, Page, Rejected
from comporta.errors import (
    AccessRefused,
    ComportaError,
    RateLimited,
    RecordRejected,
    SourceChangedShape,
    SourceRefused,
    SourceTruncated,
)
from comporta.errors_mercadolivre import ItemsUntold, PolicyRefused
from comporta.ports.progress import LogLine, Progress
from comporta.ports.source import Identity, StreamRequest
from comporta.sources.answers import Answer, quote
from comporta.sources.mercadolivre_errors import FORBIDDEN, NOT_FOUND, POLICIES, RIGHT, TOO_MANY, refuse
from comporta.sources.mercadolivre_rows import Plan, Record, prepared
from comporta.sources.mercadolivre_scroll import scanned
from comporta.sources.mercadolivre_session import MercadoLivreSession, Wanted, decoded
from comporta.sources.mercadolivre_shape import table_for
from comporta.sources.mercadolivre_single import records
from comporta.sources.mercadolivre_streams import ITEMS
from comporta.sources.one_by_one import Look, end_of, in_no_order
from comporta.sources.values import compact

SCAN_SIZE = 100
MULTIGET = 20
"""Items that one request may name."""
WAVE = 10
"""Multigets that make one page of ours: 200 items, with what they are asked for in between in memory."""
LISTED = 10_000
PRICES = frozenset({"price", "original_price", "currency_id"})
"""Fields that an item may not tell any more, and its sale price does."""
FOR_SALE = frozenset({"active", "paused", None})
"""Statuses of an item that has a price; of one that is closed or under review there may be none any more."""
PRICE_TRIES = 2
ALWAYS = ("id", "seller_id", "attributes", "seller_custom_field", "variations")
"""Fields that decide whose an item is, what the seller calls it, and what its variations are."""
CONTEXT = {"context": "channel_marketplace"}
WHOLE = {"include_attributes": "all"}
"""Without it variations come without their attributes, and so without the seller's code of each."""


@dataclass(frozen=True, slots=True)
class _Untold:
    """An item that is there, or may be, and that was not shown."""

    key: str
    error: ComportaError

    @property
    def rejected(self) -> Rejected:
        return Rejected.untold(self.key, self.error)


@dataclass(frozen=True, slots=True)
class _Step:
    """One answer of the scan of ids."""

    keys: Sequence[str]
    total: int | None
    scroll: str | None


class ItemsReader:
    """The items of one seller, ready to be read."""

    is_resumable = False
    oldest = None
    sweep_rows = None

    def __init__(self, session: MercadoLivreSession, request: StreamRequest, progress: Progress, seller: str) -> None:
        self._plan = Plan(table_for(request), keeps_unknown=request.fields is None)
        self.shape = self._plan.shape
        self.identity = Identity(session.config.shown_url, "", seller, "1")
        self.is_unbroken = False
        self._session = session
        self._progress = progress
        self._seller = seller
        self._concurrency = request.concurrency
        self._columns = {each.column.name for each in self._plan.fields}
        self._projection = self._projected(request)

    @property
    def query(self) -> Mapping[str, object]:
        """What decides which rows and columns are asked for."""
        return {"fields": [each.column.name for each in self._plan.fields], "seller": self._seller}

    async def clock(self) -> datetime:
        """Return the source's clock."""
        return await self._session.time(self._progress)

    async def count(self, *, since: datetime | None, until: datetime | None) -> int | None:
        """Return the total that the list of ids gives."""
        told = await self._ids({"limit": 1}, "how many there are")
        return _total(told)

    async def pages(
        self,
        *,
        since: datetime | None,
        until: datetime | None,
        after: str | None,
        limit: int | None = None,
    ) -> AsyncGenerator[Page, None]:
        """Yield all items, each once."""
        ids = await self._all_ids(at_most=limit)
        size, absent, has_read = MULTIGET * WAVE, list[str](), False
        for start in range(0, max(1, len(ids)), size):
            part = ids[start : start + size]
            page, failed = await self._fetched(part, is_sweep=True)
            has_read |= bool(page.rows)
            if page.failure is not None:
                yield page
                raise page.failure
            if len(failed) == len(part) >= REFUSED_LEAST and not has_read:  # it is us then, not the items
                raise failed[0].error
            page = _with_rejected(page, failed)
            absent += self._absent(part, page) if limit is None else []
            yield replace(page, is_last=start + size >= len(ids) and not absent)
        if absent:
            yield replace(await self._absent_again(absent), is_last=True)

    async def listing(
        self,
        *,
        since: datetime | None,
        until: datetime | None,
    ) -> AsyncIterator[Sequence[tuple[Key, str | None]]]:
        """Yield the key of every item, by key."""
        ids = sorted(await self._all_ids())
        for start in range(0, len(ids), LISTED):
            yield [(each, None) for each in ids[start : start + LISTED]]

    async def fetch(self, keys: Sequence[Key]) -> Page:
        """Return those of the items that exist and are the seller's; what was said of others is ``unseen``."""
        page, failed = await self._fetched([str(key) for key in keys])
        return replace(page, unseen=[each.rejected for each in failed])

    async def _fetched(self, keys: Sequence[str], *, is_sweep: bool = False) -> tuple[Page, Sequence[_Untold]]:
        found, end = await self._looked_at(keys, is_sweep=is_sweep)
        priced, unpriced, prices_end = await self._priced([each for each in found if not isinstance(each, _Untold)])
        page = self._plan.page([prepared(ITEMS, each, seller=self._seller) for each in priced])
        failed = [each for each in found if isinstance(each, _Untold)]
        untold: dict[Key, frozenset[str]] = dict.fromkeys(unpriced, PRICES & self._columns)
        return replace(page, untold=untold, failure=end or prices_end), failed

    async def existing(self, keys: Sequence[Key]) -> frozenset[Key]:
        """Return which of the keys live: each is looked at, and lives while it is listed or cannot be told of."""
        found, end = await self._looked_at([str(key) for key in keys])
        if end is not None:
            raise end
        living = frozenset(each.key if isinstance(each, _Untold) else str(each["id"]) for each in found)
        absent = {str(key) for key in keys} - living
        return living | (absent & set(await self._all_ids())) if absent else living

    async def fetch_children(self, parents: Sequence[Key]) -> Page:
        """Return nothing: variations come with their item."""
        return Page([], is_last=True)

    async def buckets(self, *, until: datetime) -> Sequence[Bucket]:
        """Return nothing: the list has no stamps."""
        return []

    async def lookups(self) -> Sequence[Lookup]:
        """Return nothing."""
        return []

    async def _all_ids(self, *, at_most: int | None = None) -> list[str]:
        """Return every id, each once, by a scan that was whole."""

        async def ask(scroll: str | None) -> _Step:
            # Of a limit beside a scroll one page of the vendor's says that it causes errors, another that it is usual.
            more = {"scroll_id": scroll} if scroll else {"limit": SCAN_SIZE}
            told = await self._ids({"search_type": "scan", **more}, "its ids")
            following = told.get("scroll_id")
            is_more = isinstance(following, str) and following
            return _Step(cast("list[str]", told["results"]), _total(told), following if is_more else None)  # type: ignore[arg-type]  # a str by then

        ids: dict[str, None] = {}
        async with aclosing(scanned(ask, self._subject("its ids"), size=SCAN_SIZE)) as steps:
            async for step in steps:
                ids |= dict.fromkeys(step.keys)
                if at_most is not None and len(ids) >= at_most:
                    break
        return list(ids)[:at_most]

    async def _ids(self, query: Mapping[str, object], what: str) -> Mapping[str, object]:
        path = f"users/{self._seller}/items/search"
        told = await self._session.get(path, query, what=what, operation="items: ids", progress=self._progress)
        results = told.get("results") if isinstance(told, Mapping) else None
        if not isinstance(results, list) or not all(isinstance(each, str) and each for each in results):
            message = f'{self._subject(what)} answered no list of ids as "results"; expected one'
            raise SourceChangedShape(message)
        return cast("Mapping[str, object]", told)

    def _absent(self, keys: Sequence[str], page: Page) -> list[str]:
        place = self.shape.index(self.shape.key)
        found = {str(row[place]) for row in page.rows} | {each.key for each in page.rejected}
        return [key for key in keys if key not in found]

    async def _absent_again(self, keys: Sequence[str]) -> Page:
        """Look a second time at items that were listed and not found; reject those that are still listed."""
        page = _with_rejected(*await self._fetched(keys))
        if page.failure is not None:
            raise page.failure
        absent = self._absent(keys, page)
        still = set(await self._all_ids()) if absent else set()
        subject = self._subject("items by id")
        untold = [
            _Untold(key, RecordRejected(f"{subject}: {key} is listed, and twice was not found; expected the item"))
            for key in absent
            if key in still
        ]
        return _with_rejected(page, untold)

    async def _looked_at(
        self, keys: Sequence[str], *, is_sweep: bool = False
    ) -> tuple[list[Record | _Untold], ComportaError | None]:
        """Return the items that there are, and what ended the look before all was asked for.

        In a sweep, which nobody told to look at any of them, some must be shown.
        """
        shared = Look()

        async def look(chunk: Sequence[str]) -> Sequence[Record | _Untold]:
            part = await self._chunk(chunk, shared)
            if is_sweep:
                self._refuse_none(chunk, part)
            return part

        asked = list(dict.fromkeys(keys))
        chunks = [asked[start : start + MULTIGET] for start in range(0, len(asked), MULTIGET)]
        width = self._session.in_flight(self._concurrency)
        parts = await in_no_order(look, chunks, width=width, dice=self._session.dice)
        found = [each for part in parts for each in part]
        end = end_of(each.error for each in found if isinstance(each, _Untold))
        return [each for each in found if not isinstance(each, _Untold) or each.error.is_of_one], end

    async def _chunk(self, keys: Sequence[str], look: Look) -> Sequence[Record | _Untold]:
        """Return the items of one request; where it fails, or one of them does, each is asked for by itself."""
        found = await look.told_or_why(lambda: self._multiget(keys), is_one=len(keys) == 1)
        if not isinstance(found, ComportaError):
            return found
        if len(keys) == 1:
            return [_Untold(keys[0], found)]
        dice = self._session.dice
        alone = await in_no_order(lambda key: self._chunk([key], look), keys, width=1, dice=dice)
        return [each for part in alone for each in part]

    def _refuse_none(self, keys: Sequence[str], part: Sequence[Record | _Untold]) -> None:
        """Raise where each of many items failed alone: that is the source's trouble. A refusal may be the item's."""
        errors = [each.error for each in part if isinstance(each, _Untold)]
        errors = [each for each in errors if each.is_of_one and not isinstance(each, SourceRefused)]
        if len(errors) == len(keys) >= REFUSED_LEAST:
            subject = self._subject(f"{len(keys)} items from {keys[0]}")
            message = f"{subject}: not one of them could be read (first: {errors[0].message})"
            raise type(errors[0])(message)

    async def _multiget(self, keys: Sequence[str]) -> list[Record | _Untold]:
        """Return the items of one request that there are and that are the seller's."""
        query = {"ids": ",".join(keys), **WHOLE, **({"attributes": self._projection} if self._projection else {})}

        def accept(answer: Answer, subject: str) -> list[Record | _Untold]:
            refuse(answer, subject=subject, now=self._session.clock.now())
            told = decoded(answer, subject)
            if not isinstance(told, list) or not all(isinstance(each, Mapping) for each in told):
                message = f"{subject} answered no list; expected an answer for each item"
                raise SourceChangedShape(message)
            if len(told) != len(keys):
                message = f"{subject} answered {len(told)} parts; expected one for each item"
                raise SourceTruncated(message)
            return self._parts(told, keys, subject)

        what = f"{len(keys)} items from {keys[0]}"
        return await self._session.ask(Wanted("items", what, "items: multiget", query), accept, self._progress)

    def _parts(self, told: Sequence[Record], keys: Sequence[str], subject: str) -> list[Record | _Untold]:
        """Return the items of a multiget.

        A part without an item does not say of which it speaks, so all of them must say the same. To go by their order,
        which nobody promises, could call an item gone that is only refused.
        """
        whole = {str(part["body"]["id"]): part["body"] for part in told if _is_whole(part, keys)}
        found: list[Record | _Untold] = [each for each in whole.values() if self._is_own(each)]
        rest = [part for part in told if not _is_whole(part, keys)]
        if len(whole) + len(rest) != len(keys):
            message = f"{subject} answered one item twice; expected each once"
            raise SourceChangedShape(message)
        errors = [_error_of(part, subject) for part in rest]
        if len({type(each) for each in errors}) > 1:
            message = f"{subject} answered {len(rest)} parts of which nobody can say whose they are; expected items"
            raise SourceChangedShape(message)
        lacking = [key for key in keys if key not in whole]
        found += [_Untold(key, error) for key, error in zip(lacking, errors, strict=True) if error is not None]
        return found

    def _is_own(self, item: Record) -> bool:
        owner = item.get("seller_id")
        return owner is None or str(owner) == self._seller

    async def _priced(self, found: Sequence[Record]) -> tuple[Sequence[Record], frozenset[str], ComportaError | None]:
        """Return the items with their price, asked for where the item does not tell it any more.

        And which of those that are for sale have none, twice asked: one odd answer must not empty what is known. And
        what ended the asking: items whose price nobody was asked for are left out then.
        """
        bare = [str(each["id"]) for each in found if each.get("price") is None] if self._columns & PRICES else []
        for_sale = {str(each["id"]) for each in found if each.get("status") in FOR_SALE}
        prices: dict[str, Record] = {}
        for tries in range(PRICE_TRIES):
            left = [key for key in bare if key not in prices and (tries == 0 or key in for_sale)]
            width = self._session.in_flight(self._concurrency)
            told, end = await records(self._session, _sale_price, left, progress=self._progress, width=width)
            prices |= {key: each for key, each in told.items() if each and each.get("amount") is not None}
            if end is not None:
                asked = [each for each in found if str(each["id"]) not in left or str(each["id"]) in prices]
                return [_with_price(each, prices.get(str(each["id"]))) for each in asked], frozenset(), end
        unpriced = [key for key in bare if key not in prices and key in for_sale]
        if unpriced:
            fields = {"items": len(unpriced), "first": unpriced[0]}
            message = f"{len(unpriced)} items came without a price (first: {unpriced[0]}); the price that is here stays"
            self._progress.tell(LogLine("warning", "prices_missing", message, fields))
        return [_with_price(each, prices.get(str(each["id"]))) for each in found], frozenset(unpriced), None

    def _projected(self, request: StreamRequest) -> str:
        """Return what a multiget is to send of each item: all of it, or what feeds the columns that were named."""
        if request.fields is None:
            return ""
        named = {each.path[0] for each in self._plan.fields if each.path} - {"seller_sku"}
        priced = {*PRICES, "status"} if self._columns & PRICES else frozenset[str]()
        return ",".join(sorted({*named, *priced, *ALWAYS}))

    def _subject(self, what: str) -> str:
        return self._session.subject("items", what)


def _with_rejected(page: Page, untold: Sequence[_Untold]) -> Page:
    return replace(page, rejected=[*page.rejected, *(each.rejected for each in untold)])


def _is_whole(part: Record, keys: Sequence[str]) -> bool:
    body = part.get("body")
    return part.get("code") == 200 and isinstance(body, Mapping) and body.get("id") in keys


def _error_of(part: Record, subject: str) -> ComportaError | None:
    """Return why an item was not shown, ``None`` if there is none; raise what is not about this one item."""
    code, text = part.get("code"), compact(part, ascii_only=True)
    if code == NOT_FOUND:
        return None
    seen = f"{subject}: one of them answered {code}: {quote(text)}; expected the item"
    if code == TOO_MANY:
        raise RateLimited(seen)
    if isinstance(code, int) and code >= 500:
        raise ItemsUntold(seen)
    if code == FORBIDDEN:
        if any(word.decode() in text for word in POLICIES):
            raise PolicyRefused(seen)
        return AccessRefused(seen, next_step=RIGHT)
    if isinstance(code, int) and code >= 400:
        return SourceRefused(seen)
    raise SourceChangedShape(seen)


def _sale_price(key: str) -> Wanted:
    return Wanted(f"items/{key}/sale_price", f"price of {key}", "items: price", CONTEXT)


def _total(told: Mapping[str, object]) -> int | None:
    paging = told.get("paging")
    total = paging.get("total") if isinstance(paging, Mapping) else None
    return total if type(total) is int and total >= 0 else None


def _with_price(item: Record, price: Record | None) -> Record:
    if price is None:
        return item
    regular = price.get("regular_amount")
    return {
        **item,
        "price": price.get("amount"),
        "original_price": regular if item.get("original_price") is None else item["original_price"],
        "currency_id": item.get("currency_id") or price.get("currency_id"),
    }
