"""The statements that make and write a mirrored table, built from its columns: SQLite's dialect so far.

Names come from a source, so every one is quoted; values are always parameters.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from comporta.core.record import Column, ColumnType, Shape
from comporta.core.schema import OURS, TablePlan

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
_OUR_TYPES = ("TEXT", "TIMESTAMP", "TIMESTAMP", "INTEGER", "JSONTEXT")


def quoted(name: str) -> str:
    """Return an identifier, quoted.

    >>> quoted('odd"name')
    '"odd""name"'
    """
    return '"' + name.replace('"', '""') + '"'


@dataclass(frozen=True, slots=True)
class Writing:
    """The statements that write one shape into its table, and how a row becomes their parameters.

    Parameters of ``insert``: account, the row, then ours (run, synced_at, deleted_at, hash, extra).
    Parameters of ``update``: the row, ours, then account and key.
    """

    insert: str
    update: str


def writing(shape: Shape, plan: TablePlan) -> Writing:
    """Return the statements for a shape that was prepared with ``plan``."""
    table = quoted(shape.table)
    names = [quoted(name) for name in (*plan.placed, *OURS)]
    marks = ", ".join("?" * (len(names) + 1))
    key = shape.index(shape.key)
    cleared = "".join(f", {quoted(name)} = NULL" for name in plan.cleared)
    assignments = ", ".join(f"{name} = ?" for name in names)
    return Writing(
        insert=f"INSERT INTO {table} (account, {', '.join(names)}) VALUES ({marks})",
        update=f"UPDATE {table} SET {assignments}{cleared} WHERE account = ? AND {names[key]} = ?",
    )


def create_table(shape: Shape) -> list[str]:
    """Return the statements that make the table of a shape."""
    columns = [f"{quoted(each.name)} {_typed(each, shape)}" for each in shape.columns]
    ours = [f"{name} {kind}" for name, kind in zip(OURS, _OUR_TYPES, strict=True)]
    key = f"PRIMARY KEY (account, {quoted(shape.key)})"
    body = ",\n  ".join(["account TEXT NOT NULL", *columns, *ours, key])
    made = [f"CREATE TABLE {quoted(shape.table)} (\n  {body}\n)"]
    if shape.parent is not None:
        index = quoted(f"{shape.table}_{shape.parent}")
        made.append(f"CREATE INDEX {index} ON {quoted(shape.table)} (account, {quoted(shape.parent)})")
    return made


def add_columns(table: str, columns: Sequence[Column]) -> list[str]:
    """Return the statements that add columns to a table."""
    return [f"ALTER TABLE {quoted(table)} ADD COLUMN {quoted(each.name)} {SQLITE_TYPES[each.type]}" for each in columns]


def chunks(keys: Sequence[object]) -> Iterator[Sequence[object]]:
    """Yield the keys in parts that fit into one query each."""
    return (keys[start : start + CHUNK] for start in range(0, len(keys), CHUNK))


def marks(chunk: Sequence[object]) -> str:
    """Return as many parameter marks as there are keys.

    >>> marks([7, 8, 9])
    '?, ?, ?'
    """
    return ", ".join("?" * len(chunk))


def _typed(column: Column, shape: Shape) -> str:
    return SQLITE_TYPES[column.type] + (" NOT NULL" if column.name == shape.key else "")
