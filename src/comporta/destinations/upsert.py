"""The statements that make and write a mirrored table, built from its columns, in each dialect.

Names come from a source, so every one is quoted; values are always parameters.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from comporta.core.record import Column, ColumnType, Shape
from comporta.core.schema import OURS, WRITTEN_BY, TablePlan, beside_name, plan_table

SQLITE_TYPES = {
    ColumnType.BOOLEAN: "BOOLEAN",
    ColumnType.INTEGER: "INTEGER",
    ColumnType.NUMERIC: "NUMERIC",
    ColumnType.TEXT: "TEXT",
    ColumnType.TIMESTAMP: "TIMESTAMP",
    ColumnType.DATE: "DATE",
    # A name with TEXT in it: SQLite would turn the JSON text 7 into a number under the type JSON.
    ColumnType.JSON: "JSONTEXT",
}
TYPES_BY_NAME = {name: kind for kind, name in SQLITE_TYPES.items()}
CHUNK = 1000
"""Keys in one query; SQLite allows 32,766 parameters, and one prepared statement serves every full chunk."""


def quoted(name: str) -> str:
    """Return an identifier, quoted.

    >>> quoted('odd"name')
    '"odd""name"'
    """
    return '"' + name.replace('"', '""') + '"'


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a database writes what all of them have.

    ``key`` is what a key's text column needs beside its type; ``table`` and ``name`` quote the name of a
    table and of anything else.
    """

    types: Mapping[ColumnType, str]
    key: str
    name: Callable[[str], str]
    table: Callable[[str], str]

    @property
    def ours(self) -> Sequence[str]:
        """Return the types of ``core.schema.OURS``."""
        kinds = (ColumnType.TEXT, ColumnType.TIMESTAMP, ColumnType.TIMESTAMP, ColumnType.INTEGER, ColumnType.JSON)
        return [self.types[kind] for kind in kinds]


SQLITE = Dialect(SQLITE_TYPES, "", quoted, quoted)


def create_table(dialect: Dialect, shape: Shape) -> list[str]:
    """Return the statements that make the table of a shape."""
    name, table = dialect.name, dialect.table(shape.table)
    columns = [f"{name(each.name)} {_typed(dialect, each, shape)}" for each in shape.columns]
    ours = [f"{each} {kind}" for each, kind in zip(OURS, dialect.ours, strict=True)]
    account = f"account {dialect.types[ColumnType.TEXT]}{dialect.key} NOT NULL"
    key = f"PRIMARY KEY (account, {name(shape.key)})"
    body = ",\n  ".join([account, *columns, *ours, key])
    made = [f"CREATE TABLE {table} (\n  {body}\n)"]
    if shape.parent is not None and shape.is_parent_indexed:
        index = name(f"{shape.table}_{shape.parent}")
        made.append(f"CREATE INDEX {index} ON {table} (account, {name(shape.parent)})")
    return made


def add_columns(dialect: Dialect, table: str, columns: Sequence[Column]) -> list[str]:
    """Return the statements that add columns to a table."""
    start = f"ALTER TABLE {dialect.table(table)} ADD COLUMN"
    return [f"{start} {dialect.name(each.name)} {dialect.types[each.type]}" for each in columns]


def plan_of(present: Mapping[str, Column], shape: Shape) -> TablePlan:
    """Return how a table that has the columns ``present``, by name, must change to take the shape.

    Each is given the field that feeds it, the columns beside (``name__type``) included.
    """
    names = {each.name for each in shape.columns}
    fields = {beside_name(each.name, kind, names, present): each.field for each in shape.columns for kind in ColumnType}
    fields |= {each.name: each.field for each in shape.columns}
    known = {name: Column(name, each.type, fields.get(name, "")) for name, each in present.items()}
    return plan_table(known, shape.columns)


def placed(plan: TablePlan, shape: Shape, names: Sequence[str]) -> list[tuple[str | None, ColumnType]]:
    """Return where a table has columns of a shape, ``None`` if it does not yet, and their types."""
    lacking = {each.name for each in plan.added}
    places = dict(zip((each.name for each in shape.columns), plan.placed, strict=True)) | {WRITTEN_BY: WRITTEN_BY}
    kinds = {each.name: each.type for each in shape.columns} | {WRITTEN_BY: ColumnType.TEXT}
    return [(None if places[name] in lacking else places[name], kinds[name]) for name in names]


def chunks(keys: Sequence[object]) -> Iterator[Sequence[object]]:
    """Yield the keys in parts that fit into one query each."""
    return (keys[start : start + CHUNK] for start in range(0, len(keys), CHUNK))


def marks(chunk: Sequence[object]) -> str:
    """Return as many parameter marks as there are keys.

    >>> marks([7, 8, 9])
    '?, ?, ?'
    """
    return ", ".join("?" * len(chunk))


def _typed(dialect: Dialect, column: Column, shape: Shape) -> str:
    kind = dialect.types[column.type]
    if column.name != shape.key:
        return kind
    return f"{kind}{dialect.key if column.type == ColumnType.TEXT else ''} NOT NULL"


def still_open(shape: Shape) -> str:
    """Return the condition that leaves out what a shape calls settled, to be added to others.

    >>> print(still_open(Shape("s", "t", (), key="id", settled=("status", frozenset({"done"})))).strip())
    AND coalesce("status", '') NOT IN ('done')
    """
    if shape.settled is None:
        return ""
    column, values = shape.settled
    literals = ", ".join("'" + value.replace("'", "''") + "'" for value in sorted(values))
    return f" AND coalesce({quoted(column)}, '') NOT IN ({literals})"
