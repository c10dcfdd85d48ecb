"""Everything the simulated sellers have, the one way to change it, and who is told of a change.

A record is never changed in place: a page already chosen keeps what it saw. Orders of a seller are kept in
order of creation and in order of ``date_last_updated``, so that a search among tens of thousands is quick.
Orders end twelve months after their creation: from then on nobody sees them.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field, replace
from random import Random
from threading import RLock
from typing import Any

from comporta.errors import BadValue
from comporta.sandbox.clock import SourceClock
from comporta.sandbox.mercadolivre_records import Item, Order, Pack, Shipment, milliseconds

KEPT_MS = 365 * 24 * 3600 * 1000
FIRST_ORDER, FIRST_PACK, FIRST_SHIPMENT = 2_000_010_000_000_123, 2_000_006_000_000_777, 44_000_000_555
FIRST_ITEM, FIRST_PAYMENT, FIRST_BUYER = 4_000_000_001, 90_000_000_001, 3_800_300_400
LAG_S = (1, 6)
Told = Callable[[str, str, int], None]
Key = tuple[int, int]


@dataclass
class Shelf:
    """The records of one seller, in the orders in which they are asked for."""

    created: list[Key] = field(default_factory=list)
    indexed: list[Key] = field(default_factory=list)
    items: list[str] = field(default_factory=list)
    shipments: list[int] = field(default_factory=list)
    packs: list[int] = field(default_factory=list)
    version: int = 0
    kept: dict[Hashable, Any] = field(default_factory=dict)

    def touch(self) -> None:
        """Forget what was worked out from the records as they were."""
        self.version += 1
        self.kept.clear()


class World:
    """All records of all sellers, by id."""

    def __init__(self, clock: SourceClock, sellers: Iterable[int], rng: Random) -> None:
        self.clock = clock
        self.lock = RLock()
        self.orders: dict[int, Order] = {}
        self.items: dict[str, Item] = {}
        self.shipments: dict[int, Shipment] = {}
        self.packs: dict[int, Pack] = {}
        self.shelves = {seller: Shelf() for seller in sellers}
        self.told: list[Told] = []
        self._rng = rng
        self._numbers: dict[int, int] = {}

    @property
    def sellers(self) -> list[int]:
        """Return the ids of all sellers."""
        return list(self.shelves)

    def now(self) -> int:
        """Return the source's instant in milliseconds."""
        return milliseconds(self.clock.now())

    def horizon(self) -> int:
        """Return the instant before which an order is gone."""
        return self.now() - KEPT_MS

    def number(self, first: int, step: int = 1) -> int:
        """Return the next number of the series that begins there."""
        number = self._numbers.get(first, first)
        self._numbers[first] = number + step
        return number

    def lag(self) -> int:
        """Return how much later than an order its place in the search is renewed."""
        return self._rng.randint(LAG_S[0] * 1000, LAG_S[1] * 1000)

    def order(self, known: int) -> Order | None:
        """Return an order that is not yet gone."""
        order = self.orders.get(known)
        return order if order and order.created >= self.horizon() else None

    def orders_of(self, seller: int) -> list[Order]:
        """Return a seller's orders in order of creation."""
        with self.lock:
            created = self.shelves[seller].created
            return [self.orders[known] for _, known in created[self.first_kept(seller) :]]

    def first_kept(self, seller: int) -> int:
        """Return the place, in order of creation, of a seller's oldest order that is not gone."""
        return bisect_left(self.shelves[seller].created, (self.horizon(), 0))

    def put_order(self, order: Order) -> None:
        """Add an order, or put it in the place of the one before."""
        with self.lock:
            shelf = self.shelves[order.seller]
            before = self.orders.get(order.id)
            if before is None:
                insort(shelf.created, (order.created, order.id))
            else:
                del shelf.indexed[bisect_left(shelf.indexed, (before.indexed, before.id))]
            insort(shelf.indexed, (order.indexed, order.id))
            self.orders[order.id] = order
            shelf.touch()

    def put_item(self, item: Item) -> None:
        """Add an item, or put it in the place of the one before."""
        with self.lock:
            if item.id not in self.items:
                self.shelves[item.seller].items.append(item.id)
            self.items[item.id] = item

    def put_shipment(self, shipment: Shipment) -> None:
        """Add a shipment, or put it in the place of the one before."""
        with self.lock:
            if shipment.id not in self.shipments:
                self.shelves[shipment.seller].shipments.append(shipment.id)
            self.shipments[shipment.id] = shipment

    def put_pack(self, pack: Pack) -> None:
        """Add a pack, or put it in the place of the one before."""
        with self.lock:
            if pack.id not in self.packs:
                self.shelves[pack.seller].packs.append(pack.id)
            self.packs[pack.id] = pack

    def change_order(self, known: int, *, is_stamped: bool = True, is_told: bool = True, **facts: Any) -> None:
        """Change an order; its stamps move and its seller is told, unless that is not wanted."""
        with self.lock:
            order = self.orders.get(known)
            if order is None:
                raise BadValue(f"order {known}: there is none")
            stamps: dict[str, Any] = self._restamped(order) if is_stamped else {}
            self.put_order(replace(order, **facts, **stamps))
        if is_told:
            self.tell("orders_v2", f"/orders/{known}", order.seller)

    def change_item(self, known: str, *, is_stamped: bool = True, is_told: bool = True, **facts: Any) -> None:
        """Change an item, likewise."""
        with self.lock:
            item = self.items.get(known)
            if item is None:
                raise BadValue(f"item {known}: there is none")
            stamps: dict[str, Any] = {"updated": self.now()} if is_stamped else {}
            self.put_item(replace(item, **facts, **stamps))
        if is_told:
            self.tell("items", f"/items/{known}", item.seller)
            if "price" in facts:
                self.tell("items_prices", f"/items/{known}/prices", item.seller)

    def remove_item(self, known: str) -> None:
        """Let an item be gone without a trace."""
        with self.lock:
            item = self.items.pop(known, None)
            if item is None:
                raise BadValue(f"item {known}: there is none")
            self.shelves[item.seller].items.remove(known)
        self.tell("items", f"/items/{known}", item.seller)

    def change_shipment(self, known: int, *, is_stamped: bool = True, is_told: bool = True, **facts: Any) -> None:
        """Change a shipment, likewise; what it was stays in its history."""
        with self.lock:
            shipment = self.shipments.get(known)
            if shipment is None:
                raise BadValue(f"shipment {known}: there is none")
            past = (*shipment.past, (shipment.status, shipment.substatus, shipment.updated))
            stamps: dict[str, Any] = {"updated": self.now(), "past": past} if is_stamped else {}
            self.put_shipment(replace(shipment, **facts, **stamps))
        if is_told:
            self.tell("shipments", f"/shipments/{known}", shipment.seller)

    def tell(self, topic: str, resource: str, seller: int) -> None:
        """Let everybody know who listens."""
        for listener in self.told:
            listener(topic, resource, seller)

    def stamps(self) -> dict[str, int]:
        """Return the two stamps of an order changed now: its search row is found from now on, its own is older."""
        now = self.now()
        return {"updated": (now - self.lag()) // 1000 * 1000, "indexed": now}

    def _restamped(self, order: Order) -> dict[str, int]:
        stamps = self.stamps()
        return {**stamps, "updated": max(stamps["updated"], order.updated)}
