"""What Mercado Livre contributes to the views, beside Odoo and in the same shape."""

import pytest
from tests.conformance.tables import Tables
from tests.conformance.test_views import BOOL, INT, TEXT, odoo

from comporta.core.record import Column, ColumnType, Nested, Row, Shape
from comporta.destinations.views import VIEWS
from comporta.ports.store import Batch
from comporta.sources.mercadolivre_shape import buyers, shape_of, table

AT = "2026-03-01T08:00:00.000000Z"
NUMBER = 2000010000000123
ORDERS, ITEMS = shape_of(table("orders")), shape_of(table("items"))
LINES = ORDERS.nested[0]
VARIATIONS = ITEMS.nested[0]


def row(shape: Shape, **values: object) -> Row:
    """Return a row with these columns, the others null."""
    assert {column.name for column in shape.columns} >= values.keys()
    return tuple(values.get(column.name) for column in shape.columns)  # type: ignore[misc]  # as many as there are columns


def order(key: int, **values: object) -> Row:
    """Return an order of the first buyer."""
    usual = {"status": "paid", "currency_id": "BRL", "buyer_id": 8, "last_updated": AT, "date_created": AT}
    return row(ORDERS, id=key, **(usual | values))


def line(order: int, place: int, **values: object) -> Row:
    """Return a line of an order."""
    usual = {"currency_id": "BRL", "order_last_updated": AT, "title": "Caneca"}
    return row(LINES, id=f"{order}-{place}", order_id=order, position=place, **(usual | values))


@pytest.fixture
def shop(tables: Tables) -> Tables:
    """Return a database with orders in two currencies and items with and without variations."""
    named = buyers()
    tables.prepare(ORDERS)
    tables.prepare(ITEMS)
    tables.prepare(named)
    lines = [
        line(NUMBER, 1, seller_sku="CAN-AZ", quantity=2, unit_price=89.9),
        line(NUMBER, 2, seller_sku="CAN-AZ", quantity=1, unit_price=80),
        line(NUMBER, 3, quantity=1, unit_price=10, item_id="MLB7"),
        line(NUMBER + 1, 1, seller_sku="X", quantity=1, unit_price=15990, currency_id="CLP"),
    ]
    first = order(NUMBER, total_amount=269.8)
    second = order(NUMBER + 1, total_amount=15990, currency_id="CLP", buyer_id=9, status="cancelled")
    tables.write(Batch(ORDERS, [first, second], nested=[Nested(LINES, lines)]), account="loja")
    people = [
        row(named, id=8, nickname="COMPRADORA", first_name="Ana", last_name="Exemplo"),
        row(named, id=9, nickname="B9"),
    ]
    tables.write(Batch(named, people), account="loja")
    items = [
        row(ITEMS, id="MLB1", title="Caneca", price=89.9, currency_id="BRL", available_quantity=12, status="active"),
        row(
            ITEMS,
            id="MLB2",
            title="Prato",
            price=50,
            currency_id="BRL",
            available_quantity=3,
            status="paused",
            seller_sku="PR",
        ),
    ]
    variations = [
        row(VARIATIONS, id=181, item_id="MLB1", price=89.9, available_quantity=5, seller_sku="CAN-AZ"),
        row(VARIATIONS, id=182, item_id="MLB1", available_quantity=7, seller_sku="CAN-VM"),
    ]
    tables.write(Batch(ITEMS, items, nested=[Nested(VARIATIONS, variations)]), account="loja")
    return tables


def values(tables: Tables, view: str, *names: str) -> list[tuple[object, ...]]:
    """Return some columns of a view, in order of the first two."""
    found = tables.query(f"SELECT {', '.join(names)} FROM {view} ORDER BY {', '.join(names[:2])}")
    return [tuple(each.values()) for each in found]


@pytest.mark.parametrize("view", ["orders", "order_lines", "order_products", "products"])
def test_the_view_has_the_columns_that_were_promised(shop: Tables, view: str) -> None:
    """One shape over all sources."""
    assert tuple(shop.columns(view)) == VIEWS[view]


def test_orders_name_their_buyer_and_count_in_minor_units(shop: Tables) -> None:
    """Chile's pesos have none."""
    found = values(shop, "orders", "number", "status", "customer", "currency", "total_minor")

    assert found == [
        (str(NUMBER), "paid", "Ana Exemplo", "BRL", 26980),
        (str(NUMBER + 1), "cancelled", "B9", "CLP", 15990),
    ]


def test_lines_cost_their_units(shop: Tables) -> None:
    """The API says the price of one."""
    found = values(shop, "order_lines", "line_id", "product_code", "unit_price_minor", "total_minor")

    assert found[0] == (f"{NUMBER}-1", "CAN-AZ", 8990, 17980)
    assert found[3] == (f"{NUMBER + 1}-1", "X", 15990, 15990)


def test_a_product_on_two_lines_is_one_row_of_the_order(shop: Tables) -> None:
    """And one without a code stands alone."""
    found = {
        row[1]: row for row in values(shop, "order_products", "order_number", "product_code", "total_minor", "lines")
    }

    assert found["CAN-AZ"] == (str(NUMBER), "CAN-AZ", 25980, 2)
    assert found[None] == (str(NUMBER), None, 1000, 1)


def test_an_item_with_variations_is_a_product_for_each(shop: Tables) -> None:
    """Each has a code and a stock of its own; what a variation does not say is the item's."""
    found = values(shop, "products", "id", "code", "price_minor", "stock")
    active = [bool(each[1]) for each in values(shop, "products", "id", "active")]

    assert found == [("MLB1-181", "CAN-AZ", 8990, 5), ("MLB1-182", "CAN-VM", 8990, 7), ("MLB2", "PR", 5000, 3)]
    assert active == [True, True, False]


def test_odoo_stands_beside_it(shop: Tables) -> None:
    """Its ids are numbers, those of items are text."""
    known = {"id": ColumnType.INTEGER, "default_code": ColumnType.TEXT, "active": ColumnType.BOOLEAN}
    shape = Shape("odoo", "product.product", tuple(Column(name, kind, name) for name, kind in known.items()), key="id")
    shop.prepare(shape)
    shop.write(Batch(shape, [(7, "CH", True)]), account="matriz")

    found = values(shop, "products", "source", "code")

    assert found == [("mercadolivre", "CAN-AZ"), ("mercadolivre", "CAN-VM"), ("mercadolivre", "PR"), ("odoo", "CH")]


def test_it_joins_views_that_odoo_made_before(tables: Tables) -> None:
    """An id that was a number so far may be a word from then on; more of Odoo may follow."""
    products, lines = odoo("product.product", default_code=TEXT, active=BOOL), odoo("sale.order.line", order_id=INT)
    for shape in (products, lines, ORDERS, ITEMS, odoo("product.template", name=TEXT)):
        tables.prepare(shape)
    tables.write(Batch(products, [(7, "CH", True)]), account="matriz")
    tables.write(Batch(ITEMS, [row(ITEMS, id="MLB2", seller_sku="PR")]), account="loja")

    assert values(tables, "products", "source", "code") == [("mercadolivre", "PR"), ("odoo", "CH")]
