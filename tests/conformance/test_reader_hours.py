"""What every reader promises, asked of one that searches by hours, beside what ``test_reader_every`` asks of all.

Pages come in order of creation, not of keys, and carry the lists inside their records; a window is asked for by whole
hours; a record that is cancelled is hidden and never deleted; a position is the part of the window it is of.
"""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest
from tests.conformance.readers import COUNT, PAGE
from tests.conformance.test_reader import keys, keys_of, listed, pages_of
from tests.sources.mercadolivre_desk import SELLER, Desk, desk_of, orders_of

from comporta.core.instant import parse_instant
from comporta.errors import FilterIgnored
from comporta.sandbox.mercadolivre import MercadoLivreSandbox
from comporta.testing import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    """A clock that jumps when everybody waits."""
    return FakeClock()


@pytest.fixture
def sandbox(clock: FakeClock) -> Iterator[MercadoLivreSandbox]:
    """A seller for whom nobody works."""
    with MercadoLivreSandbox(records=COUNT, sellers=1, items=10, clock=clock.now) as running:
        yield running


@pytest.fixture
async def desk(sandbox: MercadoLivreSandbox, clock: FakeClock) -> AsyncIterator[Desk]:
    """Its readers."""
    desk = desk_of(sandbox, clock, page_size=PAGE)
    yield desk
    await desk.source.aclose()


async def test_the_shape_names_key_and_stamp(desk: Desk) -> None:
    """Those of the lists inside the records too: each points to its record and bears its stamp."""
    shape = (await desk.read()).shape

    assert (shape.key, shape.stamp, shape.columns[0].name) == ("id", "last_updated", "id")
    assert [each.stream for each in shape.nested] == ["order_items", "order_payments"]
    for each in shape.nested:
        assert {each.key, each.stamp, each.parent} <= {column.name for column in each.columns}
        assert each.parent_stream == shape.stream


async def test_every_record_comes_once_with_its_lists(desk: Desk, sandbox: MercadoLivreSandbox) -> None:
    """No page is above its size; the rows of a list are of records of the same page; pages, listing and count agree."""
    reader = await desk.read()
    pages = await pages_of(reader)

    assert sorted(keys_of(pages)) == sorted(orders_of(sandbox), key=str)
    assert max(len(page.rows) for page in pages) <= PAGE
    assert [page.is_last for page in pages] == [False] * (len(pages) - 1) + [True]
    for page in pages:
        assert [each.shape for each in page.nested] == list(reader.shape.nested)
        for each in page.nested:
            place = each.shape.index(each.shape.parent or "")
            assert {row[place] for row in each.rows} <= {row[0] for row in page.rows}
            assert len({row[0] for row in each.rows}) == len(each.rows)
    lines = sum(len(page.nested[0].rows) for page in pages)
    assert lines == sum(len(sandbox.world.orders[int(str(key))].lines) for key in orders_of(sandbox))
    assert [key for key, _ in await listed(reader)] == sorted(orders_of(sandbox), key=str)
    assert await reader.count(since=None, until=None) == len(orders_of(sandbox))


async def test_a_window_is_half_open(desk: Desk, sandbox: MercadoLivreSandbox) -> None:
    """In a listing exactly; pages bring no less."""
    reader = await desk.read()
    place = reader.shape.index("last_updated")
    stamps = {key: str(row[place]) for key, row in orders_of(sandbox).items()}
    low, high = (sorted(stamps.values())[rank] for rank in (5, 30))
    since, until = parse_instant(low), parse_instant(high)
    within = {key: stamp for key, stamp in stamps.items() if low <= stamp < high}

    assert dict(await listed(reader, since, until)) == within
    assert set(within) <= set(await keys(reader, since, until))


@pytest.mark.full
async def test_another_reader_goes_on_after_any_position(desk: Desk, sandbox: MercadoLivreSandbox) -> None:
    """What follows is at least the rest."""
    since = parse_instant("2025-01-01T00:00:00.000000Z")
    pages = await pages_of(await desk.read(), since=since)

    for place in range(len(pages)):
        rest = await pages_of(await desk.read(), since=since, after=pages[place].position)
        assert set(keys_of(pages[: place + 1])) | set(keys_of(rest)) == set(orders_of(sandbox))


async def test_a_record_that_is_hidden_is_read_by_key(desk: Desk, sandbox: MercadoLivreSandbox) -> None:
    """Not in pages, count or listing; a direct look finds it."""
    known, *_ = orders_of(sandbox)
    key = int(str(known))
    sandbox.world.change_order(key, status="cancelled")
    reader = await desk.read()

    assert await reader.existing([key, 7]) == {key}
    assert keys_of([await reader.fetch([key, 7])]) == [key]
    assert key not in await keys(reader)
    assert key not in dict(await listed(reader))


async def test_a_filter_that_is_ignored_is_noticed(desk: Desk, sandbox: MercadoLivreSandbox) -> None:
    """Nothing is claimed by it."""
    reader = await desk.read()
    sandbox.faults.add("ignore_filter=1")

    with pytest.raises(FilterIgnored):
        await keys(reader, since=await reader.clock() - timedelta(days=2))


async def test_who_is_read_is_the_seller(desk: Desk) -> None:
    """All sellers are at one address."""
    assert (await desk.read()).identity.unique == str(SELLER)
