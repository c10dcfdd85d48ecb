"""The lists inside records: tables of their own, as good as the record that they came with, in its transaction."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from tests.conformance.tables import THINGS, Tables, thing

from comporta.core.counts import Counts
from comporta.core.record import Column, ColumnType, Nested, Row, Shape
from comporta.ports.destination import Written
from comporta.ports.store import Batch

EARLY, AT, LATER = (f"2026-03-01T0{hour}:00:00.000000Z" for hour in (7, 8, 9))
PARTS = Shape(
    "shop",
    "thing.part",
    (
        Column("id", ColumnType.TEXT, "id"),
        Column("thing_id", ColumnType.INTEGER, "thing_id"),
        Column("as_of", ColumnType.TIMESTAMP, "as_of"),
        Column("name", ColumnType.TEXT, "name"),
    ),
    key="id",
    stamp="as_of",
    parent="thing_id",
)
LABELS = replace(PARTS, stream="thing.label", stamp=None)
WHOLE = replace(THINGS, nested=(PARTS, LABELS))
Listed = dict[int, Sequence[str]]


@pytest.fixture
def prepared(tables: Tables) -> Tables:
    """Return a database with the tables of things and of their parts and labels."""
    tables.prepare(WHOLE)
    return tables


def part(parent: int, number: str, stamp: str | None = AT, name: str = "x") -> Row:
    """Return a row of a list, with a key that tells whose it is."""
    return (f"{parent}-{number}", parent, stamp, name)


def listing(
    listed: Listed, stamp: str | None = AT, *, name: str = "x", shapes: Sequence[Shape] = WHOLE.nested
) -> Batch:
    """Return things of one version, each with the parts and the labels it lists."""
    rows = [part(parent, number, stamp, name) for parent, numbers in listed.items() for number in numbers]
    things = [thing(parent, stamp=stamp) for parent in listed]
    return Batch(WHOLE, things, nested=[Nested(shape, rows) for shape in shapes])


def living(tables: Tables, shape: Shape = PARTS, account: str = "a") -> list[str]:
    """Return the keys of the living rows of a list."""
    rows = tables.rows(shape).items()
    return sorted(str(key) for (whose, key), row in rows if whose == account and row["_cmp_deleted_at"] is None)


def deleted(tables: Tables, shape: Shape = PARTS) -> list[str]:
    """Return the keys of the rows of a list that are marked."""
    return sorted(str(key) for (_, key), row in tables.rows(shape).items() if row["_cmp_deleted_at"] is not None)


def runs(tables: Tables, shape: Shape = PARTS) -> dict[str, str]:
    """Return the run that last wrote each row of a list."""
    return {str(key): row["_cmp_run"] for (_, key), row in sorted(tables.rows(shape).items())}


def test_preparing_a_shape_makes_the_tables_of_its_lists(tables: Tables) -> None:
    """Once; with their columns, and ours."""
    before = tables.destination.missing(tables.connection, WHOLE)
    told = tables.prepare(WHOLE)

    assert before is None
    assert [line for line in told if line.startswith("table")] == [
        "table shop_thing created with 4 columns",
        "table shop_thing_part created with 4 columns",
        "table shop_thing_label created with 4 columns",
    ]
    assert tables.destination.missing(tables.connection, WHOLE) == []
    assert tables.prepare(WHOLE) == []
    assert list(tables.columns("shop_thing_part"))[:3] == ["account", "id", "thing_id"]


def test_lists_are_written_with_their_records_and_not_counted(prepared: Tables) -> None:
    """They are told of beside the counts."""
    written = prepared.write(listing({1: ["a", "b"], 2: []}))

    assert written.counts == Counts(read=2, inserted=2)
    assert written.nested == {"shop_thing_part": 2, "shop_thing_label": 2}
    assert living(prepared) == living(prepared, LABELS) == ["1-a", "1-b"]


def test_rows_of_a_list_that_did_not_change_are_not_written_again(prepared: Tables) -> None:
    """Not even where the record itself was."""
    prepared.write(listing({1: ["a", "b"]}))
    touched = prepared.rows_touched()
    same = prepared.write(listing({1: ["a", "b"]}))
    again = prepared.rows_touched()
    change = listing({1: ["a", "b"]})
    changed = prepared.write(replace(change, rows=[thing(1, stamp=AT, name="new")]))

    assert (same.nested, again) == ({"shop_thing_part": 0, "shop_thing_label": 0}, touched)
    assert (changed.counts.updated, changed.nested) == (1, same.nested)
    assert set(runs(prepared).values()) == {"run 1"}


def test_what_a_record_does_not_list_any_more_is_marked_and_lives_again_when_it_does(prepared: Tables) -> None:
    """Its row keeps its place meanwhile; those of other records are as they were."""
    prepared.write(listing({1: ["a", "b"], 2: ["a"]}))
    gone = prepared.write(listing({1: ["b"]}, LATER))
    marked = [deleted(prepared), deleted(prepared, LABELS)]
    back = prepared.write(listing({1: ["a", "b"]}, LATER))

    assert marked == [["1-a"], ["1-a"]]
    assert gone.nested == {"shop_thing_part": 2, "shop_thing_label": 2}
    assert back.nested == {"shop_thing_part": 1, "shop_thing_label": 1}
    assert living(prepared) == living(prepared, LABELS) == ["1-a", "1-b", "2-a"]


def test_an_empty_list_marks_all_that_was_in_it(prepared: Tables) -> None:
    """Of a record that is otherwise unchanged, too; a list that did not come is not an empty one."""
    prepared.write(listing({1: ["a", "b"]}))
    prepared.write(listing({1: []}, shapes=[LABELS]))

    assert (living(prepared), living(prepared, LABELS)) == (["1-a", "1-b"], [])


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_list_that_one_record_came_without_stays_as_it_is(prepared: Tables, *, overwrite: bool) -> None:
    """In whatever version; the others of the batch take what they do not list any more with them."""
    prepared.write(listing({1: ["a", "b"], 2: ["a", "b"]}))
    later = listing({1: [], 2: ["b"], 3: []}, LATER)
    lists = [replace(each, untold=frozenset({1, 3})) for each in later.nested]
    written = prepared.write(replace(later, nested=lists, overwrite=overwrite))
    kept = (living(prepared), living(prepared, LABELS))
    prepared.write(listing({1: ["b", "c"], 3: ["a"]}, LATER))

    assert kept == (["1-a", "1-b", "2-b"], ["1-a", "1-b", "2-b"])
    assert (written.counts.updated, written.nested["shop_thing_part"]) == (2, 2)
    assert living(prepared) == living(prepared, LABELS) == ["1-b", "1-c", "2-b", "3-a"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_stale_record_changes_nothing_of_its_lists(prepared: Tables, *, overwrite: bool) -> None:
    """It adds nothing, takes nothing away and brings nothing back; a repair does."""
    prepared.write(listing({1: ["a", "b", "c"]}, EARLY))
    prepared.write(listing({1: ["a", "b"]}, LATER))
    prepared.write(replace(listing({1: ["a", "c", "d"]}, AT, name="stale"), overwrite=overwrite))
    names = {row["name"] for row in prepared.rows(PARTS).values() if row["_cmp_deleted_at"] is None}

    assert living(prepared) == living(prepared, LABELS) == (["1-a", "1-c", "1-d"] if overwrite else ["1-a", "1-b"])
    assert names == {"stale" if overwrite else "x"}


def test_a_row_of_a_newer_version_is_neither_replaced_nor_marked(prepared: Tables) -> None:
    """Although the table has lost the record it came with."""
    prepared.write(listing({1: ["a", "b"]}, LATER))
    prepared.by_hand("DELETE FROM shop_thing")
    prepared.write(listing({1: ["a"]}, AT, name="stale"))

    assert living(prepared) == ["1-a", "1-b"]
    assert {row["name"] for row in prepared.rows(PARTS).values()} == {"x"}
    assert living(prepared, LABELS) == ["1-a"]


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_versions_in_a_batch_only_the_newest_ones_list_counts(prepared: Tables, order: int) -> None:
    """In whichever order they came; where lists have stamps the batch itself tells them apart."""
    old, new = (
        listing({1: numbers, 2: ["a"]}, stamp, shapes=[PARTS]) for numbers, stamp in (("ab", AT), ("bc", LATER))
    )
    batches = [old, new][::order]
    rows = [row for each in batches for row in each.nested[0].rows]
    both = Batch(WHOLE, [row for each in batches for row in each.rows], nested=[Nested(PARTS, rows)])
    written = prepared.write(both)

    assert written.counts == Counts(read=2, inserted=2)
    assert living(prepared) == ["1-b", "1-c", "2-a"]
    assert {row["as_of"] for row in prepared.rows(PARTS).values()} == {LATER}


def test_a_record_that_is_deleted_takes_its_lists_with_it(prepared: Tables) -> None:
    """Marked as it is, in its run; those of others stay, and all come back with it."""
    prepared.write(listing({1: ["a"], 2: ["a"]}))
    written = prepared.write(Batch(WHOLE, deleted=[1]))
    marked = deleted(prepared), deleted(prepared, LABELS), runs(prepared)["1-a"]
    prepared.write(listing({1: ["a"]}))

    assert (written.counts.deleted, written.nested) == (1, {"shop_thing_part": 1, "shop_thing_label": 1})
    assert marked == (["1-a"], ["1-a"], "run 2")
    assert living(prepared) == ["1-a", "2-a"]


def test_a_record_that_is_removed_leaves_no_row_of_its_lists(prepared: Tables) -> None:
    """Marked or living; of the others nothing goes."""
    prepared.write(listing({1: ["a", "b"], 2: ["a", "b"]}))
    prepared.write(listing({1: ["b"], 2: ["b"]}, LATER))
    prepared.write(Batch(WHOLE, removed=[1]))

    assert (living(prepared), deleted(prepared)) == (["2-b"], ["2-a"])
    assert (living(prepared, LABELS), deleted(prepared, LABELS)) == (["2-b"], ["2-a"])


def test_clearing_leaves_only_what_living_records_list(prepared: Tables) -> None:
    """Nothing that was marked, nothing without a record; and nothing of another account is touched."""
    prepared.write(listing({1: ["a", "b"], 2: ["a"], 3: ["a"]}))
    prepared.write(listing({1: ["b"]}), account="b")
    prepared.write(listing({1: ["b"]}, LATER))
    prepared.write(Batch(WHOLE, deleted=[2]))
    prepared.by_hand("DELETE FROM shop_thing WHERE account = 'a' AND id = 3")
    prepared.write(Batch(WHOLE, removed=[4], remove_deleted=True))

    assert sorted(prepared.rows(PARTS)) == sorted(prepared.rows(LABELS)) == [("a", "1-b"), ("b", "1-b")]


def test_of_a_record_that_came_in_part_no_list_is_touched(prepared: Tables) -> None:
    """Nothing is known of what it lists."""
    prepared.write(listing({1: ["a"], 2: ["a"]}))
    prepared.write(replace(listing({1: [], 2: ["b"], 3: ["a"]}, LATER), limited=frozenset({0, 2})))

    assert living(prepared) == living(prepared, LABELS) == ["1-a", "2-b"]


@pytest.mark.parametrize(("mine", "other"), ["ab", "ba"])
def test_every_account_has_its_own_lists(prepared: Tables, mine: str, other: str) -> None:
    """The same keys, written, marked, removed and cleared apart."""
    prepared.write(listing({1: ["a", "b"], 2: ["a"]}), account=other)
    prepared.write(listing({2: []}, LATER), account=other)
    prepared.write(listing({1: ["a", "b"]}), account=mine)
    steps = [listing({1: ["b"]}, LATER), Batch(WHOLE, deleted=[1]), Batch(WHOLE, removed=[1], remove_deleted=True)]
    kept = []
    for step in steps:
        prepared.write(step, account=mine)
        kept.append((living(prepared, account=mine), living(prepared, account=other)))
    left = [sorted(prepared.rows(shape)) for shape in WHOLE.nested]
    prepared.write(listing({1: ["a", "b"]}), account=mine)
    told = [prepared.write(listing({1: ["b"]}, LATER), account=mine).nested["shop_thing_label"] for _ in range(2)]

    assert told == [2, 0]
    assert kept == [(["1-b"], ["1-a", "1-b"]), ([], ["1-a", "1-b"]), ([], ["1-a", "1-b"])]
    assert left == 2 * [[(other, "1-a"), (other, "1-b"), (other, "2-a")]]


def refused(written: Written) -> dict[str, str]:
    """Return why records were refused, by key."""
    return {each.key: each.reason for each in written.rejected}


def test_a_list_that_cannot_be_written_takes_its_record_into_quarantine(prepared: Tables) -> None:
    """As it was before, with all it lists, with the reason; the others are written."""
    prepared.write(listing({1: ["a"]}, EARLY))
    batch = listing({1: ["a", "b"], 2: ["a", "b"], 3: ["a"]}, name="fine")
    rows = list(batch.nested[1].rows)
    rows[1] = part(1, "b", name="\ud800")
    written = prepared.write(replace(batch, nested=[batch.nested[0], Nested(LABELS, rows)]))

    assert written.counts == Counts(read=3, inserted=2, rejected=1)
    assert list(refused(written)) == ["1"]
    assert refused(written)["1"].startswith("its list cannot be written: shop_thing_label 1-b: ")
    assert living(prepared) == living(prepared, LABELS) == ["1-a", "2-a", "2-b", "3-a"]
    assert prepared.rows()["a", 1]["write_date"] == EARLY
    assert written.nested == {"shop_thing_part": 3, "shop_thing_label": 3}
    assert sorted(written.changed) == [2, 3]


@pytest.mark.parametrize("rule", ["forbid", "swallow"])
def test_a_rule_of_the_users_on_a_list_refuses_the_record(prepared: Tables, rule: str) -> None:
    """Whether it says so or not; in another version of it the record is written."""
    getattr(prepared, rule)("shop_thing_part", "NEW.name = 'bad'")
    batch = listing({1: ["a"], 2: ["a"]}, shapes=[PARTS])
    rows = [part(1, "a", name="bad"), part(1, "b"), part(2, "a")]
    written = prepared.write(replace(batch, nested=[Nested(PARTS, rows)]))
    first = living(prepared)
    prepared.write(listing({1: ["a"]}, shapes=[PARTS]))

    assert (written.counts, list(refused(written))) == (Counts(read=2, inserted=1, rejected=1), ["1"])
    assert first == ["2-a"]
    assert living(prepared) == ["1-a", "2-a"]


def test_of_a_record_that_is_refused_no_list_is_written(prepared: Tables) -> None:
    """Nor marked: what the table has is of the version that it has."""
    prepared.write(listing({1: ["a"]}, EARLY))
    prepared.forbid("shop_thing", "NEW.name = 'bad'")
    batch = listing({1: ["b"], 2: ["b"], 3: ["b"]})
    rows = [thing(1, stamp=AT, name="bad"), thing(2, stamp=AT, name="bad"), thing(3, stamp=AT)]
    written = prepared.write(replace(batch, rows=rows))

    assert written.counts == Counts(read=3, inserted=1, rejected=2)
    assert living(prepared) == living(prepared, LABELS) == ["1-a", "3-b"]


def test_rows_of_no_record_in_the_batch_are_not_written(prepared: Tables) -> None:
    """A record that the source's adapter rejected has none."""
    prepared.write(replace(listing({1: ["a"], 2: ["a"]}), rows=[thing(2, stamp=AT)]))

    assert living(prepared) == ["2-a"]


