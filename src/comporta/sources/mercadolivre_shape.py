"""What each Mercado Livre stream looks like: its fields, what they hold, and the columns and tables they become.

The API describes nothing about itself, so the shapes are written down here, from its documentation. A field that is
not listed is no error: it is kept beside the row. What a search says and a single record does not (or the other way
round) is no column: a row would change with the way it was read. So a buyer's names are a table of their own.

Written as ``path`` or ``path=column``; the column of a path is the path with underscores.
"""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from comporta.core.record import Column, ColumnType, Shape
from comporta.errors import BadValue, UnknownField, UnknownStream
from comporta.ports.source import StreamRequest
from comporta.sources.mercadolivre_streams import DEFAULT_STREAMS, ITEMS, ORDERS, PACKS, SHIPMENTS

SOURCE = "mercadolivre"
KEY = "id"
TIMES = "times_as_sent"
MORE = "more"
INTEGER, NUMERIC, TEXT, FLAG, TIME, DOCUMENT = (
    ColumnType.INTEGER,
    ColumnType.NUMERIC,
    ColumnType.TEXT,
    ColumnType.BOOLEAN,
    ColumnType.TIMESTAMP,
    ColumnType.JSON,
)
ORDER_STAMP = "order_last_updated"
USER_PRODUCT = "user_product_id"
"""What stock belongs to: one item or more, or variations of them."""

_ORDERS = {
    INTEGER: "id pack_id shipping.id buyer.id seller.id",
    TEXT: "status currency_id buying_mode comment comments",
    NUMERIC: "total_amount paid_amount shipping_cost",
    FLAG: "fulfilled hidden_for_seller",
    TIME: "date_created date_closed last_updated manufacturing_ending_date",
    DOCUMENT: (
        "status_detail cancel_detail tags static_tags mediations feedback context taxes order_request coupon template"
    ),
}
_ORDER_ITEMS = {
    TEXT: (
        "id item.id item.title=title item.category_id=category_id item.seller_sku=seller_sku item.warranty=warranty"
        " item.seller_custom_field=seller_custom_field item.condition=condition currency_id listing_type_id"
        " item.user_product_id=user_product_id base_currency_id item.release_date=release_date"
    ),
    INTEGER: "order_id position item.variation_id=variation_id manufacturing_days element_id",
    NUMERIC: (
        "quantity unit_price full_unit_price gross_price sale_fee base_exchange_rate item.global_price=global_price"
        " item.net_weight=net_weight"
    ),
    DOCUMENT: "requested_quantity picked_quantity stock bundle item.variation_attributes=variation_attributes",
    TIME: ORDER_STAMP,
}
_ORDER_PAYMENTS = {
    TEXT: (
        "id status status_code status_detail reason site_id payment_method_id payment_type operation_type currency_id"
        " issuer_id coupon_id activation_uri deferred_period transaction_order_id reference_id authorization_code"
    ),
    INTEGER: "order_id payment_id payer_id collector.id card_id installments",
    NUMERIC: (
        "transaction_amount transaction_amount_refunded total_paid_amount shipping_cost coupon_amount taxes_amount"
        " overpaid_amount installment_amount marketplace_fee"
    ),
    TIME: f"date_approved date_created date_last_modified {ORDER_STAMP}",
    DOCUMENT: "atm_transfer_reference available_actions",
}
_BUYERS = {INTEGER: "id", TEXT: "nickname first_name last_name billing_info.id=billing_info_id"}
_SHIPMENTS = {
    INTEGER: "id destination.receiver_id=receiver_id lead_time.option_id=option_id",
    TEXT: (
        "status substatus tracking_number tracking_method external_reference logistic.mode logistic.type"
        " logistic.direction destination.receiver_name=receiver_name"
        " destination.shipping_address.zip_code=zip_code destination.shipping_address.city.name=city"
        " destination.shipping_address.state.name=state"
    ),
    NUMERIC: "declared_value costs.gross_amount=gross_amount sender_cost costs.receiver.cost=receiver_cost",
    TIME: "date_created last_updated lead_time.estimated_delivery_time.date=estimated_delivery_at",
    DOCUMENT: (
        "items_types tags logistic lead_time origin destination dimensions source sibling snapshot_packing quotation"
        " costs"
    ),
}
_PACKS = {
    INTEGER: "id shipment.id buyer.id family_pack_id",
    TEXT: "status",
    TIME: "date_created last_updated",
    DOCUMENT: "status_detail orders",
}
_ITEMS = {
    TEXT: (
        "id site_id title subtitle category_id buying_mode listing_type_id condition permalink thumbnail thumbnail_id"
        " video_id international_delivery_mode status warranty catalog_product_id domain_id parent_item_id"
        " seller_custom_field seller_sku inventory_id user_product_id currency_id"
    ),
    INTEGER: "seller_id official_store_id initial_quantity available_quantity sold_quantity",
    NUMERIC: "price base_price original_price health",
    FLAG: "accepts_mercadopago automatic_relist catalog_listing",
    TIME: "start_time stop_time end_time expiration_time historical_start_time date_created last_updated",
    DOCUMENT: (
        "sub_status tags sale_terms pictures shipping seller_address geolocation coverage_areas attributes deal_ids"
        " channels descriptions non_mercado_pago_payment_methods item_relations"
    ),
}
_ITEM_VARIATIONS = {
    INTEGER: "id available_quantity sold_quantity",
    TEXT: "item_id seller_custom_field seller_sku catalog_product_id inventory_id user_product_id",
    NUMERIC: "price",
    DOCUMENT: "attribute_combinations attributes picture_ids sale_terms",
}
DROPPED: Mapping[str, frozenset[str]] = {
    # Searches alone show these. A buyer has a row of its own; the rest of a seller or a shipping is not of the order.
    ORDERS: frozenset(
        {"date_last_updated", "expiration_date", "order_items", "payments", "buyer", "seller", "shipping"}
    ),
    SHIPMENTS: frozenset(),
    PACKS: frozenset({"shipment", "buyer"}),
    ITEMS: frozenset({"variations"}),
}
"""Top fields that are no columns of the stream's own table and are not kept beside its rows either."""


