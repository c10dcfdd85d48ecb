"""The views on PostgreSQL: each column has one type for ever, so that a view can be replaced under the user's own.

CREATE OR REPLACE VIEW keeps what others built on a view, and wants the same columns of the same types and
collations in return. So whatever the sources' SELECTs give is cast once more, around all of them. Ids are text
here: the same column holds Odoo's numbers and other sources' words, which are compared byte by byte. Ours are
known by a comment, with a hash that tells whether a view would differ.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from hashlib import blake2b

from comporta.core.record import Column, ColumnType
from comporta.destinations.postgres_tables import (
    MARK,
    TYPES,
    Connection,
    columns_of,
    execute,
    fitting,
    is_ours,
    lock_ddl,
    named,
    refuse_taken,
    table_name,
)
from comporta.destinations.told import view_made
from comporta.destinations.views import VIEWS, Speech, selects, tables
from comporta.ports.progress import LogLine

_KINDS: Mapping[str, ColumnType] = {
    "total_minor": ColumnType.INTEGER,
    "unit_price_minor": ColumnType.INTEGER,
    "price_minor": ColumnType.INTEGER,
    "value_minor": ColumnType.INTEGER,
    "lines": ColumnType.INTEGER,
    "quantity": ColumnType.NUMERIC,
    "stock": ColumnType.NUMERIC,
    "active": ColumnType.BOOLEAN,
    "ordered_at": ColumnType.TIMESTAMP,
    "created_at": ColumnType.TIMESTAMP,
    "updated_at": ColumnType.TIMESTAMP,
    "synced_at": ColumnType.TIMESTAMP,
}
"""The columns that are not text. A type here can never change: somebody's view may build on it."""
_BYTEWISE = frozenset({"account", "id", "line_id"})
"""The columns of text that are keys of mirrored tables, and collated as those are, in a view that is made anew."""
_PRESENT = """
SELECT c.relname, pg_catalog.obj_description(c.oid, 'pg_class'),
  ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
    JOIN pg_catalog.pg_collation o ON o.oid = a.attcollation WHERE a.attrelid = c.oid AND o.collname = 'C')
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = ANY($2::text[]) AND c.relkind = 'v'"""


def refresh(connection: Connection, schema: str) -> Sequence[LogLine]:
    """Make every view that can be made, or make it again if it would differ; return what to tell of it."""
    if not list(_to_do(connection, schema)):
        return []
    lock_ddl(connection, schema)
    done: list[LogLine] = []
    for view, definition, is_there in _to_do(connection, schema):
        name = table_name(schema, view)
        execute(connection, f"CREATE OR REPLACE VIEW {name} AS\n{definition}")
        execute(connection, f"COMMENT ON VIEW {name} IS '{MARK}{digest(definition)}'")
        done.append(view_made(view, is_there=is_there))
    return done


def digest(definition: str) -> str:
    """Return what tells one definition from another."""
    return blake2b(definition.encode(), digest_size=12).hexdigest()


def _to_do(connection: Connection, schema: str) -> Iterator[tuple[str, str, bool]]:
    """Yield each view that is missing or differs, its definition, and whether it is there; refuse what is not ours."""
    present = execute(connection, _PRESENT, fitting(schema), list(VIEWS)).fetchall()
    found = {view: comment for view, comment, _ in present}
    bytewise = {view: columns for view, _, columns in present}

    def part(view: str, select: str) -> str:
        return _cast(view, select, bytewise.get(view, _BYTEWISE))

    speech = Speech(lambda table: table_name(schema, table), _column, part)
    for view, definition in selects(_tables(connection, schema), speech):
        comment = found.get(view) or ""
        if not comment.startswith(MARK):
            refuse_taken(connection, schema, view, "Comporta's view of that name")
        if comment != f"{MARK}{digest(definition)}":
            yield view, definition, view in found


def _tables(connection: Connection, schema: str) -> dict[str, dict[str, Column]]:
    """Return the mirrored tables; a column of a type that is not ours stands in no view.

    The ``field`` of a column of integers that could not be widened is the column beside it.
    """
    found = columns_of(connection, schema, tables())
    return {
        table: {
            name: Column(name, kind, beside if present.get(beside := f"{name}__numeric") == ColumnType.NUMERIC else "")
            for name, kind in present.items()
            if kind is not None
        }
        for table, present in found.items()
        if is_ours(present)
    }


def _column(alias: str, name: str, kind: ColumnType, present: Column | None) -> str:
    """Return a column in the type that the view's SQL expects; null where it cannot be had without an error."""
    here = f"{alias}.{named(name)}"
    if present is None:
        return f"CAST(NULL AS {TYPES[kind]})"
    if present.type == kind:
        return here
    if present.field and kind == ColumnType.NUMERIC:
        return f"coalesce({alias}.{named(present.field)}, {here})"
    is_safe = kind == ColumnType.TEXT or (present.type, kind) == (ColumnType.INTEGER, ColumnType.NUMERIC)
    return f"CAST({here} AS {TYPES[kind]})" if is_safe else f"CAST(NULL AS {TYPES[kind]})"


def _cast(view: str, select: str, bytewise: Collection[str]) -> str:
    columns = ", ".join(_typed(name, is_bytewise=name in bytewise) for name in VIEWS[view])
    return f"SELECT {columns}\nFROM (\n{select}\n) AS made"


def _typed(name: str, *, is_bytewise: bool) -> str:
    kind = _KINDS.get(name, ColumnType.TEXT)
    collation = '"C"' if is_bytewise else 'pg_catalog."default"'
    collated = f" COLLATE {collation}" if kind == ColumnType.TEXT else ""
    return f"CAST(made.{name} AS {TYPES[kind]}){collated} AS {name}"
