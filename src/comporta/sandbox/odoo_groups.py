"""``read_group`` and, from 19 on, ``formatted_read_group``: counts and sums per bucket.

Labels follow the context's time zone, the domains and ranges stay UTC. With ``lazy=False`` the count's
key is ``__count``; an hour's label is ambiguous ("08:00 01 Mar" twice a day): the range is the key.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from comporta.sandbox.odoo_database import Database
from comporta.sandbox.odoo_errors import VALUE_ERROR, OdooError, unknown_field
from comporta.sandbox.odoo_fields import Record
from comporta.sandbox.odoo_query import Context, Search, find
from comporta.sandbox.odoo_stamps import SHOWN, from_text, shown_text
from comporta.sandbox.odoo_values import reader_of

Aggregate = Callable[[list[Any]], Any]
_SPECIFICATION = re.compile(r"(\w+)(?::(\w+)(?:\((\w+)\))?)?")
LABELS = {"hour": "%I:00 %d %b", "day": "%d %b %Y", "month": "%B %Y", "year": "%Y"}
SPANS_KEPT = 32_768  # the hours of almost four years, some 10 MB
AGGREGATES: dict[str, Aggregate] = {
    "sum": lambda values: sum(values) if values else False,
    "min": lambda values: min(values, default=False),
    "max": lambda values: max(values, default=False),
    "count": len,
    "count_distinct": lambda values: len(set(values)),
    "avg": lambda values: sum(values) / len(values) if values else False,
    "array_agg": list,
}


@dataclass(frozen=True, slots=True)
class Bucket:
    """One group: its rows, and for each specification the value shown, its UTC range and its domain."""

    rows: list[Record]
    shown: dict[str, Any]
    ranges: dict[str, dict[str, str]]
    leaves: list[Any]


def read_group(database: Database, model: str, arguments: Mapping[str, Any], context: Context) -> list[dict[str, Any]]:
    """Return one dict per group, as the method of that name does."""
    domain = list(arguments.get("domain") or ())
    groupby = _as_list(arguments.get("groupby"))
    is_lazy = arguments.get("lazy", True)
    taken = groupby[:1] if is_lazy else groupby
    aggregates = [_aggregate(database, model, text) for text in arguments.get("fields") or ()]
    count_key = f"{taken[0].partition(':')[0]}_count" if is_lazy and taken else "__count"
    answer = []
    for bucket in _buckets(database, Search(model, domain, order="id", context=context), taken):
        entry: dict[str, Any] = {count_key: len(bucket.rows), **bucket.shown}
        entry |= {name: compute(bucket.rows) for name, compute in aggregates if compute is not None}
        if bucket.ranges:
            entry["__range"] = bucket.ranges
        entry["__domain"] = _joined(bucket.leaves, domain)
        answer.append(entry)
    start = arguments.get("offset") or 0
    return answer[start : start + arguments["limit"] if arguments.get("limit") else None]


def formatted_read_group(
    database: Database, model: str, arguments: Mapping[str, Any], context: Context
) -> list[dict[str, Any]]:
    """Return one dict per group in the form of Odoo 19: keys ``id:sum``, ``__count``, ``__extra_domain``."""
    wanted = arguments.get("aggregates") or ()
    aggregates = [(text, _aggregate(database, model, text)[1]) for text in wanted if text != "__count"]
    search = Search(model, list(arguments.get("domain") or ()), order="id", context=context)
    answer = []
    for bucket in _buckets(database, search, _as_list(arguments.get("groupby"))):
        entry: dict[str, Any] = {text: compute(bucket.rows) for text, compute in aggregates if compute is not None}
        if "__count" in wanted:
            entry["__count"] = len(bucket.rows)
        for text, shown in bucket.shown.items():
            span = bucket.ranges.get(text)
            entry[text] = [span["from"], shown] if span else shown
        answer.append(entry | {"__extra_domain": _joined(bucket.leaves, [])})
    return answer


def _as_list(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value or ())


def _aggregate(database: Database, model: str, text: str) -> tuple[str, Callable[[list[Record]], Any] | None]:
    """Read ``ids:sum(id)`` or ``write_date:max``; a plain field name has no value of its own here."""
    match = _SPECIFICATION.fullmatch(text)
    if match is None:
        raise OdooError(VALUE_ERROR, f"Invalid field specification {text!r}.")
    name, function, inner = match.groups()
    fields = database.table(model).model.fields
    source = inner or name
    if source not in fields:
        raise unknown_field(model, source)
    known = fields[source]
    function = function or ("sum" if known.type in {"float", "monetary", "integer"} and source != "id" else None)
    if function is None:
        return name, None
    if function not in AGGREGATES:
        raise OdooError(VALUE_ERROR, f"Invalid aggregation function {function!r}.")
    read = reader_of(database, model, source)
    compute = AGGREGATES[function]
    if known.type == "datetime":
        return name, lambda rows: (found := compute([read(row) for row in rows if read(row)])) and found[:SHOWN]
    return name, lambda rows: compute([read(row) for row in rows])


def _buckets(database: Database, search: Search, groupby: Sequence[str]) -> list[Bucket]:
    """Return the groups in order of their keys; without ``groupby`` there is always exactly one."""
    rows = find(database, search)
    keys = [_group_key(database, search.model, text, search.context) for text in groupby]
    groups: dict[tuple[Any, ...], list[Record]] = {} if groupby else {(): rows}
    for row in rows if groupby else ():
        groups.setdefault(tuple(key(row) for key in keys), []).append(row)
    ordered = sorted(groups, key=lambda key: tuple((part is False, str(part)) for part in key))
    return [_bucket(database, search, dict(zip(groupby, key, strict=True)), groups[key]) for key in ordered]


def _group_key(database: Database, model: str, text: str, context: Context) -> Callable[[Record], Any]:
    name, _, unit = text.partition(":")
    known = database.table(model).model.fields.get(name)
    if known is None:
        raise unknown_field(model, name)
    read = reader_of(database, model, name)
    if known.type not in {"date", "datetime"}:
        return read
    zone = _zone(context)
    if zone is UTC and (unit or "month") == "hour":
        return lambda row: (text := read(row)) and f"{text[:13]}:00:00"
    return lambda row: (text := read(row)) and _local_text(_floor(from_text(text).astimezone(zone), unit or "month"))


def _local_text(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%d %H:%M:%S")


def _zone(context: Context) -> tzinfo:
    name = context.get("tz") or "UTC"
    return UTC if name == "UTC" else ZoneInfo(name)


def _floor(instant: datetime, unit: str) -> datetime:
    hour = instant.replace(minute=0, second=0, microsecond=0)
    if unit == "hour":
        return hour
    day = hour.replace(hour=0)
    if unit == "week":
        return day - timedelta(days=day.weekday())
    if unit in {"day", "month", "year"}:
        return day.replace(day=1 if unit != "day" else day.day, month=1 if unit == "year" else day.month)
    raise OdooError(VALUE_ERROR, f"Invalid date granularity {unit!r}")


def _ceiling(start: datetime, unit: str) -> datetime:
    if unit in {"hour", "day", "week"}:
        return start + {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(days=7)}[unit]
    return _floor(start + timedelta(days=366 if unit == "year" else 31), unit)


@lru_cache(maxsize=SPANS_KEPT)
def _span(value: str, zone: tzinfo, unit: str) -> tuple[str, str, str]:
    """Return a bucket's label in its zone and its range in UTC; kept, since audits ask for the same hours again."""
    start = from_text(value).replace(tzinfo=zone)
    label = start.strftime(LABELS.get(unit, "W%V %Y"))
    return label, shown_text(start), shown_text(_ceiling(start, unit))


