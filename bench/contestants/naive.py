"""The script people write: requests, one page after the other, executemany with an upsert."""

import json
import os
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

import requests

FIELDS = json.loads((Path(__file__).parent / "fields.json").read_text())
BOOLEANS = {"locked", "require_signature"}
TYPES = {
    **dict.fromkeys(("amount_tax", "amount_total", "amount_untaxed", "currency_rate"), "double precision"),
    **dict.fromkeys(BOOLEANS, "boolean"),
    **dict.fromkeys(("commitment_date", "create_date", "date_order", "write_date"), "timestamp"),
    **dict.fromkeys(("client_order_ref", "delivery_status", "invoice_status", "name"), "text"),
    **dict.fromkeys(("note", "origin", "state"), "text"),
    "validity_date": "date",
    "id": "bigint PRIMARY KEY",
}
PAGE = int(os.environ.get("BENCH_PAGE", "1000"))


def pages(url: str, since: object) -> Any:  # noqa: ANN401  JSON
    session = requests.Session()

    def call(service: str, method: str, *args: object) -> Any:  # noqa: ANN401  JSON
        params: Any = {"service": service, "method": method, "args": args}
        body = {"jsonrpc": "2.0", "method": "call", "params": params, "id": 1}
        while (answer := session.post(f"{url}/jsonrpc", json=body)).status_code == 429:
            time.sleep(float(answer.headers.get("Retry-After", "1")))
        answer.raise_for_status()
        return answer.json()["result"]

    uid = call("common", "authenticate", "prod", "sync@example.com", "key", {})
    domain = [["write_date", ">=", str(since)]] if since else []
    after = 0
    while True:
        options = {"fields": FIELDS, "limit": PAGE, "order": "id", "load": False}
        asked = [[*domain, ["id", ">", after]]]
        rows = call("object", "execute_kw", "prod", uid, "key", "sale.order", "search_read", asked, options)
        for row in rows:
            for name, value in row.items():
                if value is False and name not in BOOLEANS:
                    row[name] = None
        yield rows
        if len(rows) < PAGE:
            return
        after = rows[-1]["id"]


def into_sqlite(url: str, path: str, mode: str) -> None:
    database = sqlite3.connect(path)
    columns = ", ".join(f"{name} PRIMARY KEY" if name == "id" else name for name in FIELDS)
    database.execute(f"CREATE TABLE IF NOT EXISTS sale_order ({columns})")
    values = ", ".join(f":{name}" for name in FIELDS)
    updates = ", ".join(f"{name} = excluded.{name}" for name in FIELDS if name != "id")
    upsert = f"INSERT INTO sale_order VALUES ({values}) ON CONFLICT(id) DO UPDATE SET {updates}"
    (last,) = database.execute("SELECT max(write_date) FROM sale_order").fetchone()
    for rows in pages(url, last if mode == "cursor" else None):
        with database:
            database.executemany(upsert, rows)


def into_postgres(url: str, address: str, mode: str) -> None:
    import psycopg  # noqa: PLC0415  whoever writes this script writes it for one database

    columns = ", ".join(f"{name} {TYPES.get(name, 'bigint')}" for name in FIELDS)
    values = ", ".join(f"%({name})s" for name in FIELDS)
    updates = ", ".join(f"{name} = excluded.{name}" for name in FIELDS if name != "id")
    upsert = f"INSERT INTO bench.sale_order VALUES ({values}) ON CONFLICT (id) DO UPDATE SET {updates}"
    with psycopg.connect(address) as database, database.cursor() as cursor:
        cursor.execute("CREATE SCHEMA IF NOT EXISTS bench")
        cursor.execute(f"CREATE TABLE IF NOT EXISTS bench.sale_order ({columns})")
        last = cursor.execute("SELECT max(write_date) FROM bench.sale_order").fetchone()[0]  # type: ignore[index]  # there is a row
        database.commit()
        for rows in pages(url, last if mode == "cursor" else None):
            cursor.executemany(upsert, rows)
            database.commit()


def main(url: str, _: str, mode: str, database: str) -> None:
    if database.startswith("sqlite"):
        into_sqlite(url, database.removeprefix("sqlite:///"), mode)
    else:
        into_postgres(url, database, mode)


if __name__ == "__main__":
    main(*sys.argv[1:])
