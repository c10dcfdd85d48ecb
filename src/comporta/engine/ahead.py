"""Fetching ahead: pages are read while the last batch is written, and what waits together is one batch.

Where the source is slower than the database, each page is written as it comes; where it is quicker, batches
grow until one transaction takes the time it should (``core.batch``). As much as one more batch is fetched
meanwhile and no more, so memory does not grow with the stream.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from dataclasses import replace

from comporta.core.record import Page, Rejected, Row


async def in_batches(pages: AsyncGenerator[Page, None], rows_wanted: Callable[[], int]) -> AsyncGenerator[Page, None]:
    """Yield what waits, at least one page, joined up to ``rows_wanted``; an error comes after what was read."""
    waiting = _Waiting(rows_wanted)
    fetching = asyncio.ensure_future(_fetch(pages, waiting))
    try:
        while batch := await waiting.take(fetching):
            yield joined(batch)
        await fetching
    finally:
        fetching.cancel()
        await asyncio.gather(fetching, return_exceptions=True)
        await pages.aclose()


def joined(pages: Sequence[Page]) -> Page:
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
    return replace(pages[-1], rows=rows, extras=extras, rejected=rejected, limited=frozenset(limited_rows))


async def limited(pages: AsyncIterator[Page], maximum: int | None) -> AsyncGenerator[Page, None]:
    """Yield at most ``maximum`` records and then stop asking."""
    left = maximum
    async for page in pages:
        if left is None or records(page) < left:
            left = None if left is None else left - records(page)
            yield page
            continue
        rejected = page.rejected[:left]
        kept = left - len(rejected)
        extras = {place: extra for place, extra in page.extras.items() if place < kept}
        part = frozenset(place for place in page.limited if place < kept)
        yield replace(page, rows=page.rows[:kept], rejected=rejected, extras=extras, limited=part, is_last=True)
        return


def records(page: Page) -> int:
    """Return how many records a page has, with those that cannot be written."""
    return len(page.rows) + len(page.rejected)


class _Waiting:
    """The pages between the task that fetches and the one that writes."""

    def __init__(self, rows_wanted: Callable[[], int]) -> None:
        self._wanted = rows_wanted
        self._pages: deque[Page] = deque()
        self._came = asyncio.Event()
        self._went = asyncio.Event()

    async def put(self, page: Page) -> None:
        """Add a page, then wait until there is room to fetch another."""
        self._pages.append(page)
        self._came.set()
        while sum(map(records, self._pages)) >= self._wanted():
            self._went.clear()
            await self._went.wait()

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
        while self._pages and (not taken or sum(map(records, (*taken, self._pages[0]))) <= self._wanted()):
            taken.append(self._pages.popleft())
        self._went.set()
        return taken


async def _fetch(pages: AsyncIterator[Page], waiting: _Waiting) -> None:
    async for page in pages:
        await waiting.put(page)
        if page.is_last:
            return
