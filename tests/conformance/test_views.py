"""The views in business words, over rows made by hand."""

from dataclasses import replace

import pytest
from tests.conformance.tables import Tables

from comporta.core.record import Column, ColumnType, Row, Shape
from comporta.destinations.views import VIEWS
from comporta.errors import NameTaken
from comporta.ports.store import Batch

INT, TEXT, NUM, STAMP, BOOL = (
    ColumnType.INTEGER,
    ColumnType.TEXT,
    ColumnType.NUMERIC,
    ColumnType.TIMESTAMP,
    ColumnType.BOOLEAN,
)
AT = "2026-03-01T08:00:00.000000Z"


def odoo(stream: str, **columns: ColumnType) -> Shape:
    """Return a shape of Odoo's with an id and those columns."""
    described = {"id": INT, **columns}
    return Shape("odoo", stream, tuple(Column(name, kind, name) for name, kind in described.items()), key="id")


ORDERS = odoo(
    "sale.order", name=TEXT, state=TEXT, partner_id=INT, currency_id=INT, amount_total=NUM, date_order=STAMP,
    write_date=STAMP,
)  # fmt: skip
LINES = odoo(
    "sale.order.line", order_id=INT, product_id=INT, name=TEXT, product_uom_qty=NUM, price_unit=NUM, price_total=NUM,
    currency_id=INT, display_type=TEXT,
)  # fmt: skip
PRODUCTS = odoo(
    "product.product", default_code=TEXT, product_tmpl_id=INT, lst_price=NUM, qty_available=NUM, active=BOOL,
    write_date=STAMP,
)  # fmt: skip
TEMPLATES = odoo("product.template", name=TEXT, list_price=NUM, active=BOOL, write_date=STAMP)
CURRENCIES = odoo("currency", name=TEXT, decimal_places=INT, is_company=BOOL)
PARTNERS = odoo("res.partner", name=TEXT)
EURO, YEN, DINAR = 1, 2, 3

ROWS: dict[Shape, list[Row]] = {
    ORDERS: [
        (1, "S1", "sale", 5, EURO, 1234.56, AT, AT),
        (2, "S2", "draft", 6, YEN, 1200, AT, AT),
        (3, "S3", "sale", None, DINAR, 1.234, AT, AT),
        (4, "S4", "sale", 5, 99, -0.29, AT, AT),
    ],
    LINES: [
        (11, 1, 7, "Chair, red", 2, 10.1, 20.2, EURO, None),
        (12, 1, 7, "Chair, blue", 1, 10.1, 10.1, EURO, None),
        (13, 1, None, "Furniture", 0, 0, 0, EURO, "line_section"),
        (14, 1, 8, "Table", 1, 99.99, 99.99, EURO, None),
        (15, 2, 7, "Chair", 3, 400, 1200, YEN, None),
    ],
    PRODUCTS: [(7, "CH", 70, 10.1, 5, True, AT), (8, "TA", 80, None, None, False, AT)],
    TEMPLATES: [(70, "Chair", 9.9, True, "2026-03-02T08:00:00.000000Z"), (80, "Table", 99.99, True, None)],
    CURRENCIES: [(EURO, "EUR", 2, True), (YEN, "JPY", 0, False), (DINAR, "KWD", 3, False)],
    PARTNERS: [(5, "Ana"), (6, "Rui")],
}


@pytest.fixture
def shop(tables: Tables) -> Tables:
    """Return a database with everything in it, written by run 1 to run 6."""
    for shape, rows in ROWS.items():
        tables.prepare(shape)
        tables.write(Batch(shape, rows), account="shop")
    return tables


IDS = {"id", "order_id", "line_id"}


def column(tables: Tables, view: str, *names: str) -> list[tuple[object, ...]]:
    """Return some columns of a view, in order; ids as the source has them, whatever the view makes of them."""
    found = tables.query(f"SELECT {', '.join(names)} FROM {view} ORDER BY {', '.join(names[:2])}")
    assert all(row[name] == tables.view_id(int(row[name])) for row in found for name in IDS & row.keys())
    return [tuple(int(value) if name in IDS else value for name, value in row.items()) for row in found]


@pytest.mark.parametrize("view", [view for view in VIEWS if view != "deals"])
def test_a_view_has_the_columns_that_were_promised(shop: Tables, view: str) -> None:
    """In that order: spreadsheets and reports are built on them."""
    assert tuple(shop.columns(view)) == VIEWS[view]


def test_orders_name_customer_and_currency_and_count_in_minor_units(shop: Tables) -> None:
    """By the currency's own number of decimals: none, two or three; two where it is not known."""
    found = column(shop, "orders", "id", "number", "status", "customer", "currency", "total_minor")

    assert found == [
        (1, "S1", "sale", "Ana", "EUR", 123456),
        (2, "S2", "draft", "Rui", "JPY", 1200),
        (3, "S3", "sale", None, "KWD", 1234),
        (4, "S4", "sale", "Ana", None, -29),
    ]


def test_minor_units_are_whole_numbers(shop: Tables) -> None:
    """Nobody adds fractions of a cent."""
    found = [value for row in column(shop, "orders", "total_minor") for value in row]

    assert {type(value) for value in found} == {int}


