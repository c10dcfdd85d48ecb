"""The invented sellers on their first day: items, then a year of carts with their orders and shipments.

Everything follows from the seed; only the instants hang on the base instant given. One hour of the year
is so busy that it holds a fiftieth of the orders, and one order in a hundred was touched by a mass update
that left the same stamps. A few orders are older than the twelve months: nobody ever sees them.
"""

from dataclasses import replace
from random import Random
from typing import Any

from comporta.sandbox import invented
from comporta.sandbox.mercadolivre_records import Item, Line, Order, Pack, Shipment, Variation
from comporta.sandbox.mercadolivre_world import (
    FIRST_BUYER,
    FIRST_ITEM,
    FIRST_ORDER,
    FIRST_PACK,
    FIRST_PAYMENT,
    FIRST_SHIPMENT,
    KEPT_MS,
    World,
)

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
QUIET_END_MS = 3 * DAY_MS
HISTORY_MS = 360 * DAY_MS
CATEGORIES = ("MLB123400", "MLB123500", "MLB998800")
LOGISTICS = ("xd_drop_off", "drop_off", "cross_docking", "fulfillment", "self_service")
LIFE = (("pending", None), ("ready_to_ship", "ready_to_print"), ("shipped", None), ("delivered", None))
CANCELS = (("buyer", "buyer_cancel_express"), ("seller", "out_of_stock"), ("meli", "fraud"))


