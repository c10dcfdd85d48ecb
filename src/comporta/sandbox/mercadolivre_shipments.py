"""Shipments and packs in the API's forms: the new one, the old one, what they cost, what is in them.

The seller's freight is that of ``/costs``; ``lead_time.cost`` is always nought. A pack writes its instants
without the colon in the offset.
"""

from typing import Any

from comporta.sandbox import invented
from comporta.sandbox.mercadolivre_orders import UNPAID
from comporta.sandbox.mercadolivre_records import Pack, Shipment, local, money
from comporta.sandbox.mercadolivre_world import World

Row = dict[str, Any]


def shipment_row(world: World, shipment: Shipment) -> Row:
    """Return a shipment in the new form."""
    return {
        **_common(shipment),
        "items_types": ["new"],
        "logistic": {"mode": "me2", "type": shipment.logistic, "direction": "forward"},
        "lead_time": _lead_time(shipment),
        "origin": {"type": "selling_address", "sender_id": shipment.seller, "node": None, "shipping_address": None},
        "destination": {
            "type": "buying_address",
            "receiver_id": shipment.buyer,
            "receiver_name": _receiver(shipment),
            "receiver_phone": None,
            "comments": None,
            "shipping_address": _address(shipment) if _is_shown(world, shipment) else None,
        },
        "dimensions": {"height": 10, "width": 12, "length": 20, "weight": 480},
        "source": {"site_id": "MLB", "market_place": "MELI"},
        "sibling": {"sibling_id": None, "description": None, "source": None, "reason": None, "date": None},
        "snapshot_packing": None,
        "external_reference": None,
        "quotation": None,
        **shipment.over,
    }


def old_shipment_row(world: World, shipment: Shipment) -> Row:
    """Return a shipment in the form of those who do not ask for the new one."""
    return {
        **_common(shipment),
        "mode": "me2",
        "logistic_type": shipment.logistic,
        "order_id": shipment.orders[0],
        "site_id": "MLB",
        "sender_id": shipment.seller,
        "receiver_id": shipment.buyer,
        "base_cost": money(shipment.list_cost),
        "order_cost": 0.0,
        "receiver_address": _address(shipment) if _is_shown(world, shipment) else None,
        "shipping_items": shipment_items(world, shipment),
        "shipping_option": {**_lead_time(shipment), "id": shipment.id % 1_000_000},
        **shipment.over,
    }


def shipment_costs(shipment: Shipment) -> Row:
    """Return who pays what; the seller's part is in ``senders``."""
    saved = money(shipment.list_cost - shipment.cost)
    discounts = [{"rate": 0.1, "type": "loyal", "promoted_amount": saved}] if saved else []
    receiver = {"user_id": shipment.buyer, "cost": money(shipment.receiver_cost), "compensation": 0.0, "save": 0.0}
    sender = {"user_id": shipment.seller, "cost": money(shipment.cost), "compensation": 0.0, "save": saved}
    return {
        "gross_amount": money(shipment.list_cost + shipment.receiver_cost),
        "receiver": {**receiver, "discounts": []},
        "senders": [{**sender, "charges": {"charge_flex": 0.0}, "discounts": discounts}],
    }


def shipment_items(world: World, shipment: Shipment) -> list[Row]:
    """Return what is in a shipment: the lines of all its orders that are not gone."""
    orders = [order for order in map(world.order, shipment.orders) if order]
    return [
        {
            "item_id": line.item,
            "description": line.title,
            "quantity": line.quantity,
            "variation_id": line.variation,
            "order_id": order.id,
            "sender_id": shipment.seller,
            "dimensions": {"height": 10, "width": 12, "length": 20, "weight": 480},
        }
        for order in orders
        for line in order.lines
    ]


def shipment_history(shipment: Shipment) -> list[Row]:
    """Return what a shipment was, and is."""
    steps = (*shipment.past, (shipment.status, shipment.substatus, shipment.updated))
    return [{"status": status, "substatus": substatus, "date": local(at)} for status, substatus, at in steps]


def is_kept(world: World, shipment: Shipment) -> bool:
    """Tell whether any order of a shipment is still there; it goes with the last one: a guess."""
    return any(map(world.order, shipment.orders))


def pack_row(world: World, pack: Pack) -> Row | None:
    """Return a pack in the API's form, or nothing if all its orders are gone."""
    orders = [order for order in map(world.order, pack.orders) if order]
    if not orders:
        return None
    is_cancelled = all(order.status == "cancelled" for order in orders)
    return {
        "id": pack.id,
        "status": "cancelled" if is_cancelled else "released",
        "status_detail": None,
        "orders": [{"id": order.id} for order in orders],
        "shipment": {"id": pack.shipment} if pack.shipment else None,
        "buyer": {"id": pack.buyer},
        "family_pack_id": None,
        "date_created": local(pack.created, "-0400"),
        "last_updated": local(max(order.updated for order in orders), "-0400"),
    }


def _common(shipment: Shipment) -> Row:
    is_sent = shipment.status not in {"pending", "handling", "cancelled"}
    return {
        "id": shipment.id,
        "status": shipment.status,
        "substatus": shipment.substatus,
        "date_created": local(shipment.created),
        "last_updated": local(shipment.updated),
        "declared_value": None,
        "tracking_number": f"MEL{shipment.id}FMXDF01" if is_sent else None,
        "tracking_method": "MEL Distribution" if is_sent else None,
        "tags": [],
    }


def _lead_time(shipment: Shipment) -> Row:
    day = 86_400_000
    return {
        "cost": 0,
        "list_cost": money(shipment.list_cost),
        "cost_type": "free" if not shipment.receiver_cost else "charged",
        "currency_id": "BRL",
        "service_id": 21,
        "shipping_method": {"id": 510_445, "name": "Normal", "type": "standard", "deliver_to": "address"},
        "option_id": shipment.id % 1_000_000,
        "estimated_delivery_time": {
            "type": "known_frame",
            "date": local(shipment.created + 5 * day),
            "pay_before": local(shipment.created + day),
            "unit": "hour",
            "shipping": 72,
            "handling": 24,
            "offset": {"date": None, "shipping": None},
            "time_frame": {"from": None, "to": None},
        },
    }


def _is_shown(world: World, shipment: Shipment) -> bool:
    """Tell whether somebody has paid: before, nobody learns the address."""
    orders = map(world.order, shipment.orders)
    return any(order.status not in UNPAID for order in orders if order)


def _receiver(shipment: Shipment) -> str:
    first = invented.FIRST[shipment.buyer % len(invented.FIRST)]
    return f"{first} {invented.LAST[shipment.buyer % len(invented.LAST)]}"


def _address(shipment: Shipment) -> Row:
    city, _ = invented.CITIES[shipment.id % len(invented.CITIES)]
    street = invented.STREETS[shipment.id % len(invented.STREETS)]
    number = str(shipment.id % 900 + 1)
    return {
        "address_line": f"{street} {number}",
        "street_name": street,
        "street_number": number,
        "zip_code": f"{shipment.id % 90_000 + 10_000:05d}000",
        "city": {"id": None, "name": city},
        "state": {"id": "BR-XX", "name": "Maranhão de Dentro"},
        "country": {"id": "BR", "name": "Brasil"},
        "neighborhood": {"id": None, "name": "Centro"},
        "latitude": None,
        "longitude": None,
        "agency": None,
        "comment": None,
    }
