"""What there is to know of an order, an item, a shipment and a pack: facts only, none of the API's forms.

Instants are milliseconds since 1970, amounts are cents. A record is replaced, never changed: whoever chose
it keeps what it saw. ``over`` holds what an act wrote over the record's form, whatever that may be.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

ZONE = timedelta(hours=-4)
"""The offset of almost all of the API's stamps, whatever the seller's zone."""
Over = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Line:
    """What was bought."""

    item: str
    title: str
    category: str
    variation: int | None
    color: int
    sku: str | None
    quantity: int
    price: int
    full_price: int
    fee: int
    listing: str


@dataclass(frozen=True, slots=True)
class Order:
    """One order; ``indexed`` is the stamp that the search filters by, some seconds after ``updated``."""

    id: int
    seller: int
    created: int
    updated: int
    indexed: int
    closed: int | None
    status: str
    lines: tuple[Line, ...]
    buyer: int
    payment: int
    method: int
    freight: int
    refunded: int = 0
    pack: int | None = None
    shipment: int | None = None
    cancel: tuple[str, str, int] | None = None
    tags: tuple[str, ...] = ()
    over: Over = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Return the price of all lines."""
        return sum(line.price * line.quantity for line in self.lines)


@dataclass(frozen=True, slots=True)
class Variation:
    """One kind of an item."""

    id: int
    color: int
    stock: int
    sold: int
    sku: str | None


@dataclass(frozen=True, slots=True)
class Item:
    """One listing."""

    id: str
    seller: int
    title: str
    category: str
    price: int
    full_price: int
    stock: int
    sold: int
    listing: str
    created: int
    updated: int
    sku: str | None = None
    status: str = "active"
    sub_status: tuple[str, ...] = ()
    variations: tuple[Variation, ...] = ()
    over: Over = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Shipment:
    """What goes to a buyer for one order, or for all of a pack."""

    id: int
    seller: int
    orders: tuple[int, ...]
    buyer: int
    created: int
    updated: int
    logistic: str
    cost: int
    list_cost: int
    receiver_cost: int
    status: str = "pending"
    substatus: str | None = None
    past: tuple[tuple[str, str | None, int], ...] = ()
    over: Over = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pack:
    """One cart: several orders, or a single one."""

    id: int
    seller: int
    buyer: int
    orders: tuple[int, ...]
    shipment: int | None
    created: int


def milliseconds(instant: datetime) -> int:
    """Return an aware instant as the world keeps it.

    >>> milliseconds(datetime(1970, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC))
    1500
    """
    return round(instant.timestamp() * 1000)


def local(instant: int | None, offset: str = "-04:00") -> str | None:
    """Return an instant as most of the API writes it, without its milliseconds.

    >>> local(1_500), local(1_500, "-0400"), local(None)
    ('1969-12-31T20:00:01.000-04:00', '1969-12-31T20:00:01.000-0400', None)
    """
    if instant is None:
        return None
    return f"{(datetime.fromtimestamp(instant // 1000, UTC) + ZONE).isoformat()[:19]}.000{offset}"


def universal(instant: int) -> str:
    """Return an instant as the API writes those it keeps in UTC.

    >>> universal(1_500)
    '1970-01-01T00:00:01.500Z'
    """
    return f"{datetime.fromtimestamp(instant // 1000, UTC).isoformat()[:19]}.{instant % 1000:03d}Z"


def money(cents: int) -> float:
    """Return an amount as the API writes it.

    >>> money(8990), money(100)
    (89.9, 1.0)
    """
    return cents / 100


def chance(known: int, salt: int = 0) -> int:
    """Return a number under a hundred that follows from an id: what is odd about a record stays so.

    >>> chance(7) == chance(7) != chance(8)
    True
    """
    return ((known + salt * 7_919) * 2_654_435_761 % 4_294_967_296) // 65_536 % 100
