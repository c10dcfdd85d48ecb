"""The bare physical loop: fetch, typed decode, the best exact upsert we know. No ledger, no promise."""

import json
import sqlite3
import sys
from hashlib import blake2b
from operator import itemgetter
from pathlib import Path

import msgspec
from pyreqwest.client import SyncClientBuilder

FIELDS = json.loads((Path(__file__).parent / "fields.json").read_text())
BOOLEANS = {"locked", "require_signature"}
KINDS = {"locked": bool, "require_signature": bool, "id": int}
PAGE = 1000

OPTIONS = {"fields": FIELDS, "limit": PAGE, "order": "id", "load": False}
PRAGMAS = """
PRAGMA journal_mode = WAL; PRAGMA synchronous = normal; PRAGMA temp_store = memory; PRAGMA cache_size = -16384;
"""

Record = msgspec.defstruct(
    "Record", [(name, KINDS.get(name, int | float | str | bool | None)) for name in FIELDS], gc=False
)


class Reply(msgspec.Struct):
    result: list[Record]  # type: ignore[valid-type]


def main(url: str, folder: str, mode: str) -> None:  # noqa: PLR0915  one loop, read top to bottom
    client = SyncClientBuilder().no_proxy().build()
    decode = msgspec.json.Decoder(Reply).decode
    encode = msgspec.msgpack.Encoder().encode

    def post(method: str, service: str, *args: object) -> memoryview:
        params = {"service": service, "method": method, "args": args}
        body = msgspec.json.encode({"jsonrpc": "2.0", "method": "call", "params": params, "id": 1})
        request = client.post(f"{url}/jsonrpc").header("Content-Type", "application/json").body_bytes(body)
        return memoryview(request.build().send().bytes())

    uid = msgspec.json.decode(post("authenticate", "common", "prod", "sync@example.com", "key", {}))["result"]
    database = sqlite3.connect(f"{folder}/bare.db", isolation_level=None)
    database.executescript(PRAGMAS)
    columns = ", ".join(f"{name} INTEGER PRIMARY KEY" if name == "id" else name for name in FIELDS)
    database.execute(f"CREATE TABLE IF NOT EXISTS sale_order ({columns}, hash INTEGER)")
    insert = f"INSERT INTO sale_order VALUES ({', '.join('?' * (len(FIELDS) + 1))})"
    update = f"UPDATE sale_order SET ({', '.join(FIELDS)}, hash) = ({', '.join('?' * (len(FIELDS) + 1))}) WHERE id = ?"
    domain = []
    if mode == "cursor" and (last := database.execute("SELECT max(write_date) FROM sale_order").fetchone()[0]):
        domain = [["write_date", ">=", last]]
    astuple, key = msgspec.structs.astuple, itemgetter(FIELDS.index("id"))
    nullable = [name not in BOOLEANS for name in FIELDS]
    after = 0
    while True:
        asked = [[*domain, ["id", ">", after]]]
        body = post("execute_kw", "object", "prod", uid, "key", "sale.order", "search_read", asked, OPTIONS)
        raw = zip(*map(astuple, decode(body).result), strict=True)
        cleaned = [
            [None if value is False else value for value in column] if clean else column
            for clean, column in zip(nullable, raw, strict=False)
        ]
        rows = list(zip(*cleaned, strict=True))
        database.execute("BEGIN IMMEDIATE")
        query = f"SELECT id, hash FROM sale_order WHERE id IN ({', '.join('?' * len(rows))})"
        stored = dict(database.execute(query, [key(row) for row in rows]).fetchall())
        inserts, updates = [], []
        for row in rows:
            new = int.from_bytes(blake2b(encode(row), digest_size=8).digest(), "little", signed=True)
            old = stored.get(key(row))
            if old is None:
                inserts.append((*row, new))
            elif old != new:
                updates.append((*row, new, key(row)))
        database.executemany(insert, inserts)
        database.executemany(update, updates)
        database.execute("COMMIT")
        if len(rows) < PAGE:
            break
        after = key(rows[-1])


main(*sys.argv[1:])
