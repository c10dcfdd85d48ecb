"""The mirrored tables on SQLite: exact counts, and no write for a row that did not change.

Each row keeps a hash over the source's fields. A batch reads the stored hashes of its keys first, by
one indexed query per thousand, and writes only what differs: the counts come out of that comparison,
inside the transaction that writes, so they are exact by construction. Measured, this is the fastest
exact way on SQLite (docs/explanation/performance.md), and a run that finds nothing new writes nothing here.
"""
# ruff: noqa: D102  ports.destination.Destination says what each method promises

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial

from comporta.core.counts import Counts
from comporta.core.instant import instant_text
from comporta.core.record import Bucket, Column, ColumnType, Key, Rejected, Shape, Value
from comporta.core.schema import OURS, TablePlan
from comporta.destinations import account_views, nested, sqlite_account_views, sqlite_views
from comporta.destinations.sort import Changed, Stored, newest, rejected, sort_batch
from comporta.destinations.sqlite_nested import SqliteLists
from comporta.destinations.sqlite_rows import Writing, insert, update, writing
from comporta.destinations.tally import change, foreseen, gone, total
from comporta.destinations.told import columns_made, table_made
from comporta.destinations.upsert import (
    SQLITE,
    TYPES_BY_NAME,
    add_columns,
    chunks,
    create_table,
    marks,
    placed,
    plan_of,
    quoted,
    still_open,
)
from comporta.errors import NameTaken
from comporta.ports.destination import Written
from comporta.ports.progress import LogLine
from comporta.ports.rows import Among
from comporta.ports.store import Batch, Change

SPARSE_MAX = 4
"""Rows passed over for each one wanted: up to here one range is quicker than a list of keys."""


