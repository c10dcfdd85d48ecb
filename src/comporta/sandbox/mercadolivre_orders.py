"""Orders in the API's form, as a search shows them and as ``GET /orders/{id}`` does, with their oddities.

The two differ on purpose: ``date_last_updated`` and the buyer's name are in the search only. What is odd
about an order (ids as texts, words nobody has documented, nothing where something was) follows from its id.
"""

from typing import Any

from comporta.sandbox import invented
from comporta.sandbox.mercadolivre_records import Line, Order, chance, local, money, universal

Row = dict[str, Any]
COLORS = (("52028", "Azul"), ("51993", "Vermelho"), ("52049", "Preto"), ("52055", "Branco"), (None, "Furta-cor"))
METHODS = (
    ("pix", "bank_transfer"), ("master", "credit_card"), ("visa", "credit_card"), ("account_money", "account_money"),
    ("bolbradesco", "ticket"), ("consumer_credits", "digital_currency"),
)  # fmt: skip
UNPAID = frozenset({"confirmed", "payment_required", "payment_in_process"})
TEXT_IDS, ODD_WORDS, MISSING, NULLS, OLD_FEEDBACK = range(3), range(3, 6), range(6, 10), range(10, 14), (14, 15)
EXPIRY_MS = 28 * 24 * 3600 * 1000


def order_row(order: Order, *, in_search: bool = False) -> Row:
    """Return an order in the API's form."""
    oddity = chance(order.id)
    row = {**_head(order), **_tail(order, oddity), **(_of_search(order) if in_search else {})}
    if oddity in TEXT_IDS:
        row["buyer"]["id"] = str(row["buyer"]["id"])
    if oddity in MISSING:
        for name in ("taxes", "context", "static_tags", "order_request", "mediations"):
            row.pop(name, None)
    return {**row, **order.over}


def buyer_nickname(buyer: int) -> str:
    """Return the name a buyer goes by."""
    return f"COMPRADOR{buyer % 100_000:05d}"


def _head(order: Order) -> Row:
    paid = order.total + order.freight if order.status not in UNPAID else 0
    return {
        "id": order.id,
        "date_created": local(order.created),
        "last_updated": local(order.updated),
        "date_closed": local(order.closed),
        "pack_id": order.pack,
        "fulfilled": None if order.status in UNPAID or chance(order.id, 5) < 40 else True,
        "buying_mode": "buy_equals_pay",
        "shipping_cost": None,
        "mediations": [{"id": 5_200_000_000 + order.id % 100_000}] if order.refunded else [],
        "total_amount": money(order.total),
        "paid_amount": money(paid),
        "order_items": [_line(line, place) for place, line in enumerate(order.lines, 1)],
        "currency_id": "BRL",
        "payments": [_payment(order)] if order.status != "confirmed" else [],
        "shipping": {"id": order.shipment},
        "status": order.status,
        "status_detail": None,
        "tags": list(order.tags),
    }


def _tail(order: Order, oddity: int) -> Row:
    feedback = {"sale": None, "purchase": None} if oddity in OLD_FEEDBACK else {"seller": None, "buyer": None}
    return {
        "static_tags": [],
        "feedback": feedback,
        "context": {"channel": "marketplace", "site": "MLB", "flows": ["catalog"] if "catalog" in order.tags else []},
        "seller": {"id": order.seller},
        "buyer": {"id": order.buyer},
        "taxes": {"amount": None, "currency_id": None, "id": None},
        "cancel_detail": _cancel(order),
        "manufacturing_ending_date": None,
        "order_request": {"change": None, "return": None},
        "coupon": {"id": None, "amount": 0} if oddity not in NULLS else None,
        "comment": None,
        "hidden_for_seller": False if oddity not in NULLS else None,
    }


