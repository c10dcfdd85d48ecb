"""What only PostgreSQL can get wrong about tables and views: names, types, catalogues, others who look at them."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from tests.conformance.tables import THINGS, thing
from tests.conformance.tables_postgres import PostgresTables, open_connection
from tests.conformance.test_views import LINES, ORDERS, PRODUCTS, ROWS, odoo
from tests.servers.builds import each_postgres

from comporta.core.counts import Counts
from comporta.core.record import Column, ColumnType, Shape
from comporta.destinations.postgres import PostgresDestination
from comporta.destinations.postgres_tables import fitting
from comporta.errors import NameTaken
from comporta.ports.rows import Among
from comporta.ports.store import Batch

pytestmark = [each_postgres, pytest.mark.full]
OLD, NEW = "2026-03-01T08:00:00.000000Z", "2026-03-01T09:00:00.000000Z"
LONG = "x" * 69
INT, TEXT, NUM = ColumnType.INTEGER, ColumnType.TEXT, ColumnType.NUMERIC


@pytest.fixture
def tables(postgres_tables: PostgresTables) -> PostgresTables:
    """Return a fresh, empty database."""
    return postgres_tables


def having(*columns: tuple[str, ColumnType], stream: str = "thing") -> Shape:
    """Return THINGS with other columns than its key and stamp."""
    described = tuple(Column(name, kind, name) for name, kind in columns)
    return replace(THINGS, stream=stream, columns=(*THINGS.columns[:2], *described))


def test_names_of_seventy_letters_do_not_collide(tables: PostgresTables) -> None:
    """Tables, columns, columns beside: what is written into one is read from it, by another process too."""
    fields = [(LONG + end, INT) for end in "ab"]
    shapes = [having(*fields, stream=LONG + end) for end in "ab"]
    texts = [having(*((name, TEXT) for name, _ in fields), stream=shape.stream) for shape in shapes]
    for number, shape in enumerate(shapes):
        tables.prepare(shape)
        tables.write(Batch(shape, [(1, OLD, number, number + 10)]))
    told = [tables.prepare(shape) for shape in texts]
    tables.write(Batch(texts[0], [(1, NEW, "now", "text")]))
    again = tables.again()
    settled = [again.prepare(shape) for shape in texts]
    counts, changes = again.destination.preview(again.connection, "a", Batch(texts[0], [(1, NEW, "now", "other")]))

    assert [row[fitting(LONG + "b__text")] for row in tables.rows(texts[0]).values()] == ["text"]
    assert [row[fitting(LONG + "b")] for row in tables.rows(texts[0]).values()] == [None]
    assert [[row[fitting(name)] for name, _ in fields] for row in tables.rows(shapes[1]).values()] == [[1, 11]]
    assert told[0] == [f"table {shapes[0].table}: new columns {LONG}a__text, {LONG}b__text"]
    assert (settled, counts.updated) == ([[], []], 1)
    assert [each.fields for each in changes] == [{LONG + "b__text": ("text", "other")}]


def test_a_key_and_a_stamp_with_long_names_work(tables: PostgresTables) -> None:
    """As parent too: whatever is asked of a table is asked under the name that it has there."""
    columns = (
        Column(LONG + "k", TEXT, "k"),
        Column(LONG + "s", ColumnType.TIMESTAMP, "s"),
        Column(LONG + "p", TEXT, "p"),
    )
    shape = Shape("shop", LONG, columns, key=LONG + "k", stamp=LONG + "s", parent=LONG + "p", parent_stream="order")
    tables.prepare(shape)
    tables.write(Batch(shape, [("b", NEW, "P1"), ("B", OLD, "P1"), ("á", OLD, 'P"2')]))
    asked = (tables.connection, "a", shape)

    assert tables.destination.stamps(*asked, Among()) == {"B": OLD, "b": NEW, "á": OLD}
    assert list(tables.destination.stamps(*asked, Among(after="B", limit=1))) == ["b"]
    assert tables.destination.children(*asked, ['P"2', "P3"]) == {"á"}


@pytest.mark.parametrize("name", ['we"ird', "50%s", "$1", "{0}", "select", "Ação", "a b", "t", "excluded", "key"])
def test_a_column_may_have_any_name(tables: PostgresTables, name: str) -> None:
    """It is quoted wherever it stands, and is no part of the statement's language."""
    shape = having((name, TEXT), (name + "2", ColumnType.JSON), stream=name)
    tables.prepare(shape)
    tables.write(Batch(shape, [(1, OLD, "x", "[]"), (2, OLD, "x", "[]")]))
    written = tables.write(Batch(shape, [(1, NEW, "y", "{}"), (2, OLD, "x", "[]"), (3, OLD, None, None)]))
    _, changes = tables.destination.preview(tables.connection, "a", Batch(shape, [(1, NEW, "z", "{}")]))

    assert written.counts == Counts(read=3, inserted=1, updated=1, unchanged=1)
    assert [each.fields for each in changes] == [{name: ("y", "z")}]


