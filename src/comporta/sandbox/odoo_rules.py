"""What Odoo does by itself when someone creates, writes or deletes; above all: whose stamp moves.

Measured on 16.0 and 19.0. Totals that change move the order; a line's text or a note line does not.
A header change moves no line, unless a stored copy on the line (state, customer) changes with it. A
template's new price moves its variants from 19 on.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from comporta.sandbox.odoo_amounts import PRICED, line_amounts, line_defaults, order_amounts, order_defaults
from comporta.sandbox.odoo_database import Database
from comporta.sandbox.odoo_errors import USER_ERROR, VALIDATION_ERROR, OdooError
from comporta.sandbox.odoo_inputs import convert

DELETABLE_STATES = frozenset({"draft", "cancel"})
CONFIRMED_STATES = frozenset({"sale", "done"})
CREATE_LINE, WRITE_LINE, UNLINK_LINE = 0, 1, 2
IN_USE = "The operation cannot be completed: another model requires the record being deleted."
_USERS_OF = {
    "res.partner": (("sale.order", "partner_id"), ("res.users", "partner_id"), ("res.company", "partner_id")),
    "product.product": (("sale.order.line", "product_id"),),
}


class Writing(Protocol):
    """The part of a transaction the rules need."""

    database: Database
    stamp: str

    def cell(self, model: str, known: int, name: str) -> Any:
        """Return one cell as the transaction sees it."""

    def insert(self, model: str, cells: Mapping[str, Any]) -> int:
        """Add a raw row."""

    def put(self, model: str, known: int, cells: Mapping[str, Any]) -> None:
        """Change cells without moving the stamp."""

    def touch(self, model: str, known: int) -> None:
        """Move the stamp."""

    def remove(self, model: str, known: int) -> None:
        """Delete a row."""

    def lines_of(self, order: int) -> list[int]:
        """Return the ids of an order's lines."""


def create(tx: Writing, model: str, plain: dict[str, Any], commands: Sequence[Any]) -> int:
    """Create a record with defaults and everything that follows from it."""
    if model == "sale.order":
        known = tx.insert(model, order_defaults(tx, plain) | plain)
        if not plain.get("name"):
            tx.put(model, known, {"name": f"S{known:05d}"})
        _apply_commands(tx, known, commands)
        return known
    if model == "sale.order.line":
        known = _create_line(tx, plain)
        _recompute_order(tx, plain["order_id"])
        return known
    if model == "product.template":
        template = tx.insert(model, _template_defaults() | plain)
        tx.insert("product.product", {"product_tmpl_id": template, "active": True, **_shared(plain)})
        return template
    if model == "product.product":
        return _create_variant(tx, plain)
    fields = tx.database.models[model].cells
    return tx.insert(model, ({"active": True} if "active" in fields else {}) | plain)


def write(tx: Writing, model: str, known: int, plain: dict[str, Any], commands: Sequence[Any]) -> None:
    """Write one record and what is recomputed with it."""
    before = {name: tx.cell(model, known, name) for name in plain if name in tx.database.models[model].cells}
    own = {name: value for name, value in plain.items() if name in before}
    tx.touch(model, known)
    tx.put(model, known, own)
    if model == "sale.order":
        _follow_order(tx, known, before, own)
        _apply_commands(tx, known, commands)
    elif model == "sale.order.line" and PRICED & plain.keys():
        _recompute_line(tx, known)
        _recompute_order(tx, tx.cell(model, known, "order_id"))
    elif model == "product.template":
        _follow_template(tx, known, own)
    elif model == "product.product":
        _follow_variant(tx, known, plain)


def unlink(tx: Writing, model: str, known: int) -> None:
    """Delete one record with what hangs on it, or refuse."""
    if model == "sale.order":
        _unlink_order(tx, known)
    elif model == "sale.order.line":
        _unlink_line(tx, known)
    else:
        _refuse_if_used(tx, model, known)
        if model == "product.template":
            for variant in list(tx.database.tables["product.product"].children.get(known, ())):
                unlink(tx, "product.product", variant)
        tx.remove(model, known)


def _create_line(tx: Writing, plain: Mapping[str, Any]) -> int:
    if not plain.get("order_id"):
        raise OdooError(VALIDATION_ERROR, "Missing required value for the field 'Order' (order_id)")
    known = tx.insert("sale.order.line", line_defaults(tx, plain) | dict(plain))
    _recompute_line(tx, known)
    return known


def _apply_commands(tx: Writing, order: int, commands: Sequence[Any]) -> None:
    from_client = [(command[0], command[1], command[2] if len(command) > 2 else {}) for command in commands]
    for code, known, values in from_client:
        if code == CREATE_LINE:
            _create_line(tx, {**_plain_line(tx, values), "order_id": order})
        elif code == WRITE_LINE:
            write(tx, "sale.order.line", known, _plain_line(tx, values), ())
        elif code == UNLINK_LINE:
            _unlink_line(tx, known)
    if from_client:
        _recompute_order(tx, order)


