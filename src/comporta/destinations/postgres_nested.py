"""The lists inside the records on PostgreSQL: what ``destinations.nested`` asks of the database.

Whether a record's list may be written is decided by what the table has of the record, so nobody else may write the
record meanwhile: the account's parts of the tables are locked, the record's first, then the lists' by name. Runs of one
stream of an account follow one another anyway.
"""
# ruff: noqa: D102  destinations.nested.Tables says what each method promises

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from comporta.core.nested import parent_of
from comporta.core.record import ColumnType, Key, Shape
from comporta.destinations.nested import Upserted
from comporta.destinations.postgres_reads import canonical, stamps
from comporta.destinations.postgres_rows import locking
from comporta.destinations.postgres_tables import Connection, Table, execute, named
from comporta.ports.rows import Among
from comporta.ports.store import Batch


@dataclass(frozen=True, slots=True)
class PostgresLists:
    """The tables of a stream and of its lists, in one account; implements ``nested.Tables``.

    ``lists`` are the shapes of the lists in the order in which their tables are locked.
    """

    connection: Connection
    table: Table
    lists: Sequence[Shape]
    account: str
    run: str
    now: str
    upsert: Callable[[Batch], Upserted]

    def begin(self) -> None:
        tables = (self.table, *map(self._table, self.lists))
        locks = "; ".join(locking(each, self.account, exclusive=True) for each in tables)
        execute(self.connection, f"{locks}; SAVEPOINT cmp_lists")

    def keep(self) -> None:
        execute(self.connection, "RELEASE SAVEPOINT cmp_lists")

    def undo(self) -> None:
        execute(self.connection, "ROLLBACK TO SAVEPOINT cmp_lists; RELEASE SAVEPOINT cmp_lists")

    def stamps(self, keys: Sequence[Key]) -> Mapping[Key, str | None]:
        return stamps(self.connection, self.table, self.account, Among(keys=keys))

    def living(self, shape: Shape, parents: Sequence[Key]) -> Iterator[tuple[Key, Key, str | None]]:
        """Yield key, parent and stamp of the living rows of these records."""
        if not parents:
            return
        table, parent = self._table(shape), parent_of(shape)
        stamp = canonical(shape.stamp, ColumnType.TIMESTAMP) if shape.stamp is not None else "NULL::text"
        condition = f"account = $1 AND _cmp_deleted_at IS NULL AND {table.among(parent, '$2')}"
        values: list[object] = [list(parents)]
        if all(type(key) is int for key in parents):
            # As a range too: before the first ANALYZE the planner takes a list for no help, and reads all rows.
            condition += f" AND {named(parent)} BETWEEN $3::bigint AND $4::bigint"
            values += [min(parents), max(parents)]
        query = f"SELECT {table.key}, {named(parent)}, {stamp} FROM {table.name} WHERE {condition}"
        yield from execute(self.connection, query, self.account, *values).fetchall()

    def mark(self, shape: Shape, keys: Sequence[Key]) -> None:
        table = self._table(shape)
        statement = (
            f"UPDATE {table.name} SET _cmp_deleted_at = $3::timestamptz, _cmp_run = $4"
            f" WHERE account = $1 AND {table.among(shape.key, '$2')}"
        )
        execute(self.connection, statement, self.account, list(keys), self.now, self.run)

    def remove(self, shape: Shape, parents: Sequence[Key]) -> None:
        table = self._table(shape)
        statement = f"DELETE FROM {table.name} WHERE account = $1 AND {table.among(parent_of(shape), '$2')}"
        execute(self.connection, statement, self.account, list(parents))

    def clear(self, shape: Shape) -> None:
        of_none = (
            f"NOT EXISTS (SELECT 1 FROM {self.table.name} AS record WHERE record.account = list.account"
            f" AND record.{self.table.key} = list.{named(parent_of(shape))})"
        )
        statement = (
            f"DELETE FROM {self._table(shape).name} AS list WHERE account = $1"
            f" AND (_cmp_deleted_at IS NOT NULL OR {of_none})"
        )
        execute(self.connection, statement, self.account)

    def _table(self, shape: Shape) -> Table:
        return Table(self.table.schema, shape)
