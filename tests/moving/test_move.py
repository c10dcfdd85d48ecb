"""Everything moves from any database to any other, and syncing goes on there as if nothing had been."""

from dataclasses import replace

import pytest
from tests.moving.conftest import Address
from tests.moving.samples import SAMPLES, put, rows
from tests.moving.shop import Shop, move
from tests.moving.stage import asked, by_hand, contents, is_postgres, mirrored, opened

from comporta.core.counts import Counts
from comporta.core.record import Column, ColumnType, Nested, Row, Shape
from comporta.errors import DatabaseSealed, WrongUse
from comporta.ledger.accounts import accounts, put_account
from comporta.ledger.secrets import get_secret, put_secret
from comporta.ports.store import Batch

pytestmark = pytest.mark.timeout(60)


def unchanged(shop: Shop) -> dict[str, int]:
    """Read everything once more and return how many rows were found unchanged; nothing else may be."""
    runs = shop.sync(full=True)
    assert {run.counts for run in runs.values()} == {
        Counts(read=run.counts.read, unchanged=run.counts.read) for run in runs.values()
    }
    return {stream: run.counts.unchanged for stream, run in runs.items()}


NUMERIC = """
SELECT column_name AS name FROM information_schema.columns
WHERE table_name = 'odoo_sale_order' AND data_type = 'numeric' AND column_name LIKE '%_id'
"""


@pytest.mark.full
def test_from_sqlite_to_postgresql_and_back_nothing_is_lost_and_nothing_is_written_again(
    shop: Shop, new_database: Address
) -> None:
    """Every value is the same, history and coverage go on, and no hole opens, on either database."""
    put(shop.database)
    first, before = unchanged(shop), contents(shop.database)
    moved = shop.move(new_database("postgres"))
    there = contents(shop.database)
    nothing = {run.counts for run in shop.sync().values()}
    second, between = unchanged(shop), contents(shop.database)
    known = put(shop.database).counts
    shop.move(new_database("sqlite"))
    back = contents(shop.database)
    known_again = put(shop.database).counts

    assert there == before
    assert {table: each.rows for table, each in moved.sums.items()} == {table: len(had) for table, had in there.items()}
    assert moved.left_behind == []
    assert nothing == {Counts()}
    assert back == between
    assert first == second == unchanged(shop)
    assert known == known_again == Counts(read=len(rows()), unchanged=len(rows()))
    assert [len(back["cmp_coverage"]), {row["since"][:4] for row in back["cmp_coverage"]}] == [5, {"0001"}]


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.full)])
def test_a_database_moves_to_another_of_its_kind(shop: Shop, new_database: Address, kind: str) -> None:
    """A file to another disk, a server to another."""
    put(shop.database)
    if kind == "postgres":
        shop.move(new_database("postgres"))
    before, old = contents(shop.database), shop.database
    shop.move(new_database(kind))

    assert contents(shop.database) == before
    assert put(shop.database).counts.unchanged == len(rows())
    with pytest.raises(DatabaseSealed, match="its data was moved to"):
        put(old)


@pytest.mark.full
def test_the_lists_inside_records_move_with_them(shop: Shop, new_database: Address) -> None:
    """And go on there: nothing is written again, and what a record lists no more is found and marked."""
    keys = [Column("id", ColumnType.TEXT, "id"), Column("sample_id", ColumnType.INTEGER, "sample_id")]
    part = Shape("shop", "sample.part", tuple(keys), key="id", parent="sample_id")
    whole = replace(SAMPLES, nested=(part,))
    listed: list[Row] = [(f"{row[0]}-{letter}", row[0]) for row in rows() for letter in "ab"]
    put(shop.database, Batch(whole, rows(), nested=[Nested(part, listed)]))
    before = contents(shop.database)
    shop.move(new_database("postgres"))
    there = contents(shop.database)
    known = put(shop.database, Batch(whole, rows(), nested=[Nested(part, listed)])).nested
    less = put(shop.database, Batch(whole, rows(), nested=[Nested(part, listed[1:])])).nested
    between = contents(shop.database)
    shop.move(new_database("sqlite"))
    back = put(shop.database, Batch(whole, rows(), nested=[Nested(part, listed)])).nested

    assert there == before
    assert len(there["shop_sample_part"]) == len(listed)
    assert [row["_cmp_deleted_at"] is None for row in between["shop_sample_part"]].count(False) == 1
    assert (known, less, back) == ({part.table: 0}, {part.table: 1}, {part.table: 1})


