"""From Mercado Livre's records to canonical rows, with the lists inside them as rows of tables of their own.

A record that cannot be typed waits in quarantine, and the others go on; its lists wait with it. A time is kept in UTC,
and as it was written in the column ``times_as_sent``. What is not known of a record is kept beside its row; of a line,
payment or buyer, in its column ``more``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from comporta.core.record import ColumnType, Key, Lookup, Nested, Page, Rejected, Row, Shape, Value
from comporta.errors import RecordRejected
from comporta.sources.answers import quote
from comporta.sources.mercadolivre_shape import (
    DROPPED,
    KEY,
    MORE,
    ORDER_STAMP,
    TIMES,
    Field,
    Table,
    buyers,
    shape_of,
    table,
)
from comporta.sources.mercadolivre_streams import ITEMS, ORDERS, REFERENCES, SHIPMENTS
from comporta.sources.mercadolivre_values import read_value
from comporta.sources.values import UnfitError, compact, refuse_halves

Record = Mapping[str, Any]
LISTS: Mapping[str, Mapping[str, str]] = {
    ORDERS: {"order_items": "order_items", "order_payments": "payments"},
    ITEMS: {"item_variations": "variations"},
}
"""By stream: the tables inside its records, and the field that each comes from."""
SKU = "SELLER_SKU"
REFERRING = frozenset(column for told in REFERENCES.values() for _, column in told)
"""Columns whose values are looked for as records; an id of 0 is none."""


@dataclass(slots=True)
class _Written:
    """What was made of the records so far."""

    rows: list[Row] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    extras: dict[int, str] = field(default_factory=dict)
    nested: dict[str, list[Row]] = field(default_factory=dict)
    untold: dict[str, set[Key]] = field(default_factory=dict)
    buyers: dict[Value, Row] = field(default_factory=dict)


class Plan:
    """How the records of one stream are converted; unknown fields are kept unless somebody named those to keep."""

    def __init__(self, kept: Table, *, keeps_unknown: bool) -> None:
        self.shape: Shape = shape_of(kept)
        self.fields = kept.fields
        stream = kept.stream
        self._stream = stream
        tops = {each.path[0] for each in table(stream).fields if each.path}
        self._known = tops | DROPPED[stream] if keeps_unknown else None
        whole = {each.path[0] for each in table(stream).fields if len(each.path) == 1}
        self._inside = {each.path[0] for each in table(stream).fields if len(each.path) > 1} - whole
        self._lists = LISTS.get(stream, {})

    def page(self, records: Sequence[Record]) -> Page:
        """Return the records as a page."""
        done = _Written(nested={name: [] for name in self._lists}, untold={name: set() for name in self._lists})
        for record in records:
            self._add(done, record)
        nested = [
            Nested(each, done.nested[each.stream], frozenset(done.untold[each.stream])) for each in self.shape.nested
        ]
        named = [Lookup(buyers(), list(done.buyers.values()))] if done.buyers else []
        return Page(done.rows, done.rejected, done.extras, nested=nested, lookups=named)

    def _add(self, done: _Written, record: Record) -> None:
        try:
            _refuse_unsound(self._stream, record)
            row = row_of(record, self.fields)
            extra = self._beside(record)
            nested = {name: self._inner(name, record, row) for name in self._lists}
            refuse_halves([extra, *row, *(value for rows in nested.values() for one in rows or () for value in one)])
            buyer = _buyer(record) if self._stream == ORDERS else None
        except (UnfitError, RecursionError) as error:
            text = compact(record, ascii_only=True)
            name = str(record[KEY]) if has_id(record) else f"without-id-{digest(record):x}"
            done.rejected.append(Rejected(name, RecordRejected.code, str(error), text))
            return
        if extra:
            done.extras[len(done.rows)] = extra
        done.rows.append(row)
        for name, rows in nested.items():
            if rows is None:
                done.untold[name].add(row[0])  # type: ignore[arg-type]  # a key
            done.nested[name] += rows or ()
        if buyer is not None:
            done.buyers[buyer[0]] = buyer

    def _beside(self, record: Record) -> str:
        if self._known is None:
            return ""
        beside = {name: record[name] for name in sorted(record.keys() - self._known)}
        # A record in place of which something else stands (an id, a text) feeds no column: it is kept as it came.
        odd = {name: record[name] for name in sorted(self._inside) if not _is_record(record.get(name))}
        return compact(beside | odd) if beside or odd else ""

    def _inner(self, name: str, record: Record, row: Row) -> Sequence[Row] | None:
        """Return the rows of one list inside a record, ``None`` where it came without. No order has no line."""
        found = record.get(self._lists[name])
        if name == "order_items" and (found is None or found == []):
            message = f"order_items is {'missing' if found is None else 'empty'}; expected what was bought"
            raise UnfitError(message)
        if found is None:
            return None
        if not isinstance(found, list) or not all(isinstance(each, Mapping) for each in found):
            message = f"{self._lists[name]} is {quote(compact(found, ascii_only=True))}; expected a list of records"
            raise UnfitError(message)
        if name == "item_variations":
            if any(each.get(KEY) is None for each in found):
                message = f"variations is {quote(compact(found, ascii_only=True))}; expected an id in each"
                raise UnfitError(message)
            return [
                row_of({**each, "item_id": row[0], "seller_sku": sku_of(each)}, table(name).fields) for each in found
            ]
        fields = table(name).fields
        stamp = {"order_id": row[0], ORDER_STAMP: record.get("last_updated")}
        if name == "order_items":
            numbered = enumerate(found, start=1)
            return [row_of({**each, **stamp, KEY: f"{row[0]}-{at}", "position": at}, fields) for at, each in numbered]
        return [
            row_of({**each, **stamp, KEY: f"{row[0]}-{_paid(each, at)}", "payment_id": each.get(KEY)}, fields)
            for at, each in enumerate(found, start=1)
        ]


def has_id(record: Record) -> bool:
    """Say whether a record has what may be an id."""
    key = record.get(KEY)
    return isinstance(key, int | str) and not isinstance(key, bool) and key != ""


def digest(record: Record) -> int:
    """Return a number for a record that has no other: the same as long as it holds the same."""
    return int.from_bytes(blake2b(compact(record, ascii_only=True).encode(), digest_size=6).digest())


def row_of(record: Record, fields: Sequence[Field]) -> Row:
    """Return a record's row, in the order of the fields; raise ``UnfitError`` for what is not of its column's type."""
    return tuple(_value(record, each, fields) for each in fields)


def sku_of(record: Record) -> object:
    """Return the seller's own code of an item or variation: an attribute today, a field of its own in older ones.

    >>> sku_of({"attributes": [{"id": "SELLER_SKU", "value_name": "CAN-AZ"}], "seller_custom_field": "old"})
    'CAN-AZ'
    """
    attributes = record.get("attributes")
    for each in attributes if isinstance(attributes, list) else []:
        if isinstance(each, Mapping) and each.get("id") == SKU and each.get("value_name"):
            return each["value_name"]
    return record.get("seller_custom_field")


def prepared(stream: str, record: Record, *, seller: str) -> Record:
    """Return a record with what is computed from it: a seller's own code, the freight that the seller pays."""
    if stream == ITEMS:
        return {**record, "seller_sku": sku_of(record)}
    if stream == SHIPMENTS:
        return {**_new_form(record), "sender_cost": _sender_cost(record.get("costs"), seller)}
    return record


