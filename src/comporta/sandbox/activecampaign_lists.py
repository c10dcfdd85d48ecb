"""Lists: documented filters and orders, pages by limit and offset, the ``meta`` that cannot be trusted.

A filter or order that is not documented is ignored without a word, as such APIs do. Deals without an
order come last changed first: they move while somebody pages.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any

from comporta.sandbox.activecampaign_world import Row, World, instant
from comporta.sandbox.faults import Faults

LIMIT_DEFAULT, LIMIT_MAX = 20, 100
KEPT_MAX = 64
OF_DEAL = "filters[dealId]"
Query = dict[str, str]
Judge = Callable[[World, Row, str], bool]
Rank = Callable[[World, Row], Any]


class BadQuery(Exception):
    """A parameter that the API answers with status 400."""


def _equal(column: str) -> Judge:
    return lambda _world, row, wanted: str(row[column]) == wanted


def _contains(*columns: str) -> Judge:
    return lambda _world, row, wanted: any(wanted.lower() in str(row[column] or "").lower() for column in columns)


def _since(column: str) -> Judge:
    return lambda world, row, wanted: instant(row[column]) >= moment(world, wanted)


def _before(column: str) -> Judge:
    return lambda world, row, wanted: instant(row[column]) < moment(world, wanted)


def _worth(row: Row) -> Decimal:
    """Return the dollars that ``minimum_value`` compares, where the row has cents."""
    return Decimal(row["value"]) / 100


def _contact_name(world: World, row: Row) -> str:
    contact = world.tables["contacts"].get(int(row["contact"]), {})
    return f"{contact.get('firstName', '')} {contact.get('lastName', '')}"


@dataclass(frozen=True)
class Listing:
    """How one stream is listed: what it is called, and what of it may be asked."""

    singular: str
    filters: dict[str, Judge] = field(default_factory=dict)
    orders: dict[str, Rank] = field(default_factory=dict)
    has_meta: bool = True
    beside: tuple[str, ...] = ()


@dataclass(frozen=True)
class Selection:
    """What is listed, and how: the query without its page."""

    stream: str
    filters: tuple[tuple[str, str], ...]
    orders: tuple[tuple[str, bool], ...]
    is_last_changed_first: bool


@dataclass(frozen=True)
class Whole:
    """All rows of a selection in their order, of which a page is cut, and their sums by currency."""

    rows: list[Row]
    currencies: dict[str, Row]


STAMP_FILTERS: dict[str, Judge] = {
    "filters[created_after]": _since("cdate"),
    "filters[created_before]": _before("cdate"),
}
LISTINGS: dict[str, Listing] = {
    "deals": Listing(
        "deal",
        filters={
            **STAMP_FILTERS,
            "filters[updated_after]": _since("mdate"),
            "filters[updated_before]": _before("mdate"),
            "filters[title]": _equal("title"),
            "filters[search]": _contains("title"),
            "filters[minimum_value]": lambda _world, row, wanted: _worth(row) >= Decimal(wanted),
            "filters[maximum_value]": lambda _world, row, wanted: _worth(row) <= Decimal(wanted),
            **{f"filters[{column}]": _equal(column) for column in ("status", "stage", "group", "owner")},
        },
        orders={
            "title": lambda _world, row: row["title"],
            "value": lambda _world, row: int(row["value"]),
            "cdate": lambda _world, row: instant(row["cdate"]),
            "contact_name": _contact_name,
            "contact_orgname": lambda _world, row: row["account"] or "",
            "next-action": lambda _world, row: row["nextdate"] or "9999",
        },
    ),
    "dealCustomFieldMeta": Listing("dealCustomFieldMetum", has_meta=False),
    "dealCustomFieldData": Listing("dealCustomFieldDatum", filters={OF_DEAL: _equal("dealId")}, has_meta=False),
    "dealGroups": Listing("dealGroup", filters={"filters[title]": _contains("title")}, beside=("dealStages",)),
    "dealStages": Listing(
        "dealStage", filters={"filters[title]": _contains("title"), "filters[d_groupid]": _equal("group")}
    ),
    "contacts": Listing(
        "contact",
        filters={
            **STAMP_FILTERS,
            "filters[updated_after]": _since("udate"),
            "filters[updated_before]": _before("udate"),
            "email": _equal("email"),
            "search": _contains("email", "firstName", "lastName", "phone"),
            "id_greater": lambda _world, row, wanted: int(row["id"]) > int(wanted),
        },
        orders={
            "id": lambda _world, row: int(row["id"]),
            "cdate": lambda _world, row: instant(row["cdate"]),
            "email": lambda _world, row: row["email"],
            "first_name": lambda _world, row: row["firstName"],
            "last_name": lambda _world, row: row["lastName"],
        },
    ),
    "accounts": Listing("account", filters={"search": _contains("name")}),
    "users": Listing("user"),
    "dealTasks": Listing("dealTask"),
}


def listed(world: World, stream: str, query: Query, faults: Faults) -> dict[str, Any]:
    """Return one page of a stream in its envelope."""
    listing = LISTINGS[stream]
    start, amount = _number(query, "offset", 0), min(_number(query, "limit", LIMIT_DEFAULT), LIMIT_MAX)
    with world.lock:
        whole = _whole(world, _selection(stream, query, faults))
        if OF_DEAL in query and (paged := faults.strikes("deal_page", stream)) is not None:
            start, amount = (0, len(whole.rows)) if paged.value == "all" else (start, int(paged.number))
        page = whole.rows[start : start + amount]
        beside = {name: [shown(world, name, row, query, faults) for row in world.rows(name)] for name in listing.beside}
        envelope = {**beside, stream: [shown(world, stream, row, query, faults) for row in page]}
        return {**envelope, **_meta(world, stream, whole, faults)}


def shown(world: World, stream: str, row: Row, query: Query, faults: Faults) -> Row:
    """Return a row as this key's user sees it, in a list or alone."""
    if stream == "deals" and faults.names("limited", row["group"]):
        return {"id": row["id"], "title": row["title"], "isDisabled": 1}
    if stream == "accounts" and query.get("count_deals") == "true":
        deals = [deal for deal in world.tables["deals"].values() if deal["account"] == row["id"]]
        contacts = {deal["contact"] for deal in deals}
        return {**row, "contactCount": str(len(contacts)), "dealCount": str(len(deals))}
    return row


