"""PostgreSQL for the conformance suite of the destinations.

The process's connection has settings under which whatever leans on them goes wrong: no search path, a
time zone, another way to write dates and numbers. The user's hand has a connection of its own, so that it
sees only what was committed.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import psycopg
from psycopg import sql
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row
from psycopg.types.string import TextLoader
from tests.conformance.tables import THINGS

from comporta.core.instant import instant_text
from comporta.core.record import Key, Shape
from comporta.destinations.postgres import PostgresDestination
from comporta.destinations.postgres_tables import fitting
from comporta.ports.destination import Destination, Written
from comporta.ports.store import Batch

UNLIKELY = (
    "-c search_path=nowhere -c timezone=Asia/Kolkata -c datestyle=German,DMY -c extra_float_digits=-10"
    " -c intervalstyle=sql_standard -c bytea_output=escape -c standard_conforming_strings=off"
    " -c escape_string_warning=off"
)


def open_connection(url: str) -> psycopg.Connection[tuple[Any, ...]]:
    """Connect as the ledger does, under settings that nobody would choose."""
    return psycopg.connect(url, autocommit=True, prepare_threshold=None, options=UNLIKELY)


def open_user(url: str) -> psycopg.Connection[dict[str, Any]]:
    """Connect as the user who looks at the tables."""
    user = psycopg.connect(url, autocommit=True, row_factory=dict_row, options="-c datestyle=ISO")
    user.adapters.register_loader("jsonb", TextLoader)
    return user


class PostgresTables:
    """A fresh schema of a PostgreSQL database, with a destination; it shares the connections of one ``beside``."""

    def __init__(self, url: str, schema: str = "mirror", *, beside: "PostgresTables | None" = None) -> None:
        self.url, self.schema = url, schema
        self.connection: Any = beside.connection if beside else open_connection(url)
        self.user: psycopg.Connection[dict[str, Any]] = beside.user if beside else open_user(url)
        self.user.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
        self.user.execute("SELECT set_config('search_path', %s, false)", [f'"{schema}"'])
        self.destination: Destination = PostgresDestination(schema)
        self.writes = 0

    def again(self) -> "PostgresTables":
        """Return the same tables as a process sees them that has only just started."""
        return PostgresTables(self.url, self.schema, beside=self)

    def prepare(self, shape: Shape = THINGS) -> Sequence[str]:
        with self.transaction():
            return [each.message for each in self.destination.prepare(self.connection, shape)]

    def write(self, batch: Batch, *, account: str = "a", now: str | None = None) -> Written:
        self.writes += 1
        now = now or f"2026-03-01T08:00:{self.writes:02}.000000Z"
        with self.transaction():
            return self.destination.write(self.connection, account, batch, run=f"run {self.writes}", now=now)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Be in a transaction, as the ledger always is; the one that was begun, if any."""
        if self.connection.info.transaction_status == TransactionStatus.INTRANS:
            yield
            return
        self.begin()
        try:
            yield
        except BaseException:
            self.rollback()
            raise
        self.connection.execute("COMMIT")

    def begin(self) -> None:
        self.connection.execute("BEGIN")

    def rollback(self) -> None:
        self.connection.execute("ROLLBACK")

    def rows(self, shape: Shape = THINGS) -> dict[tuple[str, Key], dict[str, Any]]:
        found = self.query(f'SELECT * FROM "{fitting(shape.table)}"')
        return {(row["account"], row[fitting(shape.key)]): row for row in found}

    def query(self, sql: str, *values: object) -> list[dict[str, Any]]:
        found = self.user.execute(sql.replace("?", "%s").encode(), values or None, binary=False)
        kinds = {column.name: column.type_code for column in found.description or ()}
        return [{name: canonical(value, kinds[name]) for name, value in row.items()} for row in found]

    def by_hand(self, sql: str) -> None:
        self.user.execute(sql.encode())

    def columns(self, table: str) -> dict[str, str]:
        found = self.user.execute(
            "SELECT attname, format_type(atttypid, atttypmod) AS type FROM pg_attribute"
            " WHERE attrelid = to_regclass(format('%%I.%%I', %s::text, %s::text)) AND attnum > 0 AND NOT attisdropped"
            " ORDER BY attnum",
            [self.schema, table.lower()],
        )
        return {row["attname"]: row["type"] for row in found}

    def rows_touched(self) -> int:
        # Else a server tells what it did a second later; the user's has removed rows, perhaps.
        for connection in (self.connection, self.user):
            connection.execute("SELECT pg_stat_force_next_flush()")
        found = self.user.execute(
            "SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::bigint AS rows FROM pg_stat_user_tables"
            " WHERE schemaname = %s",
            [self.schema],
        ).fetchone()
        return int(found["rows"]) if found else 0

    def forbid(self, table: str, condition: str) -> None:
        self._trigger(table, condition, "RAISE EXCEPTION 'the user forbids it: %', NEW.id USING HINT = 'ação';")

    def swallow(self, table: str, condition: str) -> None:
        self._trigger(table, condition, "RETURN NULL;")

    def view_id(self, number: int) -> Key:
        return str(number)

    def clear(self) -> None:
        """Remove every row, and count runs from one again."""
        for table in self.user.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = %s", [self.schema]
        ).fetchall():
            self.user.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table["tablename"])))
        self.writes = 0

    def close(self) -> None:
        self.connection.close()
        self.user.close()

    def _trigger(self, table: str, condition: str, body: str) -> None:
        self.by_hand(f"CREATE FUNCTION own_rule() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$")
        self.by_hand(
            f"CREATE TRIGGER own_rule BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW WHEN ({condition})"
            " EXECUTE FUNCTION own_rule()"
        )


def canonical(value: Any, oid: int = 0) -> Any:  # noqa: ANN401  whatever a column may hold
    """Return a value of psycopg's as the canonical one that was written."""
    jsonb = 3802
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, datetime):
        return instant_text(value)
    if isinstance(value, date):
        return value.isoformat()
    if oid == jsonb and value is not None:
        return json.dumps(json.loads(value), separators=(",", ":"), ensure_ascii=False)
    return value


def write_as(tables: PostgresTables, connection: psycopg.Connection[Any], batch: Batch) -> Written:
    """Write a batch as another process would, in a transaction of its own."""
    connection.execute("BEGIN")
    written = tables.destination.write(connection, "a", batch, run="another run", now="2026-03-01T08:00:00.000000Z")
    connection.execute("COMMIT")
    return written
