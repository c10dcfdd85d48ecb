"""Limited rows: the source shows only a part of them, and never does a part replace what is whole."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from tests.conformance.tables import THINGS, Tables, fields, thing

from comporta.core.counts import Counts
from comporta.core.record import Row, Shape
from comporta.ports.store import Batch

if TYPE_CHECKING:
    import psycopg
    from tests.conformance.tables_postgres import PostgresTables

AT, LATER = "2026-03-01T08:00:00.000000Z", "2026-03-01T09:00:00.000000Z"


@pytest.fixture(params=[THINGS, replace(THINGS, stamp=None)], ids=["stamped", "without stamps"])
def shape(request: pytest.FixtureRequest) -> Shape:
    """Return a stream, with stamps or with nothing but the hash to tell versions apart."""
    return request.param  # type: ignore[no-any-return]  # one of the above


@pytest.fixture
def prepared(tables: Tables, shape: Shape) -> Tables:
    """Return a database with the stream's table."""
    tables.prepare(shape)
    return tables


def part(key: int, name: str = "seen") -> Row:
    """Return what the source shows of a row that its user may not see."""
    return thing(key, stamp=None, name=name)


def foreseen_and_written(tables: Tables, batch: Batch) -> Counts:
    """Write a batch that was previewed, and return what was counted; both must say the same."""
    counts, changes = tables.destination.preview(tables.connection, "a", batch)
    written = tables.write(batch)

    assert counts == written.counts
    assert {each.key for each in changes if each.change != "deleted"} == set(written.changed)
    return written.counts


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_part_of_a_row_changes_nothing_of_the_whole_one(prepared: Tables, shape: Shape, *, overwrite: bool) -> None:
    """Not even a full pass empties columns because its user lost a right."""
    prepared.write(Batch(shape, [thing(1, name="whole", price=5), thing(2)]))
    batch = Batch(shape, [part(1), thing(2), part(3)], limited=frozenset({0, 2}), overwrite=overwrite)
    counts = foreseen_and_written(prepared, batch)
    rows = prepared.rows()

    assert counts == Counts(read=3, inserted=1, unchanged=2)
    assert fields(rows["a", 1]) == thing(1, name="whole", price=5)
    assert (rows["a", 1]["_cmp_run"], fields(rows["a", 3])) == ("run 1", part(3))


def test_parts_alone_are_inserted_once(prepared: Tables, shape: Shape) -> None:
    """A deal that nobody here may see is still a deal; the next sweep finds it unchanged."""
    batch = Batch(shape, [part(1), part(2)], {0: '{"isDisabled":1}'}, limited=frozenset({0, 1}))
    told = [foreseen_and_written(prepared, batch) for _ in range(2)]

    assert told == [Counts(read=2, inserted=2), Counts(read=2, unchanged=2)]
    assert prepared.rows()["a", 1]["_cmp_extra"] == '{"isDisabled":1}'


def test_the_whole_row_replaces_its_part(prepared: Tables, shape: Shape) -> None:
    """Once the right is given, also where the whole row is no more than the part."""
    prepared.write(Batch(shape, [part(1), part(2)], limited=frozenset({0, 1})))
    counts = foreseen_and_written(prepared, Batch(shape, [thing(1, stamp=AT, name="whole"), part(2)]))
    again = foreseen_and_written(prepared, Batch(shape, [thing(1, stamp=AT, name="whole"), part(2)]))

    assert (counts, again) == (Counts(read=2, updated=2), Counts(read=2, unchanged=2))
    assert fields(prepared.rows()["a", 1]) == thing(1, stamp=AT, name="whole")


@pytest.mark.parametrize("places", [(0, 1), (1, 0)], ids=["part first", "part last"])
@pytest.mark.parametrize("has_row", [False, True])
def test_of_part_and_whole_in_one_batch_the_whole_row_counts(
    prepared: Tables, shape: Shape, places: tuple[int, int], *, has_row: bool
) -> None:
    """In whichever order pages that overlap bring them."""
    if has_row:
        prepared.write(Batch(shape, [thing(1, stamp=AT, name="old")]))
    both = [part(1), thing(1, stamp=LATER, name="whole")]
    batch = Batch(shape, [both[place] for place in places], limited=frozenset({places.index(0)}))
    counts = foreseen_and_written(prepared, batch)

    assert counts == Counts(read=1, inserted=int(not has_row), updated=int(has_row))
    assert prepared.rows()["a", 1]["name"] == "whole"


def test_a_part_of_a_deleted_row_brings_it_back_as_it_was(prepared: Tables, shape: Shape) -> None:
    """The source has it, so it lives; what was known of it is still the best there is."""
    prepared.write(Batch(shape, [thing(1, stamp=AT, name="whole", price=5), thing(2)]))
    prepared.write(Batch(shape, deleted=[1, 2]))
    batch = Batch(shape, [part(1), thing(2, name="new"), part(3)], limited=frozenset({0, 2}))
    told = [foreseen_and_written(prepared, batch) for _ in range(2)]
    row = prepared.rows()["a", 1]

    assert told == [Counts(read=3, inserted=1, updated=2), Counts(read=3, unchanged=3)]
    assert (fields(row), row["_cmp_run"]) == (thing(1, stamp=AT, name="whole", price=5), "run 3")
    assert row["_cmp_deleted_at"] is None
    assert foreseen_and_written(prepared, Batch(shape, [thing(1, stamp=AT, name="whole", price=5)])).unchanged == 1


def test_a_row_that_the_user_forbids_is_refused_whole_or_not(prepared: Tables, shape: Shape) -> None:
    """With its reason, and beside it the others are written: revived, changed and new ones."""
    prepared.write(Batch(shape, [thing(1), thing(2), thing(3)]))
    prepared.write(Batch(shape, deleted=[1, 2]))
    prepared.forbid("shop_thing", "NEW.id IN (2, 4)")
    rows = [part(1), part(2), thing(3, name="new", stamp=LATER), part(4), part(5)]
    written = prepared.write(Batch(shape, rows, limited=frozenset({0, 1, 3, 4})))

    assert written.counts == Counts(read=5, inserted=1, updated=2, rejected=2)
    assert sorted(each.key for each in written.rejected) == ["2", "4"]


@pytest.mark.full
@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("is_deleted", [False, True])
def test_a_part_never_beats_the_whole_row_that_came_meanwhile(
    postgres_tables: "PostgresTables", second: "psycopg.Connection[Any]", *, overwrite: bool, is_deleted: bool
) -> None:
    """On PostgreSQL another process may have written, or deleted, the row between our look and our write."""
    from tests.conformance.tables_postgres import write_as
    from tests.conformance.test_destination_races import while_open

    tables = postgres_tables
    tables.prepare()
    whole = Batch(THINGS, [thing(1, stamp=None, name="whole", price=5)])
    parts = Batch(THINGS, [part(1), thing(2)], limited=frozenset({0}), overwrite=overwrite)
    if is_deleted:
        _, late = while_open(tables, second, replace(whole, deleted=[1]), parts)
    else:
        _, late = while_open(tables, second, whole, parts)
    again = write_as(tables, second, parts)
    row = tables.rows()["a", 1]

    assert late.counts == Counts(read=2, inserted=1, updated=int(is_deleted), unchanged=int(not is_deleted))
    assert again.counts == Counts(read=2, unchanged=2)
    assert (fields(row), row["_cmp_deleted_at"]) == (thing(1, stamp=None, name="whole", price=5), None)