class Seeder:
    """Fills the empty shops once."""

    def __init__(self, world: World, rng: Random) -> None:
        self.world = world
        self.rng = rng
        self.now = world.now() // 1000 * 1000
        self.first = self.now - HISTORY_MS

    def seed(self, *, orders: int, items: int) -> None:
        """Invent so many orders and items of each seller, and a few orders that are too old to be seen."""
        for seller in self.world.sellers:
            for _ in range(items):
                self.world.put_item(invent_item(self.world, self.rng, seller, self._moment()))
            for _ in range(orders // 50 + 2 if items else 0):
                sell(self.world, self.rng, seller, self.now - KEPT_MS - self.rng.randint(1, 60) * DAY_MS, most=1)
            self._year(seller, orders if items else 0)

    def _year(self, seller: int, orders: int) -> None:
        span = HISTORY_MS - QUIET_END_MS
        rush = self.first + span // 2 // HOUR_MS * HOUR_MS
        moments = [self.first + self.rng.randrange(span) for _ in range(orders - orders // 50)]
        moments += [rush + self.rng.randrange(HOUR_MS) for _ in range(orders // 50)]
        moments.sort()
        mass_update = self.first + span * 9 // 10 // 1000 * 1000
        while moments:
            cart = sell(self.world, self.rng, seller, moments[0], most=min(3, len(moments)))
            del moments[: len(cart)]
            at = self._aged(cart[0], mass_update)
            for order in cart:
                self._grow_old(order, at, is_in_mass=at == mass_update)

    def _aged(self, order: Order, mass_update: int) -> int:
        """Return when a cart was last changed: three in five some days after it was bought, up to a month."""
        chance = self.rng.random()
        if chance < 0.01 and order.updated < mass_update:
            return mass_update
        if chance < 0.4:
            return order.updated
        end = min(order.created + 30 * DAY_MS, self.now - QUIET_END_MS + HOUR_MS)
        return max(order.updated, order.created + self.rng.randrange(max(1, end - order.created)) // 1000 * 1000)

    def _grow_old(self, order: Order, at: int, *, is_in_mass: bool) -> None:
        facts = grown_up(self.rng, order, at)
        lag = 3_000 if is_in_mass else self.world.lag()
        self.world.put_order(replace(order, **facts, updated=at, indexed=at + lag))
        shipment = self.world.shipments.get(order.shipment or 0)
        if shipment and shipment.status == "pending":
            self.world.put_shipment(_travelled(self.rng, shipment, at))

    def _moment(self) -> int:
        return self.first - self.rng.randrange(HISTORY_MS) // 1000 * 1000


def grown_up(rng: Random, order: Order, at: int) -> dict[str, Any]:
    """Return what became of an order: mostly it was paid and nothing else."""
    chance = rng.random()
    if chance < 0.05:
        group, code = rng.choice(CANCELS)
        return {"status": "cancelled", "cancel": (group, code, at), "tags": ("not_delivered",)}
    if chance < 0.07:
        return {"status": "partially_refunded", "refunded": order.total // 3}
    if chance < 0.08:
        return {"status": "held_for_inspection"}  # a word that no page of the vendor's knows
    if chance < 0.1:
        return {"status": "payment_required", "closed": None}
    return {"tags": (*order.tags, "delivered")} if chance < 0.5 else {}


def invent_item(world: World, rng: Random, seller: int, at: int) -> Item:
    """Return a new item; a third of them come in kinds."""
    number = world.number(FIRST_ITEM)
    full_price = rng.randint(1_000, 90_000)
    price = full_price * 9 // 10 if rng.random() < 0.4 else full_price
    stock = rng.choice((0, rng.randint(1, 60), rng.randint(60, 900)))
    variations: tuple[Variation, ...] = ()
    if rng.random() < 0.33:
        kinds = rng.randint(2, 4)
        base = 181_000_000_000 + (number - FIRST_ITEM) * 10
        variations = tuple(
            Variation(base + place, place, stock // kinds, rng.randint(0, 40), f"SKU-{number % 100_000:05d}-{place}")
            for place in range(kinds)
        )
        stock = sum(kind.stock for kind in variations)
    return Item(
        id=f"MLB{number}", seller=seller, title=f"{invented.product(rng)} {number % 1000}",
        category=rng.choice(CATEGORIES), price=price, full_price=full_price, stock=stock, sold=rng.randint(0, 400),
        listing=rng.choice(("gold_special", "gold_pro")), created=at, updated=at,
        sku=f"SKU-{number % 100_000:05d}" if rng.random() < 0.8 else None, status="active" if stock else "paused",
        sub_status=() if stock else ("out_of_stock",), variations=variations,
    )  # fmt: skip


def sell(
    world: World, rng: Random, seller: int, at: int | None = None, *, most: int = 3, is_late: bool = False
) -> list[Order]:
    """Add a cart of a seller bought then or just now: its orders, their pack, their shipment; return the orders.

    ``is_late``: the shipment is still being made, and the orders do not name it yet.
    """
    many = min(most, rng.choice((2, 3))) if rng.random() < 0.1 else 1
    is_new, now, lag = at is None, world.now(), world.lag()
    born = (now - lag if at is None else at) // 1000 * 1000
    updated = born if is_new else born + 60_000
    buyer = FIRST_BUYER + rng.randrange(50_000)
    pack = world.number(FIRST_PACK) if many > 1 or rng.random() < 0.6 else None
    shipment = world.number(FIRST_SHIPMENT) if rng.random() < 0.96 and not is_late else None
    tags = ("paid", "not_delivered") if shipment or is_late else ("paid", "no_shipping")
    orders = [
        Order(
            id=world.number(FIRST_ORDER, 2), seller=seller, created=born, updated=updated,
            indexed=now if is_new else updated + lag, closed=updated, status="paid", lines=_lines(world, rng, seller),
            buyer=buyer, payment=world.number(FIRST_PAYMENT), method=rng.randrange(6), pack=pack, shipment=shipment,
            freight=rng.choice((0, 1590, 2190)) if shipment and not place else 0,
            tags=("pack_order", *tags) if many > 1 else tags,
        )
        for place in range(many)
    ]  # fmt: skip
    ids = tuple(order.id for order in orders)
    for order in orders:
        world.put_order(order)
    if pack:
        world.put_pack(Pack(pack, seller, buyer, ids, shipment, born))
    if shipment:
        world.put_shipment(_shipment(rng, shipment, orders[0], ids))
    return orders


def ship(world: World, rng: Random, order: Order) -> Shipment:
    """Make the shipment of an order that has none, and of all of its pack; the orders do not name it yet."""
    pack = world.packs.get(order.pack or 0)
    made = _shipment(rng, world.number(FIRST_SHIPMENT), order, pack.orders if pack else (order.id,))
    world.put_shipment(replace(made, created=world.now(), updated=world.now()))
    if pack:
        world.put_pack(replace(pack, shipment=made.id))
    return made


def _lines(world: World, rng: Random, seller: int) -> tuple[Line, ...]:
    """Return what is in an order: one line, as almost always."""
    return tuple(_line(world, rng, seller) for _ in range(2 if rng.random() < 0.02 else 1))


def _line(world: World, rng: Random, seller: int) -> Line:
    item = world.items[rng.choice(world.shelves[seller].items)]
    kind = rng.choice(item.variations) if item.variations else None
    quantity = rng.choice((1, 1, 1, 1, 2, 3, 12))
    fee = item.price * rng.choice((12, 17)) // 100
    return Line(
        item.id, item.title, item.category, kind.id if kind else None, kind.color if kind else 0,
        kind.sku if kind else item.sku, quantity, item.price, item.full_price, fee, item.listing,
    )  # fmt: skip


def _shipment(rng: Random, known: int, order: Order, ids: tuple[int, ...]) -> Shipment:
    cost = rng.choice((0, rng.randint(600, 14_000)))
    return Shipment(
        id=known, seller=order.seller, orders=ids, buyer=order.buyer, created=order.created,
        updated=order.updated, logistic=rng.choice(LOGISTICS), cost=cost,
        list_cost=cost + rng.choice((0, 900)), receiver_cost=order.freight,
    )  # fmt: skip


def _travelled(rng: Random, shipment: Shipment, at: int) -> Shipment:
    """Return a shipment some way on; one in fifty is somewhere the vendor has no page for."""
    steps = rng.randint(0, len(LIFE) - 1)
    status, substatus = LIFE[steps]
    if steps and rng.random() < 0.02:
        status, substatus = "not_delivered", "beyond_the_known_map"
    past = tuple((*LIFE[step], shipment.created + step * HOUR_MS) for step in range(steps))
    return replace(shipment, status=status, substatus=substatus, updated=max(at, shipment.updated), past=past)