@pytest.mark.full
def test_through_a_pooler_that_changes_servers_a_move_is_the_same(
    shop: Shop, new_database: Address, pgbouncer_url: str, postgres_url: str
) -> None:
    """Whichever process of the server each transaction meets; both ways."""
    put(shop.database)
    before = contents(shop.database)
    shop.move(pgbouncer_url)
    there = contents(postgres_url)
    shop.move(new_database("sqlite"))

    assert there == before == contents(shop.database)
    assert put(shop.database).counts.unchanged == len(rows())


@pytest.mark.full
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_what_belongs_to_a_table_is_made_again(shop: Shop, new_database: Address, kind: str) -> None:
    """Its key, the index on the parent, the views that build on it; and the sealed one has them too."""
    shop.sync()
    old = shop.database
    shop.move(new_database(kind))
    view = "SELECT line_id FROM {mirror}order_lines"
    lines, lines_before = asked(shop.database, view), asked(old, view)

    assert sorted(int(each["line_id"]) for each in lines) == sorted(each["line_id"] for each in lines_before) != []
    assert indexes(shop.database) == indexes(old) == {"odoo_sale_order_line_order_id"}


def indexes(address: str) -> set[str]:
    """Return the names of the indexes on mirrored tables that are no keys."""
    if is_postgres(address):
        query = "SELECT indexname AS name FROM pg_indexes WHERE schemaname = 'mirror' AND indexname NOT LIKE '%_pkey'"
    else:
        query = "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name LIKE 'odoo%' AND sql IS NOT NULL"
    return {row["name"] for row in asked(address, query)}


@pytest.mark.full
def test_epochs_go_along_and_a_lease_that_ran_out_is_lost_first(shop: Shop, new_database: Address) -> None:
    """So that no epoch ever falls, nothing says running without a lease, and the next sync adopts what was left."""
    left = "2026-01-01T00:00:00.000000Z"
    by_hand(
        shop.database,
        "UPDATE cmp_run SET state = 'running' WHERE stream = 'sale.order'",
        f"UPDATE cmp_scope SET expires_at = '{left}', holder = (SELECT id FROM cmp_run WHERE stream = 'sale.order')"
        " WHERE scope = 'loja/sale.order'",
    )
    before = {row["scope"]: row["epoch"] for row in asked(shop.database, "SELECT * FROM {ledger}cmp_scope")}
    shop.move(new_database("postgres"))
    there = asked(shop.database, "SELECT * FROM {ledger}cmp_scope")
    states = asked(shop.database, "SELECT state FROM {ledger}cmp_run WHERE stream = 'sale.order' ORDER BY queued_at")
    shop.sync()
    after = {row["scope"]: row["epoch"] for row in asked(shop.database, "SELECT * FROM {ledger}cmp_scope")}

    assert {row["scope"]: row["epoch"] for row in there} == before | {"loja/sale.order": before["loja/sale.order"] + 1}
    assert {row["holder"] for row in there} == {None}
    assert [row["state"] for row in states] == ["lost", "queued"]
    assert [after[scope] > before[scope] for scope in before] == [True] * 5
    assert asked(shop.database, "SELECT id FROM {ledger}cmp_run WHERE state IN ('queued', 'running')") == []


@pytest.mark.full
def test_a_stored_key_goes_along_closed(shop: Shop, new_database: Address) -> None:
    """The master key opens it as before; the row itself is the same, byte by byte."""
    key = bytes(range(32))
    with opened(shop.database) as database:
        database.write(lambda s: put_secret(s, key, secret_id="loja/api_key", secret="çedilha")).result()
        database.write(lambda s: put_account(s, "loja", {"source": "odoo", "url": "https://erp.example"})).result()
    shop.move(new_database("postgres"))
    shop.move(new_database("sqlite"))
    with opened(shop.database) as database:
        secret = database.read(lambda s: get_secret(s, key, secret_id="loja/api_key"))
        kept = database.read(accounts)

    assert secret == "çedilha"
    assert kept == {"loja": {"source": "odoo", "url": "https://erp.example"}}


