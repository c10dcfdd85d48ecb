"""What becomes of a single row: versions, new columns, types that do not fit, rows that are refused."""

import json
from dataclasses import replace

import pytest
from tests.conformance.tables import THINGS, Tables, fields, thing

from comporta.core.instant import parse_instant
from comporta.core.record import Bucket, Column, ColumnType, Lookup, Rejected, Row, Shape
from comporta.core.schema import OURS
from comporta.errors import NameTaken
from comporta.ports.rows import Among
from comporta.ports.store import Batch

OLD, NEW = "2026-03-01T08:00:00.000000Z", "2026-03-01T09:00:00.000000Z"


def having(*columns: tuple[str, ColumnType]) -> Shape:
    """Return THINGS with other columns than its key and stamp."""
    return replace(THINGS, columns=(*THINGS.columns[:2], *(Column(name, kind, name) for name, kind in columns)))


@pytest.fixture
def prepared(tables: Tables) -> Tables:
    """Return a database with the table of THINGS."""
    tables.prepare()
    return tables


def test_a_row_that_did_not_change_keeps_its_run_and_time(prepared: Tables) -> None:
    """People see when a row was last written, not when it was last looked at."""
    prepared.write(Batch(THINGS, [thing(1), thing(2)]))
    prepared.write(Batch(THINGS, [thing(1), thing(2, name="y")]))
    rows = prepared.rows()

    assert [rows["a", key]["_cmp_run"] for key in (1, 2)] == ["run 1", "run 2"]
    assert [rows["a", key]["_cmp_synced_at"][17:19] for key in (1, 2)] == ["01", "02"]


@pytest.mark.parametrize(
    ("stored", "came", "overwrite", "name"),
    [
        (OLD, NEW, False, "new"),
        (NEW, OLD, False, "old"),
        (NEW, NEW, False, "new"),
        (NEW, OLD, True, "new"),
        (NEW, None, False, "old"),
        (None, OLD, False, "new"),
        (None, None, False, "new"),
    ],
    ids=["newer", "older", "tie", "older, overwriting", "without a stamp", "stored without", "both without"],
)
def test_an_older_version_never_overwrites(
    prepared: Tables, stored: str | None, came: str | None, *, overwrite: bool, name: str
) -> None:
    """A tie goes to the later pass; repair and full passes write whatever the stamp says."""
    prepared.write(Batch(THINGS, [thing(1, stamp=stored, name="old")]))
    written = prepared.write(Batch(THINGS, [thing(1, stamp=came, name="new")], overwrite=overwrite))

    assert prepared.rows()["a", 1]["name"] == name
    assert (written.counts.updated, written.counts.unchanged) == ((1, 0) if name == "new" else (0, 1))


def test_a_page_that_holds_a_record_twice_writes_its_newest_version_with_its_own_extra(
    prepared: Tables,
) -> None:
    """Paging by offsets repeats records; what no column holds stays with its row."""
    rows = [thing(1, stamp=NEW, name="new"), thing(2), thing(1, stamp=OLD, name="old")]
    written = prepared.write(Batch(THINGS, rows, {0: '"of new"', 1: '"of 2"', 2: '"of old"'}))
    found = prepared.rows()

    assert (written.counts.read, written.counts.inserted) == (2, 2)
    assert [(found["a", key]["name"], found["a", key]["_cmp_extra"]) for key in (1, 2)] == [
        ("new", '"of new"'),
        ("x", '"of 2"'),
    ]


def test_a_change_in_what_no_column_holds_is_a_change(prepared: Tables) -> None:
    """An extra that comes, changes or goes is written."""
    told = [prepared.write(Batch(THINGS, [thing(1)], extra)) for extra in ({}, {0: "1"}, {0: "1"}, {0: "2"}, {})]

    assert [written.counts.updated for written in told] == [0, 1, 0, 1, 1]
    assert prepared.rows()["a", 1]["_cmp_extra"] is None


