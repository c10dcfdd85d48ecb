"""Searching and reading: which rows a client may see, in which order, and in which form.

Scans run in order of id and start above ``id > n`` where the domain says so; with ``order="id"`` they
stop as soon as a page is full. Callers hold the database's lock.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from operator import itemgetter
from typing import Any

from comporta.sandbox.odoo_database import Database
from comporta.sandbox.odoo_domain import Condition, all_of, compile_domain, fields_in
from comporta.sandbox.odoo_errors import ACCESS_ERROR, VALUE_ERROR, OdooError, unknown_field
from comporta.sandbox.odoo_fields import EXACT_STAMPS, Record
from comporta.sandbox.odoo_stamps import SHOWN
from comporta.sandbox.odoo_values import reader_of

DEFAULT_ORDERS = {
    "sale.order": "date_order desc, id desc",
    "sale.order.line": "order_id, sequence, id",
    "res.partner": "name, id desc",
    "product.template": "name, id",
    "product.product": "default_code, id",
}
COMPANIES = frozenset({1, 2})
Context = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Search:
    """One question to a model."""

    model: str
    domain: Sequence[Any] = ()
    offset: int = 0
    limit: int | None = None
    order: str = ""
    context: Context = field(default_factory=dict)


def find(database: Database, search: Search) -> list[Record]:
    """Return the rows that answer a search, in its order."""
    order = parse_order(database, search.model, search.order)
    stop = search.offset + search.limit if search.limit else None
    by_id = order[0][0] == "id"
    rows = _matching(database, search, backwards=by_id and order[0][1])
    if by_id:
        return list(islice(rows, search.offset, stop))
    return sort_rows(database, search.model, list(rows), order)[search.offset : stop]


def count(database: Database, search: Search) -> int:
    """Return how many rows answer a search."""
    matching = sum(1 for _ in _matching(database, search))
    return min(matching, search.limit) if search.limit else matching


def visible(database: Database, model: str, domain: Sequence[Any], context: Context) -> list[Condition]:
    """Return the conditions of the domain, and those that archive and company rules add to it."""
    conditions = compile_domain(database, model, domain)
    fields = database.table(model).model.fields
    is_asked = "active" in fields_in(domain) or not context.get("active_test", True)
    if "active" in fields and not is_asked:
        conditions += compile_domain(database, model, [("active", "=", True)])
    return conditions + company_rule(database, model, context)


def company_rule(database: Database, model: str, context: Context) -> list[Condition]:
    """Return the record rule: rows of the allowed companies, or of none."""
    allowed = context.get("allowed_company_ids")
    if not allowed:
        return []
    if not COMPANIES.issuperset(allowed):
        raise OdooError(ACCESS_ERROR, "Access to unauthorized or invalid companies.")
    if "company_id" not in database.table(model).model.fields or model == "res.users":
        return []
    return compile_domain(database, model, [("company_id", "in", [*allowed, False])])


def parse_order(database: Database, model: str, text: str) -> list[tuple[str, bool]]:
    """Return (field, is descending) for each part of an order, or raise for a field that is not there."""
    fields = database.table(model).model.fields
    parts: list[tuple[str, bool]] = []
    for part in (text or DEFAULT_ORDERS.get(model, "id")).split(","):
        name, _, direction = part.strip().partition(" ")
        if name not in fields:
            raise unknown_field(model, name, place="in order") if name else OdooError(VALUE_ERROR, "Invalid order")
        if direction.strip().lower() not in {"", "asc", "desc"}:
            raise OdooError(VALUE_ERROR, f'Invalid "order" specified ({text}).')
        parts.append((name, direction.strip().lower() == "desc"))
    return parts


def sort_rows(database: Database, model: str, rows: list[Record], order: Sequence[tuple[str, bool]]) -> list[Record]:
    """Sort in place and return; null sorts as greater than everything, as in PostgreSQL."""
    for name, is_descending in reversed(order):
        read = _sort_key(database, model, name)
        rows.sort(key=lambda row, read=read: ((seen := read(row)) is False, seen), reverse=is_descending)  # type: ignore[misc]  # a lambda with a default
    return rows


def read_rows(
    database: Database, model: str, rows: Iterable[Record], fields: Sequence[str], *, with_labels: bool = True
) -> list[dict[str, Any]]:
    """Return rows as RPC shows them: labels or bare ids, truncated stamps, ``False`` for null."""
    known = database.table(model).model.fields
    for name in fields:
        if name not in known:
            raise unknown_field(model, name)
    names = tuple(dict.fromkeys(("id", *(fields or known))))
    project = _projection(database, model, names, with_labels=with_labels)
    return [dict(zip(names, project(row), strict=True)) for row in rows]


def _matching(database: Database, search: Search, *, backwards: bool = False) -> Iterator[Record]:
    table = database.table(search.model)
    conditions = visible(database, search.model, search.domain, search.context)
    test = all_of(conditions)
    few = _named_ids(conditions)
    if few is not None:
        candidates = iter([table.rows[known] for known in sorted(few, reverse=backwards) if known in table.rows])
    else:
        lowest = [leaf[2] for leaf in _id_leaves(conditions) if leaf[1] == ">"]
        candidates = table.after(max(lowest, default=None), backwards=backwards)
    return candidates if test is None else filter(test, candidates)


def _id_leaves(conditions: Sequence[Condition]) -> list[tuple[str, str, Any]]:
    return [known.leaf for known in conditions if known.leaf is not None and known.leaf[0] == "id"]


def _named_ids(conditions: Sequence[Condition]) -> set[int] | None:
    for _, operator, value in _id_leaves(conditions):
        if operator == "in":
            return set(value)
        if operator == "=" and isinstance(value, int):
            return {value}
    return None


def _sort_key(database: Database, model: str, name: str) -> Callable[[Record], Any]:
    """Return the sort value; a many2one sorts by the order of the records it points to."""
    known = database.table(model).model.fields[name]
    read = reader_of(database, model, name)
    if known.type != "many2one" or known.relation not in database.tables:
        return read
    target = known.relation
    rows = list(database.tables[target].rows.values())
    ordered = sort_rows(database, target, rows, _plain_order(database, target))
    ranks = {row[0]: rank for rank, row in enumerate(ordered)}
    return lambda row: ranks.get(read(row), False)


def _plain_order(database: Database, model: str) -> list[tuple[str, bool]]:
    fields = database.table(model).model.fields
    order = parse_order(database, model, "")
    return [part for part in order if fields[part[0]].type != "many2one"] or [("id", False)]


def _projection(
    database: Database, model: str, names: Sequence[str], *, with_labels: bool
) -> Callable[[Record], Sequence[Any]]:
    """Return the function that reads all the names from a row; cells come in one go, the rest is mended."""
    table = database.table(model)
    cells = table.model.cells
    mends = [
        (place, mend)
        for place, name in enumerate(names)
        if (mend := _mend(database, model, name, with_labels=with_labels)) is not None
    ]
    pick = itemgetter(*(cells.get(name, 0) for name in names))
    if len(names) == 1:
        return lambda row: [row[cells.get(names[0], 0)]] if not mends else [mends[0][1](row)]

    def project(row: Record) -> Sequence[Any]:
        values = list(pick(row))
        for place, mend in mends:
            values[place] = mend(row)
        return values

    return project


def _mend(database: Database, model: str, name: str, *, with_labels: bool) -> Callable[[Record], Any] | None:
    """Return how to read a field that is not simply its cell, or ``None``."""
    table = database.table(model)
    known = table.model.fields[name]
    read = reader_of(database, model, name)
    if name in EXACT_STAMPS or name == "__last_update":
        return lambda row: read(row)[:SHOWN]
    if known.type == "many2one" and with_labels:
        return _labelled(database, known.relation, read)
    if name not in table.model.cells:
        return read
    return None


def _labelled(database: Database, relation: str, read: Callable[[Record], Any]) -> Callable[[Record], Any]:
    pairs = database.tables[relation].pairs if relation in database.tables else {}

    def pair(row: Record) -> Any:
        target = read(row)
        return False if target is False else pairs.get(target) or database.pair(relation, target)

    return pair
