"""The mirrored tables on SQLite: exact counts, and no write for a row that did not change.

Each row keeps a hash over the source's fields. A batch reads the stored hashes of its keys first, by
one indexed query per thousand, and writes only what differs: the counts come out of that comparison,
inside the transaction that writes, so they are exact by construction. Measured, this is the fastest
exact way on SQLite (performance.md §2), and a run that finds nothing new writes nothing here.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b

import msgspec

from comporta.core.counts import Counts
from comporta.core.instant import instant_text
from comporta.core.record import Bucket, Column, Key, Rejected, Row, Shape
from comporta.core.schema import OURS, TablePlan, plan_table
from comporta.destinations import views
from comporta.destinations.upsert import TYPES_BY_NAME, Writing, add_columns, create_table, quoted, writing
from comporta.ports.destination import Written
from comporta.ports.store import Among, Batch, Change

_CHUNK = 1000
"""Keys in one query; SQLite allows 32,766 parameters, and one prepared statement serves every full chunk."""
_encode = msgspec.msgpack.Encoder().encode


@dataclass(frozen=True, slots=True)
class _Stored:
    hash: int | None
    stamp: str | None
    deleted_at: str | None


@dataclass(slots=True)
class _Sorted:
    """A batch, sorted into what must be done with each row."""

    inserts: list[tuple[Key, tuple[object, ...]]] = field(default_factory=list)
    updates: list[tuple[Key, tuple[object, ...]]] = field(default_factory=list)
    unchanged: int = 0


class SqliteDestination:
    """The user's tables in the SQLite file that also holds the ledger."""

    def __init__(self) -> None:
        self._writings: dict[Shape, Writing] = {}

    def prepare(self, connection: sqlite3.Connection, shape: Shape) -> Sequence[str]:
        """Make table, columns and views fit the shape; return what was done, in words."""
        present = columns_of(connection, shape.table)
        plan = plan_table(_with_fields(present, shape), shape.columns)
        done = []
        if not present:
            _execute(connection, create_table(shape))
            done.append(f"table {shape.table} created with {len(shape.columns)} columns")
        elif plan.added:
            _execute(connection, add_columns(shape.table, plan.added))
            done.append(f"table {shape.table}: new columns {', '.join(each.name for each in plan.added)}")
        self._writings[shape] = writing(shape, plan)
        return [*done, *views.refresh(connection, columns_of)]

    def write(self, connection: sqlite3.Connection, account: str, batch: Batch, *, run: str, now: str) -> Written:
        """Insert, update, mark deleted and remove, with exact counts; leave unchanged rows untouched."""
        for lookup in batch.lookups:
            self._upsert(connection, account, Batch(lookup.shape, lookup.rows, overwrite=True), (run, now))
        counts, rejected, changed = self._upsert(connection, account, batch, (run, now))
        deleted = _mark_deleted(connection, account, batch, run, now) + _remove(connection, account, batch)
        total = Counts(
            read=counts.read + len(batch.rejected),
            inserted=counts.inserted,
            updated=counts.updated,
            unchanged=counts.unchanged,
            rejected=counts.rejected + len(batch.rejected),
            deleted=len(deleted),
        )
        return Written(total, rejected, (*changed, *deleted))

    def preview(self, connection: sqlite3.Connection, account: str, batch: Batch) -> tuple[Counts, Sequence[Change]]:
        """Return what ``write`` would count and change, row by row and field by field."""
        shape = batch.shape
        present = columns_of(connection, shape.table)
        plan = plan_table(_with_fields(present, shape), shape.columns)
        known = present.keys() >= set(OURS)
        rows = _newest(batch.rows, shape)
        stored = _stored(connection, account, shape, rows) if known else {}
        sorted_rows = _sort(rows, stored, batch, writing(shape, plan), ("", ""))
        changes = [
            _change(connection, account, shape, row, plan=plan, present=present)
            for row in _changed_rows(rows, sorted_rows, shape)
        ]
        gone = [Change(key, "deleted", {}) for key in (*batch.deleted, *batch.removed)]
        counts = Counts(
            read=len(rows) + len(batch.rejected),
            inserted=len(sorted_rows.inserts),
            updated=len(sorted_rows.updates),
            unchanged=sorted_rows.unchanged,
            rejected=len(batch.rejected),
            deleted=len(gone),
        )
        return counts, [*changes, *gone]

    def stamps(self, connection: sqlite3.Connection, account: str, shape: Shape, among: Among) -> dict[Key, str | None]:
        """Return key and stamp of the living rows among those, by key."""
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

    def children(
        self, connection: sqlite3.Connection, account: str, shape: Shape, parents: Sequence[Key]
    ) -> frozenset[Key]:
        """Return the keys of living rows whose parent is one of ``parents``."""
        if shape.parent is None or not columns_of(connection, shape.table):
            return frozenset()
        start = f"SELECT {quoted(shape.key)} FROM {quoted(shape.table)} WHERE account = ? AND _cmp_deleted_at IS NULL"
        found: list[Key] = []
        for chunk in _chunks(parents):
            query = f"{start} AND {quoted(shape.parent)} IN ({_marks(chunk)})"
            found += [row[0] for row in connection.execute(query, (account, *chunk))]
        return frozenset(found)

    def buckets(self, connection: sqlite3.Connection, account: str, shape: Shape, until: datetime) -> Sequence[Bucket]:
        """Return count and sum of keys of living rows for every hour before ``until``."""
        if shape.stamp is None or not columns_of(connection, shape.table):
            return []
        key, stamp = quoted(shape.key), quoted(shape.stamp)
        query = (
            f"SELECT substr({stamp}, 1, 13), count(*), sum({key}) FROM {quoted(shape.table)} WHERE account = ?"
            f" AND _cmp_deleted_at IS NULL AND {stamp} < ? GROUP BY 1 ORDER BY 1"
        )
        return [Bucket(*row) for row in connection.execute(query, (account, instant_text(until)))]

    def count(self, connection: sqlite3.Connection, account: str, shape: Shape) -> int:
        """Return the number of living rows; 0 when there is no table."""
        if not columns_of(connection, shape.table):
            return 0
        query = f"SELECT count(*) FROM {quoted(shape.table)} WHERE account = ? AND _cmp_deleted_at IS NULL"
        return int(connection.execute(query, (account,)).fetchone()[0])

    def _upsert(
        self, connection: sqlite3.Connection, account: str, batch: Batch, ours: tuple[str, str]
    ) -> tuple[Counts, list[Rejected], list[Key]]:
        if not batch.rows:
            return Counts(), [], []
        if batch.shape not in self._writings:
            self.prepare(connection, batch.shape)
        statements = self._writings[batch.shape]
        rows = _newest(batch.rows, batch.shape)
        stored = _stored(connection, account, batch.shape, rows)
        todo = _sort(rows, stored, batch, statements, ours)
        refused = [
            *_execute_each(connection, statements.insert, [(key, (account, *values)) for key, values in todo.inserts]),
            *_execute_each(
                connection, statements.update, [(key, (*values, account, key)) for key, values in todo.updates]
            ),
        ]
        bad = {each.key for each in refused}
        inserted = [key for key, _ in todo.inserts if str(key) not in bad]
        updated = [key for key, _ in todo.updates if str(key) not in bad]
        counts = Counts(len(rows), len(inserted), len(updated), todo.unchanged, len(refused))
        return counts, refused, [*inserted, *updated]


