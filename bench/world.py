"""The invented orders that every contestant reads, encoded once, and the truth about them.

A state of the world is one bytes object with the records side by side, in order of id, so that any
page of consecutive ids is a slice of it: answering costs no encoding and no copying.
"""

import json
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

FIELDS: Mapping[str, str] = {
    "amount_tax": "monetary",
    "amount_total": "monetary",
    "amount_untaxed": "monetary",
    "client_order_ref": "char",
    "commitment_date": "datetime",
    "company_id": "many2one",
    "create_date": "datetime",
    "create_uid": "many2one",
    "currency_id": "many2one",
    "currency_rate": "float",
    "date_order": "datetime",
    "delivery_status": "selection",
    "id": "integer",
    "invoice_status": "selection",
    "locked": "boolean",
    "name": "char",
    "note": "html",
    "origin": "char",
    "partner_id": "many2one",
    "partner_invoice_id": "many2one",
    "partner_shipping_id": "many2one",
    "pricelist_id": "many2one",
    "require_signature": "boolean",
    "state": "selection",
    "team_id": "many2one",
    "user_id": "many2one",
    "validity_date": "date",
    "warehouse_id": "many2one",
    "write_date": "datetime",
    "write_uid": "many2one",
}
ORDER = ("id", *sorted(name for name in FIELDS if name != "id"))
MODES = ("base", "ten", "percent", "all")
"""Which rows have changed since the base: none, ten, every hundredth, all."""
_FIRST = datetime(2025, 1, 1, tzinfo=UTC)
_STATES = ("draft", "sent", "sale", "cancel")
_NOTE = "<p>Entregar na doca 3. {}</p>"

Record = dict[str, object]


def record(number: int, *, changed_at: str | None = None) -> Record:
    """Return the order with this id, as Odoo shows it with ``load=False``."""
    made = _FIRST + timedelta(seconds=number * 37)
    total = (number * 7919 % 1_000_000 + 1234 + (100 if changed_at else 0)) / 100
    tax = round(total * 0.18, 2)
    values: Record = {
        "id": number,
        "amount_tax": tax,
        "amount_total": total,
        "amount_untaxed": round(total - tax, 2),
        "client_order_ref": f"PC-{number % 997:05d}/{number % 13}" if number % 3 else False,
        "commitment_date": _text(made + timedelta(days=5)) if number % 2 else False,
        "company_id": 1,
        "create_date": _text(made),
        "create_uid": 2 + number % 5,
        "currency_id": 6,
        "currency_rate": 1.0,
        "date_order": _text(made + timedelta(minutes=3)),
        "delivery_status": "full" if number % 4 else "pending",
        "invoice_status": "invoiced" if number % 5 else "to invoice",
        "locked": number % 4 == 0,
        "name": f"S{number:08d}" + ("-r" if changed_at else ""),
        "note": _NOTE.format("nº " * (number % 3 + 1)),
        "origin": f"loja/{number % 50_021}" if number % 7 else False,
        "partner_id": 10 + number % 4999,
        "partner_invoice_id": 10 + number % 4999,
        "partner_shipping_id": 10 + number % 5003,
        "pricelist_id": 1 + number % 3,
        "require_signature": number % 6 == 0,
        "state": _STATES[number % 4],
        "team_id": 1 + number % 4,
        "user_id": 2 + number % 9,
        "validity_date": (made + timedelta(days=30)).date().isoformat(),
        "warehouse_id": 1 + number % 2,
        "write_date": changed_at or _text(made + timedelta(minutes=10)),
        "write_uid": 2 + number % 9,
    }
    return values