@pytest.mark.full
def test_an_integer_column_in_which_sqlite_keeps_other_numbers_becomes_numeric(
    shop: Shop, new_database: Address
) -> None:
    """SQLite never needs to change the type of a column; PostgreSQL does."""
    by_hand(
        shop.database, "UPDATE odoo_sale_order SET partner_id = 7.5 WHERE id = (SELECT min(id) FROM odoo_sale_order)"
    )
    before = contents(shop.database)
    shop.move(new_database("postgres"))

    assert contents(shop.database) == before
    assert asked(shop.database, NUMERIC) == [{"name": "partner_id"}]


@pytest.mark.full
def test_columns_of_the_users_own_go_along_where_they_can_be_told_apart_from_none_of_ours(
    shop: Shop, new_database: Address, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those of another type, and computed ones, stay behind, and are named."""
    by_hand(
        shop.database,
        "ALTER TABLE odoo_sale_order ADD COLUMN remark TEXT",
        "ALTER TABLE odoo_sale_order ADD COLUMN score REAL",
        "ALTER TABLE odoo_sale_order ADD COLUMN twice AS (id * 2)",
        "UPDATE odoo_sale_order SET remark = 'mine', score = 0.5",
        "CREATE TABLE mine AS SELECT * FROM odoo_sale_order",
    )
    there = new_database("postgres")
    moved = shop.move(there)
    row = asked(there, "SELECT * FROM {mirror}odoo_sale_order")[0]

    assert row["remark"] == "mine"
    assert {"score", "twice"} & row.keys() == set()
    assert [each.partition(":")[0] for each in moved.left_behind] == [
        "table mine",
        "column odoo_sale_order.score",
        "column odoo_sale_order.twice",
    ]


LONG = "x_" + "studio_" * 9 + "ação"
LONG_SHAPE = Shape(
    "odoo",
    "x_" + "very_" * 13 + "long",
    (
        Column("id", ColumnType.INTEGER, "id"),
        Column(LONG, ColumnType.TEXT, LONG),
        Column(LONG + "2", ColumnType.TEXT, "2"),
    ),
    key="id",
)


@pytest.mark.full
def test_names_that_postgresql_shortens_come_back_whole(shop: Shop, new_database: Address) -> None:
    """Two that differ only at their ends stay two; and a row that is known stays known everywhere."""
    long = Batch(LONG_SHAPE, [(1, "a", "b"), (2, None, "c")])
    put(shop.database, long)
    before = contents(shop.database)
    shop.move(new_database("postgres"))
    short, known = contents(shop.database), put(shop.database, long).counts
    shop.move(new_database("postgres"))
    known_too = put(shop.database, long).counts
    shop.move(new_database("sqlite"))

    assert LONG_SHAPE.table not in short
    assert known == known_too == Counts(read=2, unchanged=2)
    assert contents(shop.database) == before


@pytest.mark.full
def test_a_name_that_may_be_a_shortened_one_is_asked_for(new_database: Address) -> None:
    """With a column of another name, SQLite's rows would be taken for whole, and are not."""
    source, target = new_database("postgres"), new_database("sqlite")
    put(source, Batch(LONG_SHAPE, [(1, "a", "b")]))
    with pytest.raises(WrongUse, match="whole names of these are not known") as refused:
        move(source, target)
    tables = asked(
        source, "SELECT relname AS name FROM pg_class WHERE relnamespace = 'mirror'::regnamespace AND relkind = 'r'"
    )
    (short,) = [row["name"] for row in tables]
    columns = [name for name in asked(source, f'SELECT * FROM {{mirror}}"{short}"')[0] if name.startswith("x_")]
    by_hand(source, f"COMMENT ON TABLE {{mirror}}\"{short}\" IS 'whole name: {LONG_SHAPE.table}'")
    for name, whole in zip(columns, (LONG, LONG + "2"), strict=True):
        by_hand(source, f'COMMENT ON COLUMN {{mirror}}"{short}"."{name}" IS \'whole name: {whole}\'')
    move(source, target)

    assert "COMMENT ON" in refused.value.next_step
    assert put(target, Batch(LONG_SHAPE, [(1, "a", "b")])).counts.unchanged == 1
    assert mirrored(target) == [LONG_SHAPE.table]
