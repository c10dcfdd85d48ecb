"""The database of a project as any other program sees it: over a connection of its own, with nothing of ours.

The queries of the acceptance tests are written once, for every database: names without a schema, ``?`` for
values. What differs between the databases stands here, and what triggers look like in ``audit``.
"""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

PATIENCE_S = 30.0
SCHEMAS = "comporta,mirror,audit"
# What a database holds: anything JSON can say.
Json = Any


class Database(Protocol):
    """One database, whichever it is. ``setting`` is what comporta.toml says to reach it."""

    @property
    def setting(self) -> str:
        """Return its address, as a person writes it."""

    @property
    def dialect(self) -> str:
        """Return whose SQL it speaks: ``sqlite`` or ``postgres``."""

    def ask(self, query: str, *values: Json) -> list[tuple[Json, ...]]:
        """Return what a query finds; instants as the product's JSON says them."""

    def run(self, script: str) -> None:
        """Execute statements that change something, each to its end."""

    def kinds(self, table: str) -> dict[str, str]:
        """Return the columns of a mirrored table: ``BOOLEAN``, ``TIMESTAMP``, ``JSON``, or anything else."""


@dataclass(frozen=True)
class SqliteFile:
    """A file in the project's folder."""

    path: Path
    dialect: str = "sqlite"

    @property
    def setting(self) -> str:
        """Return its address, as a person writes it."""
        return f"sqlite:///{self.path.name}"

    def ask(self, query: str, *values: Json) -> list[tuple[Json, ...]]:
        """Return what a query finds."""
        with closing(sqlite3.connect(self.path, timeout=PATIENCE_S)) as connection:
            return connection.execute(query, values).fetchall()

    def run(self, script: str) -> None:
        """Execute statements."""
        with closing(sqlite3.connect(self.path, timeout=PATIENCE_S)) as connection:
            connection.executescript(script)

    def kinds(self, table: str) -> dict[str, str]:
        """Return the columns of a table by their declared type."""
        said = {name: kind for _, name, kind, *_ in self.ask(f"PRAGMA table_info({table})")}
        return {name: "JSON" if kind == "JSONTEXT" else kind for name, kind in said.items()}


@dataclass(frozen=True)
class PostgresPlace:
    """A database of a server. ``setting`` may lead through a pooler; this looks at the server itself."""

    setting: str
    direct: str
    dialect: str = "postgres"

    def ask(self, query: str, *values: Json) -> list[tuple[Json, ...]]:
        """Return what a query finds."""
        with closing(self._connect()) as connection:
            found = connection.execute(query.replace("%", "%%").replace("?", "%s").encode(), values).fetchall()
        return [tuple(map(_plain, row)) for row in found]

    def run(self, script: str) -> None:
        """Execute statements."""
        with closing(self._connect()) as connection:
            connection.execute(script.encode())

    def kinds(self, table: str) -> dict[str, str]:
        """Return the columns of a table by the type the server says."""
        query = """
            SELECT attname, atttypid::regtype::text FROM pg_attribute
            WHERE attrelid = to_regclass(?) AND attnum > 0 AND NOT attisdropped ORDER BY attnum"""
        ours: dict[str, str] = {"boolean": "BOOLEAN", "timestamp with time zone": "TIMESTAMP", "jsonb": "JSON"}
        return {name: ours.get(kind, str(kind)) for name, kind in self.ask(query, table)}

    def _connect(self) -> Any:  # noqa: ANN401  a psycopg.Connection of rows of anything
        import psycopg
        from psycopg.types.string import TextLoader

        options = f"-c search_path={SCHEMAS} -c timezone=UTC -c datestyle=ISO"
        connection = psycopg.connect(self.direct, autocommit=True, options=options)
        connection.adapters.register_loader("jsonb", TextLoader)  # as SQLite's text
        return connection


def _plain(value: Json) -> Json:
    """Return a value as the one that SQLite would hold in its place."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value if value is None or isinstance(value, (bool, int, float, str, bytes)) else str(value)