def _text(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%d %H:%M:%S")


@dataclass(frozen=True)
class Span:
    """A request as the replay server understands it: ids above, stamps from and before, or named ids."""

    after: int = 0
    since: str = ""
    until: str = "9999"
    ids: frozenset[int] | None = None


class World:
    """One state of the orders: ``rows`` of them, some changed at ``changed_at``."""

    def __init__(self, rows: int, mode: str, changed_at: str) -> None:
        self.rows = rows
        self.changed = _changed_ids(rows, mode)
        changed = set(self.changed)
        self.stamps: list[str] = []
        self._offsets = [0]
        self._sums = dict.fromkeys(TRUTH, 0)
        parts: list[bytes] = []
        for number in range(1, rows + 1):
            one = record(number, changed_at=changed_at if number in changed else None)
            part = json.dumps(one, ensure_ascii=True).encode() + b", "
            parts.append(part)
            self._offsets.append(self._offsets[-1] + len(part))
            self.stamps.append(str(one["write_date"]))
            _add(self._sums, one)
        self.buffer = memoryview(b"".join(parts))
        self._unchanged = [record_stamp for record_stamp in self.stamps if record_stamp != changed_at]
        self._changed_at = changed_at
        self.latest = max(self.stamps, default="")

    @property
    def truth(self) -> dict[str, object]:
        """Return what every copy of this world must add up to."""
        return {**self._sums, "latest": self.latest}

    def slice(self, first: int, count: int) -> memoryview:
        """Return the records of ``count`` consecutive ids from index ``first``, separators included."""
        last = min(first + count, self.rows)
        return self.buffer[self._offsets[first] : max(self._offsets[first], self._offsets[last] - 2)]

    def select(self, span: Span) -> range | list[int]:
        """Return the indexes (id - 1) of the rows a request means, in order."""
        if span.ids is not None:
            return sorted(one - 1 for one in span.ids if 0 < one <= self.rows)
        if span.until <= self.latest:
            return [place for place in range(span.after, self.rows) if span.since <= self.stamps[place] < span.until]
        if not span.since or (self.stamps and span.since <= self.stamps[0] and not self.changed):
            return range(span.after, self.rows)
        return list(self._since(span))

    def _since(self, span: Span) -> Iterator[int]:
        """Yield what is stamped late enough: base stamps rise with the id, and the changed ones are newer."""
        if not self.changed:
            yield from range(max(span.after, bisect_left(self.stamps, span.since)), self.rows)
        elif self._unchanged and span.since <= self._unchanged[-1]:
            yield from (place for place in range(span.after, self.rows) if self.stamps[place] >= span.since)
        elif span.since <= self._changed_at:
            yield from (number - 1 for number in self.changed if number > span.after)


def _changed_ids(rows: int, mode: str) -> Sequence[int]:
    if mode == "ten":
        return range(max(1, rows // 20), rows + 1, max(1, rows // 10))[:10]
    if mode == "percent":
        return range(50, rows + 1, 100)
    return range(1, rows + 1) if mode == "all" else ()


TRUTH: Mapping[str, str] = {
    "rows": "count(*)",
    "ids": "sum(id)",
    "partners": "sum(partner_id)",
    "cents": "sum(CAST(round(amount_total * 100) AS INTEGER))",
    "tax_cents": "sum(CAST(round(amount_tax * 100) AS INTEGER))",
    "names": "sum(length(name))",
    "notes": "sum(length(note))",
    "locked": "sum(CASE WHEN locked THEN 1 ELSE 0 END)",
    "promised": "count(commitment_date)",
    "unnamed": "count(*) - count(origin)",
}
"""What is compared, as SQL over a contestant's table; ``_add`` is the same over the records."""


def _add(sums: dict[str, int], one: Record) -> None:
    sums["rows"] += 1
    for name, field in (("ids", "id"), ("partners", "partner_id")):
        sums[name] += int(str(one[field]))
    for name, field in (("cents", "amount_total"), ("tax_cents", "amount_tax")):
        sums[name] += round(float(str(one[field])) * 100)
    for name, field in (("names", "name"), ("notes", "note")):
        sums[name] += len(str(one[field]))
    sums["locked"] += one["locked"] is True
    sums["promised"] += one["commitment_date"] is not False
    sums["unnamed"] += one["origin"] is False
