"""The routes of the API, and who may ask them.

What belongs to one seller is refused to every other one, even where it is known to exist; but items are
public, in part.
"""

from collections.abc import Callable
from threading import Lock
from typing import Any, TypeVar

from comporta.sandbox.exchange import Answer, Request, json_answer
from comporta.sandbox.faults import Faults
from comporta.sandbox.mercadolivre_api import no_route
from comporta.sandbox.mercadolivre_errors import Refused, forbidden, missing, order_missing
from comporta.sandbox.mercadolivre_items import item_row
from comporta.sandbox.mercadolivre_listing import ItemListing
from comporta.sandbox.mercadolivre_logins import APPLICATION, OURS
from comporta.sandbox.mercadolivre_notices import Notices
from comporta.sandbox.mercadolivre_orders import order_row
from comporta.sandbox.mercadolivre_records import Order, Pack, Shipment
from comporta.sandbox.mercadolivre_scrolls import Scrolls
from comporta.sandbox.mercadolivre_search import OrderSearch
from comporta.sandbox.mercadolivre_shipments import (
    is_kept,
    old_shipment_row,
    pack_row,
    shipment_costs,
    shipment_history,
    shipment_items,
    shipment_row,
)
from comporta.sandbox.mercadolivre_world import World

Record = TypeVar("Record", Order, Pack, Shipment)
NOTHING = Answer(204, b"")
REQUESTS_PER_HOUR = 18_000
"""What an application says of its quota: the number of the vendor's own sample."""


class Routes:
    """Answers requests of sellers for paths; counts how often each order was read by its id."""

    def __init__(self, world: World, faults: Faults, notices: Notices) -> None:
        scrolls = Scrolls(world.clock, faults)
        self.world = world
        self.faults = faults
        self.search = OrderSearch(world, faults, scrolls)
        self.listing = ItemListing(world, faults, scrolls)
        self.notices = notices
        self._lock = Lock()
        self._fetched: dict[int, int] = {}

    def fetched(self) -> dict[str, int]:
        """Return how often each order was read by its id, by id."""
        with self._lock:
            return {str(known): times for known, times in self._fetched.items()}

    def answer(self, seller: int, path: list[str], request: Request, label: str) -> Answer:
        """Return what the API says to a seller who may ask."""
        match path:
            case ["users", *rest]:
                return self._of_users(seller, rest, request)
            case ["orders", *rest]:
                return self._of_orders(seller, rest, request, label)
            case ["items", *rest]:
                return self._of_items(seller, rest, request)
            case ["packs" | "shipments", _, *_]:
                return self._of_parcels(seller, path, request, label)
            case ["missed_feeds"] | ["applications", _]:
                return self._of_application(path, request)
        return no_route(path)

    def _of_application(self, path: list[str], request: Request) -> Answer:
        match path:
            case ["missed_feeds"]:
                return self.notices.missed(request.query)
            case [_, known] if known in OURS:
                return json_answer({"id": APPLICATION, "max_requests_per_hour": REQUESTS_PER_HOUR})
        return missing("Application")

    def _of_users(self, seller: int, rest: list[str], request: Request) -> Answer:
        match rest:
            case [known, "items", "search"]:
                return self.listing.listed(seller, _number(known), request.query)
            case [known]:
                user = seller if known == "me" else _number(known)
                if user in self.world.shelves:
                    return json_answer({"id": user, "nickname": f"LOJA_{user}", "site_id": "MLB"})
        return missing("User")

    def _of_items(self, seller: int, rest: list[str], request: Request) -> Answer:
        match rest:
            case []:
                return self.listing.multiget(seller, request.query)
            case [known]:
                return self.listing.single(seller, known, request.query)
            case [known, ("prices" | "sale_price") as what]:
                return self.listing.priced(known, what)
        return no_route(["items", *rest])

    def _of_orders(self, seller: int, rest: list[str], request: Request, label: str) -> Answer:
        match rest:
            case ["search"]:
                return self.search.answer(seller, request.query, label)
            case [known]:
                return self._order(seller, _number(known), label)
            case [known, "shipments"]:
                order = self._own_order(seller, _number(known))
                shipment = self.world.shipments.get(order.shipment or 0)
                if shipment is None or self.faults.happens("shipment_204", label):
                    return NOTHING
                if request.headers.get("x-new-domain") == "true":
                    return json_answer([{"id": shipment.id, "type": "forward"}])
                return self._of_shipment(shipment, [], request, label)
        return no_route(["orders", *rest])

    def _order(self, seller: int, known: int, label: str) -> Answer:
        with self._lock:
            self._fetched[known] = self._fetched.get(known, 0) + 1
        fault = self.faults.strikes("just_notified_404", label)
        if fault and self.notices.is_too_soon(known, int(fault.number)):
            raise Refused(order_missing())
        return json_answer(order_row(self._own_order(seller, known)))

    def _own_order(self, seller: int, known: int) -> Order:
        order = self.world.order(known)
        if order is None:
            raise Refused(order_missing())
        return self._own(seller, order, "Order")

    def _of_parcels(self, seller: int, path: list[str], request: Request, label: str) -> Answer:
        stream, known, *rest = path
        if stream == "shipments":
            shipment = self._own(seller, self.world.shipments.get(_number(known)), "Shipment")
            return self._of_shipment(shipment, rest, request, label)
        row = pack_row(self.world, self._own(seller, self.world.packs.get(_number(known)), "Pack"))
        return json_answer(row) if row and not rest else missing("Pack")

    def _of_shipment(self, shipment: Shipment, rest: list[str], request: Request, label: str) -> Answer:
        if not is_kept(self.world, shipment):
            return missing("Shipment")
        if self.faults.happens("shipment_204", label):
            return NOTHING
        is_new = request.headers.get("x-format-new") == "true"
        forms: dict[str, Callable[[], Any]] = {
            "": lambda: (shipment_row if is_new else old_shipment_row)(self.world, shipment),
            "costs": lambda: shipment_costs(shipment),
            "items": lambda: shipment_items(self.world, shipment),
            "history": lambda: shipment_history(shipment),
        }
        wanted = "/".join(rest)
        if wanted in forms:
            return json_answer(forms[wanted]())
        return no_route(["shipments", str(shipment.id), *rest])

    def _own(self, seller: int, record: Record | None, what: str) -> Record:
        """Return a record that is this seller's; refuse it to everybody else."""
        if record is None:
            raise Refused(missing(what))
        if record.seller != seller:
            raise Refused(forbidden())
        return record


def _number(text: str) -> int:
    """Return an id in a path; what is none is nobody's."""
    return int(text) if text.isdigit() else 0


def truth_of(world: World, stream: str, seller: int) -> list[dict[str, Any]]:
    """Return every record of a seller's stream as its owner sees it."""
    with world.lock:
        shelf = world.shelves[seller]
        orders = world.orders_of(seller) if stream == "orders" else []
        items = [world.items[known] for known in shelf.items] if stream == "items" else []
        shipments = [world.shipments[known] for known in shelf.shipments] if stream == "shipments" else []
        packs = [world.packs[known] for known in shelf.packs] if stream == "packs" else []
    return [
        *map(order_row, orders),
        *(item_row(item, is_owner=True) for item in items),
        *({**shipment_row(world, one), "costs": shipment_costs(one)} for one in shipments if is_kept(world, one)),
        *(row for row in (pack_row(world, pack) for pack in packs) if row),
    ]