class SqliteDestination:
    """The user's tables in the SQLite file that also holds the ledger."""

    def __init__(self) -> None:
        self._writings: dict[tuple[Shape, tuple[Column, ...]], Writing] = {}

    def prepare(self, connection: sqlite3.Connection, shape: Shape) -> Sequence[LogLine]:
        """Make tables, columns and views fit the shape; return what to tell of it."""
        done = [line for each in (shape, *shape.nested) for line in _fit(connection, each)]
        done += sqlite_views.refresh(connection, _mirrored)
        if done and shape.table in account_views.TABLES:
            done += sqlite_account_views.refresh(connection, _mirrored)
        return done

    def values(
        self, connection: sqlite3.Connection, account: str, shape: Shape, column: str, *, lacking: Shape | None
    ) -> Sequence[Key]:
        if column not in columns_of(connection, shape.table):
            return []
        query = (
            f"SELECT DISTINCT {quoted(column)} FROM {quoted(shape.table)} WHERE account = ?1"
            f" AND _cmp_deleted_at IS NULL AND {quoted(column)} IS NOT NULL"
        )
        if lacking is not None and columns_of(connection, lacking.table):
            query += (
                f" AND {quoted(column)} NOT IN (SELECT {quoted(lacking.key)} FROM {quoted(lacking.table)}"
                " WHERE account = ?1 AND _cmp_deleted_at IS NULL)"
            )
        return [row[0] for row in connection.execute(query, (account,))]

    def missing(self, connection: sqlite3.Connection, shape: Shape) -> Sequence[str] | None:
        lacking: list[str] = []
        for each in (shape, *shape.nested):
            present = columns_of(connection, each.table)
            if not present:
                return None
            told = "" if each is shape else f"{each.table}."
            lacking += [told + new.name for new in plan_of(present, each).added]
        return lacking

    def doubt(self, connection: sqlite3.Connection, shape: Shape) -> None:
        for each in (shape, *shape.nested):
            connection.execute(f"UPDATE {quoted(each.table)} SET _cmp_hash = NULL")

    def write(self, connection: sqlite3.Connection, account: str, batch: Batch, *, run: str, now: str) -> Written:
        for lookup in batch.lookups:
            self._upsert(connection, account, Batch(lookup.shape, lookup.rows, overwrite=True), (run, now))
        upsert = partial(self._upsert, connection, account, ours=(run, now))
        lists = nested.lists_of(batch) if nested.has_lists(batch) else []
        for shape in lists:
            self._prepared(connection, shape)
        tables = SqliteLists(connection, batch.shape, account, run, now, upsert)
        done = nested.write(tables, batch) if lists else nested.Done(*upsert(batch))
        deleted = _mark_deleted(connection, account, batch, run, now) + _remove(connection, account, batch)
        if lists:
            nested.delete(tables, batch, done)
        told: Sequence[LogLine] = ()
        if account_views.is_due(batch, lambda: account in sqlite_account_views.owned(connection).values()):
            told = sqlite_account_views.refresh(connection, _mirrored, account)
        counts = total(done.counts, batch, deleted=len(deleted))
        return Written(counts, done.rejected, (*done.changed, *deleted), told, done.nested)

    def preview(self, connection: sqlite3.Connection, account: str, batch: Batch) -> tuple[Counts, Sequence[Change]]:
        """Return what ``write`` would count and change, row by row and field by field."""
        shape = batch.shape
        present = columns_of(connection, shape.table)
        if not present.keys() >= set(OURS):
            _refuse_taken(connection, shape.table)
        plan = plan_of(present, shape)
        batch = newest(batch)
        sorted_rows = sort_batch(batch, partial(_stored, connection, account, present))
        changes = [
            _change(connection, account, shape, one, plan=plan, present=present) for one in sorted_rows.in_order(batch)
        ]
        changed = {each.key for each in changes}
        living, there = _present_keys(connection, account, batch, present)
        deleted = gone(batch, living=living | changed, there=there | changed)
        return foreseen(batch, sorted_rows, deleted=len(deleted)), [*changes, *deleted]

    def stamps(self, connection: sqlite3.Connection, account: str, shape: Shape, among: Among) -> dict[Key, str | None]:
        if not columns_of(connection, shape.table):
            return {}
        found: dict[Key, str | None] = {}
        for condition, values in _conditions(shape, among):
            stamp = quoted(shape.stamp) if shape.stamp else "NULL"
            query = (
                f"SELECT {quoted(shape.key)}, {stamp} FROM {quoted(shape.table)} WHERE account = ?"
                f" AND _cmp_deleted_at IS NULL{condition} ORDER BY {quoted(shape.key)}"
            )
            limit = f" LIMIT {among.limit}" if among.limit is not None else ""
            found.update(tuple(row) for row in connection.execute(query + limit, (account, *values)))
        return found

    def cells(
        self, connection: sqlite3.Connection, account: str, shape: Shape, keys: Sequence[Key], names: Sequence[str]
    ) -> Mapping[Key, Sequence[Value]]:
        present = columns_of(connection, shape.table)
        if not present:
            return {}
        columns = placed(plan_of(present, shape), shape, names)
        listed = "".join(", NULL" if name is None else f", {quoted(name)}" for name, _ in columns)
        found: dict[Key, Sequence[Value]] = {}
        for condition, values in _conditions(shape, Among(keys=keys)):
            query = (
                f"SELECT {quoted(shape.key)}{listed} FROM {quoted(shape.table)} WHERE account = ?"
                f" AND _cmp_deleted_at IS NULL{condition}"
            )
            for key, *cells in connection.execute(query, (account, *values)):
                found[key] = [_plain(cell, kind) for cell, (_, kind) in zip(cells, columns, strict=True)]
        return found

    def children(
        self, connection: sqlite3.Connection, account: str, shape: Shape, parents: Sequence[Key]
    ) -> frozenset[Key]:
        if shape.parent is None or not columns_of(connection, shape.table):
            return frozenset()
        start = f"SELECT {quoted(shape.key)} FROM {quoted(shape.table)} WHERE account = ? AND _cmp_deleted_at IS NULL"
        found: list[Key] = []
        for chunk in chunks(parents):
            query = f"{start} AND {quoted(shape.parent)} IN ({marks(chunk)})"
            found += [row[0] for row in connection.execute(query, (account, *chunk))]
        return frozenset(found)

    def buckets(self, connection: sqlite3.Connection, account: str, shape: Shape, until: datetime) -> Sequence[Bucket]:
        if shape.stamp is None or not columns_of(connection, shape.table):
            return []
        key, stamp = quoted(shape.key), quoted(shape.stamp)
        query = (
            f"SELECT substr({stamp}, 1, 13), count(*), sum({key}) FROM {quoted(shape.table)} WHERE account = ?"
            f" AND _cmp_deleted_at IS NULL AND {stamp} < ? GROUP BY 1 ORDER BY 1"
        )
        return [Bucket(*row) for row in connection.execute(query, (account, instant_text(until)))]

    def count(self, connection: sqlite3.Connection, account: str, shape: Shape) -> int:
        if not columns_of(connection, shape.table):
            return 0
        query = f"SELECT count(*) FROM {quoted(shape.table)} WHERE account = ? AND _cmp_deleted_at IS NULL"
        return int(connection.execute(query, (account,)).fetchone()[0])

    def _upsert(
        self, connection: sqlite3.Connection, account: str, batch: Batch, ours: tuple[str, str]
    ) -> tuple[Counts, list[Rejected], list[Key]]:
        if not batch.rows:
            return Counts(), [], []
        present, said = self._prepared(connection, batch.shape)
        batch = newest(batch)
        todo = sort_batch(batch, partial(_stored, connection, account, present))
        reasons = insert(connection, said, (account, *ours), todo.inserts)
        reasons |= update(connection, said, (account, *ours), todo.updates)
        inserted = [one.key for one in todo.inserts if one.key not in reasons]
        updated = [one.key for one in todo.updates if one.key not in reasons]
        refused = [
            *todo.refused,
            *(
                rejected(batch.shape, one.row, reasons[one.key])
                for one in (*todo.inserts, *todo.updates)
                if one.key in reasons
            ),
        ]
        counts = Counts(len(batch.rows), len(inserted), len(updated), todo.unchanged, len(refused))
        return counts, refused, [*inserted, *updated]

    def _prepared(self, connection: sqlite3.Connection, shape: Shape) -> tuple[dict[str, Column], Writing]:
        """Return the table's columns and statements; make what is missing.

        The table is looked at in each batch: a transaction that made it may have been rolled back.
        """
        present = columns_of(connection, shape.table)
        known = self._writings.get((shape, tuple(present.values())))
        if known is None:
            self.prepare(connection, shape)
            present = columns_of(connection, shape.table)
            known = writing(shape, plan_of(present, shape))
            self._writings[shape, tuple(present.values())] = known
        return present, known


