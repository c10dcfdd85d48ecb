"""Which items a seller has, by id only, and what they are, twenty at a time.

The list knows no dates: it can be put in an order of change, and narrowed to a status. Beyond a thousand it
is read by scroll only.
"""

from collections.abc import Callable
from typing import Any

from comporta.sandbox.exchange import Answer, json_answer
from comporta.sandbox.faults import Faults
from comporta.sandbox.mercadolivre_errors import Refused, bad_request, forbidden, item_missing, odd_item
from comporta.sandbox.mercadolivre_items import item_row, prices, sale_price
from comporta.sandbox.mercadolivre_records import Item
from comporta.sandbox.mercadolivre_scrolls import Scrolls
from comporta.sandbox.mercadolivre_search import Query, natural
from comporta.sandbox.mercadolivre_world import World

LIMIT_DEFAULT, LIMIT_MAX, REACH, MULTIGET_MAX = 50, 100, 1_000, 20
RANKS: dict[str, Callable[[Item], Any]] = {
    "stop_time": lambda item: (item.created, item.id),
    "start_time": lambda item: (item.created, item.id),
    "last_updated": lambda item: (item.updated, item.id),
    "available_quantity": lambda item: (item.stock, item.id),
    "price": lambda item: (item.price, item.id),
}
FIRST_ORDER = "stop_time_asc"


class ItemListing:
    """Answers what sellers ask about items."""

    def __init__(self, world: World, faults: Faults, scrolls: Scrolls) -> None:
        self.world = world
        self.faults = faults
        self.scrolls = scrolls

    def listed(self, seller: int, owner: int, query: Query) -> Answer:
        """Return one page of ids."""
        if seller != owner:
            raise Refused(forbidden())
        limit = natural(query, "limit", LIMIT_DEFAULT)
        if limit > LIMIT_MAX:
            raise Refused(bad_request(f"Limit must be lower or equal than {LIMIT_MAX}"))
        wanted = query.get("orders", FIRST_ORDER)
        with self.world.lock:
            ids = self._ids(seller, query, wanted)
            if query.get("search_type") == "scan":
                return json_answer(self._scanned(seller, query, ids, limit))
        offset = natural(query, "offset", 0)
        if offset + limit > REACH:
            raise Refused(bad_request(f"Offset and limit must be lower or equal than {REACH}; use search_type=scan"))
        paging = {"limit": limit, "offset": offset, "total": len(ids)}
        return json_answer(_envelope(seller, ids[offset : offset + limit], paging, wanted))

    def _scanned(self, seller: int, query: Query, ids: list[str], limit: int) -> dict[str, Any]:
        """Return the next step of a scroll; after the last one there is no scroll any more."""
        owner = ("items", seller)
        self.scrolls.check(query)
        known = query.get("scroll_id") or self.scrolls.begin(owner, ids, limit)
        page, total = self.scrolls.step(known, owner, limit if "limit" in query else None)
        paging = {"limit": limit, "offset": 0, "total": total}
        return {**_envelope(seller, page, paging, FIRST_ORDER), "scroll_id": known if page else None}

    def multiget(self, seller: int, query: Query) -> Answer:
        """Return several items, each with a code of its own."""
        ids = list(dict.fromkeys(known for known in query.get("ids", "").split(",") if known))
        if len(ids) > MULTIGET_MAX:
            told = f"The parameter 'ids' only allows {MULTIGET_MAX} elements."
            said = {"error": "bad_request", "message": f"{told} You exceeded this value by sending {len(ids)} elements"}
            return json_answer(said, 400)
        return json_answer([self._odd(known) or self._entry(seller, known, query) for known in ids])

    def single(self, seller: int, known: str, query: Query) -> Answer:
        """Return one item."""
        entry = self._entry(seller, known, query)
        return json_answer(entry["body"], entry["code"])

    def priced(self, known: str, what: str) -> Answer:
        """Return the prices of an item, or the one that counts."""
        item = self.world.items.get(known)
        odd = self.faults.strikes("price_code", known) if what == "sale_price" else None
        if odd is not None:
            return (
                Answer(204, b"")
                if odd.number == 204
                else json_answer(odd_item(known, int(odd.number)), int(odd.number))
            )
        if item is None:
            return json_answer(item_missing(known), 404)
        return json_answer(sale_price(item, self.world.now()) if what == "sale_price" else prices(item))

    def _odd(self, known: str) -> dict[str, Any] | None:
        """Return the answer of an item that is there and is not shown."""
        fault = self.faults.strikes("multiget_code", known)
        code = int(fault.number) if fault is not None else 0
        return {"code": code, "body": odd_item(known, code)} if code else None

    def _entry(self, seller: int, known: str, query: Query) -> dict[str, Any]:
        item = self.world.items.get(known)
        if item is None:
            return {"code": 404, "body": item_missing(known)}
        is_priced = not self.faults.happens("price_removed", known)
        is_whole = query.get("include_attributes") == "all"
        row = item_row(item, is_owner=item.seller == seller, is_priced=is_priced, is_whole=is_whole)
        wanted = [name for name in query.get("attributes", "").split(",") if name]
        return {"code": 200, "body": {name: row[name] for name in wanted if name in row} if wanted else row}

    def _ids(self, seller: int, query: Query, wanted: str) -> list[str]:
        items = [self.world.items[known] for known in self.world.shelves[seller].items]
        if query.get("status"):
            items = [item for item in items if item.status in query["status"].split(",")]
        sku = query.get("seller_sku") or query.get("sku")
        if sku:
            items = [item for item in items if sku in {item.sku, *(kind.sku for kind in item.variations)}]
        name, _, way = wanted.rpartition("_")
        return [item.id for item in sorted(items, key=RANKS.get(name, RANKS["stop_time"]), reverse=way == "desc")]


def _envelope(seller: int, ids: list[str], paging: dict[str, Any], wanted: str) -> dict[str, Any]:
    """Return a page as the API wraps it: the seller's id is a text here."""
    names = [f"{name}_{way}" for name in RANKS for way in ("asc", "desc")]
    said = {name: name.replace("_", " ").capitalize() for name in names}
    return {
        "seller_id": str(seller),
        "query": None,
        "paging": paging,
        "results": ids,
        "orders": [{"id": wanted if wanted in said else FIRST_ORDER, "name": said.get(wanted, said[FIRST_ORDER])}],
        "available_orders": [{"id": name, "name": text} for name, text in said.items()],
    }
