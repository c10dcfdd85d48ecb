"""A PostgreSQL database as one side of a move.

Rows go in by COPY's text, which takes every cell as it is; the server parses it into the columns' types. They
come back as SQLite would store them, turned by the statement itself. A name that PostgreSQL cannot hold is
shortened by the destination's rule; the whole of it stands in a comment, without which it could not go back.
"""
# ruff: noqa: D102  moving.sides.Side says what each method promises

import re
from collections.abc import Iterator
from functools import lru_cache
from secrets import randbits
from typing import Any

import psycopg

from comporta.core.record import ColumnType
from comporta.core.schema import OURS
from comporta.destinations import postgres_account_views
from comporta.destinations.account_views import DEALS
from comporta.destinations.postgres import PostgresDestination
from comporta.destinations.postgres_rows import is_refusal, reason_of
from comporta.destinations.postgres_tables import (
    MARK,
    NAME_BYTES_MAX,
    columns_of,
    execute,
    fitting,
    named,
    table_name,
)
from comporta.destinations.views import VIEWS
from comporta.ledger import postgres_seal
from comporta.ledger.postgres import PostgresDatabase
from comporta.ledger.session import Session
from comporta.ledger.tables import ledger_tables
from comporta.moving.parts import Cell, Cells, Kind, Part, mirrored_part
from comporta.moving.sides import Found, Seals, Side, unstorable
from comporta.moving.values import compact, number_of, storable
from comporta.ports.destination import Connection

WHOLE = "whole name: "
"""How the comment on a shortened name begins."""
_INSTANT = (
    "CASE WHEN {0} >= '0001-01-01Z' AND {0} < '10000-01-01Z' THEN"
    " pg_catalog.to_char({0} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') ELSE {0}::text END"
)
_GIVEN = {
    Kind.BOOLEAN: "{0}::int4",
    Kind.NUMERIC: "{0}::text",
    Kind.TIMESTAMP: _INSTANT,
    Kind.DATE: "{0}::text",
    Kind.JSON: "{0}::text",
}
"""The expressions that give a column as SQLite would store it; the others come as they are."""
# Where COPY stood, in English: the value itself follows, and is not shown.
_COLUMN = re.compile(r", (column [^:\n]+)")
_ESCAPED_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
_SHORTENED = re.compile(r"_[0-9a-f]{12}$")
_CUT_BYTES = 3
"""A letter that does not fit is left out whole, so that a shortened name may end so many bytes earlier."""
_TABLES = """
SELECT c.relname,
  ARRAY(SELECT a.attname::text FROM unnest(p.indkey) WITH ORDINALITY AS k(number, place)
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.number ORDER BY k.place),
  ARRAY(SELECT ARRAY[n.relname::text, a.attname::text] FROM pg_catalog.pg_index i
    JOIN pg_catalog.pg_class n ON n.oid = i.indexrelid
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[1]
    WHERE i.indrelid = c.oid AND i.indnatts = 2 AND NOT i.indisunique),
  pg_catalog.obj_description(c.oid, 'pg_class'),
  ARRAY(SELECT ARRAY[a.attname::text, pg_catalog.col_description(c.oid, a.attnum)] FROM pg_catalog.pg_attribute a
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND pg_catalog.col_description(c.oid, a.attnum) LIKE $3)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace s ON s.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_index p ON p.indrelid = c.oid AND p.indisprimary
WHERE s.nspname = $1 AND c.relkind IN ('r', 'p') AND (SELECT count(*) FROM pg_catalog.pg_attribute a
  WHERE a.attrelid = c.oid AND NOT a.attisdropped AND a.attname = ANY($2::text[])) = 6
ORDER BY c.relname"""
_VIEWS = """
SELECT c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = ANY($2::text[]) AND c.relkind = 'v'
AND pg_catalog.obj_description(c.oid, 'pg_class') LIKE $3"""


