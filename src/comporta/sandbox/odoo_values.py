"""How to read any field from a row, stored or not: cells, children, inherited and computed fields.

What is returned is raw: bare ids, stamps with microseconds. ``odoo_query`` gives it the form of RPC.
"""

from collections.abc import Callable
from operator import itemgetter
from typing import Any

from comporta.sandbox.odoo_database import Database
from comporta.sandbox.odoo_fields import Record
from comporta.sandbox.odoo_labels import row_label

Reader = Callable[[Record], Any]
Cells = dict[str, int]
CHILDREN = {
    ("sale.order", "order_line"): "sale.order.line",
    ("product.template", "product_variant_ids"): "product.product",
    ("res.partner", "child_ids"): "res.partner",
}
# A picture of one pixel: enough to show that binary fields must not be asked for by a mirror.
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
COPIES = {
    ("sale.order", "amount_to_invoice"): "amount_total",
    ("sale.order", "amount_undiscounted"): "amount_untaxed",
    ("sale.order.line", "translated_product_name"): "name",
    ("sale.order.line", "amount_to_invoice"): "price_total",
    ("product.product", "code"): "default_code",
}
CONSTANTS: dict[tuple[str, str], Any] = {
    ("sale.order", "country_code"): "BR",
    ("sale.order", "tax_country_id"): 31,
    ("sale.order", "terms_type"): "plain",
    ("sale.order.line", "product_updatable"): True,
    ("sale.order.line", "product_type"): "consu",
    ("product.product", "is_product_variant"): True,
    ("product.template", "currency_id"): 6,
    ("product.template", "cost_currency_id"): 6,
    ("product.template", "image_1920"): PIXEL,
    ("product.template", "image_128"): PIXEL,
    ("res.users", "lang"): "pt_BR",
    ("res.users", "tz"): "America/Sao_Paulo",
}


def reader_of(database: Database, model: str, name: str) -> Reader:
    """Return the function that reads a field from a row of the model."""
    table = database.table(model)
    known = table.model.fields[name]
    if name in table.model.cells:
        return itemgetter(table.model.cells[name])
    if (model, name) in CHILDREN:
        children = database.tables[CHILDREN[model, name]].children
        return lambda row: children.get(row[0], ())
    if known.inherited_through:
        return _through(database, "product.template", table.model.cells[known.inherited_through], name)
    return _computed(database, model, name)


def _through(database: Database, parent: str, place: int, name: str) -> Reader:
    read = reader_of(database, parent, name)
    rows = database.tables[parent].rows
    return lambda row: read(rows[row[place]])


def _computed(database: Database, model: str, name: str) -> Reader:
    table = database.table(model)
    cells = table.model.cells
    if name in {"display_name", "partner_ref"} or (model, name) == ("res.users", "name"):
        return lambda row: row_label(database.tables, model, row)
    if name == "__last_update":
        return itemgetter(cells["write_date"])
    if (model, name) in COPIES:
        return itemgetter(cells[COPIES[model, name]])
    if (model, name) in _FORMULAS:
        return _FORMULAS[model, name](database, cells)
    constant = CONSTANTS.get((model, name), table.model.fields[name].empty)
    return lambda row: constant


def _list_price(database: Database, cells: Cells) -> Reader:
    return _through(database, "product.template", cells["product_tmpl_id"], "list_price")


def _template_of_line(database: Database, cells: Cells) -> Reader:
    place = cells["product_id"]
    products = database.tables["product.product"]
    template = products.model.cells["product_tmpl_id"]
    return lambda row: products.rows[row[place]][template] if row[place] else False


def _tax_totals(_database: Database, cells: Cells) -> Reader:
    untaxed, total = cells["amount_untaxed"], cells["amount_total"]
    return lambda row: {"amount_untaxed": row[untaxed], "amount_total": row[total], "subtotals": []}


_FORMULAS: dict[tuple[str, str], Callable[[Database, Cells], Reader]] = {
    ("product.product", "lst_price"): _list_price,
    ("sale.order.line", "product_template_id"): _template_of_line,
    ("sale.order", "tax_totals"): _tax_totals,
}
