"""What the conformance suite of ``ports.destination.Destination`` needs to know of a database.

One class for each dialect; the suite itself speaks only the port and the few words below.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from comporta.core.record import Column, ColumnType, Key, Row, Shape
from comporta.destinations.sqlite import SqliteDestination
from comporta.ports.destination import Destination, Written
from comporta.ports.store import Batch

THINGS = Shape(
    "shop",
    "thing",
    (
        Column("id", ColumnType.INTEGER, "id"),
        Column("write_date", ColumnType.TIMESTAMP, "write_date"),
        Column("name", ColumnType.TEXT, "name"),
        Column("price", ColumnType.NUMERIC, "price"),
    ),
    key="id",
    stamp="write_date",
)


class SqliteTables:
    """A fresh SQLite database with a destination."""

    def __init__(self, path: str = ":memory:") -> None:
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.row_factory = sqlite3.Row
        self.destination: Destination = SqliteDestination()
        self.writes = 0

    def prepare(self, shape: Shape = THINGS) -> Sequence[str]:
        """Prepare a shape."""
        return self.destination.prepare(self.connection, shape)

    def write(self, batch: Batch, *, account: str = "a", now: str | None = None) -> Written:
        """Write a batch as the next run, ``run 1`` being the first."""
        self.writes += 1
        now = now or f"2026-03-01T08:00:{self.writes:02}.000000Z"
        return self.destination.write(self.connection, account, batch, run=f"run {self.writes}", now=now)

    def rows(self, shape: Shape = THINGS) -> dict[tuple[str, Key], dict[str, Any]]:
        """Return every row of a table, by account and key."""
        found = self.query(f'SELECT * FROM "{shape.table}"')
        return {(row["account"], row[shape.key]): row for row in found}

    def query(self, sql: str, *values: object) -> list[dict[str, Any]]:
        """Return what a query finds."""
        return [dict(row) for row in self.connection.execute(sql, values)]

    def columns(self, table: str) -> dict[str, str]:
        """Return the declared type of each column."""
        return {row["name"]: row["type"] for row in self.query("SELECT name, type FROM pragma_table_info(?)", table)}

    def rows_touched(self) -> int:
        """Return how many rows were inserted, updated or removed since the database was opened."""
        return self.connection.total_changes

    def forbid(self, table: str, condition: str) -> None:
        """Add a rule of the user's: no row for which ``condition``, in terms of NEW, holds."""
        for event in ("INSERT", "UPDATE"):
            self.connection.execute(
                f"CREATE TRIGGER no_{event} BEFORE {event} ON {table} WHEN {condition}"
                " BEGIN SELECT RAISE(ABORT, 'the user forbids it'); END"
            )

    def swallow(self, table: str, condition: str) -> None:
        """Add a trigger of the user's that ignores rows without a word."""
        for event in ("INSERT", "UPDATE"):
            self.connection.execute(
                f"CREATE TRIGGER swallow_{event} BEFORE {event} ON {table} WHEN {condition}"
                " BEGIN SELECT RAISE(IGNORE); END"
            )

    def close(self) -> None:
        """Close the database."""
        self.connection.close()


NewTables = Callable[[], SqliteTables]


def thing(key: int, *, stamp: str | None = "2026-03-01", name: str | None = "x", price: float | None = None) -> Row:
    """Return a row of THINGS."""
    return (key, stamp, name, price)


def fields(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the source's fields of a row of THINGS."""
    return (row["id"], row["write_date"], row["name"], row["price"])
