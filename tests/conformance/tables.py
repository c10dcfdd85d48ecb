"""What the conformance suite of ``ports.destination.Destination`` needs to know of a database.

One class for each dialect; the suite itself speaks only the port and the few words below.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

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


class Tables(Protocol):
    """A fresh database with a destination: what a process does with it, and what the user does by hand.

    ``connection`` is the process's, as the ledger would hand it through.
    """

    connection: Any
    destination: Destination
    writes: int

    def prepare(self, shape: Shape = THINGS) -> Sequence[str]:
        """Prepare a shape."""

    def write(self, batch: Batch, *, account: str = "a", now: str | None = None) -> Written:
        """Write a batch as the next run, ``run 1`` being the first."""

    def begin(self) -> None:
        """Begin a transaction of several steps; each is one of its own otherwise."""

    def rollback(self) -> None:
        """Undo what was done since ``begin``."""

    def rows(self, shape: Shape = THINGS) -> dict[tuple[str, Key], dict[str, Any]]:
        """Return every row of a table in canonical values, by account and key."""

    def query(self, sql: str, *values: object) -> list[dict[str, Any]]:
        """Return what a query finds, in canonical values; ``?`` is a parameter."""

    def by_hand(self, sql: str) -> None:
        """Execute a statement of the user's."""

    def columns(self, table: str) -> dict[str, str]:
        """Return the declared type of each column."""

    def rows_touched(self) -> int:
        """Return how many rows were inserted, updated or removed since the database was opened."""

    def forbid(self, table: str, condition: str) -> None:
        """Add a rule of the user's: no row for which ``condition``, in terms of NEW, holds."""

    def swallow(self, table: str, condition: str) -> None:
        """Add a trigger of the user's that ignores rows without a word."""

    def view_id(self, number: int) -> Key:
        """Return an id as the views show it."""

    def clear(self) -> None:
        """Remove every row, and count runs from one again."""

    def close(self) -> None:
        """Close the database."""


class SqliteTables:
    """A fresh SQLite database with a destination."""

    def __init__(self, path: str = ":memory:") -> None:
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.row_factory = sqlite3.Row
        self.destination: Destination = SqliteDestination()
        self.writes = 0

    def prepare(self, shape: Shape = THINGS) -> Sequence[str]:
        return [each.message for each in self.destination.prepare(self.connection, shape)]

    def write(self, batch: Batch, *, account: str = "a", now: str | None = None) -> Written:
        self.writes += 1
        now = now or f"2026-03-01T08:00:{self.writes:02}.000000Z"
        return self.destination.write(self.connection, account, batch, run=f"run {self.writes}", now=now)

    def begin(self) -> None:
        self.connection.execute("BEGIN")

    def rollback(self) -> None:
        self.connection.execute("ROLLBACK")

    def rows(self, shape: Shape = THINGS) -> dict[tuple[str, Key], dict[str, Any]]:
        found = self.query(f'SELECT * FROM "{shape.table}"')
        return {(row["account"], row[shape.key]): row for row in found}

    def query(self, sql: str, *values: object) -> list[dict[str, Any]]:
        return [dict(row) for row in self.connection.execute(sql, values)]

    def by_hand(self, sql: str) -> None:
        self.connection.execute(sql)

    def columns(self, table: str) -> dict[str, str]:
        return {row["name"]: row["type"] for row in self.query("SELECT name, type FROM pragma_table_info(?)", table)}

    def rows_touched(self) -> int:
        return self.connection.total_changes

    def forbid(self, table: str, condition: str) -> None:
        for event in ("INSERT", "UPDATE"):
            self.connection.execute(
                f"CREATE TRIGGER no_{event} BEFORE {event} ON {table} WHEN {condition}"
                " BEGIN SELECT RAISE(ABORT, 'the user forbids it'); END"
            )

    def swallow(self, table: str, condition: str) -> None:
        for event in ("INSERT", "UPDATE"):
            self.connection.execute(
                f"CREATE TRIGGER swallow_{event} BEFORE {event} ON {table} WHEN {condition}"
                " BEGIN SELECT RAISE(IGNORE); END"
            )

    def view_id(self, number: int) -> Key:
        return number

    def clear(self) -> None:
        for row in self.query("SELECT name FROM sqlite_master WHERE type = 'table'"):
            self.connection.execute(f'DELETE FROM "{row["name"]}"')
        self.writes = 0

    def close(self) -> None:
        self.connection.close()


NewTables = Callable[[], Tables]


def thing(
    key: int, *, stamp: str | None = "2026-03-01T00:00:00.000000Z", name: str | None = "x", price: float | None = None
) -> Row:
    """Return a row of THINGS."""
    return (key, stamp, name, price)


def fields(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the source's fields of a row of THINGS."""
    return (row["id"], row["write_date"], row["name"], row["price"])