def test_a_deleted_row_keeps_its_place_and_comes_back_as_updated(prepared: Tables) -> None:
    """Marked once, by the run that found out; back with whatever version the source shows."""
    prepared.write(Batch(THINGS, [thing(1, stamp=NEW)]))
    gone = prepared.write(Batch(THINGS, deleted=[1, 1, 7]))
    marked = prepared.rows()["a", 1]
    again = prepared.write(Batch(THINGS, deleted=[1]))
    back = prepared.write(Batch(THINGS, [thing(1, stamp=NEW)]))

    assert (gone.counts.deleted, again.counts.deleted, back.counts.updated) == (1, 0, 1)
    assert (marked["_cmp_run"], marked["_cmp_deleted_at"][17:19], fields(marked)) == (
        "run 2",
        "02",
        thing(1, stamp=NEW),
    )
    assert prepared.rows()["a", 1]["_cmp_deleted_at"] is None


def test_a_row_of_another_account_is_another_row(prepared: Tables) -> None:
    """Neither written, nor deleted, nor counted with ours."""
    prepared.write(Batch(THINGS, [thing(1, name="of a")]), account="a")
    prepared.write(Batch(THINGS, [thing(1, name="of b")]), account="b")
    prepared.write(Batch(THINGS, deleted=[1]), account="b")

    assert (prepared.rows()["a", 1]["name"], prepared.rows()["a", 1]["_cmp_deleted_at"]) == ("of a", None)
    assert [prepared.destination.count(prepared.connection, account, THINGS) for account in "abc"] == [1, 0, 0]


def test_values_come_back_as_they_were(tables: Tables) -> None:
    """Text that looks like a number stays text, JSON too; integers to the edge of 64 bits."""
    kinds = list(ColumnType)
    shape = replace(
        THINGS,
        columns=(Column("id", ColumnType.INTEGER, "id"), *(Column(kind, kind, kind) for kind in kinds)),
        stamp=None,
    )
    row: Row = (1, True, 2**63 - 1, 0.1, "007", OLD, "2026-03-01", "7")
    tables.prepare(shape)
    tables.write(Batch(shape, [row, (2, *(None for _ in kinds)), (3, False, -(2**63), 3, "", NEW, "1999-12-31", "{}")]))
    found = tables.rows(shape)

    assert tuple(found["a", 1][kind] for kind in kinds) == row[1:]
    assert tuple(found["a", 2][kind] for kind in kinds) == (None,) * len(kinds)
    assert tuple(found["a", 3][kind] for kind in kinds) == (False, -(2**63), 3, "", NEW, "1999-12-31", "{}")


def test_a_new_field_is_a_new_column_and_rows_written_before_have_null(prepared: Tables) -> None:
    """Nothing is rewritten under readers."""
    prepared.write(Batch(THINGS, [thing(1)]))
    wider = replace(THINGS, columns=(*THINGS.columns, Column("colour", ColumnType.TEXT, "colour")))
    told = prepared.prepare(wider)
    prepared.write(Batch(wider, [(*thing(2), "red")]))

    assert told == ["table shop_thing: new columns colour"]
    assert [prepared.rows()["a", key]["colour"] for key in (1, 2)] == [None, "red"]


def test_a_field_that_is_no_longer_asked_for_keeps_its_column(prepared: Tables) -> None:
    """A column is never dropped."""
    prepared.write(Batch(THINGS, [thing(1, name="kept")]))
    narrower = having(("price", ColumnType.NUMERIC))
    prepared.prepare(narrower)
    prepared.write(Batch(narrower, [(1, NEW, 5)]))

    assert (prepared.rows()["a", 1]["name"], prepared.rows()["a", 1]["price"]) == ("kept", 5)


def test_a_table_that_fits_is_left_alone(prepared: Tables) -> None:
    """The second run changes nothing about it."""
    assert prepared.prepare() == []