def _value(record: Record, each: Field, fields: Sequence[Field]) -> Value:
    name = each.column.name
    if name == TIMES and not each.path:
        sent = {one.column.name: _at(record, one.path) for one in fields if one.column.type is ColumnType.TIMESTAMP}
        return compact({key: value for key, value in sent.items() if value is not None and key != ORDER_STAMP})
    if name == MORE and not each.path:
        more = _unknown(record, [one.path for one in fields if one.path])
        return compact(more) if more else None
    value = read_value(name, each.column.type, _at(record, each.path))
    return None if value == 0 and name in REFERRING else value


def _refuse_unsound(stream: str, record: Record) -> None:
    """Raise for what has no id, and for an order of which nobody can say whether it is newer than what is here."""
    if not has_id(record):
        message = "the record has no id; expected one"
        raise UnfitError(message)
    if stream == ORDERS and not record.get("last_updated"):
        message = "last_updated is missing; expected when the order last changed"
        raise UnfitError(message)


def _is_record(value: object) -> bool:
    return value is None or isinstance(value, Mapping)


def _paid(payment: Record, at: int) -> object:
    """Return a payment's id, or its place where it has none."""
    return at if payment.get(KEY) is None else payment[KEY]


def _unknown(record: Record, paths: Sequence[tuple[str, ...]]) -> dict[str, object]:
    """Return what no path leads to, whatever its depth.

    >>> _unknown({"item": {"id": 1, "new": 2}, "also": 3}, [("item", "id")])
    {'also': 3, 'item': {'new': 2}}
    >>> _unknown({"item": "MLB1"}, [("item", "id")])
    {'item': 'MLB1'}
    """
    found: dict[str, object] = {}
    for name in sorted(record):
        inner = [path[1:] for path in paths if path[0] == name]
        value = record[name]
        if not inner:
            found[name] = value
        elif isinstance(value, Mapping) and all(inner):
            more = _unknown(value, inner)
            found |= {name: more} if more else {}
        elif value is not None and all(inner):
            found[name] = value
    return found


def _at(record: Record, path: Sequence[str]) -> object:
    """Return what stands at a path, ``None`` where it ends before."""
    found: object = record
    for part in path:
        if not isinstance(found, Mapping):
            return None
        found = found.get(part)
    return found


def _buyer(record: Record) -> Row | None:
    """Return the buyer's names, where the answer has any: a single order names only the id."""
    buyer = record.get("buyer")
    if not isinstance(buyer, Mapping) or buyer.get(KEY) is None or not buyer.get("nickname"):
        return None
    row = row_of(buyer, table("buyers").fields)
    refuse_halves(row)
    return row


def _new_form(record: Record) -> Record:
    """Return a shipment in its new form: the older one has the address at its top, and the mode of logistics too."""
    if "receiver_address" not in record or "destination" in record:
        return record
    address = record["receiver_address"]
    logistic = {"mode": record.get("mode"), "type": record.get("logistic_type"), "direction": "forward"}
    receiver = {"receiver_id": record.get("receiver_id"), "shipping_address": address}
    if isinstance(address, Mapping):
        receiver["receiver_name"] = address.get("receiver_name")
    return {**record, "destination": receiver, "logistic": record.get("logistic") or logistic}


def _sender_cost(costs: object, seller: str) -> object:
    """Return what the seller pays for the freight: ``lead_time.cost`` is 0 while they pay."""
    senders = costs.get("senders") if isinstance(costs, Mapping) else None
    found = [each for each in senders if isinstance(each, Mapping)] if isinstance(senders, list) else []
    own = [each for each in found if str(each.get("user_id") or seller) == seller]
    return (own or [{}])[0].get("cost")
