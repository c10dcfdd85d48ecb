"""Reading a list by offset while people change it: pages overlap, and are stitched where they share a record.

An offset is a place in a list, and the list moves. When a record before the reader is deleted, everything behind it
moves up by one, and the record on the seam is in no page. So each page begins on the last record of the page before::

    list      a b c d e f g h i j k
    page 0    a b c d
    page 1          d e f g                shares d with page 0: nothing lies between them
    (a is deleted)
    page 2                  h i j          its place was g's, shares nothing: something may lie between
    bridge              f g h i            asked for further back: shares g with page 1, and h with page 2

What that proves: in a list whose records keep their order, two pages that share a record have nothing between them
that was there all the time, whatever was added or deleted meanwhile, and whichever of the two was answered first.
A chain of such pages from offset 0 to a short one holds everything. A record that comes again is left out.

What it does not: a list that is put in another order can carry a record from the unread part into the read one. It
betrays itself where a page's records do not rise or fall, or where more of a page is known than was asked to overlap;
then ``is_unbroken`` is false, and counts and listings have to prove what pages cannot.

Several pages are in flight. They are taken in the order of their offsets, and only so many wait to be taken, so memory
does not grow with the list. Totals are hints: they say where asking ahead would be in vain, and whether a short page is
the end; where they do not, the end is asked for once more.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Generic, Protocol, TypeVar

from comporta.sources.id_set import IdSet

OVERLAP = 1
"""Records that two neighbouring pages share: the least that shows that they are neighbours."""
AHEAD = 3
"""Pages that wait or are in flight, as a multiple of those in flight: one slow answer does not stop the others."""
VAIN_MAX = 3
"""How often a list is begun anew, or a bridge brings nothing new; after that it is read as it comes and is no proof."""


class Sheet(Protocol):
    """One answer of a list.

    ``order`` is a value for each record by which the list should rise or fall, ``None`` where a record does not tell
    it; ``total`` is how many records there are in all by the source's word.
    """

    @property
    def keys(self) -> Sequence[int]:
        """Return the ids of all records, in the order they came."""

    @property
    def order(self) -> Sequence[Any]:
        """Return what the records are in order of."""

    @property
    def total(self) -> int | None:
        """Return the source's total, if it gave one."""


S = TypeVar("S", bound=Sheet)
Fetch = Callable[[int, int], Awaitable[S]]
"""Asks, from an offset (first), for so many records (second)."""


@dataclass(frozen=True, slots=True)
class Part(Generic[S]):
    """A sheet, and the places in it of the records that did not come before."""

    sheet: S
    fresh: Sequence[int]
    is_last: bool


class EndlessError(Exception):
    """Full pages come for ever and hold nothing new; never leaves ``comporta.sources``."""


