"""The currencies: what the ids in ``currency_id`` mean, and which one the company's prices are in.

A login without access to them still reads its streams; the amounts are then shown without a name.
"""

from collections.abc import Sequence
from typing import TypeVar

import msgspec

from comporta.core.record import Column, ColumnType, Lookup, Shape
from comporta.errors import AccessRefused
from comporta.ports.progress import Progress
from comporta.sources.odoo_session import OdooSession

T = TypeVar("T")

STREAMS_WITH_AMOUNTS = frozenset({"sale.order", "sale.order.line", "product.template", "product.product"})

CURRENCIES_MAX = 1_000
"""ISO 4217 has fewer than 200."""

CURRENCY = Shape(
    "odoo",
    "currency",
    (
        Column("id", ColumnType.INTEGER, "id"),
        Column("name", ColumnType.TEXT, "name"),
        Column("decimal_places", ColumnType.INTEGER, "decimal_places"),
        Column("is_company", ColumnType.BOOLEAN, "is_company"),
    ),
    key="id",
)


class _Currency(msgspec.Struct):
    id: int
    name: str
    decimal_places: int


class _Linked(msgspec.Struct):
    id: int
    company_id: int | bool | None = None
    currency_id: int | bool | None = None


async def read_lookups(session: OdooSession, progress: Progress, stream: str) -> list[Lookup]:
    """Return the currencies where the stream has amounts and the login may read them."""
    if stream not in STREAMS_WITH_AMOUNTS:
        return []
    try:
        currencies = await _read((session, progress), "res.currency", ["name", "decimal_places"], [], _Currency)
        company = await _company_currency(session, progress)
    except AccessRefused:
        return []
    rows = [(one.id, one.name, one.decimal_places, one.id == company) for one in currencies]
    return [Lookup(CURRENCY, rows)]


async def _company_currency(session: OdooSession, progress: Progress) -> int | bool | None:
    user = await _read((session, progress), "res.users", ["company_id"], [["id", "=", session.uid]], _Linked)
    if not user or not user[0].company_id:
        return None
    domain = [["id", "=", user[0].company_id]]
    company = await _read((session, progress), "res.company", ["currency_id"], domain, _Linked)
    return company[0].currency_id if company else None


async def _read(
    reach: tuple[OdooSession, Progress], model: str, fields: list[str], domain: Sequence[object], wanted: type[T]
) -> list[T]:
    session, progress = reach
    args = {"domain": domain}
    options = {"fields": fields, "limit": CURRENCIES_MAX, "order": "id", "load": False}
    call = session.call(model, "search_read", "its names", args, **options)
    return await session.ask(call, progress, list[wanted])  # type: ignore[valid-type]  # a type made at run time
