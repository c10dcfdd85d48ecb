"""Amounts and defaults of orders and lines, as ``sale`` computes them.

Every amount is rounded to cents per line and summed: a mirror that adds up lines finds the header.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from comporta.sandbox.odoo_database import Database
from comporta.sandbox.odoo_labels import label_of

TAX_RATES = {1: 0.18, 2: 0.12, 3: 0.07}
PRICED = frozenset(
    {"product_uom_qty", "price_unit", "discount", "tax_id", "tax_ids", "qty_invoiced", "qty_delivered", "display_type"}
)


class Reading(Protocol):
    """The part of a transaction that defaults look at."""

    database: Database
    stamp: str

    def cell(self, model: str, known: int, name: str) -> Any:
        """Return one cell as the transaction sees it."""


def line_amounts(line: Mapping[str, Any]) -> dict[str, Any]:
    """Return the computed cells of a line.

    >>> line = {"product_uom_qty": 2.0, "price_unit": 50.0, "discount": 0.0, "tax_ids": (1,), "qty_invoiced": 0.0}
    >>> line_amounts(line)["price_total"]
    118.0
    """
    quantity = line["product_uom_qty"]
    taxes = line.get("tax_ids", line.get("tax_id", ()))
    rate = sum(TAX_RATES.get(tax, 0.0) for tax in taxes)
    subtotal = round(quantity * line["price_unit"] * (1 - line["discount"] / 100), 2)
    tax = round(subtotal * rate, 2)
    total = round(subtotal + tax, 2)
    invoiced_share = line["qty_invoiced"] / quantity if quantity else 0.0
    invoiced = round(subtotal * invoiced_share, 2)
    return {
        "price_subtotal": subtotal,
        "price_tax": tax,
        "price_total": total,
        "price_reduce_taxexcl": round(subtotal / quantity, 2) if quantity else 0.0,
        "price_reduce_taxinc": round(total / quantity, 2) if quantity else 0.0,
        "qty_to_invoice": quantity - line["qty_invoiced"],
        "untaxed_amount_invoiced": invoiced,
        "untaxed_amount_to_invoice": round(subtotal - invoiced, 2),
    }


def order_amounts(lines: Iterable[tuple[float, ...]]) -> dict[str, float]:
    """Return an order's totals from its lines' (subtotal, tax).

    >>> order_amounts([(100.0, 18.0), (0.1, 0.02)])
    {'amount_untaxed': 100.1, 'amount_tax': 18.02, 'amount_total': 118.12}
    """
    pairs = list(lines)
    untaxed = round(sum(pair[0] for pair in pairs), 2)
    tax = round(sum(pair[1] for pair in pairs), 2)
    return {"amount_untaxed": untaxed, "amount_tax": tax, "amount_total": round(untaxed + tax, 2)}


def order_defaults(tx: Reading, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a new order gets where nobody said otherwise."""
    partner = given.get("partner_id") or 1
    cells = {
        "company_id": 1,
        "partner_id": partner,
        "partner_invoice_id": partner,
        "partner_shipping_id": partner,
        "state": "draft",
        "date_order": tx.stamp[:19],
        "pricelist_id": 1,
        "currency_id": 6,
        "currency_rate": 1.0,
        "user_id": 2,
        "team_id": 1,
        "invoice_status": "no",
        "picking_policy": "direct",
        "warehouse_id": 1,
        "require_signature": True,
        "prepayment_percent": 1.0,
    }
    known = tx.database.models["sale.order"].cells
    return {name: value for name, value in cells.items() if name in known}


def line_defaults(tx: Reading, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a new line takes from its order and its product."""
    order = given["order_id"]
    cells: dict[str, Any] = {
        "sequence": 10,
        "company_id": tx.cell("sale.order", order, "company_id"),
        "currency_id": tx.cell("sale.order", order, "currency_id"),
        "order_partner_id": tx.cell("sale.order", order, "partner_id"),
        "salesman_id": tx.cell("sale.order", order, "user_id"),
        "state": tx.cell("sale.order", order, "state"),
        "invoice_status": "no",
    }
    if given.get("display_type"):
        return cells
    cells |= {"product_uom_qty": 1.0, "qty_delivered_method": "stock_move", "product_uom": 1, "product_uom_id": 1}
    cells |= {"tax_id": (1,), "tax_ids": (1,)}
    product = given.get("product_id")
    if product:
        template = tx.cell("product.product", product, "product_tmpl_id")
        cells["name"] = label_of(tx.database.tables, "product.product", product)
        cells["price_unit"] = tx.cell("product.template", template, "list_price") if template else 0.0
    known = tx.database.models["sale.order.line"].cells
    return {name: value for name, value in cells.items() if name in known}
