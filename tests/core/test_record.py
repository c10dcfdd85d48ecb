"""What a stream's description says of its table."""

import pytest

from comporta.core.record import Column, ColumnType, Shape

SHAPE = Shape(
    "odoo",
    "sale.order.line",
    (Column("id", ColumnType.INTEGER, "id"), Column("name", ColumnType.TEXT, "name")),
    key="id",
)


def test_a_table_is_named_for_its_source_and_stream() -> None:
    """Without the dots that SQL would read as a schema."""
    assert SHAPE.table == "odoo_sale_order_line"


def test_a_column_has_its_place_in_a_row() -> None:
    """By name."""
    assert (SHAPE.index("id"), SHAPE.index("name")) == (0, 1)


def test_a_column_that_is_not_there_has_none() -> None:
    """It is a mistake of ours, seen at once."""
    with pytest.raises((StopIteration, ValueError, KeyError)):
        SHAPE.index("price")
