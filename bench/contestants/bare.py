"""The bare physical loop: fetch, typed decode, the best exact upsert we know. No ledger, no promise.

The upsert reads the stored hashes first and writes only what differs: on SQLite 25 rows a statement, on
PostgreSQL by COPY, straight into the table for new rows and by a temporary table for changed ones.
"""

import sqlite3
import sys
from collections.abc import Callable
from hashlib import blake2b
from itertools import chain

import msgspec

from bench.contestants.loop import FIELDS, Pages, Row, postgres_table

PRAGMAS = """
PRAGMA journal_mode = WAL; PRAGMA synchronous = normal; PRAGMA temp_store = memory; PRAGMA cache_size = -16384;
"""
AT_ONCE = 25
Stored = dict[object, int]


def sorted_rows(rows: list[Row], stored: Stored) -> tuple[list[Row], list[Row]]:
    """Return the new rows and the changed ones, each with its hash behind."""
    encode, start, inserts, updates = msgspec.msgpack.Encoder().encode, blake2b(digest_size=8), [], []
    for row in rows:
        digest = start.copy()
        digest.update(encode(row))
        new = int.from_bytes(digest.digest(), "little", signed=True)
        old = stored.get(row[0])
        if old is None:
            inserts.append((*row, new))
        elif old != new:
            updates.append((*row, new))
    return inserts, updates


def into_sqlite(path: str) -> tuple[object, Callable[[list[Row]], None]]:
    database = sqlite3.connect(path, isolation_level=None)
    database.executescript(PRAGMAS)
    # Or None and bool are looked up as foreign types, value by value.
    sqlite3.register_adapter(type(None), {}.get)  # type: ignore[arg-type]  # sqlite3's own way
    sqlite3.register_adapter(bool, int)
    columns = ", ".join(f"{name} INTEGER PRIMARY KEY" if name == "id" else name for name in FIELDS)
    database.execute(f"CREATE TABLE IF NOT EXISTS sale_order ({columns}, hash INTEGER)")
    width = len(FIELDS) + 1
    mark = f"({', '.join('?' * width)})"
    one, many = (f"INSERT INTO sale_order VALUES {', '.join([mark] * size)}" for size in (1, AT_ONCE))
    update = f"UPDATE sale_order SET ({', '.join(FIELDS)}, hash) = {mark} WHERE id = ?"

    def write(rows: list[Row]) -> None:
        database.execute("BEGIN IMMEDIATE")
        query = "SELECT id, hash FROM sale_order WHERE id BETWEEN ? AND ?"
        stored = dict(database.execute(query, (rows[0][0], rows[-1][0])).fetchall()) if rows else {}
        inserts, updates = sorted_rows(rows, stored)
        full = len(inserts) // AT_ONCE * AT_ONCE
        flat = list(chain.from_iterable(inserts[:full]))
        step = width * AT_ONCE
        database.executemany(many, (flat[start : start + step] for start in range(0, len(flat), step)))
        database.executemany(one, inserts[full:])
        database.executemany(update, [(*row, row[0]) for row in updates])
        database.execute("COMMIT")

    return database.execute("SELECT max(write_date) FROM sale_order").fetchone()[0], write


def into_postgres(url: str) -> tuple[object, Callable[[list[Row]], None]]:
    import psycopg  # noqa: PLC0415  whoever writes this loop writes it for one database

    database = psycopg.connect(url)
    cursor = database.cursor(binary=True)
    cursor.execute("CREATE SCHEMA IF NOT EXISTS bench")
    cursor.execute(postgres_table("hash bigint"))
    assignments = ", ".join(f"{name} = new.{name}" for name in (*FIELDS, "hash"))
    staged = "CREATE TEMPORARY TABLE new (LIKE bench.sale_order) ON COMMIT DROP"
    update = f"UPDATE bench.sale_order old SET {assignments} FROM new WHERE old.id = new.id"

    def copy(table: str, rows: list[Row]) -> None:
        with database.cursor().copy(f"COPY {table} FROM STDIN") as into:
            for row in rows:
                into.write_row(row)

    def write(rows: list[Row]) -> None:
        query = "SELECT id, hash FROM bench.sale_order WHERE id BETWEEN %s AND %s"
        stored: Stored = dict(cursor.execute(query, (rows[0][0], rows[-1][0])).fetchall()) if rows else {}
        inserts, updates = sorted_rows(rows, stored)
        if inserts:
            copy("bench.sale_order", inserts)
        if updates:
            cursor.execute(staged)
            copy("new", updates)
            cursor.execute(update)
        database.commit()

    last = cursor.execute("SELECT max(write_date) FROM bench.sale_order").fetchone()
    return last[0] if last else None, write


def main(url: str, _: str, mode: str, database: str) -> None:
    is_sqlite = database.startswith("sqlite")
    last, write = into_sqlite(database.removeprefix("sqlite:///")) if is_sqlite else into_postgres(database)
    domain: list[object] = [["write_date", ">=", str(last)]] if last and mode == "cursor" else []
    for rows in Pages(url).decoded(domain):
        write(rows)


if __name__ == "__main__":
    main(*sys.argv[1:])