def test_a_type_that_does_not_fit_gets_a_column_beside_and_the_old_value_is_cleared(tables: Tables) -> None:
    """Nobody reads yesterday's number beside today's text; the number's column stays for the rows that have it."""
    number, text = having(("size", ColumnType.INTEGER)), having(("size", ColumnType.TEXT))
    tables.prepare(number)
    tables.write(Batch(number, [(1, OLD, 7), (2, OLD, 8)]))
    tables.prepare(text)
    tables.write(Batch(text, [(1, NEW, "large")]))
    changed = {key: (row["size"], row["size__text"]) for (_, key), row in tables.rows().items()}
    tables.prepare(number)
    tables.write(Batch(number, [(1, NEW, 9)]))
    back = tables.rows()["a", 1]

    assert changed == {1: (None, "large"), 2: (8, None)}
    assert (back["size"], back["size__text"]) == (9, None)


def test_an_integer_column_takes_numbers_as_they_are(tables: Tables) -> None:
    """A price that was whole for years gets cents."""
    whole, cents = having(("size", ColumnType.INTEGER)), having(("size", ColumnType.NUMERIC))
    tables.prepare(whole)
    tables.write(Batch(whole, [(1, OLD, 7)]))
    tables.prepare(cents)
    tables.write(Batch(cents, [(2, OLD, 7.5)]))

    assert [row["size"] for row in tables.rows().values()] == [7, 7.5]
    assert "size__numeric" not in tables.columns(THINGS.table)


def test_a_column_that_a_person_added_is_in_nobodys_way(prepared: Tables) -> None:
    """Not touched, whatever its type; a field of that name that is no text stands beside it."""
    prepared.by_hand("ALTER TABLE shop_thing ADD COLUMN weight VARCHAR(20)")
    weighed = having(("weight", ColumnType.INTEGER))
    prepared.prepare(weighed)
    prepared.write(Batch(weighed, [(1, OLD, 5)]))

    assert (prepared.rows()["a", 1]["weight"], prepared.rows()["a", 1]["weight__integer"]) == (None, 5)


def test_a_table_made_in_a_transaction_that_was_rolled_back_is_made_again(tables: Tables) -> None:
    """A run that lost its lease took its new table with it; the next run of the process needs it."""
    tables.begin()
    tables.write(Batch(THINGS, [thing(1)]))
    tables.rollback()
    written = tables.write(Batch(THINGS, [thing(1)]))

    assert (written.counts.inserted, len(tables.rows())) == (1, 1)


@pytest.mark.parametrize("made", ["CREATE TABLE {} (x text)", "CREATE VIEW {} AS SELECT 1 AS x"])
@pytest.mark.parametrize("name", ["shop_thing", "Shop_Thing"])
def test_a_table_of_the_users_where_ours_would_stand_is_refused(tables: Tables, made: str, name: str) -> None:
    """In any case of letters, by preview too; it stays as it was."""
    tables.by_hand(made.format(name))
    columns = tables.columns(name)

    with pytest.raises(NameTaken):
        tables.prepare()
    with pytest.raises(NameTaken):
        tables.destination.preview(tables.connection, "a", Batch(THINGS, [thing(1)]))
    assert tables.columns(name) == columns