def moment(world: World, text: str) -> datetime:
    """Return the instant a filter means: a bare date or time is the account's."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadQuery(text) from error
    return (found if found.tzinfo else found.replace(tzinfo=world.zone)).astimezone(UTC)


def _selection(stream: str, query: Query, faults: Faults) -> Selection:
    """Return what a query chooses, as far as it is documented and faults let it."""
    known, orders = LISTINGS[stream].filters, LISTINGS[stream].orders
    filters: list[tuple[str, str]] = []
    for name, wanted in query.items():
        if name not in known or (name.startswith("filters") and faults.happens("ignore_filter", stream)):
            continue
        is_coarse = "ed_" in name and faults.happens("coarse_filter", stream)
        filters.append((name, wanted[:10] if is_coarse else wanted))
    asked = [(name[len("orders[") : -1], way) for name, way in query.items() if name.startswith("orders[")]
    wanted_orders = tuple((column, way.upper() == "DESC") for column, way in asked if column in orders)
    moves = faults.happens("unstable_ties", stream) if wanted_orders else stream == "deals"
    moves = moves or faults.happens("reorder", stream)
    return Selection(stream, tuple(filters), wanted_orders, is_last_changed_first=moves)


def _whole(world: World, selection: Selection) -> Whole:
    """Return all rows of a selection, kept until anything changes: who pages asks for them again and again."""
    found = world.kept.get(selection)
    if not isinstance(found, Whole):
        rows = _ordered(world, selection, _matching(world, selection))
        found = Whole(rows, _currencies(rows) if selection.stream == "deals" else {})
        if len(world.kept) >= KEPT_MAX:
            world.kept.clear()
        world.kept[selection] = found
    return found


def _matching(world: World, selection: Selection) -> list[Row]:
    rows = world.rows(selection.stream)
    for name, wanted in selection.filters:
        judge = LISTINGS[selection.stream].filters[name]
        try:
            rows = [row for row in rows if judge(world, row, wanted)]
        except ArithmeticError as error:
            raise BadQuery(wanted) from error
    return rows


def _ordered(world: World, selection: Selection, rows: list[Row]) -> list[Row]:
    if selection.is_last_changed_first:
        touched = world.touched[selection.stream]
        rows = sorted(rows, key=lambda row: -touched[int(row["id"])])
    for column, is_falling in reversed(selection.orders):
        rank = partial(LISTINGS[selection.stream].orders[column], world)
        rows = sorted(rows, key=rank, reverse=is_falling)
    return rows


def _number(query: Query, name: str, default: int) -> int:
    text = query.get(name, str(default))
    if not text.isdigit():
        raise BadQuery(f"{name}={text}")
    return int(text)


def _meta(world: World, stream: str, whole: Whole, faults: Faults) -> dict[str, Any]:
    """Return ``meta``, or nothing where this stream has none or a fault takes it away."""
    told = faults.strikes("total", stream)
    form = told.value if told else "string" if LISTINGS[stream].has_meta else "absent"
    meta: dict[str, Any] = {"currencies": whole.currencies} if stream == "deals" else {}
    amount = len(whole.rows)
    if form == "absent":
        return {"meta": meta} if meta else {}
    tenth = max(1, amount // 10)
    lies = {"too_high": amount + tenth, "too_low": amount - tenth, "unfiltered": len(world.tables[stream])}
    lie = lies.get(form, amount)
    return {"meta": {"total": lie if form == "integer" else str(max(0, lie)), **meta}}


def _currencies(rows: Iterable[Row]) -> dict[str, Row]:
    sums: dict[str, list[int]] = {}
    for row in rows:
        sums.setdefault(row["currency"].upper(), []).append(int(row["value"]))
    return {
        name: {"currency": name, "total": str(len(values)), "value": str(sum(values))}
        for name, values in sorted(sums.items())
    }