class OffsetPages(Generic[S]):
    """One traversal of a list.

    ``in_flight`` says how many requests are of use at the moment. ``grows_inside``: new records may come before old
    ones, as in a filtered list whose records begin to match.
    """

    def __init__(
        self,
        fetch: Fetch[S],
        *,
        size: int,
        in_flight: Callable[[], int],
        first: S | None = None,
        grows_inside: bool = False,
    ) -> None:
        self.is_unbroken = False
        self.total: int | None = None
        self.seen = IdSet()
        self._fetch = fetch
        self._size = size
        self._overlap = min(OVERLAP, size - 1)
        self._in_flight = in_flight
        self._first = first
        self._grows_inside = grows_inside
        self._waiting: dict[int, asyncio.Future[S]] = {}
        self._grid = 0  # the next offset to ask ahead for
        self._end = 0  # the offset behind what was read, when it was read
        self._joined = 0
        self._is_end_near = False  # a page came that was not full: what lies behind it is not asked for ahead
        self._was_short = False
        self._longest = 0
        self._looks_past = False  # pages are as short as the overlap, so that no look back can show what follows
        self._vain = 0
        self._repeated = 0  # records in a row that all came before
        self._balance = 0  # by how much the list moved up since the first page; below 0, something came before it
        self._directions: set[bool] = set()
        self._holds = self._overlap > 0
        self._is_closed = False

    async def parts(self) -> AsyncGenerator[Part[S], None]:
        """Yield the list in order, each record once; by the end ``is_unbroken`` and ``total`` are known.

        Raise ``EndlessError`` where the source repeats what it said whatever it is asked.
        """
        try:
            while True:
                offset = self._next_offset()
                sheet = await self._take(offset)
                met_at, sheet = await self._meeting(offset, sheet)
                is_bridge = met_at != offset
                fresh = self._join(met_at, sheet, is_moved=is_bridge or not self._holds)
                self._vain += is_bridge and not fresh
                is_last = self._is_end(met_at, sheet, fresh)
                self._refuse_repetition(sheet, fresh)
                if is_last:
                    self.is_unbroken = self._holds and len(self._directions) <= 1
                if fresh or is_last:
                    yield Part(sheet, fresh, is_last)
                if is_last:
                    return
        finally:
            self._is_closed = True
            await self._abandon()

    def _next_offset(self) -> int:
        """Return where to go on: at a page that waits and may meet, else where the next one should."""
        needed = self._end if self._looks_past else max(self._end - self._overlap, 0)
        return min((offset for offset in self._waiting if offset <= needed), default=needed)

    async def _take(self, offset: int) -> S:
        if offset not in self._waiting:
            self._ask(offset)
        self._ask_ahead()
        waiting = self._waiting[offset]
        await asyncio.wait([waiting])
        del self._waiting[offset]
        return waiting.result()

    async def _meeting(self, offset: int, sheet: S) -> tuple[int, S]:
        """Return a page that meets what was read, and its offset: this one, or a bridge to it, and this one waits."""
        if self._looks_past and len(sheet.keys) <= self._overlap:
            self._holds = self._holds and not sheet.keys
            return offset, sheet
        self._looks_past = False
        back = max(self._size // 2, self._overlap)
        at, found = offset, sheet
        while not self._meets(at, found):
            if self._vain >= VAIN_MAX:
                self._holds = False
                return offset, sheet
            if found.keys:
                self._set_aside(at, found)
            at = max(min(offset, self._end) - back, 0)
            if at == 0:
                await self._rewind()
            found = await self._take(at)
            back *= 2
        return at, found

    def _meets(self, offset: int, sheet: S) -> bool:
        """Say whether nothing can lie between this page and what was read."""
        return offset == 0 or self._overlap == 0 or any(key in self.seen for key in sheet.keys)

    def _join(self, offset: int, sheet: S, *, is_moved: bool) -> Sequence[int]:
        """Add a page to what was read; return the places of what is new."""
        known = sum(map(self.seen.__contains__, sheet.keys))
        if known < len(sheet.keys) and offset < self._end:
            self._balance += self._end - offset - known
        if self._balance < 0 and not self._grows_inside:
            self._holds = False
        ordered = [value for value in sheet.order if value is not None]
        self._directions |= {low < high for low, high in pairwise(ordered)}
        end = offset + len(sheet.keys)
        self._end = end if is_moved else max(self._end, end)
        self._joined += 1
        self._longest = max(self._longest, len(sheet.keys))
        self.total = sheet.total
        return self.seen.new_places(sheet.keys)

    def _is_end(self, offset: int, sheet: S, fresh: Sequence[int]) -> bool:
        """Say whether nothing follows: a short page is the end where the total agrees, else if another look agrees."""
        end = offset + len(sheet.keys)
        if len(sheet.keys) >= self._size or end < self._end:
            self._was_short = False
            return False
        is_confirmed = self._was_short and not fresh
        self._was_short = True
        if is_confirmed and 0 < self._longest <= self._overlap and not self._looks_past:
            self._looks_past = True
            return False
        return is_confirmed or sheet.total == end

    def _refuse_repetition(self, sheet: S, fresh: Sequence[int]) -> None:
        """Raise when twice as many records as there are came again, and not one that is new."""
        self._repeated = 0 if fresh else self._repeated + len(sheet.keys)
        if self._repeated > 2 * max(len(self.seen), self._size):
            message = f"offset {self._end} brought none but the {len(self.seen)} records that came before"
            raise EndlessError(message)

    def _ask_ahead(self) -> None:
        """Keep as many requests under way as are of use, as long as what they bring will be."""
        useful = self._in_flight()
        if useful == 1:
            return
        flying = sum(not each.done() for each in self._waiting.values())
        while not self._is_closed and flying < useful and len(self._waiting) < AHEAD * useful and self._is_promising():
            self._ask(self._grid)
            flying += 1

    def _is_promising(self) -> bool:
        """Say whether records are to be expected at the next offset; without a total, as far again as was read."""
        if self._joined == 0 or self._is_end_near:
            return False
        if self.total is not None and self.total > self._end:
            return self._grid + self._overlap < self.total
        return self._grid <= self._end or len(self._waiting) < self._joined

    def _ask(self, offset: int) -> None:
        if offset == 0 and self._first is not None:
            self._set_aside(0, self._first)
            self._first = None
        else:
            task = asyncio.ensure_future(self._fetched(offset))
            task.add_done_callback(lambda _: self._ask_ahead())
            self._waiting[offset] = task
        self._grid = max(self._grid, offset + self._size - self._overlap)

    async def _fetched(self, offset: int) -> S:
        sheet = await self._fetch(offset, self._size)
        if len(sheet.keys) < self._size:
            self._is_end_near = True
        return sheet

    def _set_aside(self, offset: int, sheet: S) -> None:
        waiting: asyncio.Future[S] = asyncio.get_running_loop().create_future()
        waiting.set_result(sheet)
        self._waiting[offset] = waiting

    async def _rewind(self) -> None:
        """Begin anew at the first record; what was seen stays seen."""
        self._vain += 1
        self._repeated = 0
        self._grid = self._end = self._balance = 0
        self._is_end_near = False
        await self._abandon()

    async def _abandon(self) -> None:
        waiting, self._waiting = list(self._waiting.values()), {}
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