BAD: dict[str, Row] = {
    "an integer beyond msgpack": thing(2, price=2**64),
    "a lone surrogate": thing(2, name="\ud800"),
    "a key beyond 64 bits": thing(2**70),
    "what the user forbids": thing(2, name="forbidden"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_row_that_cannot_be_written_waits_while_the_rest_goes_on(prepared: Tables, name: str) -> None:
    """Whatever is wrong with one row is no reason to stop the others; a person sees which, and why."""
    prepared.forbid("shop_thing", "NEW.name = 'forbidden'")
    prepared.write(Batch(THINGS, [thing(1, name="before")]))
    written = prepared.write(Batch(THINGS, [thing(1, name="after"), BAD[name], thing(3)]))
    (refused,) = written.rejected

    assert (written.counts.inserted, written.counts.updated, written.counts.rejected) == (1, 1, 1)
    assert written.counts.is_balanced
    assert {key for _, key in prepared.rows()} == {1, 3}
    assert (refused.key, refused.code) == (str(BAD[name][0]), "CMP-ROW-001")
    assert json.loads(refused.payload) == dict(zip(("id", "write_date", "name", "price"), BAD[name], strict=True))
    assert refused.reason.isascii()


def test_an_integer_beyond_64_bits_waits(tables: Tables) -> None:
    """A column of integers has 64 bits everywhere."""
    shape = having(("size", ColumnType.INTEGER))
    tables.prepare(shape)
    batch = Batch(shape, [(1, OLD, 2**63 - 1), (2, OLD, 2**63), (3, OLD, -(2**63) - 1)])
    counts, _ = tables.destination.preview(tables.connection, "a", batch)
    written = tables.write(batch)

    assert written.counts == counts
    assert [each.key for each in written.rejected] == ["2", "3"]


def test_an_update_that_is_refused_leaves_the_row_as_it_was(prepared: Tables) -> None:
    """The old version is better than none."""
    prepared.write(Batch(THINGS, [thing(1, name="before")]))
    prepared.forbid("shop_thing", "NEW.name = 'forbidden'")
    written = prepared.write(Batch(THINGS, [thing(1, name="forbidden", stamp=NEW)]))

    assert (written.counts.rejected, tuple(written.changed)) == (1, ())
    assert (prepared.rows()["a", 1]["name"], prepared.rows()["a", 1]["_cmp_run"]) == ("before", "run 1")


def test_preview_sees_the_rows_that_no_database_could_hold(prepared: Tables) -> None:
    """What a rule of the user's refuses is only known by writing."""
    batch = Batch(THINGS, [thing(1), BAD["a lone surrogate"], BAD["a key beyond 64 bits"]])
    counts, _ = prepared.destination.preview(prepared.connection, "a", batch)

    assert prepared.write(batch).counts == counts
    assert counts.rejected == 2


def test_records_that_the_source_rejected_count_as_read(prepared: Tables) -> None:
    """They are accounted for, though they never came near the table."""
    written = prepared.write(Batch(THINGS, [thing(1)], rejected=[Rejected("9", "CMP-ROW-001", "no key", "{}")]))

    assert (written.counts.read, written.counts.rejected, written.counts.is_balanced) == (2, 1, True)


def test_a_lookup_is_written_with_the_batch_and_not_counted(prepared: Tables) -> None:
    """Its table is made when it is needed; rows that did not change are left alone."""
    names = replace(having(("title", ColumnType.TEXT)), stream="name", stamp=None)
    lookup = Lookup(names, [(1, None, "one"), (2, None, "two")])
    written = prepared.write(Batch(THINGS, [thing(1)], lookups=[lookup]))
    prepared.write(Batch(THINGS, lookups=[lookup]))

    assert (written.counts.read, written.counts.inserted) == (1, 1)
    assert [(row["title"], row["_cmp_run"]) for row in prepared.rows(names).values()] == [
        ("one", "run 1"),
        ("two", "run 1"),
    ]


def test_our_columns_stand_at_the_end_and_the_account_in_front(prepared: Tables) -> None:
    """As the reference says."""
    names = tuple(prepared.columns("shop_thing"))

    assert names == ("account", "id", "write_date", "name", "price", *OURS)


def test_more_keys_than_one_query_takes_are_found_all(prepared: Tables) -> None:
    """A page of two thousand and one rows is compared with what is there."""
    rows = [thing(key) for key in range(2_001)]
    prepared.write(Batch(THINGS, rows))
    again = prepared.write(Batch(THINGS, rows))
    found = prepared.destination.stamps(prepared.connection, "a", THINGS, Among(keys=list(range(2_001))))

    assert (again.counts.unchanged, len(found)) == (2_001, 2_001)


def test_the_living_rows_of_a_part_of_a_table_are_listed_by_key(prepared: Tables) -> None:
    """By keys, by a range of keys that leaves its first out, by stamps, up to a limit."""
    rows = [thing(key, stamp=f"2026-03-01T{key:02}:00:00.000000Z") for key in (3, 1, 2, 4, 5)]
    prepared.write(Batch(THINGS, rows))
    prepared.write(Batch(THINGS, deleted=[4]))

    def listed(among: Among) -> list[object]:
        return list(prepared.destination.stamps(prepared.connection, "a", THINGS, among))

    assert listed(Among()) == [1, 2, 3, 5]
    assert listed(Among(keys=[5, 4, 1, 9])) == [1, 5]
    assert listed(Among(after=1, upto=3)) == [2, 3]
    assert listed(Among(limit=2)) == [1, 2]


def test_hours_are_summed_over_the_living_rows_before_a_bound(prepared: Tables) -> None:
    """Rows without a stamp lie in no hour."""
    stamps = ["2026-03-01T08:00:00.000000Z", "2026-03-01T08:59:59.999999Z", "2026-03-01T09:00:00.000000Z", None]
    prepared.write(Batch(THINGS, [thing(key, stamp=stamp) for key, stamp in enumerate(stamps, start=1)]))
    prepared.write(Batch(THINGS, [thing(10, stamp=stamps[0])]))
    prepared.write(Batch(THINGS, deleted=[10]))
    until = parse_instant("2026-03-01T09:00:00Z")

    assert prepared.destination.buckets(prepared.connection, "a", THINGS, until) == [Bucket("2026-03-01T08", 2, 3)]


def test_children_are_found_by_their_parents(tables: Tables) -> None:
    """Living ones, of this account."""
    lines = replace(having(("order_id", ColumnType.INTEGER)), stream="line", parent="order_id", parent_stream="order")
    tables.prepare(lines)
    tables.write(Batch(lines, [(1, OLD, 7), (2, OLD, 7), (3, OLD, 8), (4, OLD, 9)]))
    tables.write(Batch(lines, deleted=[2]))

    assert tables.destination.children(tables.connection, "a", lines, [7, 8]) == {1, 3}
    assert tables.destination.children(tables.connection, "b", lines, [7, 8]) == frozenset()
    assert tables.destination.children(tables.connection, "a", replace(lines, key="order_id"), [7, 9]) == {7, 9}


def test_a_table_that_is_not_there_is_an_empty_one(tables: Tables) -> None:
    """Nothing was synced yet; nobody fails over that."""
    shape = replace(THINGS, parent="name", parent_stream="x")
    asked = (tables.connection, "a", shape)
    counts, changes = tables.destination.preview(*asked[:2], Batch(shape, [thing(1)]))

    assert tables.destination.stamps(*asked, Among()) == {}
    assert tables.destination.count(*asked) == 0
    assert tables.destination.children(*asked, [1]) == frozenset()
    assert (counts.inserted, [each.change for each in changes]) == (1, ["inserted"])


def test_a_row_that_a_trigger_swallows_is_refused(prepared: Tables) -> None:
    """It was not written, so it is not counted as written, and waits in quarantine; the others go on."""
    prepared.write(Batch(THINGS, [thing(3, name="before")]))
    prepared.swallow("shop_thing", "NEW.name = 'swallowed'")

    written = prepared.write(
        Batch(THINGS, [thing(1), thing(2, name="swallowed"), thing(3, name="swallowed", stamp=NEW)])
    )

    assert (written.counts.inserted, written.counts.updated, written.counts.rejected) == (1, 0, 2)
    assert [each.key for each in written.rejected] == ["2", "3"]