class PostgresSide:
    """One PostgreSQL database, its mirrored tables in one schema; see ``Side``."""

    is_postgres = True

    def __init__(self, database: PostgresDatabase, schema: str) -> None:
        self.database = database
        self.seals: Seals = postgres_seal
        self._schema = schema

    def is_same_as(self, other: Side) -> bool:
        """Say whether the other side is this very database: a lock that is taken here is seen there."""
        if not isinstance(other, PostgresSide):
            return False
        lock = f"SELECT pg_catalog.pg_try_advisory_xact_lock({randbits(63)})"

        def take(session: Session) -> bool:
            return bool(self.ask(session, lock)[0][0])

        return self.database.read(lambda session: take(session) and not other.database.read(take))

    def ask(self, session: Session, query: str, *values: Cell) -> list[tuple[Any, ...]]:
        placed = re.sub(r"\b(cmp_\w+)", r"comporta.\1", query).replace("?", "%s")
        cursor = session.connection.execute(placed, values, prepare=False)
        rows: list[tuple[Any, ...]] = cursor.fetchall() if cursor.description else []
        return rows

    def mirrored(self, connection: Connection) -> Found:
        found = Found()
        wanted = ["account", *OURS]
        for row in execute(connection, _TABLES, fitting(self._schema), wanted, f"{WHOLE}%").fetchall():
            self._describe(connection, row, found)
        return found

    def page(self, part: Part, after: Cells | None, limit: int) -> list[Cells]:
        given = ", ".join(_GIVEN.get(kind, "{0}").format(named(name)) for name, kind in part.kinds.items())
        key = ", ".join(map(named, part.key))
        marks = ", ".join(f"${number + 1}" for number in range(len(part.key)))
        condition = f"WHERE ({key}) > ({marks})" if after is not None else ""
        query = f"SELECT {given} FROM {self.called(part)} {condition} ORDER BY {key} LIMIT {limit:d}"
        rows: list[Cells] = self.database.read(
            lambda session: execute(session.connection, query, *(after or ()), binary=True).fetchall()
        )
        return _as_stored(part, rows)

    def make(self, connection: Connection, part: Part) -> None:
        if part.shape is None:
            return
        PostgresDestination(self._schema).prepare(connection, part.shape)
        table = self.called(part)
        if fitting(part.table) != part.table:
            execute(connection, f"COMMENT ON TABLE {table} IS {_literal(WHOLE + part.table)}")
        for name in part.names:
            if fitting(name) != name:
                execute(connection, f"COMMENT ON COLUMN {table}.{named(name)} IS {_literal(WHOLE + name)}")

    def write(self, connection: Connection, part: Part, rows: list[Cells]) -> None:
        """Add rows; refuse the first that the server does not take, in its words."""
        if part.shape is None:
            rows = [tuple(map(storable, row)) for row in rows]
        reason = self._copy(connection, part, rows)
        if reason is None:
            return
        while len(rows) > 1:
            half = rows[: len(rows) // 2]
            # What could be written of a half that is good goes with the transaction, which ends here.
            refused = self._copy(connection, part, half)
            rows = half if refused else rows[len(half) :]
        reason = _nul_in(part, rows[0]) or self._copy(connection, part, rows) or reason
        raise unstorable(part, part.key_of(rows[0]), self.database.where, reason)

    def settle(self, connection: Connection, part: Part) -> None:
        """Make the views that depend on rows; let the planner learn how many rows of which kind a table has now."""
        if part.table == DEALS:
            postgres_account_views.refresh(connection, self._schema)
        execute(connection, f"ANALYZE {self.called(part)}")

    def called(self, part: Part) -> str:
        """Return how a statement names a table."""
        return f"comporta.{named(part.table)}" if part.shape is None else table_name(self._schema, part.table)

    def column(self, name: str) -> str:
        return named(name)

    def forget_views(self, connection: Connection, account: str) -> None:
        for view, owner in postgres_account_views.owned(connection, self._schema).items():
            if owner == account:
                execute(connection, f"DROP VIEW {table_name(self._schema, view)}")

    def drop(self, connection: Connection, tables: list[str]) -> None:
        """Drop our views, these mirrored tables and the whole ledger; schemas stay."""
        found = execute(connection, _VIEWS, fitting(self._schema), list(VIEWS), f"{MARK}%").fetchall()
        first = postgres_account_views.owned(connection, self._schema)  # they build on the others
        for view in (*first, *(view for (view,) in found)):
            execute(connection, f"DROP VIEW {table_name(self._schema, view)}")
        for table in tables:
            execute(connection, f"DROP TABLE IF EXISTS {table_name(self._schema, table)}")
        for table in (*(each.name for each in ledger_tables()), "cmp_budget", "cmp_schema_version", "cmp_move"):
            execute(connection, f"DROP TABLE IF EXISTS comporta.{table}")
        execute(connection, "DROP FUNCTION IF EXISTS comporta.cmp_now()")

    def _copy(self, connection: Connection, part: Part, rows: list[Cells]) -> str | None:
        """Add rows, all or none; return why the server takes none."""
        statement = f"COPY {self.called(part)} ({', '.join(map(named, part.names))}) FROM STDIN"
        execute(connection, "SAVEPOINT cmp_page")
        try:
            with connection.cursor().copy(statement.encode()) as copy:
                for row in rows:
                    copy.write_row(row)
        except (psycopg.Error, UnicodeEncodeError) as error:
            if not is_refusal(error):
                raise
            execute(connection, "ROLLBACK TO SAVEPOINT cmp_page")
            column = _COLUMN.search((isinstance(error, psycopg.Error) and error.diag.context) or "")
            return reason_of(error) + (f", in {column[1]}" if column else "")
        execute(connection, "RELEASE SAVEPOINT cmp_page")
        return None

    def _describe(self, connection: Connection, row: tuple[Any, ...], found: Found) -> None:
        """Add a table to what was found."""
        short_table, key, indexes, comment, comments = row
        whole = {name: text.removeprefix(WHOLE) for name, text in comments}
        table = comment.removeprefix(WHOLE) if comment and comment.startswith(WHOLE) else short_table
        if len(key) != 2 or key[0] != "account":  # noqa: PLR2004  account and the source's key
            found.left_behind.append(f"table {short_table}: it looks like a mirrored one, but has another key")
            return
        columns: dict[str, ColumnType] = {}
        for name, kind in columns_of(connection, self._schema, [short_table])[short_table].items():
            if name == "account" or name in OURS:
                continue
            if kind is None:
                message = f"column {short_table}.{name}: it is of a type, or computed, as none of Comporta's is"
                found.left_behind.append(message)
            else:
                columns[whole.get(name, name)] = kind
        found.shortened.extend(_doubtful(short_table, table, columns))
        indexed = ((index, whole.get(name, name)) for index, name in indexes)
        parent = next((name for index, name in indexed if index == fitting(f"{table}_{name}")), None)
        found.parts.append(mirrored_part(table, columns, key=whole.get(key[1], key[1]), parent=parent))


def _nul_in(part: Part, row: Cells) -> str | None:
    """Say which column of a row has a NUL character, if one has: the server does not name it."""
    for (name, kind), cell in zip(part.kinds.items(), row, strict=True):
        if isinstance(cell, str) and ("\0" in cell or (kind is Kind.JSON and _ESCAPED_NUL.search(cell))):
            return f"column {name} has a NUL character in it (\\u0000), which PostgreSQL cannot store"
    return None


def _doubtful(short_table: str, table: str, columns: dict[str, ColumnType]) -> Iterator[str]:
    """Yield the names that may have been shortened, and whose whole form is not known."""
    for name, shown in ((table, f"table {table}"), *((each, f"column {short_table}.{each}") for each in columns)):
        length = len(name.encode())
        if NAME_BYTES_MAX - _CUT_BYTES <= length <= NAME_BYTES_MAX and _SHORTENED.search(name):
            yield shown


def _as_stored(part: Part, rows: list[Cells]) -> list[Cells]:
    """Return rows with numbers and JSON as SQLite would store them."""
    ways = {Kind.NUMERIC: number_of, Kind.JSON: _short_compact}
    places = [(place, ways[kind]) for place, kind in enumerate(part.kinds.values()) if kind in ways]
    if not places:
        return rows
    turned = []
    for row in rows:
        cells = list(row)
        for place, way in places:
            cell = cells[place]
            if isinstance(cell, str):
                cells[place] = way(cell)
        turned.append(tuple(cells))
    return turned


def _short_compact(text: str) -> str:
    return _kept_compact(text) if len(text) <= NAME_BYTES_MAX else compact(text)


_kept_compact = lru_cache(maxsize=4096)(compact)


def _literal(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return f"E'{escaped}'"