def _plain_line(tx: Writing, values: Mapping[str, Any]) -> dict[str, Any]:
    fields = tx.database.models["sale.order.line"].fields
    return {name: convert(fields[name], value, tx.database.version) for name, value in values.items() if name in fields}


def _recompute_line(tx: Writing, known: int) -> None:
    cells = tx.database.models["sale.order.line"].cells
    amounts = line_amounts({name: tx.cell("sale.order.line", known, name) for name in cells})
    tx.put("sale.order.line", known, amounts)


def _recompute_order(tx: Writing, order: int) -> None:
    """Sum the lines; move the order's stamp only when a total comes out different."""
    lines = tx.lines_of(order)
    sums = [tuple(tx.cell("sale.order.line", line, name) for name in ("price_subtotal", "price_tax")) for line in lines]
    fresh = order_amounts(sums)
    if any(tx.cell("sale.order", order, name) != value for name, value in fresh.items()):
        tx.put("sale.order", order, fresh)
        tx.touch("sale.order", order)


def _follow_order(tx: Writing, order: int, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    changed = {name for name, value in after.items() if before[name] != value}
    copies: dict[str, Any] = {}
    if "state" in changed:
        is_confirmed = after["state"] in CONFIRMED_STATES
        copies |= {"state": after["state"], "invoice_status": "to invoice" if is_confirmed else "no"}
        tx.put("sale.order", order, {"invoice_status": copies["invoice_status"]})
        if is_confirmed:
            tx.put("sale.order", order, {"date_order": tx.stamp[:19]})
    if "partner_id" in changed:
        copies["order_partner_id"] = after["partner_id"]
    if copies:
        for line in tx.lines_of(order):
            tx.put("sale.order.line", line, copies)
            tx.touch("sale.order.line", line)


def _template_defaults() -> dict[str, Any]:
    return {"active": True, "sale_ok": True, "uom_id": 1, "categ_id": 1, "type": "consu", "list_price": 1.0}


def _shared(plain: Mapping[str, Any]) -> dict[str, Any]:
    return {name: plain[name] for name in ("default_code", "active") if name in plain}


def _create_variant(tx: Writing, plain: Mapping[str, Any]) -> int:
    own = tx.database.models["product.product"].cells
    template = plain.get("product_tmpl_id")
    if not template:
        inherited = {name: value for name, value in plain.items() if name not in own}
        template = tx.insert("product.template", _template_defaults() | inherited | _shared(plain))
    cells = {name: value for name, value in plain.items() if name in own}
    return tx.insert("product.product", {"active": True, **cells, "product_tmpl_id": template})


def _follow_template(tx: Writing, template: int, after: Mapping[str, Any]) -> None:
    moves = _shared(after)
    is_new_price = "list_price" in after and tx.database.version >= 19
    if not moves and not is_new_price:
        return
    for variant in tx.database.tables["product.product"].children.get(template, ()):
        tx.put("product.product", variant, moves)
        tx.touch("product.product", variant)


def _follow_variant(tx: Writing, variant: int, after: Mapping[str, Any]) -> None:
    own = tx.database.models["product.product"].cells
    upward = {name: value for name, value in after.items() if name not in own} | _shared(after)
    if upward:
        template = tx.cell("product.product", variant, "product_tmpl_id")
        tx.put("product.template", template, upward)
        tx.touch("product.template", template)


def _unlink_order(tx: Writing, order: int) -> None:
    if tx.cell("sale.order", order, "state") not in DELETABLE_STATES:
        raise OdooError(
            USER_ERROR,
            "You can not delete a sent quotation or a confirmed sales order. You must first cancel it.",
        )
    for line in tx.lines_of(order):
        tx.remove("sale.order.line", line)
    tx.remove("sale.order", order)


def _unlink_line(tx: Writing, line: int) -> None:
    order = tx.cell("sale.order.line", line, "order_id")
    is_product = not tx.cell("sale.order.line", line, "display_type")
    if is_product and tx.cell("sale.order", order, "state") in CONFIRMED_STATES:
        raise OdooError(
            USER_ERROR,
            "Once a sales order is confirmed, you can't remove one of its lines (we need to track if something gets "
            "invoiced or delivered).\nSet the quantity to 0 instead.",
        )
    tx.remove("sale.order.line", line)
    _recompute_order(tx, order)


def _refuse_if_used(tx: Writing, model: str, known: int) -> None:
    for user, column in _USERS_OF.get(model, ()):
        table = tx.database.tables[user]
        place = table.model.cells[column]
        if any(row[place] == known for row in table.rows.values()):
            raise OdooError(VALIDATION_ERROR, IN_USE)