def test_a_row_that_moves_to_another_record_moves(prepared: Tables) -> None:
    """Whichever of the two comes first; it is nowhere deleted."""
    prepared.write(listing({1: ["a"], 2: []}, EARLY, shapes=[PARTS]))
    moved = ("1-a", 2, AT, "x")
    both = listing({1: [], 2: []}, AT, shapes=[PARTS])
    prepared.write(replace(both, nested=[Nested(PARTS, [moved])]))
    row = prepared.rows(PARTS)["a", "1-a"]

    assert (row["thing_id"], row["_cmp_deleted_at"]) == (2, None)


def test_a_list_whose_table_was_dropped_is_missed_made_and_filled_again(prepared: Tables) -> None:
    """Although its records did not change."""
    batch = listing({1: ["a"]})
    prepared.write(batch)
    prepared.by_hand("DROP TABLE shop_thing_label")
    missing = prepared.destination.missing(prepared.connection, WHOLE)
    prepared.prepare(WHOLE)
    written = prepared.write(batch)

    assert (missing, written.counts) == (None, Counts(read=1, unchanged=1))
    assert living(prepared, LABELS) == ["1-a"]


def test_a_column_of_a_list_that_was_dropped_is_missed_and_its_rows_doubted(prepared: Tables) -> None:
    """As with the record's own table."""
    batch = listing({1: ["a"]})
    prepared.write(batch)
    prepared.by_hand("ALTER TABLE shop_thing_part DROP COLUMN name")
    missing = prepared.destination.missing(prepared.connection, WHOLE)
    prepared.prepare(WHOLE)
    prepared.begin()
    prepared.destination.doubt(prepared.connection, WHOLE)
    prepared.connection.execute("COMMIT")
    prepared.write(batch)

    assert missing == ["shop_thing_part.name"]
    assert prepared.rows(PARTS)["a", "1-a"]["name"] == "x"


def test_lists_of_more_records_than_one_query_takes_are_found_all(prepared: Tables) -> None:
    """Written, marked, taken along."""
    many = range(1, 2_502)
    prepared.begin()
    prepared.write(listing(dict.fromkeys(many, "ab"), shapes=[PARTS]))
    marked = prepared.write(listing(dict.fromkeys(many, "b"), LATER, shapes=[PARTS]))
    taken = prepared.write(Batch(WHOLE, deleted=list(many)))
    prepared.connection.execute("COMMIT")
    gone = len(deleted(prepared))
    prepared.begin()
    prepared.write(Batch(WHOLE, removed=list(many)))
    prepared.connection.execute("COMMIT")

    assert marked.nested["shop_thing_part"] == 2 * len(many)
    assert taken.nested["shop_thing_part"] == len(many)
    assert (gone, prepared.rows(PARTS)) == (2 * len(many), {})
