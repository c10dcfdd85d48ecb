"""Pages on their way to the database: joined, bounded, in order, and none lost when something fails."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress

import pytest

from comporta.core.record import Column, ColumnType, Page, Rejected, Shape
from comporta.engine.ahead import in_batches, joined

pytestmark = pytest.mark.anyio
KEYS = Shape("shop", "thing", (Column("id", ColumnType.INTEGER, "id"),), key="id")


def page(*keys: int, last: bool = False) -> Page:
    """Return a page of rows that are only keys, each odd one with something beside its columns."""
    extras = {place: f'{{"n": {key}}}' for place, key in enumerate(keys) if key % 2}
    return Page([(key,) for key in keys], extras=extras, position=str(keys[-1]), is_last=last)


class Reader:
    """Gives pages, and knows how many it gave."""

    def __init__(self, pages: Sequence[Page], error: Exception | None = None) -> None:
        self.left = list(pages)
        self.given = 0
        self.is_closed = False
        self._error = error

    async def pages(self) -> AsyncGenerator[Page, None]:
        """Yield what there is, then fail if told."""
        try:
            for each in self.left:
                await asyncio.sleep(0)
                self.given += 1
                yield each
            if self._error is not None:
                raise self._error
        finally:
            self.is_closed = True


async def rest() -> None:
    """Let everybody do what they can."""
    for _ in range(50):
        await asyncio.sleep(0)


def test_joined_pages_keep_what_belongs_to_each_row() -> None:
    """Extras go by place, and the places move."""
    both = joined([page(1, 2), Page([], [Rejected("9", "c", "r", "{}")]), page(3, 4, 5, last=True)], KEYS)

    assert both.rows == [(1,), (2,), (3,), (4,), (5,)]
    assert both.extras == {0: '{"n": 1}', 2: '{"n": 3}', 4: '{"n": 5}'}
    assert ([each.key for each in both.rejected], both.position, both.is_last) == (["9"], "5", True)


async def test_what_waits_is_written_together_and_no_more_than_wanted_is_fetched_ahead() -> None:
    """While a batch of four is written, four more rows are fetched and then nothing."""
    reader = Reader([page(number, number + 1) for number in range(1, 40, 2)])
    sizes = []
    async for batch in in_batches(reader.pages(), KEYS, lambda: 4):
        sizes.append(len(batch.rows))
        await rest()

        assert reader.given * 2 <= sum(sizes) + 4

    assert sum(sizes) == 40
    assert max(sizes[1:]) == 4


async def test_a_page_larger_than_wanted_goes_alone() -> None:
    """A page is never split: its position is one."""
    reader = Reader([page(*range(1, 9)), page(9), page(10, last=True)])

    first, *_ = [len(each.rows) async for each in in_batches(reader.pages(), KEYS, lambda: 4)]

    assert first == 8


async def test_what_was_read_before_an_error_is_written_before_it_is_raised() -> None:
    """The next run then goes on behind it."""
    reader = Reader([page(1, 2), page(3)], error=ValueError("the source went away"))
    written: list[object] = []

    async def write() -> None:
        async for batch in in_batches(reader.pages(), KEYS, lambda: 100):
            written.extend(batch.rows)
            await rest()

    with pytest.raises(ValueError, match="went away"):
        await write()

    assert written == [(1,), (2,), (3,)]


async def test_nothing_is_asked_for_after_the_last_page() -> None:
    """The source itself said that nothing follows."""
    reader = Reader([page(1, last=True), page(2)])
    written = [row async for batch in in_batches(reader.pages(), KEYS, lambda: 100) for row in batch.rows]

    assert (written, reader.given) == ([(1,)], 1)


async def test_whoever_stops_early_stops_the_reading_too() -> None:
    """A commit that failed leaves no request of the run behind."""
    reader = Reader([page(number) for number in range(1, 100)])
    batches = in_batches(reader.pages(), KEYS, lambda: 3)
    await anext(batches)
    await batches.aclose()
    given = reader.given
    await rest()

    assert (reader.given, reader.is_closed) == (given, True)


async def test_a_reader_that_loses_a_cancellation_holds_up_no_end() -> None:
    """It was told to stop when its answer was there already, and gave that; nobody takes it any more."""
    asked, may_answer = asyncio.Event(), asyncio.Event()

    async def pages() -> AsyncGenerator[Page, None]:
        yield page(1)
        asked.set()
        with suppress(asyncio.CancelledError):
            await may_answer.wait()
        yield page(2)
        yield page(3)

    batches = in_batches(pages(), KEYS, lambda: 1)
    taken = await anext(batches)
    await asked.wait()
    await asyncio.wait_for(batches.aclose(), 5)

    assert taken.rows == [(1,)]
