"""What the mirrored tables on PostgreSQL answer: stamps, children, hours, counts, and the rows as they are.

Everything comes back in the canonical form of ``core.record``: PostgreSQL writes a time or a number as
the session's settings say, so each is turned into text by the statement itself.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from comporta.core.instant import instant_text
from comporta.core.record import Bucket, ColumnType, Key, Value
from comporta.core.schema import TablePlan
from comporta.destinations.postgres_tables import Connection, Table, execute, named
from comporta.destinations.sort import Sorted, Stored, UnfitError
from comporta.destinations.upsert import chunks, still_open
from comporta.ports.rows import Among
from comporta.ports.store import Batch

_CANONICAL: Mapping[ColumnType, str] = {
    ColumnType.TIMESTAMP: "pg_catalog.to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')",
    ColumnType.DATE: "pg_catalog.to_char({}, 'YYYY-MM-DD')",
    ColumnType.NUMERIC: "{}::text",
    ColumnType.JSON: "{}::text",
}
SPARSE_MAX = 4
"""Rows passed over for each one wanted: up to here a range alone is quicker."""
_INT64 = 2**63
_LIVING = "account = $1 AND _cmp_deleted_at IS NULL"


def canonical(name: str, kind: ColumnType) -> str:
    """Return the expression that gives a column as canonical text, or as a number or boolean."""
    return _CANONICAL.get(kind, "{}").format(named(name))


def stored(connection: Connection, table: Table, account: str, batch: Batch) -> dict[Key, Stored]:
    """Return what the table has of the batch's keys, but for the stamps: who writes compares them there."""
    condition, parameters = _near(table, batch)
    query = f"SELECT {table.key}, _cmp_hash, _cmp_deleted_at IS NOT NULL FROM {table.name} WHERE {condition}"
    found = execute(connection, query, account, *parameters, binary=True).fetchall()
    return {key: (stored_hash, None, deleted) for key, stored_hash, deleted in found}


def stored_with_stamps(connection: Connection, table: Table, account: str, batch: Batch) -> dict[Key, Stored]:
    """Return what the table has of the batch's keys."""
    stamp = canonical(table.shape.stamp, ColumnType.TIMESTAMP) if table.shape.stamp else "NULL::text"
    query = (
        f"SELECT {table.key}, _cmp_hash, {stamp}, _cmp_deleted_at IS NOT NULL FROM {table.name} WHERE {_keys(table)}"
    )
    return {row[0]: row[1:] for row in execute(connection, query, account, _array(table, batch), binary=True)}


def rows(
    connection: Connection, table: Table, account: str, plan: TablePlan, todo: Sorted
) -> dict[Key, dict[str, Value]]:
    """Return the rows that would be updated as they are now, in canonical values, by key.

    JSON is compared by content: the same document is given in the words of the new row.
    """
    updates = {each.key: each for each in todo.updates}
    names = {column.name for column in plan.added}
    known = [(place, name) for place, name in enumerate(plan.placed) if name not in names]
    kinds = [table.shape.columns[place].type for place, _ in known]
    listed = "".join(f", {canonical(name, kind)}" for (_, name), kind in zip(known, kinds, strict=True))
    query = f"SELECT {table.key}{listed} FROM {table.name} WHERE {_keys(table)}"
    found: dict[Key, dict[str, Value]] = {}
    for key, *values in execute(connection, query, account, _parameter(table, list(updates))):
        row = updates[key].row
        found[key] = {
            name: _plain(value, kind, row[place])
            for (place, name), kind, value in zip(known, kinds, values, strict=True)
        }
    return found


def present_keys(connection: Connection, table: Table, account: str, batch: Batch) -> tuple[set[Key], set[Key]]:
    """Return which of the keys to delete or remove belong to living rows, and which to any row."""
    query = f"SELECT {table.key}, _cmp_deleted_at IS NULL FROM {table.name} WHERE {_keys(table)}"
    found = execute(connection, query, account, _parameter(table, [*batch.deleted, *batch.removed])).fetchall()
    return {key for key, is_living in found if is_living}, {key for key, _ in found}


def stamps(connection: Connection, table: Table, account: str, among: Among) -> dict[Key, str | None]:
    """Return key and stamp of the living rows among those, by key."""
    shape = table.shape
    stamp = canonical(shape.stamp, ColumnType.TIMESTAMP) if shape.stamp else "NULL::text"
    found: dict[Key, str | None] = {}
    for condition, values in _conditions(table, among):
        limit = f" LIMIT {among.limit}" if among.limit is not None else ""
        query = f"SELECT {table.key}, {stamp} FROM {table.name} WHERE {_LIVING}{condition} ORDER BY {table.key}{limit}"
        found.update(tuple(row) for row in execute(connection, query, account, *values))
    return found


def values(connection: Connection, table: Table, account: str, column: str, *, lacking: Table | None) -> list[Key]:
    """Return every value of a column in the living rows, each once."""
    condition = ""
    if lacking is not None:
        condition = f" AND {named(column)} NOT IN (SELECT {lacking.key} FROM {lacking.name} WHERE {_LIVING})"
    query = (
        f"SELECT DISTINCT {named(column)} FROM {table.name} WHERE {_LIVING} AND {named(column)} IS NOT NULL{condition}"
    )
    return [row[0] for row in execute(connection, query, account)]


