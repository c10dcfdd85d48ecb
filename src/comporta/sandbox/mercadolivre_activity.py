"""People at work: buyers who buy, pay, cancel and want their money back, carriers, and sellers who mind their items.

Which change comes next follows from the seed. Every change is told to who subscribed; most of them let an
order's stamps move while somebody pages.
"""

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

from comporta.errors import BadValue
from comporta.sandbox.mercadolivre_orders import UNPAID
from comporta.sandbox.mercadolivre_records import Item, Order
from comporta.sandbox.mercadolivre_seed import CANCELS, sell, ship
from comporta.sandbox.mercadolivre_world import World
from comporta.sandbox.reality import Reality
from comporta.sandbox.workday import Workday

RECENT = 100
NEXT = {
    "pending": ("ready_to_ship", "ready_to_print"),
    "ready_to_ship": ("shipped", None),
    "shipped": ("delivered", None),
}


class People:
    """Everybody who changes something."""

    def __init__(self, world: World, rng: Random, reality: Reality) -> None:
        self.world = world
        self.changes = 0
        self._rng = rng
        self._workday = Workday(self.step, reality)
        self._menu: list[Callable[[int], object]] = [
            *[self.buy] * 5,
            *[self._pay] * 3,
            *[self._cancel] * 2,
            *[self._refund] * 2,
            *[self._ship] * 5,
            *[self._restock] * 3,
            *[self._reprice] * 2,
            *[self._pause] * 1,
            *[self._close] * 1,
        ]

    def start(self, rate: float) -> None:
        """Begin to make ``rate`` changes a second on a thread of its own."""
        self._workday.start(rate)

    def stop(self, *, is_finishing: bool = True) -> None:  # noqa: ARG002  nothing stays open here
        """Stop working."""
        self._workday.stop()

    def step(self, times: int = 1) -> None:
        """Make that many changes now; one for which there is nothing left is not made."""
        for _ in range(times):
            with self.world.lock:
                act = self._rng.choice(self._menu)
                seller = self._rng.choice(self.world.sellers)
                shelf = self.world.shelves[seller]
                if shelf.items:
                    (act if self.world.first_kept(seller) < len(shelf.created) else self.buy)(seller)
                self.changes += 1

    def buy(self, seller: int, *, is_late: bool = False) -> list[int]:
        """Let somebody buy a cart of a seller now, its shipment now or later; return the ids of its orders."""
        orders = sell(self.world, self._rng, seller, is_late=is_late)
        is_paid = self._rng.random() < 0.8
        for order in orders:
            if not is_paid:
                self.world.put_order(replace(order, status="payment_required", closed=None, tags=order.tags[1:]))
            self.world.tell("orders_v2", f"/orders/{order.id}", seller)
        if orders[0].shipment:
            self.world.tell("shipments", f"/shipments/{orders[0].shipment}", seller)
        return [order.id for order in orders]

    def ship(self, known: int, *, is_stamped: bool = True, is_told: bool = True) -> int:
        """Let the shipment of an order be there that had none; return its id."""
        with self.world.lock:
            order = self.world.order(known)
            if order is None or order.shipment is not None:
                raise BadValue(f"order {known}: there is none that waits for a shipment")
            made = ship(self.world, self._rng, order)
            for each in made.orders:
                self.world.change_order(each, is_stamped=is_stamped, is_told=is_told, shipment=made.id)
        if is_told:
            self.world.tell("shipments", f"/shipments/{made.id}", made.seller)
        return made.id

    def cancel(self, known: int) -> None:
        """Let an order be cancelled."""
        group, code = self._rng.choice(CANCELS)
        facts: dict[str, Any] = {
            "status": "cancelled",
            "cancel": (group, code, self.world.now()),
            "tags": ("not_delivered",),
        }
        self.world.change_order(known, **facts)

    def _pick(self, seller: int) -> Order:
        """Return some order that is not gone; recent ones are chosen more often."""
        created = self.world.shelves[seller].created
        first = self.world.first_kept(seller)
        if self._rng.random() < 0.5:
            first = max(first, len(created) - RECENT)
        return self.world.orders[created[self._rng.randrange(first, len(created))][1]]

    def _pay(self, seller: int) -> None:
        order = self._pick(seller)
        if order.status in UNPAID:
            facts: dict[str, Any] = {
                "status": "paid",
                "closed": self.world.now() // 1000 * 1000,
                "tags": ("paid", *order.tags),
            }
            self.world.change_order(order.id, **facts)
        else:
            self.world.change_order(order.id)

    def _cancel(self, seller: int) -> None:
        self.cancel(self._pick(seller).id)

    def _refund(self, seller: int) -> None:
        order = self._pick(seller)
        self.world.change_order(order.id, status="partially_refunded", refunded=order.total // 4 + 1)

    def _ship(self, seller: int) -> None:
        """Let a shipment move on; its arrival touches its orders."""
        shipment = self.world.shipments.get(self._pick(seller).shipment or 0)
        if shipment is None or shipment.status not in NEXT:
            return
        status, substatus = NEXT[shipment.status]
        self.world.change_shipment(shipment.id, status=status, substatus=substatus)
        for known in shipment.orders if status == "delivered" else ():
            tags = (*(tag for tag in self.world.orders[known].tags if tag != "not_delivered"), "delivered")
            self.world.change_order(known, tags=tags)

    def _item(self, seller: int) -> Item:
        return self.world.items[self._rng.choice(self.world.shelves[seller].items)]

    def _restock(self, seller: int) -> None:
        """Change a stock: at nought the item pauses by itself, and comes back with the goods."""
        item = self._item(seller)
        kinds = tuple(replace(kind, stock=self._rng.choice((0, self._rng.randint(1, 90)))) for kind in item.variations)
        stock = sum(kind.stock for kind in kinds) if kinds else self._rng.choice((0, self._rng.randint(1, 900)))
        facts: dict[str, Any] = {
            "status": "active" if stock else "paused",
            "sub_status": () if stock else ("out_of_stock",),
        }
        is_open = item.status in {"active", "paused"}
        self.world.change_item(item.id, stock=stock, variations=kinds, **(facts if is_open else {}))

    def _reprice(self, seller: int) -> None:
        full_price = self._rng.randint(1_000, 90_000)
        self.world.change_item(self._item(seller).id, price=full_price * 9 // 10, full_price=full_price)

    def _pause(self, seller: int) -> None:
        self.world.change_item(self._item(seller).id, status="paused", sub_status=("paused_by_seller",))

    def _close(self, seller: int) -> None:
        self.world.change_item(self._item(seller).id, status="closed", sub_status=())
