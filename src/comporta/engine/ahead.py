"""Fetching ahead: pages are read while the last batch is written, and what waits together is one batch.

Where the source is slower than the database, each page is written as it comes; where it is quicker, batches
grow until one transaction takes the time it should (``core.batch``). As much as one more batch is fetched
meanwhile and no more, so memory does not grow with the stream.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from dataclasses import replace

from comporta.core.nested import lists_of, only
from comporta.core.record import Lookup, Page, Rejected, Row, Shape


async def in_batches(
    pages: AsyncGenerator[Page, None], shape: Shape, rows_wanted: Callable[[], int]
) -> AsyncGenerator[Page, None]:
    """Yield what waits, at least one page, joined up to ``rows_wanted``; an error comes after what was read."""
    waiting = _Waiting(rows_wanted)
    fetching = asyncio.ensure_future(_fetch(pages, waiting))
    try:
        while batch := await waiting.take(fetching):
            yield joined(batch, shape)
        await fetching
    finally:
        waiting.close()
        fetching.cancel()
        await asyncio.gather(fetching, return_exceptions=True)
        await pages.aclose()


def joined(pages: Sequence[Page], shape: Shape) -> Page:
    """Return pages as one, with the position of the last."""
    if len(pages) == 1:
        return pages[0]
    rows: list[Row] = []
    extras: dict[int, str] = {}
    rejected: list[Rejected] = []
    limited_rows: set[int] = set()
    for page in pages:
        extras |= {len(rows) + place: extra for place, extra in page.extras.items()}
        limited_rows |= {len(rows) + place for place in page.limited}
        rows += page.rows
        rejected += page.rejected
    lists, lookups = lists_of(pages, shape), _lookups(pages)
    untold = {key: names for page in pages for key, names in page.untold.items()}
    last = replace(pages[-1], rows=rows, rejected=rejected, extras=extras, limited=frozenset(limited_rows))
    return replace(last, nested=lists, lookups=lookups, untold=untold)


async def limited(pages: AsyncIterator[Page], shape: Shape, maximum: int | None) -> AsyncGenerator[Page, None]:
    """Yield at most ``maximum`` records and then stop asking."""
    left = maximum
    async for page in pages:
        if left is None or records(page) < left:
            left = None if left is None else left - records(page)
            yield page
            continue
        rejected = page.rejected[:left]
        kept = min(left - len(rejected), len(page.rows))
        yield replace(only(page, shape, range(kept)), rejected=rejected, is_last=True)
        return


def records(page: Page) -> int:
    """Return how many records a page has, with those that cannot be written."""
    return len(page.rows) + len(page.rejected)


def _lookups(pages: Sequence[Page]) -> list[Lookup]:
    found: dict[Shape, list[Row]] = {}
    for page in pages:
        for each in page.lookups:
            found.setdefault(each.shape, []).extend(each.rows)
    return [Lookup(shape, rows) for shape, rows in found.items()]


def _carries(page: Page) -> list[Shape]:
    return [each.shape for each in page.nested]


class _Waiting:
    """The pages between the task that fetches and the one that writes."""

    def __init__(self, rows_wanted: Callable[[], int]) -> None:
        self._wanted = rows_wanted
        self._pages: deque[Page] = deque()
        self._came = asyncio.Event()
        self._went = asyncio.Event()
        self.is_closed = False

    async def put(self, page: Page) -> None:
        """Add a page, then wait until there is room to fetch another, or nobody takes any more."""
        self._pages.append(page)
        self._came.set()
        while not self.is_closed and sum(map(records, self._pages)) >= self._wanted():
            self._went.clear()
            await self._went.wait()

    def close(self) -> None:
        """Let nobody wait for room: no more is taken."""
        self.is_closed = True
        self._went.set()

    async def take(self, fetching: "asyncio.Future[None]") -> list[Page]:
        """Return what waits, once anything does; nothing when fetching has ended."""
        if not self._pages and not fetching.done():
            self._came.clear()
            coming = asyncio.ensure_future(self._came.wait())
            try:
                await asyncio.wait((coming, fetching), return_when=asyncio.FIRST_COMPLETED)
            finally:
                coming.cancel()
        taken: list[Page] = []
        while self._pages and (not taken or self._fits(taken)):
            taken.append(self._pages.popleft())
        self._went.set()
        return taken

    def _fits(self, taken: Sequence[Page]) -> bool:
        """Say whether the next page goes into one batch with those: not if only one of them has a list.

        Else the records of the other would seem to have lost theirs.
        """
        is_alike = _carries(self._pages[0]) == _carries(taken[0])
        return is_alike and sum(map(records, (*taken, self._pages[0]))) <= self._wanted()


async def _fetch(pages: AsyncIterator[Page], waiting: _Waiting) -> None:
    async for page in pages:
        await waiting.put(page)
        if page.is_last or waiting.is_closed:
            return