def columns_of(connection: sqlite3.Connection, table: str) -> dict[str, Column]:
    """Return the columns of a table by name, none when there is no such table.

    A column whose type is not one of ours was added by a person; it counts as text, so that it is in
    nobody's way.
    """
    rows = connection.execute("SELECT name, type FROM pragma_table_info(?)", (table,))
    return {name: Column(name, TYPES_BY_NAME.get(kind, ColumnType.TEXT), "") for name, kind in rows}


def _fit(connection: sqlite3.Connection, shape: Shape) -> list[LogLine]:
    """Make one table fit; return what to tell of it."""
    present = columns_of(connection, shape.table)
    if not present.keys() >= set(OURS):
        _refuse_taken(connection, shape.table)
    if not present:
        _execute(connection, create_table(SQLITE, shape))
        return [table_made(shape.table, len(shape.columns))]
    plan = plan_of(present, shape)
    if plan.added:
        _execute(connection, add_columns(SQLITE, shape.table, plan.added))
        return [columns_made(shape.table, (each.name for each in plan.added))]
    return []


def _mirrored(connection: sqlite3.Connection, table: str) -> dict[str, Column]:
    """Return the columns of a mirrored table; views speak of no table of the user's that has its name."""
    present = columns_of(connection, table)
    return present if present.keys() >= set(OURS) else {}


def _refuse_taken(connection: sqlite3.Connection, table: str) -> None:
    """Raise if a table or view of the user's stands where the mirrored table would."""
    taken = "SELECT type FROM sqlite_master WHERE name = ? COLLATE NOCASE AND type <> 'trigger'"
    row = connection.execute(taken, (table,)).fetchone()
    if row is not None:
        message = f"the database has a {row[0]} called {table!r} that is not ours; the mirrored table needs the place"
        raise NameTaken(message)


def _stored(
    connection: sqlite3.Connection, account: str, present: Mapping[str, Column], batch: Batch
) -> dict[Key, Stored]:
    """Return what the table has of the batch's keys, and perhaps of some between them."""
    if not present:
        return {}
    shape = batch.shape
    place = shape.index(shape.key)
    stamp = quoted(shape.stamp) if shape.stamp is not None and shape.stamp in present else "NULL"
    start = f"SELECT {quoted(shape.key)}, _cmp_hash, {stamp}, _cmp_deleted_at FROM {quoted(shape.table)}"
    found: dict[Key, Stored] = {}
    cursor = connection.cursor()
    cursor.row_factory = None  # plain tuples: one for each row of a batch
    for condition, values in _having([row[place] for row in batch.rows], quoted(shape.key)):
        query = f"{start} WHERE account = ? AND {condition}"
        found.update((row[0], row[1:]) for row in cursor.execute(query, (account, *values)))
    return found