def columns_of(connection: sqlite3.Connection, table: str) -> dict[str, Column]:
    """Return the columns of a table by name, none when there is no such table."""
    rows = connection.execute("SELECT name, type FROM pragma_table_info(?)", (table,))
    return {name: Column(name, TYPES_BY_NAME[kind], "") for name, kind in rows if kind in TYPES_BY_NAME}


def row_hash(row: Row, extra: str | None) -> int:
    """Return the 64-bit hash of a row's source fields, as SQLite's signed integer."""
    content = _encode(row) if extra is None else _encode((row, extra))
    return int.from_bytes(blake2b(content, digest_size=8).digest(), "little", signed=True)


def _with_fields(present: dict[str, Column], shape: Shape) -> dict[str, Column]:
    """Name the field of each column, the columns beside (``name__type``) included."""
    fields = {each.name: each.field for each in shape.columns}
    fields |= {f"{each.name}__{kind.value}": each.field for each in shape.columns for kind in TYPES_BY_NAME.values()}
    return {name: Column(name, each.type, fields.get(name, "")) for name, each in present.items()}


def _newest(rows: Sequence[Row], shape: Shape) -> Sequence[Row]:
    """Keep one row of each key, the newest: a page may hold a record twice."""
    key = shape.index(shape.key)
    by_key = {row[key]: row for row in rows}
    if len(by_key) == len(rows) or shape.stamp is None:
        return rows if len(by_key) == len(rows) else list(by_key.values())
    stamp = shape.index(shape.stamp)
    return list({row[key]: row for row in sorted(rows, key=lambda row: str(row[stamp] or ""))}.values())


def _stored(connection: sqlite3.Connection, account: str, shape: Shape, rows: Sequence[Row]) -> dict[Key, _Stored]:
    key = shape.index(shape.key)
    stamp = quoted(shape.stamp) if shape.stamp else "NULL"
    start = (
        f"SELECT {quoted(shape.key)}, _cmp_hash, {stamp}, _cmp_deleted_at FROM {quoted(shape.table)} WHERE account = ?"
    )
    found: dict[Key, _Stored] = {}
    for chunk in _chunks([row[key] for row in rows]):
        query = f"{start} AND {quoted(shape.key)} IN ({_marks(chunk)})"
        for row_key, stored_hash, stored_stamp, deleted_at in connection.execute(query, (account, *chunk)):
            found[row_key] = _Stored(stored_hash, stored_stamp, deleted_at)
    return found


