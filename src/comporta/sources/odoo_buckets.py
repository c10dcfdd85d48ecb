"""Count and sum of ids for every hour of write_date: one cheap call that shows where a copy differs.

The hour is read from the group's bounds, never from its label, which is written in a language and a
time zone.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from comporta.core.record import Bucket, Key
from comporta.errors import SourceChangedShape
from comporta.errors_odoo import ProtocolUnsupported
from comporta.ports.progress import Progress
from comporta.sources.answers import quote
from comporta.sources.odoo_domain import Domain, all_of, odoo_text
from comporta.sources.odoo_session import OdooSession

_BY = "write_date:hour"
_HOUR = re.compile(r"(\d{4}-\d\d-\d\d)[ T](\d\d):")


def whole_hours(until: datetime) -> datetime:
    """Return the end of the last hour that is over at ``until``."""
    return until.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def summed(listed: Iterable[tuple[Key, str | None]], buckets: Mapping[str, Bucket]) -> dict[str, Bucket]:
    """Return the buckets with listed keys and stamps added: for a server that cannot group.

    >>> summed([(7, "2026-03-01T10:20:30.000000Z"), (9, None)], {})
    {'2026-03-01T10': Bucket(hour='2026-03-01T10', rows=1, key_sum=7)}
    """
    result = dict(buckets)
    for key, stamp in listed:
        if stamp is not None:
            hour = stamp[:13]
            before = result.get(hour, Bucket(hour, 0, 0))
            result[hour] = Bucket(hour, before.rows + 1, before.key_sum + int(key))
    return result


async def read_buckets(
    session: OdooSession, progress: Progress, model: str, domain: Domain, *, until: datetime
) -> list[Bucket]:
    """Return the buckets of all hours that end at or before ``until``; rows without a stamp are in none."""
    end = whole_hours(until)
    within = all_of([["write_date", "<", odoo_text(end)]], domain)
    groups = await _groups(session, progress, model, within)
    subject = f"odoo/{session.account} {model}: the sums by hour"
    buckets = [_bucket(group, subject) for group in groups]
    return sorted((bucket for bucket in buckets if bucket is not None), key=lambda bucket: bucket.hour)


async def _groups(session: OdooSession, progress: Progress, model: str, domain: Domain) -> list[dict[str, Any]]:
    what = "the sums by hour"
    args = {"domain": domain, "fields": ["ids:sum(id)"], "groupby": [_BY]}
    call = session.call(model, "read_group", what, args, lazy=False)
    try:
        return await session.ask(call, progress, list[dict[str, Any]])
    except ProtocolUnsupported:
        # Deprecated in 19, gone in what follows; the newer method is missing before 18.
        newer = {"domain": domain, "groupby": [_BY], "aggregates": ["id:sum", "__count"]}
        call = session.call(model, "formatted_read_group", what, newer)
        return await session.ask(call, progress, list[dict[str, Any]])


def _bucket(group: Mapping[str, Any], subject: str) -> Bucket | None:
    if not group.get(_BY):
        return None
    hour = _hour(group)
    rows, total = group.get("__count"), group.get("ids", group.get("id:sum"))
    if hour is None or not isinstance(rows, int) or not isinstance(total, int | float) or total != int(total):
        message = f"{subject} answered {quote(repr(dict(group)))}; expected bounds, __count and a whole sum of ids"
        raise SourceChangedShape(message)
    return Bucket(hour, rows, int(total))


def _hour(group: Mapping[str, Any]) -> str | None:
    """Return the group's hour as ``YYYY-MM-DDTHH``: from its range, its domain, or its raw value."""
    bounds = (group.get("__range") or {}).get(_BY) or {}
    texts = [bounds.get("from"), *_lower_bounds(group.get("__domain") or group.get("__extra_domain") or [])]
    value = group[_BY]
    texts.append(value[0] if isinstance(value, list) and value else None)
    for text in texts:
        found = _HOUR.match(text) if isinstance(text, str) else None
        if found:
            return f"{found[1]}T{found[2]}"
    return None


def _lower_bounds(domain: list[Any]) -> list[Any]:
    return [term[2] for term in domain if isinstance(term, list) and term[:2] == ["write_date", ">="]]
