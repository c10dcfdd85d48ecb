"""The lists inside records on their way: they stay with their records, and end where these do."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace

import pytest
from tests.engine.workshop import ORDERS, Workshop, at, counted

from comporta.core.instant import BEGINNING
from comporta.core.nested import only
from comporta.core.record import Column, ColumnType, Key, Lookup, Nested, Page, Row, Shape
from comporta.core.run import Run, RunState
from comporta.core.window import Kind
from comporta.engine.ahead import in_batches, joined, limited
from comporta.testing.stream import FakeStream

pytestmark = pytest.mark.anyio
ITEMS = "sale.order.item"
ID, OF = Column("id", ColumnType.INTEGER, "id"), Column("thing_id", ColumnType.INTEGER, "thing_id")
STAMP, NAME = Column("stamp", ColumnType.TIMESTAMP, "stamp"), Column("name", ColumnType.TEXT, "name")
PART = Shape("shop", "part", (NAME, OF), key="name", parent="thing_id")
LABEL = replace(PART, stream="label")
THING = Shape("shop", "thing", (ID, STAMP), key="id", stamp="stamp", nested=(PART,))
PART_OF_NOTHING = Nested(PART, [])
COLOURS = Shape("shop", "colour", (ID, NAME), key="id")
EARLY, LATE = "2026-03-01T07:00:00.000000Z", "2026-03-01T08:00:00.000000Z"


def page(things: dict[int, str], stamp: str = EARLY, *, shape: Shape = PART, last: bool = False) -> Page:
    """Return a page of things, each with parts that are named by a letter."""
    rows: list[Row] = [(f"{key}{letter}", key) for key, letters in things.items() for letter in letters]
    return Page([(key, stamp) for key in things], nested=[Nested(shape, rows)], is_last=last)


def named(page: Page) -> list[list[object]]:
    """Return the names of the rows of each list."""
    return [[row[0] for row in each.rows] for each in page.nested]


async def given(*pages: Page) -> AsyncGenerator[Page, None]:
    """Yield pages."""
    for each in pages:
        yield each


def test_lists_of_joined_pages_are_one() -> None:
    """So are the names that came along."""
    one, two = page({1: "ab"}), page({2: "", 3: "c"})
    lookups = [Lookup(COLOURS, [(1, "red")])]
    both = joined([replace(one, lookups=lookups), replace(two, lookups=[Lookup(COLOURS, [(2, "blue")])])], THING)

    assert named(both) == [["1a", "1b", "3c"]]
    assert both.lookups == [Lookup(COLOURS, [(1, "red"), (2, "blue")])]


@pytest.mark.parametrize("order", [1, -1])
def test_of_a_record_on_two_pages_the_newest_ones_list_is_kept(order: int) -> None:
    """Also where the lists themselves say nothing of versions; ties go to the later page."""
    pages = [page({1: "ab", 2: "x"}, EARLY), page({1: "bc"}, LATE)][::order]
    tied = joined([page({1: "a"}), page({1: "b"})], THING)
    both = joined(pages, THING)

    assert sorted(map(str, named(both)[0])) == ["1b", "1c", "2x"]
    assert len(both.rows) == 3
    assert named(tied) == [["1b"]]


def test_of_a_record_that_came_whole_and_in_part_the_whole_ones_list_is_kept() -> None:
    """The part has none."""
    part = replace(page({1: ""}, LATE), limited=frozenset({0}))

    assert named(joined([page({1: "a"}), part], THING)) == [["1a"]]


def test_what_no_list_came_of_is_still_known_in_joined_pages_and_in_parts() -> None:
    """Of a record on two pages the newest one counts."""
    silent = replace(PART_OF_NOTHING, untold=frozenset({1, 2}))
    newer = replace(page({1: "", 2: ""}, LATE), nested=[silent])
    both = joined([page({1: "ab", 3: "c"}), newer, page({2: "z"}, "2026-03-01T09:00:00.000000Z")], THING)

    assert named(both) == [["3c", "2z"]]
    assert both.nested[0].untold == frozenset({1})
    assert only(newer, THING, [1]).nested[0].untold == frozenset({2})


async def test_pages_with_different_lists_are_not_joined() -> None:
    """What one of them does not bring would seem to be empty."""
    pages = [page({1: "a"}), page({2: "b"}), page({3: "c"}, shape=LABEL), Page([(4, EARLY)], is_last=True)]
    batches = [named(each) async for each in in_batches(given(*pages), THING, lambda: 100)]

    assert [each for each in batches if each] == [[["1a", "2b"]], [["3c"]]]


async def test_of_a_page_that_is_cut_off_the_lists_are_too() -> None:
    """A trial writes nothing of records that it leaves out."""
    cut = [each async for each in limited(given(page({1: "a", 2: "b", 3: "c"})), THING, 2)]

    assert (named(cut[0]), cut[0].is_last) == ([["1a", "2b"]], True)


def test_a_part_of_a_page_keeps_what_belongs_to_it() -> None:
    """Rows at other places move, and what is known of them by place."""
    whole = replace(page({1: "a", 2: "b", 3: "c"}), extras={2: "{}"}, limited=frozenset({0, 2}))
    part = only(whole, THING, [1, 2])

    assert (part.rows, part.extras, part.limited) == ([(2, EARLY), (3, EARLY)], {1: "{}"}, frozenset({1}))
    assert named(part) == [["2b", "3c"]]


def orders(workshop: Workshop) -> FakeStream:
    """Return the stream of orders that list their items."""
    return workshop.source.stream(lists={ITEMS: {"sku": ColumnType.TEXT}})


def order(workshop: Workshop, key: int, *skus: str, **how: object) -> None:
    """Write an order with items at the source."""
    orders(workshop).put(key, name=f"S{key}", **how)  # type: ignore[arg-type]  # what ``put`` takes
    orders(workshop).enlist(key, ITEMS, *({"id": f"{key}-{sku}", "sku": sku} for sku in skus))


def items(workshop: Workshop) -> list[str]:
    """Return the keys of the living items."""
    found = workshop.query("SELECT id FROM fake_sale_order_item WHERE _cmp_deleted_at IS NULL ORDER BY id")
    return [key for (key,) in found]


@pytest.fixture
async def loaded(workshop: Workshop) -> Workshop:
    """Return a workshop with thirty orders of two items, covered to noon."""
    for key in range(1, 31):
        order(workshop, key, "a", "b", stamp=at(9))
    run = await workshop.run()
    assert run.state is RunState.SUCCEEDED, run.error
    workshop.passes(minutes=30)
    return workshop


def all_items(keys: Sequence[Key], *skus: str) -> list[str]:
    """Return the keys of the items of orders."""
    return sorted(f"{key}-{sku}" for key in keys for sku in skus)


async def committed(workshop: Workshop, run: Run) -> list[object]:
    """Return what the log says of the lists of each batch."""
    lines = [line for _, _, line in await workshop.store.log(run.id) if line.step == "batch_committed"]
    return [line.fields.get("nested") for line in lines]


async def test_a_run_writes_what_records_list_and_says_how_much(loaded: Workshop) -> None:
    """Beside the counts, which are of records."""
    order(loaded, 3, "b", "c", "d")
    run = await loaded.run()

    assert counted(run)[:3] == (1, 0, 1)
    assert await committed(loaded, run) == [{"fake_sale_order_item": 4}]
    assert items(loaded) == sorted(
        [*all_items([key for key in range(1, 31) if key != 3], "a", "b"), "3-b", "3-c", "3-d"]
    )


async def test_a_run_of_a_stream_without_lists_says_nothing_of_them(workshop: Workshop) -> None:
    """The log of most streams stays as it is."""
    workshop.source.stream().put(1, name="S1")
    workshop.passes(minutes=30)
    run = await workshop.run()

    assert await committed(workshop, run) == [None]


async def test_a_comparison_mends_the_lists_of_what_it_reads_again(loaded: Workshop) -> None:
    """A record that came late, and one that went back in time."""
    order(loaded, 3, "z", stamp=at(8))
    order(loaded, 40, "a", stamp=at(8))
    run = await loaded.run(Kind.RECONCILE)

    assert run.state is RunState.SUCCEEDED, run.error
    assert {"3-z", "40-a"} <= set(items(loaded))
    assert "3-a" not in items(loaded)


@pytest.mark.parametrize("kind", [Kind.FULL, Kind.CLEAR_FIRST])
async def test_a_whole_pass_takes_the_lists_of_what_is_gone(loaded: Workshop, kind: Kind) -> None:
    """Marked with their record, or removed for good."""
    orders(loaded).remove(7)
    order(loaded, 3, "b")
    run = await loaded.run(kind, confirmed=True)
    rows = loaded.query("SELECT count(*) FROM fake_sale_order_item")

    assert run.state is RunState.SUCCEEDED, run.error
    assert items(loaded) == sorted([*all_items([key for key in range(1, 31) if key not in {3, 7}], "a", "b"), "3-b"])
    assert rows == [(57 if kind is Kind.CLEAR_FIRST else 60,)]


async def test_a_list_that_cannot_be_written_waits_with_its_record_until_it_can(loaded: Workshop) -> None:
    """In quarantine, from where it is tried again."""
    order(loaded, 3, "bad \ud800")
    order(loaded, 4, "c")
    run = await loaded.run()
    waiting = await loaded.store.quarantine(f"matriz/{ORDERS}")
    kept = [key for key in items(loaded) if key.startswith(("3-", "4-"))]
    order(loaded, 3, "good")
    again = await loaded.run(Kind.QUARANTINE)

    assert counted(run) == (2, 0, 1, 0, 1, 0)
    assert [each.key for each in waiting] == ["3"]
    assert "fake_sale_order_item 3-bad" in waiting[0].reason
    assert kept == ["3-a", "3-b", "4-c"]
    assert (again.state, await loaded.store.quarantine(f"matriz/{ORDERS}")) == (RunState.SUCCEEDED, [])
    assert "3-good" in items(loaded)


async def test_a_dry_run_writes_no_list(loaded: Workshop) -> None:
    """It shows the records."""
    order(loaded, 3, "z")
    before = loaded.everything()
    run = await loaded.run(dry_run=True)

    assert counted(run)[:3] == (1, 0, 1)
    assert loaded.everything() == before


async def test_a_list_whose_table_was_dropped_is_filled_again(loaded: Workshop) -> None:
    """By the next sync, although no record changed: what was covered is read again."""
    before = items(loaded)
    loaded.database.write(lambda s: s.connection.execute("DROP TABLE fake_sale_order_item")).result()
    run = await loaded.run()

    assert run.state is RunState.SUCCEEDED, run.error
    assert counted(run) == (30, 0, 0, 30, 0, 0)
    assert items(loaded) == before
    assert (await loaded.covered()).intervals[0].since == BEGINNING


async def test_a_column_of_a_list_that_was_dropped_comes_back_with_its_values(loaded: Workshop) -> None:
    """As with the record's own table."""
    loaded.database.write(lambda s: s.connection.execute("ALTER TABLE fake_sale_order_item DROP COLUMN sku")).result()
    run = await loaded.run()

    assert run.state is RunState.SUCCEEDED, run.error
    assert loaded.query("SELECT count(sku) FROM fake_sale_order_item") == [(60,)]