@dataclass(frozen=True, slots=True)
class Field:
    """One column and the path to its value."""

    path: tuple[str, ...]
    column: Column


@dataclass(frozen=True, slots=True)
class Table:
    """The columns of one table, the key first."""

    stream: str
    fields: tuple[Field, ...]

    @property
    def columns(self) -> tuple[Column, ...]:
        """Return the columns, with the one that keeps the times as they were written."""
        return tuple(each.column for each in self.fields)


@cache
def table(stream: str) -> Table:
    """Return the whole table of a stream, or of a list inside its records."""
    told = {
        ORDERS: _ORDERS,
        "order_items": _ORDER_ITEMS,
        "order_payments": _ORDER_PAYMENTS,
        "buyers": _BUYERS,
        SHIPMENTS: _SHIPMENTS,
        PACKS: _PACKS,
        ITEMS: _ITEMS,
        "item_variations": _ITEM_VARIATIONS,
    }[stream]
    found = [_field(text, kind) for kind, texts in told.items() for text in texts.split()]
    if any(each.column.type is TIME and each.column.name != ORDER_STAMP for each in found):
        found.append(Field((), Column(TIMES, DOCUMENT, TIMES)))
    if stream in {"order_items", "order_payments", "buyers", "item_variations"}:
        found.append(Field((), Column(MORE, DOCUMENT, MORE)))
    return Table(stream, tuple(sorted(found, key=lambda each: (each.column.name != KEY, each.column.name))))


def table_for(request: StreamRequest) -> Table:
    """Return the columns to keep of a stream; those that somebody named, if anybody did."""
    if request.stream not in DEFAULT_STREAMS:
        near = difflib.get_close_matches(request.stream, DEFAULT_STREAMS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; there are: {', '.join(DEFAULT_STREAMS)}"
        message = f"mercadolivre has no stream {request.stream!r}{hint}"
        raise UnknownStream(message, next_step="Correct the stream's name in comporta.toml.")
    if request.domain:
        message = f"stream {request.stream} has a `domain`; Mercado Livre knows none, only Odoo does"
        raise BadValue(message, next_step="Take `domain` out of the stream in comporta.toml.")
    whole = table(request.stream)
    if request.fields is None:
        return whole
    known = [each.column.name for each in whole.fields]
    unknown = [name for name in request.fields if name not in known]
    if unknown:
        near = difflib.get_close_matches(unknown[0], known, n=1, cutoff=0.5)
        hint = f"; the nearest is {near[0]!r}" if near else ""
        message = f"mercadolivre {request.stream}: there is no column {unknown[0]!r} among the {len(known)}{hint}"
        raise UnknownField(message, next_step="Correct `fields` of the stream in comporta.toml.")
    kept = {*request.fields, KEY, *_NEEDED[request.stream]}
    return Table(request.stream, tuple(each for each in whole.fields if each.column.name in kept))


def shape_of(kept: Table) -> Shape:
    """Return the shape of a stream with the columns to keep, and of the lists inside its records."""
    make = {ORDERS: _orders, SHIPMENTS: _shipments, PACKS: _packs, ITEMS: _items}
    return make[kept.stream](kept.columns)


def buyers() -> Shape:
    """Return the table that names the buyers of orders."""
    return Shape(SOURCE, "buyers", table("buyers").columns, key=KEY)


def _orders(columns: tuple[Column, ...]) -> Shape:
    nested = tuple(
        Shape(SOURCE, name, table(name).columns, key=KEY, stamp=ORDER_STAMP, parent="order_id", parent_stream=ORDERS)
        for name in ("order_items", "order_payments")
    )
    settled = ("status", frozenset({"cancelled", "invalid"}))
    return Shape(SOURCE, ORDERS, columns, key=KEY, stamp="last_updated", nested=nested, settled=settled)


def _shipments(columns: tuple[Column, ...]) -> Shape:
    settled = ("status", frozenset({"delivered", "not_delivered", "cancelled"}))
    return Shape(
        SOURCE,
        SHIPMENTS,
        columns,
        key=KEY,
        stamp="last_updated",
        parent_stream=ORDERS,
        referred_by="shipping_id",
        settled=settled,
    )


def _packs(columns: tuple[Column, ...]) -> Shape:
    settled = ("status", frozenset({"cancelled"}))
    return Shape(
        SOURCE,
        PACKS,
        columns,
        key=KEY,
        stamp="last_updated",
        parent_stream=ORDERS,
        referred_by="pack_id",
        settled=settled,
    )


def _items(columns: tuple[Column, ...]) -> Shape:
    variations = table("item_variations").columns
    nested = Shape(SOURCE, "item_variations", variations, key=KEY, parent="item_id", parent_stream=ITEMS)
    return Shape(SOURCE, ITEMS, columns, key=KEY, nested=(nested,), also_named=USER_PRODUCT)


def _field(text: str, kind: ColumnType) -> Field:
    path, _, name = text.partition("=")
    name = name or path.replace(".", "_")
    return Field(tuple(path.split(".")), Column(name, kind, path))


_NEEDED: Mapping[str, Sequence[str]] = {
    ORDERS: ("last_updated", "status", "shipping_id", "pack_id"),
    SHIPMENTS: ("last_updated", "status"),
    PACKS: ("last_updated", "status"),
    ITEMS: (),
}