def _bucket(database: Database, search: Search, key: Mapping[str, Any], rows: list[Record]) -> Bucket:
    bucket = Bucket(rows, {}, {}, [])
    for text, value in key.items():
        name, _, unit = text.partition(":")
        known = database.table(search.model).model.fields[name]
        if known.type in {"date", "datetime"} and value:
            bucket.shown[text], low, high = _span(value, _zone(search.context), unit or "month")
            bucket.ranges[text] = {"from": low, "to": high}
            bucket.leaves.extend([(name, ">=", low), (name, "<", high)])
        else:
            bucket.shown[text] = database.pair(known.relation, value) if known.type == "many2one" else value
            bucket.leaves.append((name, "=", value))
    return bucket


def _joined(leaves: Sequence[Any], domain: Sequence[Any]) -> list[Any]:
    """Return one domain: "and" of the leaves and of what was asked."""
    joined: list[Any] = [*["&"] * max(0, len(leaves) - 1), *(list(leaf) for leaf in leaves)]
    return ["&", *joined, *_normal(domain)] if joined and domain else joined or list(domain)


def _normal(domain: Sequence[Any]) -> list[Any]:
    """Write the implicit "and" of a domain out."""
    operands = sum(1 for item in domain if item not in ("&", "|", "!"))
    binary = sum(1 for item in domain if item in ("&", "|"))
    return ["&"] * (operands - binary - 1) + list(domain)
