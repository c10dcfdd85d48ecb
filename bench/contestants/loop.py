"""What the physical limits share: fetching pages as bytes, and decoding them into typed tuples."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
from pyreqwest.client import SyncClientBuilder

FIELDS: list[str] = json.loads((Path(__file__).parent / "fields.json").read_text())
BOOLEANS = ("locked", "require_signature")
PAGE = int(os.environ.get("BENCH_PAGE", "1000"))
OPTIONS = {"fields": FIELDS, "limit": PAGE, "order": "id", "load": False}
TYPES = {
    **dict.fromkeys(("amount_tax", "amount_total", "amount_untaxed", "currency_rate"), "double precision"),
    **dict.fromkeys(BOOLEANS, "boolean"),
    **dict.fromkeys(("commitment_date", "create_date", "date_order", "write_date"), "timestamp"),
    **dict.fromkeys(("client_order_ref", "delivery_status", "invoice_status", "name", "note"), "text"),
    **dict.fromkeys(("origin", "state"), "text"),
    "validity_date": "date",
    "id": "bigint PRIMARY KEY",
}
Row = tuple[object, ...]

_KINDS = {"locked": bool, "require_signature": bool, "id": int}
_Record = msgspec.defstruct(
    "Record", [(name, _KINDS.get(name, int | float | str | bool | None)) for name in FIELDS], gc=False
)
_NULLABLE = [name not in BOOLEANS for name in FIELDS]


class _Reply(msgspec.Struct):
    result: list[_Record]  # type: ignore[valid-type]  # a type made at run time


class Pages:
    """One session at the source: ``fetch`` gives a page's bytes, ``decoded`` all pages as rows."""

    def __init__(self, url: str) -> None:
        self._client = SyncClientBuilder().no_proxy().build()
        self._url = f"{url}/jsonrpc"
        login = self._post("authenticate", "common", "prod", "sync@example.com", "key", {})
        self._uid = msgspec.json.decode(login)["result"]

    def fetch(self, domain: list[object], after: int) -> memoryview:
        """Return the page that follows an id."""
        asked = [[*domain, ["id", ">", after]]]
        args = ("prod", self._uid, "key", "sale.order", "search_read", asked, OPTIONS)
        return self._post("execute_kw", "object", *args)

    def decoded(self, domain: list[object]) -> Iterator[list[Row]]:
        """Yield the rows of each page, false made null."""
        decode, astuple, after = msgspec.json.Decoder(_Reply).decode, msgspec.structs.astuple, 0
        while True:
            raw = zip(*map(astuple, decode(self.fetch(domain, after)).result), strict=True)
            cleaned = [
                [None if value is False else value for value in column] if clean else column
                for clean, column in zip(_NULLABLE, raw, strict=False)
            ]
            rows = list(zip(*cleaned, strict=True))
            yield rows
            if len(rows) < PAGE:
                return
            after = rows[-1][0]

    def _post(self, method: str, service: str, *args: object) -> memoryview:
        params = {"service": service, "method": method, "args": args}
        body = msgspec.json.encode({"jsonrpc": "2.0", "method": "call", "params": params, "id": 1})
        request = self._client.post(self._url).header("Content-Type", "application/json").body_bytes(body)
        return memoryview(request.build().send().bytes())


def postgres_table(*more: str) -> str:
    """Return the statement that makes the table on PostgreSQL."""
    columns = ", ".join((*(f"{name} {TYPES.get(name, 'bigint')}" for name in FIELDS), *more))
    return f"CREATE TABLE IF NOT EXISTS bench.sale_order ({columns})"