def cells(
    connection: Connection,
    table: Table,
    account: str,
    keys: Sequence[Key],
    columns: Sequence[tuple[str | None, ColumnType]],
) -> dict[Key, Sequence[Value]]:
    """Return what columns, ``None`` for one that is not there, hold in the living rows of those keys."""
    listed = "".join(", NULL" if name is None else f", {canonical(name, kind)}" for name, kind in columns)
    found: dict[Key, Sequence[Value]] = {}
    for condition, values in _conditions(table, Among(keys=keys)):
        query = f"SELECT {table.key}{listed} FROM {table.name} WHERE {_LIVING}{condition}"
        for key, *told in execute(connection, query, account, *values):
            found[key] = [_plain(cell, kind, None) for cell, (_, kind) in zip(told, columns, strict=True)]
    return found


def children(connection: Connection, table: Table, account: str, parents: Sequence[Key]) -> frozenset[Key]:
    """Return the keys of living rows whose parent is one of ``parents``."""
    parent = table.shape.parent
    if parent is None:
        return frozenset()
    query = f"SELECT {table.key} FROM {table.name} WHERE {_LIVING} AND {table.among(parent, '$2')}"
    return frozenset(row[0] for row in execute(connection, query, account, list(parents)))


def buckets(connection: Connection, table: Table, account: str, until: datetime) -> list[Bucket]:
    """Return count and sum of keys of living rows for every hour of UTC before ``until``."""
    if table.shape.stamp is None:
        return []
    stamp = named(table.shape.stamp)
    key_sum = f"sum({table.key})::text" if table.key_kind == ColumnType.INTEGER else "'0'"
    query = (
        f"SELECT pg_catalog.to_char({stamp} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24'), count(*), {key_sum}"
        f" FROM {table.name} WHERE {_LIVING} AND {stamp} < $2::timestamptz GROUP BY 1 ORDER BY 1"
    )
    found = execute(connection, query, account, instant_text(until))
    return [Bucket(hour, rows, int(keys)) for hour, rows, keys in found]


def count(connection: Connection, table: Table, account: str) -> int:
    """Return the number of living rows."""
    row = execute(connection, f"SELECT count(*) FROM {table.name} WHERE {_LIVING}", account).fetchone()
    return int(row[0]) if row else 0


def _conditions(table: Table, among: Among) -> Iterator[tuple[str, tuple[object, ...]]]:
    """Yield the conditions that select a part of a table: one for each chunk of keys, or one for a range."""
    start = still_open(table.shape) if among.is_open else ""
    if among.keys is not None:
        for chunk in chunks(among.keys):
            yield f"{start} AND {table.among(table.shape.key, '$2')}", (list(chunk),)
        return
    condition, values = start, list[Any]()
    stamp = named(table.shape.stamp) if table.shape.stamp else None
    for column, operator, kind, bound in (
        (table.key, ">", table.key_type, among.after),
        (table.key, "<=", table.key_type, among.upto),
        (stamp, ">=", "timestamptz", instant_text(among.since) if among.since else None),
        (stamp, "<", "timestamptz", instant_text(among.until) if among.until else None),
    ):
        if bound is not None and column is not None:
            values.append(bound)
            condition += f" AND {column} {operator} ${len(values) + 1}::{kind}"
    yield condition, tuple(values)


def _keys(table: Table) -> str:
    return f"account = $1 AND {table.among(table.shape.key, '$2')}"


def _near(table: Table, batch: Batch) -> tuple[str, list[object]]:
    """Return what finds the batch's rows, and perhaps some between them.

    Integer keys as a range: before the first ANALYZE the planner takes a list of keys for no help, and reads all
    rows of the account for each batch of it.
    """
    place = table.shape.index(table.shape.key)
    keys: list[Any] = [row[place] for row in batch.rows]
    listed = _parameter(table, keys)
    if table.key_kind != ColumnType.INTEGER or not keys:
        return _keys(table), [listed]
    low, high = min(keys), max(keys)
    condition = f"account = $1 AND {table.key} BETWEEN $2::bigint AND $3::bigint"
    if high - low < SPARSE_MAX * len(keys):
        return condition, [low, high]
    return f"{condition} AND {table.among(table.shape.key, '$4')}", [low, high, listed]


def _array(table: Table, batch: Batch) -> object:
    place = table.shape.index(table.shape.key)
    return _parameter(table, [row[place] for row in batch.rows])


def _parameter(table: Table, keys: Sequence[Any]) -> object:
    """Return keys as a parameter; integers as one text, which takes a third of the time of a list."""
    if table.key_kind != ColumnType.INTEGER:
        if "\0" in "".join(keys):
            raise UnfitError("a key holds a NUL character")
        return keys
    if keys and not -_INT64 <= min(keys) <= max(keys) < _INT64:
        raise UnfitError("a key does not fit into 64 bits")
    return "{" + ",".join(map(str, keys)) + "}"


def _plain(value: Any, kind: ColumnType, new: Value) -> Value:  # noqa: ANN401  what psycopg gives
    """Return a value as the canonical one it came from, as far as can be told."""
    if value is None:
        return None
    if kind == ColumnType.NUMERIC:
        is_whole = "." not in value and -_INT64 <= int(value) < _INT64
        return int(value) if is_whole else float(value)
    if kind == ColumnType.JSON:
        is_same = isinstance(new, str) and msgspec.json.decode(new) == msgspec.json.decode(value)
        return new if is_same else msgspec.json.encode(msgspec.json.decode(value)).decode()
    return value  # type: ignore[no-any-return]  # text, integer or boolean