def test_a_table_may_have_fifteen_hundred_columns(tables: PostgresTables) -> None:
    """PostgreSQL's own limit is 1,600, and 8 kB for what stands in the row itself."""
    shape = having(*((f"field_{number}", TEXT) for number in range(1_500)))
    tables.prepare(shape)
    wide = ["v" if number % 2 else None for number in range(1_500)]
    tables.write(Batch(shape, [(1, OLD, *wide), (2, OLD, *wide)]))
    written = tables.write(Batch(shape, [(1, NEW, *reversed(wide)), (2, OLD, *wide)]))

    assert written.counts == Counts(read=2, updated=1, unchanged=1)
    assert [tables.rows(shape)["a", key]["field_0"] for key in (1, 2)] == ["v", None]


def test_a_row_too_big_for_a_page_waits(tables: PostgresTables) -> None:
    """A thousand and five hundred numbers are; the reason is the server's."""
    shape = having(*((f"field_{number}", INT) for number in range(1_500)))
    tables.prepare(shape)
    written = tables.write(Batch(shape, [(1, OLD, *range(1_500)), (2, OLD, *(None for _ in range(1_500)))]))

    assert written.counts == Counts(read=2, inserted=1, rejected=1)
    assert "row is too big" in written.rejected[0].reason


def test_each_type_is_postgresqls_own(tables: PostgresTables) -> None:
    """So that people compute with times, money and documents, not with text."""
    kinds = [(kind.value, kind) for kind in ColumnType]
    shape = having(*kinds)
    tables.prepare(shape)
    columns = tables.columns(shape.table)

    assert [columns[kind] for kind in ColumnType] == [
        "boolean", "bigint", "numeric", "text", "timestamp with time zone", "date", "jsonb",
    ]  # fmt: skip
    assert [columns[name] for name in ("_cmp_synced_at", "_cmp_hash", "_cmp_extra")] == [
        "timestamp with time zone",
        "bigint",
        "jsonb",
    ]


def test_a_column_of_integers_becomes_one_of_numbers(tables: PostgresTables) -> None:
    """In place, once; whole numbers go on being written into it."""
    whole, cents = having(("size", INT)), having(("size", NUM))
    tables.prepare(whole)
    tables.write(Batch(whole, [(1, OLD, 7)]))
    told = tables.prepare(cents)
    tables.write(Batch(cents, [(2, OLD, 7.5)]))
    back = tables.prepare(whole)
    tables.write(Batch(whole, [(3, OLD, 8)]))

    assert (told, back) == (["table shop_thing: size is numeric now"], [])
    assert tables.columns(THINGS.table)["size"] == "numeric"
    assert [row["size"] for row in tables.rows().values()] == [7, 7.5, 8]


