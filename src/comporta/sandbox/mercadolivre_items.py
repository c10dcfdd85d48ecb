"""Items in the API's form, and their prices.

Whoever does not own an item sees its stock in rough steps only. A variation shows its attributes, the seller's code
among them, to those who ask for all.
"""

from bisect import bisect_right
from typing import Any

from comporta.sandbox.mercadolivre_orders import COLORS
from comporta.sandbox.mercadolivre_records import Item, Variation, chance, money, universal

Row = dict[str, Any]
STEPS = (0, 1, 50, 100, 150, 200, 250, 500, 5_000, 50_000)
PRICES = ("price", "base_price", "original_price")
FAR_MS = 20 * 365 * 86_400_000
DOMAINS = {"MLB123400": "MLB-MUGS", "MLB123500": "MLB-CHAIRS"}


def item_row(item: Item, *, is_owner: bool, is_priced: bool = True, is_whole: bool = True) -> Row:
    """Return an item in the API's form."""
    variations = [_variation(item, kind, is_owner=is_owner, is_whole=is_whole) for kind in item.variations]
    row = {**_head(item), **_trade(item, is_owner=is_owner), **_tail(item, variations), **item.over}
    return row if is_priced else {name: value for name, value in row.items() if name not in PRICES}


def rough(stock: int) -> int:
    """Return what others see of a stock.

    >>> [rough(stock) for stock in (0, 7, 50, 99, 700)]
    [0, 1, 50, 50, 500]
    """
    return STEPS[bisect_right(STEPS, stock) - 1]


def sale_price(item: Item, now: int) -> Row:
    """Return the price that counts now."""
    is_reduced = item.price != item.full_price
    promotion = {"promotion_id": f"P-MLB{item.id[3:]}", "promotion_type": "custom"} if is_reduced else {}
    return {
        "price_id": item.id[3:],
        "amount": money(item.price),
        "regular_amount": money(item.full_price) if is_reduced else None,
        "currency_id": "BRL",
        "reference_date": universal(now),
        "metadata": promotion,
    }


def prices(item: Item) -> Row:
    """Return all prices of an item: the standard one, and the promotion if there is one."""
    context = {"context_restrictions": ["channel_marketplace"], "start_time": None, "end_time": None}
    stamp = _stamp(item.updated)

    def price(known: str, kind: str, amount: int, regular: int | None) -> Row:
        said = {"id": known, "type": kind, "amount": money(amount)}
        regular_amount = None if regular is None else money(regular)
        rest = {"regular_amount": regular_amount, "currency_id": "BRL", "last_updated": stamp}
        return {**said, **rest, "conditions": {**context, "eligible": True}}

    found = [price("1", "standard", item.full_price, None)]
    if item.price != item.full_price:
        found.append(price("2", "promotion", item.price, item.full_price))
    return {"id": item.id, "prices": found}


def _head(item: Item) -> Row:
    return {
        "id": item.id,
        "site_id": "MLB",
        "title": item.title,
        "subtitle": None,
        "seller_id": item.seller,
        "category_id": item.category,
        "official_store_id": None,
        "user_product_id": None if item.variations else f"MLBU{item.id[3:]}",
        "price": money(item.price),
        "base_price": money(item.full_price),
        "original_price": money(item.full_price) if item.full_price != item.price else None,
        "currency_id": "BRL",
    }


def _trade(item: Item, *, is_owner: bool) -> Row:
    return {
        "initial_quantity": item.stock + item.sold,
        "available_quantity": item.stock if is_owner else rough(item.stock),
        "sold_quantity": item.sold,
        "sale_terms": [
            {"id": "WARRANTY_TIME", "name": "Tempo de garantia", "value_id": None, "value_name": "30 dias"},
        ],
        "buying_mode": "buy_it_now",
        "listing_type_id": item.listing,
        "start_time": _stamp(item.created),
        "stop_time": _stamp(item.created + FAR_MS),
        "condition": "new",
        "permalink": f"https://produto.mercadolivre.com.br/MLB-{item.id[3:]}-exemplo",
        "thumbnail_id": f"{item.id[-6:]}-MLB0000",
        "pictures": [],
        "video_id": None,
        "descriptions": [],
        "accepts_mercadopago": True,
        "non_mercado_pago_payment_methods": [],
        "shipping": {
            "mode": "me2",
            "local_pick_up": False,
            "free_shipping": item.price >= 7_900,
            "logistic_type": "xd_drop_off",
            "tags": [],
            "methods": [],
            "dimensions": None,
        },
    }


def _tail(item: Item, variations: list[Row]) -> Row:
    brand = {"id": "BRAND", "name": "Marca", "value_id": None, "value_name": "Exemplo"}
    row = {
        "international_delivery_mode": "none",
        "seller_address": {"city": {"name": "São Ninguém"}, "country": {"id": "BR", "name": "Brasil"}},
        "geolocation": None,
        "coverage_areas": [],
        "attributes": [brand, *_code(item.sku)],
        "variations": variations,
        "status": item.status,
        "sub_status": list(item.sub_status),
        "tags": ["immediate_payment"],
        "warranty": "Garantia do vendedor: 30 dias",
        "catalog_product_id": None,
        "domain_id": DOMAINS.get(item.category),
        "parent_item_id": None,
        "seller_custom_field": None,
        "inventory_id": None,
        "automatic_relist": False,
        "date_created": _stamp(item.created + 5_000),
        "last_updated": _stamp(item.updated),
        "health": None,
        "deal_ids": [],
        "catalog_listing": False,
    }
    absent = ("health", "deal_ids", "international_delivery_mode") if chance(int(item.id[3:])) < 5 else ()
    return {name: value for name, value in row.items() if name not in absent}


def _code(sku: str | None) -> list[Row]:
    return [{"id": "SELLER_SKU", "name": "SKU", "value_id": None, "value_name": sku}] if sku else []


def _variation(item: Item, kind: Variation, *, is_owner: bool, is_whole: bool) -> Row:
    color, name = COLORS[kind.color]
    return {
        "id": kind.id,
        "attribute_combinations": [{"id": "COLOR", "name": "Cor", "value_id": color, "value_name": name}],
        "price": money(item.price),
        "available_quantity": kind.stock if is_owner else rough(kind.stock),
        "sold_quantity": kind.sold,
        "picture_ids": [f"{item.id[-6:]}-MLB0000"],
        "seller_custom_field": None,
        "catalog_product_id": None,
        "inventory_id": None,
        "user_product_id": f"MLBU{kind.id}",
        **({"attributes": _code(kind.sku)} if is_whole else {}),
    }


def _stamp(instant: int) -> str:
    """Return an instant as items show it: in UTC, and whole seconds."""
    return universal(instant // 1000 * 1000)
