"""Which columns a model gets."""

import pytest

from comporta.core.record import ColumnType
from comporta.errors import UnknownField
from comporta.sources.odoo_shape import Field, describe

FIELDS = {
    "id": Field("integer"),
    "write_date": Field("datetime"),
    "name": Field("char"),
    "note": Field("html"),
    "state": Field("selection"),
    "amount_total": Field("monetary"),
    "rate": Field("float"),
    "order_id": Field("many2one"),
    "res_id": Field("many2one_reference"),
    "resource": Field("reference"),
    "tax_ids": Field("many2many"),
    "order_line": Field("one2many"),
    "invoice_count": Field("integer", store=False),
    "image": Field("binary"),
    "properties": Field("properties"),
    "account": Field("char"),
    "_cmp_mine": Field("char"),
    "x_studioTotal": Field("float"),
    "day": Field("date"),
    "locked": Field("boolean"),
}
SUBJECT = "odoo/matriz sale.order.line: its fields"


def test_stored_fields_become_columns_in_a_stable_order() -> None:
    """The id first, the rest by name; binaries, lists of children and computed fields are left out."""
    shape = describe("sale.order.line", FIELDS, None, subject=SUBJECT)

    assert [(column.name, column.type.value) for column in shape.columns] == [
        ("id", "integer"),
        ("_cmp_mine_", "text"),
        ("account_", "text"),
        ("amount_total", "numeric"),
        ("day", "date"),
        ("locked", "boolean"),
        ("name", "text"),
        ("note", "text"),
        ("order_id", "integer"),
        ("properties", "json"),
        ("rate", "numeric"),
        ("res_id", "integer"),
        ("resource", "text"),
        ("state", "text"),
        ("tax_ids", "json"),
        ("write_date", "timestamp"),
        ("x_studio_total", "numeric"),
    ]
    assert (shape.table, shape.key, shape.stamp) == ("odoo_sale_order_line", "id", "write_date")
    assert (shape.parent, shape.parent_stream) == ("order_id", "sale.order")


def test_named_fields_are_honoured_with_what_reading_needs() -> None:
    """The key, the stamp and the parent are added, even a binary or a list of children may be asked for."""
    shape = describe("sale.order.line", FIELDS, ("name", "image", "order_line"), subject=SUBJECT)

    assert [column.field for column in shape.columns] == ["id", "image", "name", "order_id", "order_line", "write_date"]
    assert [column.type for column in shape.columns[1:5:3]] == [ColumnType.TEXT, ColumnType.JSON]


@pytest.mark.parametrize(
    ("wanted", "present"),
    [("tax_id", "tax_ids"), ("tax_ids", "tax_id"), ("product_uom", "product_uom_id"), ("group_ids", "groups_id")],
)
def test_a_renamed_field_is_found_under_the_servers_name(wanted: str, present: str) -> None:
    """Settings written for one release work on the other; the column is called as the server calls it."""
    fields = {"id": Field("integer"), present: Field("many2many")}

    shape = describe("sale.order.line", fields, (wanted,), subject=SUBJECT)

    assert [column.name for column in shape.columns] == ["id", present]
    assert shape.stamp is None


def test_an_unknown_field_names_the_nearest() -> None:
    """A typing error is mended from the message alone."""
    with pytest.raises(
        UnknownField, match=r"no field 'amout_total' among the 20 .* nearest is 'amount_total'"
    ) as caught:
        describe("sale.order", FIELDS, ("amout_total",), subject=SUBJECT)

    assert "`fields`" in caught.value.next_step


def test_two_fields_never_share_a_column() -> None:
    """Names that meet after being made columns are told apart."""
    fields = {"id": Field("integer"), "x_a": Field("char"), "x_A": Field("char")}

    shape = describe("x.model", fields, None, subject=SUBJECT)

    assert len({column.name for column in shape.columns}) == 3


@pytest.mark.parametrize("other", ["Write_date", "writeDate", "Id"])
def test_the_cursor_and_the_key_keep_their_columns(other: str) -> None:
    """A field whose name becomes theirs gets a column beside, or the window would follow the wrong stamp."""
    fields = {"id": Field("integer"), "write_date": Field("datetime"), other: Field("char")}

    shape = describe("x.model", fields, None, subject=SUBJECT)

    by_name = {column.name: column.field for column in shape.columns}
    assert (by_name[shape.key], by_name[shape.stamp or ""]) == ("id", "write_date")
