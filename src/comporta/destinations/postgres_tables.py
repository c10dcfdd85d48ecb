"""What a mirrored table is on PostgreSQL: names, types, and what it lacks of a shape.

Every name is written with its schema and in quotes, so that no ``search_path`` matters. PostgreSQL cuts
a name after 63 bytes without a word, and two names that differ later would be one: a longer one is
shortened here, to a beginning and a hash. Only what a statement says is shortened; everything else
(plans, hashes, previews) knows a column by its whole name.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from typing import Any

import psycopg

from comporta.core.record import Column, ColumnType, Shape
from comporta.core.schema import OURS, TablePlan, beside_name
from comporta.destinations.upsert import Dialect, plan_of, quoted
from comporta.errors import NameTaken

Connection = psycopg.Connection[Any]
Present = Mapping[str, ColumnType | None]
"""The columns of a table by the name they have there; ``None`` for a type that is not ours."""

MARK = "made by comporta "
"""How the comment on a view of ours begins."""
NAME_BYTES_MAX = 63
_BESIDE_BYTES_MAX = len("__timestamp__")
"""How much longer the name of a column beside may be."""
TYPES = {
    ColumnType.BOOLEAN: "boolean",
    ColumnType.INTEGER: "bigint",
    ColumnType.NUMERIC: "numeric",
    ColumnType.TEXT: "text",
    ColumnType.TIMESTAMP: "timestamptz",
    ColumnType.DATE: "date",
    ColumnType.JSON: "jsonb",
}
_TYPES_BY_OID = {
    16: ColumnType.BOOLEAN,
    20: ColumnType.INTEGER,
    1700: ColumnType.NUMERIC,
    25: ColumnType.TEXT,
    1042: ColumnType.TEXT,
    1043: ColumnType.TEXT,
    1184: ColumnType.TIMESTAMP,
    1082: ColumnType.DATE,
    3802: ColumnType.JSON,
}
"""Types by their fixed numbers; char(n) and varchar(n) are a person's, and take text."""
# A generated column takes no value, and numeric(10, 2) would round what it is given: neither is ours.
_COLUMNS = """
SELECT c.relname, a.attname,
  CASE WHEN a.attgenerated <> '' OR a.atttypid = 1700 AND a.atttypmod <> -1 THEN 0 ELSE a.atttypid::bigint END,
  pg_catalog.age(a.xmin) > 0 AND pg_catalog.age(c.xmin) > 0
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = ANY($2::text[]) AND c.relkind IN ('r', 'p') AND a.attnum > 0
  AND NOT a.attisdropped
ORDER BY c.relname, a.attnum"""
# Asked and answered at one moment, what is ours left out: another process may make it right now.
_TAKEN = """
SELECT CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'i' THEN 'index'
  WHEN 'I' THEN 'index' WHEN 'S' THEN 'sequence' WHEN 'f' THEN 'foreign table' WHEN 'c' THEN 'type' ELSE 'table' END
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = $2
  AND NOT pg_catalog.starts_with(coalesce(pg_catalog.obj_description(c.oid, 'pg_class'), ''), $3)
  AND (SELECT count(*) FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attname = ANY($4::text[])) < $5
UNION ALL
SELECT 'type' FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
WHERE n.nspname = $1 AND t.typname = $2 AND t.typrelid = 0 AND t.typcategory <> 'A'"""


@dataclass(frozen=True, slots=True)
class Table:
    """A mirrored table, as statements speak of it."""

    schema: str
    shape: Shape

    @property
    def name(self) -> str:
        """Return the table with its schema."""
        return table_name(self.schema, self.shape.table)

    @property
    def key(self) -> str:
        """Return the key's column."""
        return named(self.shape.key)

    @property
    def key_kind(self) -> ColumnType:
        """Return the type of the key."""
        return self._kind(self.shape.key)

    @property
    def key_type(self) -> str:
        """Return the type of the key, as PostgreSQL calls it."""
        return TYPES[self.key_kind]

    def among(self, column: str, values: str) -> str:
        """Return the condition that a column holds one of an array's values."""
        return f"{named(column)} = ANY({values}::{TYPES[self._kind(column)]}[])"

    def _kind(self, column: str) -> ColumnType:
        return self.shape.columns[self.shape.index(column)].type


def execute(connection: Connection, query: str, *values: object, binary: bool = False) -> psycopg.RawCursor[Any]:
    """Execute with ``$1`` for parameters, prepared nowhere: a pooler may give each transaction another server."""
    cursor: psycopg.RawCursor[Any] = psycopg.RawCursor(connection)
    return cursor.execute(query.encode(), values or None, prepare=False, binary=binary)