def _having(keys: Sequence[Value], column: str) -> Iterator[tuple[str, Sequence[Value]]]:
    """Yield conditions that find rows by key: a range where keys lie close together, which takes half the time."""
    if keys and all(type(key) is int for key in keys):
        low, high = min(keys), max(keys)  # type: ignore[type-var]  # integers, as was just seen
        if high - low < SPARSE_MAX * len(keys):  # type: ignore[operator]  # as above
            yield f"{column} BETWEEN ? AND ?", (low, high)
            return
    for chunk in chunks(keys):
        yield f"{column} IN ({marks(chunk)})", chunk  # type: ignore[misc]  # a part of the keys


def _mark_deleted(connection: sqlite3.Connection, account: str, batch: Batch, run: str, now: str) -> list[Key]:
    statement = (
        f"UPDATE {quoted(batch.shape.table)} SET _cmp_deleted_at = ?, _cmp_run = ?"
        f" WHERE account = ? AND {quoted(batch.shape.key)} = ? AND _cmp_deleted_at IS NULL"
    )
    return [key for key in batch.deleted if connection.execute(statement, (now, run, account, key)).rowcount]


def _remove(connection: sqlite3.Connection, account: str, batch: Batch) -> list[Key]:
    statement = f"DELETE FROM {quoted(batch.shape.table)} WHERE account = ? AND {quoted(batch.shape.key)} = ?"
    removed = [key for key in batch.removed if connection.execute(statement, (account, key)).rowcount]
    if batch.remove_deleted:
        marked = f"DELETE FROM {quoted(batch.shape.table)} WHERE account = ? AND _cmp_deleted_at IS NOT NULL"
        connection.execute(marked, (account,))
    return removed


def _present_keys(
    connection: sqlite3.Connection, account: str, batch: Batch, present: Mapping[str, Column]
) -> tuple[set[Key], set[Key]]:
    """Return which of the keys to delete or remove belong to living rows, and which to any row."""
    living, there = set(), set()
    if present:
        start = f"SELECT {quoted(batch.shape.key)}, _cmp_deleted_at FROM {quoted(batch.shape.table)} WHERE account = ?"
        for chunk in chunks(list(dict.fromkeys((*batch.deleted, *batch.removed)))):
            query = f"{start} AND {quoted(batch.shape.key)} IN ({marks(chunk)})"
            for key, deleted_at in connection.execute(query, (account, *chunk)):
                there.add(key)
                if deleted_at is None:
                    living.add(key)
    return living, there


def _change(
    connection: sqlite3.Connection,
    account: str,
    shape: Shape,
    one: Changed,
    *,
    plan: TablePlan,
    present: dict[str, Column],
) -> Change:
    """Return what would happen to one row, with the fields that would differ, before and after."""
    known = [name for name in plan.placed if name in present]
    before = None
    if present:
        names = ", ".join(quoted(name) for name in known)
        query = f"SELECT {names} FROM {quoted(shape.table)} WHERE account = ? AND {quoted(shape.key)} = ?"
        before = connection.execute(query, (account, one.key)).fetchone()
    return change(one, plan, dict(zip(known, before, strict=True)) if before is not None else None)


def _conditions(shape: Shape, among: Among) -> Iterator[tuple[str, tuple[object, ...]]]:
    """Yield the conditions that select a part of a table: one for each chunk of keys, or one for a range."""
    condition, values = still_open(shape) if among.is_open else "", []
    if among.keys is not None:
        for chunk in chunks(among.keys):
            yield f"{condition} AND {quoted(shape.key)} IN ({marks(chunk)})", tuple(chunk)
        return
    for column, operator, bound in (
        (shape.key, ">", among.after),
        (shape.key, "<=", among.upto),
        (shape.stamp, ">=", instant_text(among.since) if among.since else None),
        (shape.stamp, "<", instant_text(among.until) if among.until else None),
    ):
        if bound is not None and column is not None:
            condition += f" AND {quoted(column)} {operator} ?"
            values.append(bound)
    yield condition, tuple(values)


def _plain(cell: Value, kind: ColumnType) -> Value:
    """Return a value as the canonical one it came from: a boolean is stored as a number."""
    return bool(cell) if kind == ColumnType.BOOLEAN and cell is not None else cell


def _execute(connection: sqlite3.Connection, statements: Sequence[str]) -> None:
    for statement in statements:
        connection.execute(statement)
