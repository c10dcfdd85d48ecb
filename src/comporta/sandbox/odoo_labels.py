"""The text a record is shown by: the second half of a many2one, and ``display_name``.

Labels follow other records (a contact shows its company, a product its template's name), and change
without anyone's ``write_date`` moving.
"""

from collections.abc import Mapping

from comporta.sandbox.odoo_fields import Record
from comporta.sandbox.odoo_table import Table

Tables = Mapping[str, Table]


def label_of(tables: Tables, model: str, known: int) -> str:
    """Return the display name of a committed record; of a deleted one, what a broken link would show."""
    row = tables[model].rows.get(known)
    return row_label(tables, model, row) if row is not None else f"{model},{known}"


def row_label(tables: Tables, model: str, row: Record) -> str:
    """Return the display name of a row."""
    cells = tables[model].model.cells
    if model == "product.product":
        name = label_of(tables, "product.template", row[cells["product_tmpl_id"]])
        code = row[cells["default_code"]]
        return f"[{code}] {name}" if code else name
    if model == "res.users":
        return label_of(tables, "res.partner", row[cells["partner_id"]])
    name = str(row[cells["name"]] or "")
    if model == "res.partner" and row[cells["parent_id"]]:
        return f"{label_of(tables, model, row[cells['parent_id']])}, {name}"
    if model == "sale.order.line":
        order = label_of(tables, "sale.order", row[cells["order_id"]])
        return f"{order} - {name.splitlines()[0] if name else ''}"
    return name
