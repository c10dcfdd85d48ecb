"""The script people write: requests, one page after the other, executemany with an upsert."""

import json
import sqlite3
import sys
from pathlib import Path
from typing import Any

import requests

FIELDS = json.loads((Path(__file__).parent / "fields.json").read_text())
BOOLEANS = {"locked", "require_signature"}
PAGE = 1000


def main(url: str, folder: str, mode: str) -> None:
    session = requests.Session()

    def call(service: str, method: str, *args: object) -> Any:  # noqa: ANN401  JSON
        params: Any = {"service": service, "method": method, "args": args}
        answer = session.post(f"{url}/jsonrpc", json={"jsonrpc": "2.0", "method": "call", "params": params, "id": 1})
        answer.raise_for_status()
        return answer.json()["result"]

    uid = call("common", "authenticate", "prod", "sync@example.com", "key", {})
    database = sqlite3.connect(f"{folder}/naive.db")
    columns = ", ".join(f"{name} PRIMARY KEY" if name == "id" else name for name in FIELDS)
    database.execute(f"CREATE TABLE IF NOT EXISTS sale_order ({columns})")
    values = ", ".join(f":{name}" for name in FIELDS)
    updates = ", ".join(f"{name} = excluded.{name}" for name in FIELDS if name != "id")
    upsert = f"INSERT INTO sale_order VALUES ({values}) ON CONFLICT(id) DO UPDATE SET {updates}"
    domain = []
    if mode == "cursor" and (last := database.execute("SELECT max(write_date) FROM sale_order").fetchone()[0]):
        domain = [["write_date", ">=", last]]
    after = 0
    while True:
        options = {"fields": FIELDS, "limit": PAGE, "order": "id", "load": False}
        asked = [[*domain, ["id", ">", after]]]
        rows = call("object", "execute_kw", "prod", uid, "key", "sale.order", "search_read", asked, options)
        for row in rows:
            for name, value in row.items():
                if value is False and name not in BOOLEANS:
                    row[name] = None
        with database:
            database.executemany(upsert, rows)
        if len(rows) < PAGE:
            break
        after = rows[-1]["id"]


main(*sys.argv[1:])