def _of_search(order: Order) -> Row:
    """Return what only a search shows."""
    first, last = invented.FIRST[order.buyer % len(invented.FIRST)], invented.LAST[order.buyer % len(invented.LAST)]
    named = {"nickname": buyer_nickname(order.buyer), "first_name": first, "last_name": last}
    return {
        "date_last_updated": universal(order.indexed),
        "expiration_date": local((order.closed or order.created) + EXPIRY_MS),
        "seller": {"id": order.seller, "nickname": f"LOJA_{order.seller}"},
        "buyer": {"id": order.buyer, **named, "billing_info": {"id": str(600_000_000_000_000_000 + order.buyer)}},
    }


def _line(line: Line, place: int) -> Row:
    color, name = COLORS[line.color]
    chosen = [{"id": "COLOR", "name": "Cor", "value_id": color, "value_name": name}]
    return {
        "item": {
            "id": line.item,
            "title": line.title,
            "category_id": line.category,
            "variation_id": line.variation,
            "seller_custom_field": None,
            "variation_attributes": chosen if line.variation else [],
            "warranty": "Garantia do vendedor: 30 dias",
            "condition": "new",
            "seller_sku": line.sku,
            "global_price": None,
            "net_weight": None,
            "user_product_id": f"MLBU{line.item[3:]}" if line.variation else None,
            "release_date": None,
        },
        "quantity": line.quantity,
        "requested_quantity": {"measure": "unit", "value": line.quantity},
        "picked_quantity": None,
        "unit_price": money(line.price),
        "full_unit_price": money(line.full_price),
        "currency_id": "BRL",
        "manufacturing_days": None,
        "sale_fee": money(line.fee),
        "listing_type_id": line.listing,
        "base_exchange_rate": None,
        "base_currency_id": None,
        "element_id": place,
    }


def _payment(order: Order) -> Row:
    oddity = chance(order.id)
    method, kind = METHODS[order.method]
    is_paid = order.status not in UNPAID
    known: Any = str(order.payment) if oddity in TEXT_IDS else order.payment
    fee = sum(line.fee * line.quantity for line in order.lines)
    return {
        "id": known,
        "order_id": order.id,
        "payer_id": order.buyer,
        "collector": {"id": order.seller},
        "card_id": None,
        "reason": order.lines[0].title,
        "site_id": "MLB",
        "payment_method_id": method,
        "currency_id": "BRL",
        "installments": 1 if kind != "credit_card" else 1 + order.payment % 12,
        "issuer_id": "12501",
        "atm_transfer_reference": {"transaction_id": None, "company_id": None},
        "coupon_id": None,
        "activation_uri": None,
        "operation_type": "regular_payment",
        "payment_type": kind,
        "available_actions": ["refund"] if is_paid else [],
        "status": "under_new_review" if oddity in ODD_WORDS else _payment_status(order),
        "status_code": None,
        "status_detail": "accredited" if is_paid else None,
        **_payment_amounts(order, fee=None if oddity in NULLS else fee),
        "deferred_period": None,
        "date_created": local(order.created + 9_000),
        "date_last_modified": local(order.updated),
        "date_approved": local(order.closed),
        "transaction_order_id": None,
        "reference_id": None,
        "authorization_code": None,
    }


def _payment_amounts(order: Order, *, fee: int | None) -> Row:
    return {
        "transaction_amount": money(order.total),
        "transaction_amount_refunded": money(order.refunded),
        "taxes_amount": 0.0,
        "shipping_cost": money(order.freight),
        "overpaid_amount": 0.0,
        "total_paid_amount": money(order.total + order.freight),
        "installment_amount": None,
        "marketplace_fee": None if fee is None else money(fee),
    }


def _payment_status(order: Order) -> str:
    if order.status in UNPAID:
        return "pending"
    if order.status == "cancelled":
        return "cancelled" if order.closed is None else "refunded"
    return "approved"


def _cancel(order: Order) -> Row | None:
    if order.cancel is None:
        return None
    group, code, at = order.cancel
    said = {"group": group, "code": code, "description": f"Cancelled by the {group}", "requested_by": group}
    return {**said, "date": local(at), "application_id": None}