def _sort(
    rows: Sequence[Row], stored: dict[Key, _Stored], batch: Batch, statements: Writing, ours: tuple[str, str]
) -> _Sorted:
    """Decide for each row: insert, update, or leave. An older version is left, unless overwriting."""
    todo = _Sorted()
    place, stamp_place = statements.key, statements.stamp
    for number, row in enumerate(rows):
        key: Key = row[place]  # type: ignore[assignment]  # a source never yields a row without a key
        extra = batch.extras.get(number) if batch.extras else None
        present = stored.get(key)
        new_hash = row_hash(row, extra)
        if present is None:
            todo.inserts.append((key, (*row, *ours, None, new_hash, extra)))
        elif present.deleted_at is None and (
            present.hash == new_hash or (not batch.overwrite and _is_older(row, present, stamp_place))
        ):
            todo.unchanged += 1
        else:
            todo.updates.append((key, (*row, *ours, None, new_hash, extra)))
    return todo


def _is_older(row: Row, present: _Stored, stamp_place: int | None) -> bool:
    """Say whether the stored version is newer. Equal stamps are not: the later pass wins a tie."""
    if stamp_place is None or present.stamp is None:
        return False
    return str(row[stamp_place] or "") < present.stamp


def _execute_each(
    connection: sqlite3.Connection, statement: str, todo: list[tuple[Key, tuple[object, ...]]]
) -> list[Rejected]:
    """Execute for every row, at once; only if that fails, one by one, to find which rows are refused."""
    if not todo:
        return []
    connection.execute("SAVEPOINT rows")
    try:
        connection.executemany(statement, [values for _, values in todo])
    except (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError, OverflowError, UnicodeEncodeError):
        connection.execute("ROLLBACK TO rows")
        return [refused for key, values in todo if (refused := _execute_one(connection, statement, key, values))]
    finally:
        connection.execute("RELEASE rows")
    return []


def _execute_one(
    connection: sqlite3.Connection, statement: str, key: Key, values: tuple[object, ...]
) -> Rejected | None:
    try:
        connection.execute(statement, values)
    except (
        sqlite3.IntegrityError,
        sqlite3.DataError,
        sqlite3.InterfaceError,
        OverflowError,
        UnicodeEncodeError,
    ) as error:
        reason = f"the database refused the row: {type(error).__name__}: {error}"
        return Rejected(str(key), "CMP-ROW-001", reason, json.dumps([str(value) for value in values]))
    return None


def _mark_deleted(connection: sqlite3.Connection, account: str, batch: Batch, run: str, now: str) -> list[Key]:
    statement = (
        f"UPDATE {quoted(batch.shape.table)} SET _cmp_deleted_at = ?, _cmp_run = ?"
        f" WHERE account = ? AND {quoted(batch.shape.key)} = ? AND _cmp_deleted_at IS NULL"
    )
    return [key for key in batch.deleted if connection.execute(statement, (now, run, account, key)).rowcount]


def _remove(connection: sqlite3.Connection, account: str, batch: Batch) -> list[Key]:
    statement = f"DELETE FROM {quoted(batch.shape.table)} WHERE account = ? AND {quoted(batch.shape.key)} = ?"
    return [key for key in batch.removed if connection.execute(statement, (account, key)).rowcount]


def _changed_rows(rows: Sequence[Row], todo: _Sorted, shape: Shape) -> Iterator[Row]:
    key = shape.index(shape.key)
    changed = {each for each, _ in (*todo.inserts, *todo.updates)}
    return (row for row in rows if row[key] in changed)


def _change(
    connection: sqlite3.Connection, account: str, shape: Shape, row: Row, *, plan: TablePlan, present: dict[str, Column]
) -> Change:
    """Return what would happen to one row, with the fields that would differ, before and after."""
    key: Key = row[shape.index(shape.key)]  # type: ignore[assignment]  # see _sort
    known = [name for name in plan.placed if name in present]
    before = None
    if present:
        names = ", ".join(quoted(name) for name in known)
        query = f"SELECT {names} FROM {quoted(shape.table)} WHERE account = ? AND {quoted(shape.key)} = ?"
        before = connection.execute(query, (account, key)).fetchone()
    after = dict(zip(plan.placed, row, strict=True))
    if before is None:
        return Change(key, "inserted", {name: (None, value) for name, value in after.items() if value is not None})
    old = dict(zip(known, before, strict=True))
    fields = {name: (old.get(name), value) for name, value in after.items() if old.get(name) != value}
    return Change(key, "updated", fields)


def _conditions(shape: Shape, among: Among) -> Iterator[tuple[str, tuple[object, ...]]]:
    """Yield the conditions that select a part of a table: one for each chunk of keys, or one for a range."""
    if among.keys is not None:
        for chunk in _chunks(among.keys):
            yield f" AND {quoted(shape.key)} IN ({_marks(chunk)})", tuple(chunk)
        return
    condition, values = "", []
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


def _chunks(keys: Sequence[object]) -> Iterator[Sequence[object]]:
    return (keys[start : start + _CHUNK] for start in range(0, len(keys), _CHUNK))


def _marks(chunk: Sequence[object]) -> str:
    return ", ".join("?" * len(chunk))


def _execute(connection: sqlite3.Connection, statements: Sequence[str]) -> None:
    for statement in statements:
        connection.execute(statement)