def fitting(name: str) -> str:
    """Return a name as PostgreSQL can hold it: a long one ends in a hash of all of it.

    >>> fitting("odoo_sale_order"), fitting("x" * 70)
    ('odoo_sale_order', 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx_ba5f08609b65')
    """
    whole = name.encode("utf-8", "backslashreplace")
    if len(whole) <= NAME_BYTES_MAX:
        return name
    end = "_" + blake2b(whole, digest_size=6).hexdigest()
    return whole[: NAME_BYTES_MAX - len(end)].decode("utf-8", "ignore") + end


def named(name: str) -> str:
    """Return an identifier, shortened and quoted."""
    return quoted(fitting(name))


def table_name(schema: str, table: str) -> str:
    """Return a table with its schema, both quoted."""
    return f"{named(schema)}.{named(table)}"


def dialect(schema: str) -> Dialect:
    """Return how PostgreSQL writes the statements for tables in a schema.

    Keys are compared byte by byte: that is Python's order of text too, whatever the database's language.
    """
    return Dialect(TYPES, ' COLLATE "C"', named, partial(table_name, schema))


def lock_ddl(connection: Connection, schema: str) -> None:
    """Wait until nobody else makes tables in the schema; the lock goes with the transaction."""
    execute(connection, f"SELECT pg_catalog.pg_advisory_xact_lock({lock_number('ddl', schema)})")


def lock_number(*names: str) -> int:
    """Return the number of an advisory lock that is called by these names."""
    called = "\n".join(("comporta", *names)).encode("utf-8", "backslashreplace")
    return int.from_bytes(blake2b(called, digest_size=8).digest(), signed=True)


def columns_of(connection: Connection, schema: str, tables: Sequence[str]) -> dict[str, Present]:
    """Return the columns of those tables that exist, by the tables' whole names."""
    wanted = {fitting(table): table for table in tables}
    found: dict[str, dict[str, ColumnType | None]] = {}
    for table, column, oid, _ in execute(connection, _COLUMNS, fitting(schema), list(wanted)):
        found.setdefault(wanted[table], {})[column] = _TYPES_BY_OID.get(oid)
    return dict(found)


def settled_columns_of(connection: Connection, schema: str, table: str) -> tuple[Present, bool]:
    """Return a table's columns, and whether they will stay if this transaction is rolled back.

    They may not if this transaction made one of them: its row in the catalog is as old as we are, or
    younger if it was made inside a savepoint.
    """
    found = execute(connection, _COLUMNS, fitting(schema), [fitting(table)]).fetchall()
    return {row[1]: _TYPES_BY_OID.get(row[2]) for row in found}, all(row[3] for row in found)


def known_as(present: Present, shape: Shape, pinned: Collection[str]) -> dict[str, Column]:
    """Return the columns of a table by their whole names.

    A column that cannot be what is wanted of it is called one of another type, so that it is in nobody's
    way and the field gets a column beside it: one that a person added, one that is ``pinned``.
    """
    wanted = {each.name: each.type for each in shape.columns}
    whole = {fitting(name): name for name in _candidates(wanted)}
    columns: dict[str, Column] = {}
    for there, kind in present.items():
        name = whole.get(there, there)
        is_text = wanted.get(name) == ColumnType.TEXT or name.rstrip("_").endswith("__text")
        other = ColumnType.JSON if is_text else ColumnType.TEXT
        columns[name] = Column(name, other if kind is None or name in pinned else kind, "")
    for name, kind in wanted.items():
        beside = columns.get(beside_name(name, kind, wanted, columns))
        if kind == ColumnType.NUMERIC and beside is not None and columns[name].type == ColumnType.INTEGER:
            # It could not be widened once, and the values are beside it since.
            columns[name] = Column(name, ColumnType.TEXT, "")
    return columns


def _candidates(wanted: Mapping[str, ColumnType]) -> Iterator[str]:
    """Yield every name that a column of ours may have, where it may be longer than PostgreSQL can hold."""
    for name in wanted:
        if len(name.encode("utf-8", "backslashreplace")) > NAME_BYTES_MAX - _BESIDE_BYTES_MAX:
            yield name
            yield from (f"{name}__{kind.value}{more}" for kind in ColumnType for more in ("", "_", "__"))


def plan_for(present: Present, shape: Shape, pinned: Collection[str] = ()) -> TablePlan:
    """Return what must change in a table that has the columns ``present`` to take the shape."""
    return plan_of(known_as(present, shape, pinned), shape)


def is_ours(present: Present) -> bool:
    """Say whether a table with these columns is a mirrored one."""
    return present.keys() >= set(OURS)


def refuse_taken(connection: Connection, schema: str, name: str, what: str = "the mirrored table") -> None:
    """Raise if something of the user's stands where ``what`` would."""
    values = (fitting(schema), fitting(name), MARK, list(OURS), len(OURS))
    row = execute(connection, _TAKEN, *values).fetchone()
    if row is not None:
        taken = f"the schema {schema!r} has a {row[0]} called {fitting(name)!r} that is not ours"
        message = f"{taken}; {what} needs the place"
        raise NameTaken(message)
