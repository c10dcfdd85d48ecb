"""The lists inside the records on SQLite: what ``destinations.nested`` asks of the database.

All of a batch's records are asked about at once, a thousand in a statement, by the index on their column.
"""
# ruff: noqa: D102  destinations.nested.Tables says what each method promises

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from comporta.core.nested import parent_of
from comporta.core.record import Key, Shape
from comporta.destinations.nested import Upserted
from comporta.destinations.upsert import chunks, marks, quoted
from comporta.ports.store import Batch


@dataclass(frozen=True, slots=True)
class SqliteLists:
    """The tables of a stream and of its lists, in one account; implements ``nested.Tables``."""

    connection: sqlite3.Connection
    shape: Shape
    account: str
    run: str
    now: str
    upsert: Callable[[Batch], Upserted]

    def begin(self) -> None:
        """Set a point to come back to; nobody else writes the file meanwhile."""
        self.connection.execute("SAVEPOINT lists")

    def keep(self) -> None:
        self.connection.execute("RELEASE lists")

    def undo(self) -> None:
        self.connection.execute("ROLLBACK TO lists")
        self.connection.execute("RELEASE lists")

    def stamps(self, keys: Sequence[Key]) -> Mapping[Key, str | None]:
        shape = self.shape
        query = f"SELECT {quoted(shape.key)}, {quoted(shape.stamp or shape.key)} FROM {quoted(shape.table)}"
        return dict(self._among(query, shape.key, keys))

    def living(self, shape: Shape, parents: Sequence[Key]) -> Iterator[tuple[Key, Key, str | None]]:
        """Yield key, parent and stamp of the living rows of these records."""
        parent = parent_of(shape)
        stamp = quoted(shape.stamp) if shape.stamp is not None else "NULL"
        query = f"SELECT {quoted(shape.key)}, {quoted(parent)}, {stamp} FROM {quoted(shape.table)}"
        yield from self._among(query, parent, parents, " AND _cmp_deleted_at IS NULL")

    def mark(self, shape: Shape, keys: Sequence[Key]) -> None:
        start = f"UPDATE {quoted(shape.table)} SET _cmp_deleted_at = ?, _cmp_run = ? WHERE account = ?"
        for chunk in chunks(keys):
            statement = f"{start} AND {quoted(shape.key)} IN ({marks(chunk)})"
            self.connection.execute(statement, (self.now, self.run, self.account, *chunk))

    def remove(self, shape: Shape, parents: Sequence[Key]) -> None:
        start = f"DELETE FROM {quoted(shape.table)} WHERE account = ?"
        for chunk in chunks(parents):
            statement = f"{start} AND {quoted(parent_of(shape))} IN ({marks(chunk)})"
            self.connection.execute(statement, (self.account, *chunk))

    def clear(self, shape: Shape) -> None:
        own, table = quoted(shape.table), quoted(self.shape.table)
        of_none = (
            f"NOT EXISTS (SELECT 1 FROM {table} AS record WHERE record.account = {own}.account"
            f" AND record.{quoted(self.shape.key)} = {own}.{quoted(parent_of(shape))})"
        )
        statement = f"DELETE FROM {own} WHERE account = ? AND (_cmp_deleted_at IS NOT NULL OR {of_none})"
        self.connection.execute(statement, (self.account,))

    def _among(self, query: str, column: str, keys: Sequence[Key], more: str = "") -> Iterator[tuple[Any, ...]]:
        """Yield what a query finds of the rows with these keys; read out before anything else is said."""
        cursor = self.connection.cursor()
        cursor.row_factory = None  # plain tuples
        for chunk in chunks(keys):
            condition = f"WHERE account = ? AND {quoted(column)} IN ({marks(chunk)}){more}"
            yield from cursor.execute(f"{query} {condition}", (self.account, *chunk)).fetchall()
