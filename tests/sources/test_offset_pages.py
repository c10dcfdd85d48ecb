"""Offset pages over a list that people change between any two answers, answered in any order.

The list is simulated, the reading is real. What existed all the time must come, and nothing twice; where records
change places, what was missed must at least not be called proved.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from comporta.sources.offset_pages import AHEAD, OVERLAP, EndlessError, OffsetPages

pytestmark = pytest.mark.anyio
SIZE = 6
ASKED_MAX = 2_000
CALM = 0.2
"""Changes for each answer of six records up to which pages always meet; beyond, a list may run away from its reader."""


@dataclass(frozen=True)
class Leaf:
    """One answer."""

    keys: Sequence[int]
    total: int | None

    @property
    def order(self) -> Sequence[int]:
        return self.keys


@dataclass
class Shelf:
    """A list in order of its keys that changes by chance, and answers pending requests in any order."""

    keys: list[int]
    chance: random.Random
    changes: Sequence[str] = ()
    rate: float = 0.0
    tell: Callable[[int], int | None] = lambda count: count
    cap: int = 10_000
    asked: list[int] = field(default_factory=list)
    most_pending: int = 0
    gone: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.first = set(self.keys)
        self._pending: list[tuple[int, int, asyncio.Future[Leaf]]] = []

    async def fetch(self, offset: int, size: int) -> Leaf:
        """Ask; somebody answers at some time."""
        answer: asyncio.Future[Leaf] = asyncio.get_running_loop().create_future()
        self.asked.append(offset)
        assert len(self.asked) < ASKED_MAX, "the reader goes round in circles"
        self._pending.append((offset, size, answer))
        self.most_pending = max(self.most_pending, len(self._pending))
        return await answer

    async def serve(self) -> None:
        """Answer one request after the other, the list changing before each; deliver some late."""
        ready: list[tuple[asyncio.Future[Leaf], Leaf]] = []
        while True:
            await rest()
            if self._pending and (not ready or self.chance.random() < 0.5):
                self._change()
                offset, size, answer = self._pending.pop(self.chance.randrange(len(self._pending)))
                ready.append((answer, self._page(offset, size)))
            elif ready:
                answer, leaf = ready.pop(self.chance.randrange(len(ready)))
                if not answer.done():
                    answer.set_result(leaf)

    def _page(self, offset: int, size: int) -> Leaf:
        return Leaf(self.keys[offset : offset + min(size, self.cap)], self.tell(len(self.keys)))

    def _change(self) -> None:
        while self.changes and self.chance.random() < self.rate:
            kind = self.chance.choice(self.changes)
            if kind == "append":
                self.keys.append(max([*self.first, *self.keys, *self.gone, 0]) + 1)
            elif kind == "insert":  # between two: a key that was free
                free = sorted(set(range(max([*self.keys, 2]))) - {*self.keys, *self.gone})
                if free:
                    self.keys = sorted([*self.keys, self.chance.choice(free)])
            elif self.keys and kind == "delete":
                self.gone.add(self.keys.pop(self.chance.randrange(len(self.keys))))
            elif self.keys and kind == "front":
                self.gone.add(self.keys.pop(0))
            elif self.keys:
                moved = self.keys.pop(self.chance.randrange(len(self.keys)))
                self.keys.insert(self.chance.randrange(len(self.keys) + 1), moved)


class Stuck(Shelf):
    """A list behind whose end its last page comes again."""

    def _page(self, offset: int, size: int) -> Leaf:
        return super()._page(min(offset, len(self.keys) - size), size)


async def rest() -> None:
    """Let everybody do what they can."""
    for _ in range(6):
        await asyncio.sleep(0)


async def read(
    shelf: Shelf, *, size: int = SIZE, in_flight: int = 4, grows_inside: bool = False
) -> tuple[list[int], OffsetPages[Leaf]]:
    """Read the shelf to its end."""
    pages = OffsetPages(shelf.fetch, size=size, in_flight=lambda: in_flight, grows_inside=grows_inside)
    serving = asyncio.ensure_future(shelf.serve())
    try:
        found = [part.sheet.keys[place] async for part in pages.parts() for place in part.fresh]
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
    return found, pages


def shelf(count: int, seed: int = 1, **how: object) -> Shelf:
    """Return a list with gaps between its keys."""
    return Shelf([2 * number for number in range(1, count + 1)], random.Random(seed), **how)  # type: ignore[arg-type]  # as the caller says


TELLS: dict[str, Callable[[int], int | None]] = {
    "right": lambda count: count,
    "absent": lambda _: None,
    "low": lambda count: count // 2,
    "high": lambda count: count + 7,
}
seeds = st.integers(0, 2**32)
counts = st.integers(0, 60)
flights = st.integers(1, 6)
rates = st.sampled_from([0.0, 0.2, 0.5, 0.7])


@given(count=counts, seed=seeds, rate=rates, flight=flights, tell=st.sampled_from(sorted(TELLS)))
@example(count=30, seed=3, rate=0.5, flight=4, tell="absent")
def test_what_is_there_all_the_time_comes_and_nothing_comes_twice(
    count: int, seed: int, rate: float, flight: int, tell: str
) -> None:
    """Whatever is added or deleted between any two answers, in whatever order they come.

    A list that has one record, and more by and by, cannot be told from a source that gives one at a time.
    """
    moving = shelf(count, seed, changes=("append", "insert", "delete", "front"), rate=rate, tell=TELLS[tell])

    found, pages = asyncio.run(read(moving, in_flight=flight, grows_inside=True))

    lasting = moving.first - moving.gone
    assert len(found) == len(set(found))
    assert not pages.is_unbroken or lasting <= set(found)
    assert pages.is_unbroken or rate > CALM or len(moving.first) <= OVERLAP


@given(count=counts, seed=seeds, flight=flights, tell=st.sampled_from(sorted(TELLS)), cap=st.integers(2, SIZE))
def test_a_still_list_is_read_whole_whatever_the_total_says(
    count: int, seed: int, flight: int, tell: str, cap: int
) -> None:
    """Also by a server that cuts pages, unless the total is by chance what was read up to a page's end."""
    still = shelf(count, seed, tell=TELLS[tell], cap=cap)
    assume(tell != "low" or cap == SIZE or (count // 2 - 1) % (cap - 1))

    found, pages = asyncio.run(read(still, in_flight=flight))

    assert found == still.keys
    assert pages.is_unbroken


@given(count=st.integers(13, 60), seed=seeds, rate=rates, flight=flights)
def test_records_that_change_places_are_never_called_proved_when_one_is_missing(
    count: int, seed: int, rate: float, flight: int
) -> None:
    """A record that went from the unread part into the read one shows in the total, or in the pages."""
    moving = shelf(count, seed, changes=("move",), rate=rate)

    found, pages = asyncio.run(read(moving, in_flight=flight))

    is_whole = set(found) == moving.first
    assert len(found) == len(set(found))
    assert is_whole or not pages.is_unbroken or len(found) < (pages.total or 0)


@given(count=st.integers(13, 60), seed=seeds, rate=rates, flight=flights)
def test_a_list_in_no_order_proves_nothing(count: int, seed: int, rate: float, flight: int) -> None:
    """Without a total nothing else tells that a record has slipped by."""
    moving = shelf(count, seed, changes=("move",), rate=rate, tell=TELLS["absent"])
    random.Random(seed).shuffle(moving.keys)

    _, pages = asyncio.run(read(moving, in_flight=flight))

    assert not pages.is_unbroken


async def test_a_record_that_moves_ahead_is_noticed_without_a_total() -> None:
    """It is in no page; but the pages behind it overlap by more than was asked."""
    moving = shelf(30, tell=TELLS["absent"])
    fetch = moving.fetch

    async def fetched(offset: int, size: int) -> Leaf:
        if offset == 2 * (SIZE - 1):
            moving.keys.insert(0, moving.keys.pop(25))
        return await fetch(offset, size)

    moving.fetch = fetched  # type: ignore[method-assign]  # one answer of its own

    found, pages = await read(moving, in_flight=1)

    assert len(found) == 29
    assert not pages.is_unbroken


@pytest.mark.parametrize("tell", sorted(TELLS))
@pytest.mark.parametrize("flight", [1, 4, 8])
async def test_overlap_and_proof_cost_next_to_nothing(tell: str, flight: int) -> None:
    """3,000 records in pages of 100: one request more for the overlap, one for the end where no total tells it."""
    still = shelf(3_000, tell=TELLS[tell])

    await read(still, size=100, in_flight=flight)

    asked_in_vain = 0 if tell == "right" else flight
    assert len(still.asked) <= 31 + 1 + asked_in_vain
    assert still.most_pending <= flight


async def test_one_at_a_time_means_one() -> None:
    """Also where the list shifts and bridges are asked for."""
    moving = shelf(60, seed=5, changes=("front", "append"), rate=0.3)

    await read(moving, in_flight=1)

    assert moving.most_pending == 1


async def test_what_waits_is_bounded_while_nobody_takes_it() -> None:
    """A reader that is not asked for the next part fetches a few pages ahead and no more."""
    still = shelf(3_000)
    pages = OffsetPages(still.fetch, size=100, in_flight=lambda: 4)
    serving = asyncio.ensure_future(still.serve())
    parts = pages.parts()
    for _ in range(3):
        await anext(parts)
    for _ in range(100):
        await rest()

    asked = len(still.asked)

    await parts.aclose()
    serving.cancel()
    assert asked <= 3 + AHEAD * 4


async def test_a_page_that_fails_ends_the_reading_and_what_was_asked_ahead() -> None:
    """Nothing goes on in the background."""
    still = shelf(3_000)
    fetch = still.fetch
    ended: list[int] = []

    async def fetched(offset: int, size: int) -> Leaf:
        try:
            leaf = await fetch(offset, size)
        finally:
            ended.append(offset)
        if offset == 99:
            raise ConnectionError
        return leaf

    still.fetch = fetched  # type: ignore[method-assign]  # one answer of its own

    with pytest.raises(ConnectionError):
        await read(still, size=100)

    assert sorted(ended) == sorted(still.asked)


@pytest.mark.parametrize("flight", [1, 4])
async def test_a_list_whose_rest_is_hidden_is_not_proved(flight: int) -> None:
    """Where nothing comes any more but the total says that something is left, the reading ends, and says so."""
    hiding = shelf(60)
    fetch = hiding.fetch

    async def fetched(offset: int, size: int) -> Leaf:
        leaf = await fetch(offset, size)
        return leaf if offset < 20 else Leaf([], leaf.total)

    hiding.fetch = fetched  # type: ignore[method-assign]  # one answer of its own

    found, pages = await read(hiding, in_flight=flight)

    assert len(found) < 60
    assert not pages.is_unbroken


async def test_a_list_that_repeats_its_last_page_is_not_read_for_ever() -> None:
    """Behind the end comes the last page again, full, with nothing new."""
    stuck = Stuck(shelf(20).keys, random.Random(1))

    with pytest.raises(EndlessError, match="the 20 records"):
        await read(stuck)


@pytest.mark.parametrize("tell", sorted(TELLS.keys() - {"low"}))
@pytest.mark.parametrize("count", [1, 2, 25])
async def test_a_source_that_gives_one_record_at_a_time_is_read_to_its_end(count: int, tell: str) -> None:
    """Its pages are no longer than the overlap, so none of them shows what follows; nothing is called proved."""
    slow = shelf(count, cap=1, tell=TELLS[tell])

    found, pages = await read(slow)

    assert sorted(found) == slow.keys
    assert count == 1 or not pages.is_unbroken