def test_an_amount_beyond_reason_is_null_and_breaks_no_view(shop: Tables) -> None:
    """A code that was scanned into the field of the price; no account's rows are hidden by it, and no sum is wrong."""
    shop.write(Batch(ORDERS, [(5, "S5", "sale", 5, EURO, 9.3e16, AT, AT)]), account="shop")
    shop.write(Batch(LINES, [(16, 1, 8, "Table", 3, 9e16, 2.7e17, EURO, None)]), account="shop")
    totals = {row[0]: row[1] for row in column(shop, "orders", "id", "total_minor")}
    lines = {row[0]: row[1:] for row in column(shop, "order_lines", "line_id", "unit_price_minor", "total_minor")}
    sums = column(shop, "order_products", "order_number", "product_code", "total_minor")

    assert (totals[5], totals[1]) == (None, 123456)
    assert (lines[16], lines[14]) == ((None, None), (9999, 9999))
    assert {("S1", "TA", None), ("S1", "CH", 3030)} <= set(sums)


def test_lines_leave_out_sections_and_notes(shop: Tables) -> None:
    """They are text in the document, not something sold."""
    found = column(shop, "order_lines", "line_id", "product_code", "product_name", "unit_price_minor", "total_minor")

    assert found == [
        (11, "CH", "Chair", 1010, 2020),
        (12, "CH", "Chair", 1010, 1010),
        (14, "TA", "Table", 9999, 9999),
        (15, "CH", "Chair", 400, 1200),
    ]


def test_a_product_on_two_lines_is_one_row_of_the_order(shop: Tables) -> None:
    """With the quantities and amounts of both."""
    found = column(shop, "order_products", "order_number", "product_code", "quantity", "total_minor", "lines")

    assert found == [("S1", "CH", 3, 3030, 2), ("S1", "TA", 1, 9999, 1), ("S2", "CH", 3, 1200, 1)]


def test_products_take_from_their_template_what_they_do_not_have(shop: Tables) -> None:
    """In the company's currency; changed when either changed."""
    found = column(shop, "products", "id", "code", "name", "price_minor", "currency", "stock", "active", "updated_at")

    assert found == [
        (7, "CH", "Chair", 1010, "EUR", 5, 1, "2026-03-02T08:00:00.000000Z"),
        (8, "TA", "Table", 9999, "EUR", None, 0, AT),
    ]


def test_what_was_deleted_is_in_no_view(shop: Tables) -> None:
    """The order with its lines; the product, but not its name where it was sold."""
    shop.write(Batch(ORDERS, deleted=[1]), account="shop")
    shop.write(Batch(PRODUCTS, deleted=[7]), account="shop")

    assert column(shop, "orders", "id") == [(2,), (3,), (4,)]
    assert column(shop, "order_lines", "line_id", "product_name") == [(15, "Chair")]
    assert column(shop, "order_products", "order_number", "product_code") == [("S2", "CH")]
    assert column(shop, "products", "id") == [(8,)]


def test_accounts_do_not_mix(shop: Tables) -> None:
    """Ids are the account's own: the same number elsewhere is something else."""
    shop.write(Batch(ORDERS, [(1, "OTHER", "sale", 5, EURO, 1, AT, AT)]), account="other")
    found = shop.query("SELECT customer, currency, total_minor FROM orders WHERE account = 'other'")

    assert found == [{"customer": None, "currency": None, "total_minor": 100}]


def test_a_view_is_there_from_the_first_table_on_with_nulls_for_what_is_missing(tables: Tables) -> None:
    """A stream that is not synced, a field that is not asked for: null, not an error."""
    bare = odoo("sale.order", name=TEXT)
    told = tables.prepare(bare)
    tables.write(Batch(bare, [(1, "S1")]))

    assert told == ["table odoo_sale_order created with 2 columns", "view orders created"]
    assert tables.query("SELECT * FROM orders") == [
        {
            "source": "odoo",
            "account": "a",
            "id": tables.view_id(1),
            "number": "S1",
            "status": None,
            "customer": None,
            "currency": None,
            "total_minor": None,
            "ordered_at": None,
            "updated_at": None,
            "synced_at": "2026-03-01T08:00:01.000000Z",
        }
    ]


def test_lines_without_their_orders_are_shown(tables: Tables) -> None:
    """Only the lines are synced; an order that is not here is not a deleted one."""
    tables.prepare(LINES)
    tables.write(Batch(LINES, ROWS[LINES]))

    assert column(tables, "order_lines", "line_id", "product_name", "currency")[0] == (11, "Chair, red", None)


def test_views_are_made_again_when_columns_appear_and_left_alone_otherwise(tables: Tables) -> None:
    """A reader's prepared statement is not disturbed for nothing."""
    tables.prepare(odoo("sale.order", name=TEXT))
    same = tables.prepare(odoo("sale.order", name=TEXT))
    told = tables.prepare(ORDERS)

    assert same == []
    assert told[1:] == ["view orders made again"]


@pytest.mark.parametrize(
    "made",
    ["CREATE TABLE orders (mine text)", "CREATE TABLE Orders (mine text)", "CREATE VIEW orders AS SELECT 1 AS mine"],
)
def test_a_table_or_view_of_the_users_is_refused_and_nothing_else_is_harmed(tables: Tables, made: str) -> None:
    """By name; it keeps what it has, and the transaction takes its own table back."""
    tables.by_hand(made)
    tables.begin()

    with pytest.raises(NameTaken, match="orders"):
        tables.prepare(ORDERS)
    tables.rollback()
    assert list(tables.columns("orders")) == ["mine"]
    assert tables.columns("odoo_sale_order") == {}


def test_a_view_that_another_stream_does_not_need_is_no_reason_to_refuse_it(tables: Tables) -> None:
    """Who has a table called orders may still mirror products."""
    tables.by_hand("CREATE TABLE orders (mine text)")
    told = tables.prepare(PRODUCTS)

    assert told[-1] == "view products created"


def test_streams_that_no_view_speaks_of_make_none(tables: Tables) -> None:
    """A table alone."""
    assert tables.prepare(replace(PARTNERS, stream="res.company")) == ["table odoo_res_company created with 2 columns"]