@pytest.mark.parametrize(
    "built",
    [
        "CREATE VIEW mine AS SELECT size FROM shop_thing",
        "ALTER TABLE shop_thing ADD COLUMN twice bigint GENERATED ALWAYS AS (size * 2) STORED",
        "CREATE TRIGGER mine BEFORE UPDATE OF size ON shop_thing EXECUTE FUNCTION own_rule()",
    ],
    ids=["view", "generated column", "trigger"],
)
def test_a_column_that_the_user_builds_on_is_not_widened(tables: PostgresTables, built: str) -> None:
    """PostgreSQL refuses it; so the numbers go beside, from then on, and the user's view stays."""
    whole, cents = having(("size", INT)), having(("size", NUM))
    tables.prepare(whole)
    tables.write(Batch(whole, [(1, OLD, 7), (2, OLD, 8)]))
    tables.by_hand("CREATE FUNCTION own_rule() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
    tables.by_hand(built)
    told = tables.prepare(cents)
    tables.write(Batch(cents, [(1, NEW, 7.5)]))
    again = tables.again()
    settled = again.prepare(cents)
    again.write(Batch(cents, [(2, NEW, 8.5)]))

    assert (told, settled) == (["table shop_thing: new columns size__numeric"], [])
    assert [(row["size"], row["size__numeric"]) for row in tables.rows().values()] == [(None, 7.5), (None, 8.5)]


def test_a_column_that_our_own_views_use_is_widened_in_place(tables: PostgresTables) -> None:
    """They stand aside meanwhile, with what others were granted on them; nothing is beside and nothing is null."""
    whole, cents = (odoo("sale.order", name=TEXT, amount_total=kind) for kind in (INT, NUM))
    tables.prepare(whole)
    tables.write(Batch(whole, [(1, "S1", 7)]))
    tables.by_hand("GRANT SELECT ON orders TO PUBLIC")
    told = tables.prepare(cents)
    tables.write(Batch(cents, [(2, "S2", 7.5)]))
    settled = tables.again().prepare(cents)

    assert (told, settled) == (["table odoo_sale_order: amount_total is numeric now", "view orders made again"], [])
    assert tables.query("SELECT total_minor FROM orders ORDER BY id") == [{"total_minor": 700}, {"total_minor": 750}]
    granted = (
        "SELECT 1 AS x FROM information_schema.role_table_grants WHERE table_name = 'orders' AND grantee = 'PUBLIC'"
    )
    assert len(tables.query(granted)) == 1


def test_a_column_under_a_view_that_the_user_built_on_ours_gets_one_beside_that_our_view_shows(
    tables: PostgresTables,
) -> None:
    """Neither view may be lost, and no amount either."""
    whole, cents = (odoo("sale.order", name=TEXT, amount_total=kind) for kind in (INT, NUM))
    tables.prepare(whole)
    tables.write(Batch(whole, [(1, "S1", 7), (2, "S2", 8)]))
    tables.by_hand("CREATE VIEW mine AS SELECT id, total_minor FROM orders")
    told = tables.prepare(cents)
    tables.write(Batch(cents, [(2, "S2", 8.5), (3, "S3", 9)]))
    settled = tables.again().prepare(cents)

    assert (told[0], settled) == ("table odoo_sale_order: new columns amount_total__numeric", [])
    assert [row["total_minor"] for row in tables.query("SELECT total_minor FROM mine ORDER BY id")] == [700, 850, 900]


@pytest.mark.parametrize(
    ("made", "kind", "value"),
    [
        ("integer", TEXT, "five"),
        ("numeric(10, 2)", NUM, 0.125),
        ("timestamp", ColumnType.TIMESTAMP, OLD),
        ("text[]", TEXT, "{}"),
    ],
)
def test_a_column_of_a_persons_own_type_is_left_alone(
    tables: PostgresTables,
    made: str,
    kind: ColumnType,
    value: Any,  # noqa: ANN401  a canonical value
) -> None:
    """It might round, or mean another hour; the field gets a column beside it."""
    tables.prepare()
    tables.by_hand(f"ALTER TABLE shop_thing ADD COLUMN size {made}")
    shape = having(("size", kind))
    tables.prepare(shape)
    written = tables.write(Batch(shape, [(1, OLD, value)]))
    (row,) = tables.rows().values()

    assert written.counts.inserted == 1
    assert (row["size"], row[f"size__{kind}"]) == (None, value)


def test_a_table_that_was_dropped_meanwhile_is_made_again(tables: PostgresTables) -> None:
    """The batch that runs into it fails and is forgotten; the next finds out."""
    for _ in range(2):
        tables.write(Batch(THINGS, [thing(1)]))
    tables.by_hand("DROP TABLE shop_thing")
    with pytest.raises(psycopg.errors.UndefinedTable):
        tables.write(Batch(THINGS, [thing(1)]))
    written = tables.write(Batch(THINGS, [thing(1)]))

    assert written.counts == Counts(read=1, inserted=1)


def test_a_column_that_was_dropped_meanwhile_is_made_again(tables: PostgresTables) -> None:
    """As with a table."""
    for key in range(2):
        tables.write(Batch(THINGS, [thing(key)]))
    tables.by_hand("ALTER TABLE shop_thing DROP COLUMN price")
    with pytest.raises(psycopg.errors.UndefinedColumn):
        tables.write(Batch(THINGS, [thing(1, price=5, stamp=NEW)]))
    written = tables.write(Batch(THINGS, [thing(1, price=5, stamp=NEW)]))

    assert (written.counts.updated, tables.rows()["a", 1]["price"]) == (1, 5)


def test_what_a_rollback_took_away_is_not_remembered(tables: PostgresTables) -> None:
    """Neither a column of this transaction nor one made behind a savepoint of it."""
    wider = replace(THINGS, columns=(*THINGS.columns, Column("colour", TEXT, "colour")))
    tables.write(Batch(THINGS, [thing(1)]))
    for savepoint in ("", "SAVEPOINT here; "):
        tables.begin()
        tables.connection.execute(f"{savepoint}SELECT 1".encode())
        for number in range(2):
            tables.write(Batch(wider, [(*thing(1, stamp=f"2026-04-0{number + 1}T00:00:00.000000Z"), "red")]))
        tables.connection.execute("ROLLBACK TO here; COMMIT" if savepoint else "ROLLBACK")
    written = tables.write(Batch(wider, [(*thing(2), "red")]))

    assert written.counts.inserted == 1
    assert [row["colour"] for row in tables.rows().values()] == [None, "red"]


def test_two_processes_prepare_the_same_table_at_once(tables: PostgresTables) -> None:
    """One makes it, the other finds it: schema, table and view, new columns, a view that was lost; eight times over."""
    gate = threading.Barrier(2)

    def process(mine: int) -> list[tuple[str, ...]]:
        done: list[tuple[str, ...]] = []
        with open_connection(tables.url) as connection:
            for number in range(8):
                for shape in (odoo("sale.order", name=TEXT), ORDERS, None):
                    if mine == 0 and shape is None:
                        tables.by_hand(f'DROP VIEW "mirror {number}".orders')
                    gate.wait(timeout=5)
                    connection.execute("BEGIN")
                    told = PostgresDestination(f"mirror {number}").prepare(connection, shape or ORDERS)
                    done.append(tuple(each.message for each in told))
                    connection.execute("COMMIT")
                    gate.wait(timeout=5)
        return done

    with ThreadPoolExecutor(2) as pool:
        one, other = (each.result() for each in [pool.submit(process, mine) for mine in (0, 1)])

    assert [sorted(map(len, told)) for told in zip(one, other, strict=True)] == [[0, 2], [0, 2], [0, 1]] * 8


def test_the_schema_is_made_where_it_is_missing_and_not_asked_for_where_it_is_there(tables: PostgresTables) -> None:
    """Who may use a schema need not be allowed to make one."""
    elsewhere = PostgresDestination('Own "schema"')
    tables.begin()
    elsewhere.prepare(tables.connection, THINGS)
    tables.connection.execute("COMMIT")
    tables.by_hand("CREATE ROLE clerk_of_tables; GRANT ALL ON SCHEMA mirror TO clerk_of_tables")
    try:
        tables.connection.execute("SET ROLE clerk_of_tables")
        tables.prepare()
        tables.write(Batch(THINGS, [thing(1)]))
    finally:
        tables.connection.execute("RESET ROLE")
        tables.by_hand("DROP OWNED BY clerk_of_tables; DROP ROLE clerk_of_tables")

    assert tables.query('SELECT count(*) AS rows FROM "Own ""schema""".shop_thing') == [{"rows": 0}]


TAKEN = {
    "sequence": "CREATE SEQUENCE {}",
    "materialized view": "CREATE MATERIALIZED VIEW {} AS SELECT 1 AS x",
    "index": "CREATE TABLE other (x text); CREATE INDEX {} ON other (x)",
    "type": "CREATE TYPE {} AS ENUM ('x')",
    "view": "CREATE VIEW {} AS SELECT 1 AS x",
    "table": "CREATE TABLE {} (x text)",
}


@pytest.mark.parametrize("kind", TAKEN)
@pytest.mark.parametrize(("name", "shape"), [("odoo_sale_order", ORDERS), ("orders", ORDERS), ("products", PRODUCTS)])
def test_whatever_bears_the_name_of_ours_is_refused(tables: PostgresTables, kind: str, name: str, shape: Shape) -> None:
    """Not replaced, and said what it is."""
    tables.by_hand(TAKEN[kind].format(name))

    with pytest.raises(NameTaken, match=f"has a {kind} called '{name}'"):
        tables.prepare(shape)


def test_what_others_built_on_our_views_stays_when_they_are_made_again(tables: PostgresTables) -> None:
    """A view over a view over a bare table, and columns of every type come afterwards."""
    tables.prepare(odoo("sale.order", name=TEXT))
    tables.prepare(odoo("sale.order.line", order_id=INT))
    tables.prepare(odoo("product.product", name=TEXT))
    for view in ("orders", "order_lines", "order_products", "products"):
        tables.by_hand(f"CREATE VIEW my_{view} AS SELECT * FROM {view}")
    for shape, rows in ROWS.items():
        tables.prepare(shape)
        tables.write(Batch(shape, rows))

    assert tables.query("SELECT number, customer, total_minor FROM my_orders WHERE id = '1'") == [
        {"number": "S1", "customer": "Ana", "total_minor": 123456}
    ]
    assert tables.query("SELECT sum(total_minor) AS minor FROM my_order_lines") == [{"minor": 14229}]
    assert len(tables.query("SELECT * FROM my_products")) == 2


def test_a_mirrored_column_of_another_type_is_null_in_the_views(tables: PostgresTables) -> None:
    """A view that fails for one row is of no use for the others; numbers still show as text where text is due."""
    odd = odoo("sale.order", name=INT, amount_total=TEXT, date_order=ColumnType.JSON, currency_id=NUM)
    tables.prepare(odd)
    tables.write(Batch(odd, [(1, 77, "much", "[]", 1.5)]))

    assert tables.query("SELECT number, total_minor, ordered_at, currency FROM orders") == [
        {"number": "77", "total_minor": None, "ordered_at": None, "currency": None}
    ]


def test_every_combination_of_tables_makes_views_that_can_be_read(tables: PostgresTables) -> None:
    """Whichever streams are synced, in whatever order, with no more than their keys."""
    bare = [replace(shape, columns=shape.columns[:1]) for shape in (LINES, *ROWS)]
    for shape in bare:
        tables.prepare(shape)
        for view in ("orders", "order_lines", "order_products", "products"):
            if tables.columns(view):
                tables.query(f"SELECT * FROM {view}")

    assert all(tables.columns(view) for view in ("orders", "order_lines", "order_products", "products"))


def test_minor_units_are_exact_where_floats_are_not(tables: PostgresTables) -> None:
    """1.005 and 2.675 lie below the half as doubles; as numbers they are the half, and go up."""
    orders = odoo("sale.order", name=TEXT, amount_total=NUM)
    tables.prepare(orders)
    amounts = [1.005, 2.675, -1.005, 0.285, 90071992547409.9, 1.1]
    tables.write(Batch(orders, [(key, "S", amount) for key, amount in enumerate(amounts)]))
    found = tables.query("SELECT total_minor FROM orders ORDER BY id")

    assert [row["total_minor"] for row in found] == [101, 268, -101, 29, 9007199254740990, 110]
