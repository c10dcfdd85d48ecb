"""An SQLite file as one side of a move.

A column's declared type says what it holds, with one exception: a column that was INTEGER when it was made
and is NUMERIC at the source since holds floats too, as SQLite never needs to change a type for that.
"""
# ruff: noqa: D102  moving.sides.Side says what each method promises

import sqlite3
from contextlib import suppress
from typing import Any

from comporta.core.record import ColumnType
from comporta.core.schema import OURS
from comporta.destinations import sqlite_account_views
from comporta.destinations.account_views import DEALS
from comporta.destinations.sqlite import SqliteDestination, columns_of
from comporta.destinations.sqlite_views import MARK
from comporta.destinations.upsert import TYPES_BY_NAME, quoted
from comporta.destinations.views import VIEWS
from comporta.ledger import sqlite_seal
from comporta.ledger.session import Session
from comporta.ledger.sqlite import SqliteDatabase
from comporta.ledger.tables import ledger_tables
from comporta.moving.parts import Cell, Cells, Kind, Part, mirrored_part
from comporta.moving.sides import Found, Seals, Side, unstorable
from comporta.ports.destination import Connection

_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
_INDEXES = "SELECT name FROM pragma_index_list(?) WHERE NOT \"unique\" AND origin = 'c'"
_VIEWS = "SELECT name FROM sqlite_master WHERE type = 'view' AND instr(sql, ?)"


class SqliteSide:
    """One SQLite file; see ``Side``."""

    is_postgres = False

    def __init__(self, database: SqliteDatabase) -> None:
        self.database = database
        self.seals: Seals = sqlite_seal

    def is_same_as(self, other: Side) -> bool:
        """Say whether the other side is this very file, whatever it is called."""
        return isinstance(other, SqliteSide) and self.database.path.samefile(other.database.path)

    def ask(self, session: Session, query: str, *values: Cell) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in session.connection.execute(query, values)]

    def mirrored(self, connection: Connection) -> Found:
        found = Found()
        for (table,) in connection.execute(_TABLES).fetchall():
            _describe(connection, table, found)
        return found

    def page(self, part: Part, after: Cells | None, limit: int) -> list[Cells]:
        """Return the rows that follow a key, in the order of keys."""
        names, key = ", ".join(map(quoted, part.names)), ", ".join(map(quoted, part.key))
        condition = f"WHERE ({key}) > ({', '.join('?' * len(part.key))})" if after is not None else ""
        query = f"SELECT {names} FROM {quoted(part.table)} {condition} ORDER BY {key} LIMIT {limit:d}"

        def read(session: Session) -> list[Cells]:
            cursor = session.connection.cursor()
            cursor.row_factory = None  # plain tuples
            rows: list[Cells] = cursor.execute(query, after or ()).fetchall()
            return rows

        return self.database.read(read)

    def make(self, connection: Connection, part: Part) -> None:
        if part.shape is not None:
            SqliteDestination().prepare(connection, part.shape)

    def write(self, connection: Connection, part: Part, rows: list[Cells]) -> None:
        """Add rows; refuse numbers that no float is."""
        numbers = [place for place, kind in enumerate(part.kinds.values()) if kind is Kind.NUMERIC]
        for row in rows:
            if any(isinstance(row[place], str) for place in numbers):
                reason = "SQLite keeps no number of so many digits, nor what is none"
                raise unstorable(part, part.key_of(row), self.database.where, reason)
        names = ", ".join(map(quoted, part.names))
        marks = ", ".join("?" * len(part.kinds))
        connection.executemany(f"INSERT INTO {quoted(part.table)} ({names}) VALUES ({marks})", rows)

    def settle(self, connection: Connection, part: Part) -> None:
        """Make the views that depend on rows; what else has changed SQLite looks at when it is closed."""
        if part.table == DEALS:
            sqlite_account_views.refresh(connection, columns_of)

    def called(self, part: Part) -> str:
        return quoted(part.table)

    def column(self, name: str) -> str:
        return quoted(name)

    def forget_views(self, connection: Connection, account: str) -> None:
        for view, owner in sqlite_account_views.owned(connection).items():
            if owner == account:
                connection.execute(f"DROP VIEW {quoted(view)}")

    def drop(self, connection: Connection, tables: list[str]) -> None:
        ours = {*VIEWS, *sqlite_account_views.owned(connection)}
        for (view,) in connection.execute(_VIEWS, (MARK,)).fetchall():
            if view in ours:
                connection.execute(f"DROP VIEW {quoted(view)}")
        for table in (*tables, *(each.name for each in ledger_tables()), "cmp_schema_version", "cmp_move"):
            connection.execute(f"DROP TABLE IF EXISTS {quoted(table)}")


def _describe(connection: sqlite3.Connection, table: str, found: Found) -> None:
    """Add a table to what was found, if it is a mirrored one."""
    info = connection.execute("SELECT name, type, pk, hidden FROM pragma_table_xinfo(?)", (table,)).fetchall()
    if not {"account", *OURS} <= {row[0] for row in info}:
        return
    key = [name for name, _, place, _ in sorted(info, key=lambda row: row[2]) if place]
    if len(key) != 2 or key[0] != "account":  # noqa: PLR2004  account and the source's key
        found.left_behind.append(f"table {table}: it looks like a mirrored one, but has another key")
        return
    columns: dict[str, ColumnType] = {}
    for name, declared, _, hidden in info:
        if name == "account" or name in OURS:
            continue
        kind = TYPES_BY_NAME.get(declared) if not hidden else None
        if kind is None:
            what = "computed by SQLite" if hidden else f"of the type {declared or 'none'}"
            found.left_behind.append(f"column {table}.{name}: it is {what}, which is none of Comporta's")
        else:
            columns[name] = kind
    columns |= dict.fromkeys(_with_floats(connection, table, columns), ColumnType.NUMERIC)
    found.parts.append(mirrored_part(table, columns, key=key[1], parent=_parent(connection, table)))


def _with_floats(connection: sqlite3.Connection, table: str, columns: dict[str, ColumnType]) -> list[str]:
    """Return the integer columns that hold floats too."""
    names = [name for name, kind in columns.items() if kind is ColumnType.INTEGER]
    if not names:
        return []
    looks = ", ".join(f"max(typeof({quoted(name)}) = 'real')" for name in names)
    row = connection.execute(f"SELECT {looks} FROM {quoted(table)}").fetchone()
    return [name for name, seen in zip(names, row, strict=True) if seen]


def _parent(connection: sqlite3.Connection, table: str) -> str | None:
    """Return the column that leads to the parent: the one that our index is on."""
    for (index,) in connection.execute(_INDEXES, (table,)).fetchall():
        names = [name for (name,) in connection.execute("SELECT name FROM pragma_index_info(?)", (index,))]
        with suppress(ValueError):
            account, parent = names
            if account == "account" and index == f"{table}_{parent}":
                return str(parent)
    return None
