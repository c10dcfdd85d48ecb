"""``GET /orders/search``: filters, pages and scrolls of orders, with everything that is wrong with them.

A filter whose name is not known is ignored without a word. Of a date, minutes and seconds are discarded:
``from`` begins with its hour, and ``to`` ends with the very first instant of its hour, so that what
happened later in that hour is not found. Order is by creation only. Cancelled orders are hidden.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from comporta.sandbox.exchange import Answer, json_answer
from comporta.sandbox.faults import Faults
from comporta.sandbox.mercadolivre_errors import Refused, bad_request, forbidden, limit_exceeded
from comporta.sandbox.mercadolivre_orders import buyer_nickname, order_row
from comporta.sandbox.mercadolivre_records import ZONE, Order, milliseconds
from comporta.sandbox.mercadolivre_scrolls import Scrolls
from comporta.sandbox.mercadolivre_world import World

Query = dict[str, str]
Judge = Callable[[Order, str], bool]
LIMIT_DEFAULT, LIMIT_MAX, CAP = 50, 51, 10_000
HOUR_MS = 3_600_000
ENDLESS = 1 << 60
DATES: dict[str, Callable[[Order], int]] = {
    "order.date_created": lambda order: order.created,
    "order.date_last_updated": lambda order: order.indexed,
    "order.date_closed": lambda order: order.closed or -1,
}
JUDGES: dict[str, Judge] = {
    "buyer": lambda order, wanted: str(order.buyer) == wanted,
    "item": lambda order, wanted: any(line.item == wanted for line in order.lines),
    "order.status": lambda order, wanted: order.status in wanted.split(","),
    "tags": lambda order, wanted: set(wanted.split(",")) <= set(order.tags),
    "tags.not": lambda order, wanted: not set(wanted.split(",")) & set(order.tags),
    "q": lambda order, wanted: wanted.lower() in _text(order),
}


@dataclass(frozen=True)
class Selection:
    """What is looked for: spans of the dates, both ends included, and what else must hold."""

    spans: tuple[tuple[str, int, int], ...]
    judged: tuple[tuple[str, str], ...]
    is_hiding: bool


class OrderSearch:
    """Answers searches of sellers."""

    def __init__(self, world: World, faults: Faults, scrolls: Scrolls) -> None:
        self.world = world
        self.faults = faults
        self.scrolls = scrolls

    def answer(self, seller: int, query: Query, label: str) -> Answer:
        """Return one page."""
        if "seller" not in query:
            raise Refused(bad_request("The parameter 'seller' or 'buyer' is required"))
        if query["seller"] != str(seller):
            raise Refused(forbidden())
        limit = natural(query, "limit", LIMIT_DEFAULT)
        if limit > LIMIT_MAX:
            raise Refused(limit_exceeded(LIMIT_MAX))
        if query.get("search_type") == "scan":
            return json_answer(self._scanned(seller, query, limit, label))
        return json_answer(self._paged(seller, query, limit, label))

    def _paged(self, seller: int, query: Query, limit: int, label: str) -> dict[str, Any]:
        offset = natural(query, "offset", 0)
        fault = self.faults.strikes("cap", label)
        if offset + limit > (int(fault.number) if fault else CAP):
            raise Refused(limit_exceeded(CAP))
        is_falling = query.get("sort") == "date_desc"
        with self.world.lock:
            found = self._found(seller, self._selection(query, label))
            shown = found[::-1] if is_falling else found
            early = self.faults.strikes("quiet_end", label)
            page = shown[: int(early.number) if early else len(shown)][offset : offset + limit]
        rows = [order_row(order, in_search=True) for order in page]
        paging = {"total": self._told(len(found), label), "offset": offset, "limit": limit}
        return _envelope(query, rows, paging, is_falling=is_falling)

    def _scanned(self, seller: int, query: Query, limit: int, label: str) -> dict[str, Any]:
        owner = ("orders", seller)
        self.scrolls.check(query)
        with self.world.lock:
            known = query.get("scroll_id") or ""
            if not known:
                plain = {} if self.faults.happens("scan_ignores_filters", label) else query
                known = self.scrolls.begin(owner, self._found(seller, self._selection(plain, label)), limit)
            page, total = self.scrolls.step(known, owner, limit if "limit" in query else None)
        paging = {"total": self._told(total, label), "offset": 0, "limit": limit, "scroll_id": known}
        rows = [order_row(order, in_search=True) for order in page]
        return {**_envelope(query, rows, paging, is_falling=False), "display": "partial"}

    def _told(self, total: int, label: str) -> int:
        lie = self.faults.strikes("lying_total", label)
        return int(total * lie.number) if lie else total

    def _selection(self, query: Query, label: str) -> Selection:
        """Return what a query chooses, as far as its names are known and faults let it."""
        fault = self.faults.strikes("hour_truncation", label)
        form = fault.value if fault else "on"
        spans = []
        for name in DATES if not self.faults.happens("ignore_filter", label) else ():
            since, until = query.get(f"{name}.from"), query.get(f"{name}.to")
            if since or until:
                first = instant(since, form) if since else -1
                spans.append((name, first, _last(until, form) if until else ENDLESS))
        judged = tuple((name, query[name]) for name in JUDGES if query.get(name))
        return Selection(tuple(spans), judged, is_hiding=not self.faults.names("cancelled", "shown"))

    def _found(self, seller: int, selection: Selection) -> list[Order]:
        """Return all orders of a selection in order of creation, kept until anything changes."""
        kept = self.world.shelves[seller].kept
        found = kept.get(selection)
        if found is None:
            found = kept[selection] = self._chosen(seller, selection)
        horizon = self.world.horizon()
        return found[bisect_left(found, horizon, key=lambda order: order.created) :]

    def _chosen(self, seller: int, selection: Selection) -> list[Order]:
        orders = self._candidates(seller, selection)
        for name, first, last in selection.spans:
            stamp = DATES[name]
            orders = [order for order in orders if first <= stamp(order) <= last]
        for name, wanted in selection.judged:
            judge = JUDGES[name]
            orders = [order for order in orders if judge(order, wanted)]
        chosen = [order for order in orders if not selection.is_hiding or order.status != "cancelled"]
        return sorted(chosen, key=lambda order: (order.created, order.id))

    def _candidates(self, seller: int, selection: Selection) -> Iterable[Order]:
        """Return no fewer orders than the selection has, by the index that its dates allow."""
        shelf, orders = self.world.shelves[seller], self.world.orders
        spans = {name: (first, last) for name, first, last in selection.spans}
        for name, index in (("order.date_last_updated", shelf.indexed), ("order.date_created", shelf.created)):
            if name in spans:
                first, last = spans[name]
                chosen = index[bisect_left(index, (first, 0)) : bisect_right(index, (last, ENDLESS))]
                return [orders[known] for _, known in chosen]
        return [orders[known] for _, known in shelf.created]


def natural(query: Query, name: str, default: int) -> int:
    """Return a parameter that counts something."""
    text = query.get(name, str(default))
    if not text.isdigit():
        raise Refused(bad_request(f"The parameter '{name}' must be a number"))
    return int(text)


def instant(text: str, form: str) -> int:
    """Return the instant a filter means, cut off to its hour; a date without an offset is the API's own: a guess.

    >>> instant("2026-03-10T12:59:59.999-04:00", "on") == instant("2026-03-10T16:00:00Z", "off")
    True
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise Refused(bad_request(f"Invalid date format: {text}")) from error
    found = found if found.tzinfo else found.replace(tzinfo=timezone(ZONE))
    if form == "off":
        return milliseconds(found)
    return milliseconds(found - timedelta(minutes=found.minute, seconds=found.second, microseconds=found.microsecond))


def _last(text: str, form: str) -> int:
    return instant(text, form) + (HOUR_MS - 1 if form == "inclusive" else 0)


def _text(order: Order) -> str:
    lines = " ".join(f"{line.item} {line.title}" for line in order.lines)
    return f"{order.id} {lines} {buyer_nickname(order.buyer)}".lower()


def _envelope(query: Query, rows: list[Any], paging: dict[str, Any], *, is_falling: bool) -> dict[str, Any]:
    sorts = ({"id": "date_asc", "name": "Date ascending"}, {"id": "date_desc", "name": "Date descending"})
    return {
        "query": query.get("q", ""),
        "results": rows,
        "sort": sorts[is_falling],
        "available_sorts": [sorts[not is_falling]],
        "filters": [],
        "paging": paging,
        "display": "complete",
    }
