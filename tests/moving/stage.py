"""What the tests of moving a database stand on: databases by their address, and what is in them.

What is read back is read by the drivers alone, with nothing of the product's: what any other program sees.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from comporta.bootstrap.databases import examine, open_database
from comporta.core.instant import instant_text
from comporta.errors import DatabaseSealed
from comporta.ledger.session import Database
from comporta.ledger.tables import ledger_tables
from comporta.ports.system_clock import SystemClock
from comporta.settings.tree import Settings, SqliteSettings

LEDGER = tuple(table.name for table in ledger_tables())
# Whatever a column may hold.
Value = Any
Rows = dict[str, list[dict[str, Value]]]


def settings_of(address: str) -> Settings:
    """Return settings that have the database of an address, and do not wait long for others."""
    return Settings(database=address, sqlite=SqliteSettings(busy_timeout=SqliteSettings().busy_timeout / 15))


def is_postgres(address: str) -> bool:
    """Tell which kind of database an address is of."""
    return address.startswith("postgres")


def file_of(address: str) -> Path:
    """Return the SQLite file of an address."""
    return Path(address.removeprefix("sqlite:///"))


@contextmanager
def opened(address: str) -> Iterator[Database]:
    """Open a database as every command does."""
    with closing(open_database(settings_of(address), SystemClock())) as database:
        yield database


def is_there(address: str) -> bool:
    """Tell whether a database has a ledger, whatever its state."""
    return examine(settings_of(address), is_thorough=False).revision is not None


def is_open(address: str) -> bool:
    """Tell whether somebody could sync into a database."""
    try:
        with opened(address):
            return True
    except DatabaseSealed:
        return False


def by_hand(address: str, *statements: str) -> None:
    """Execute statements as some other program would; ``{mirror}`` and ``{ledger}`` go before tables."""
    if is_postgres(address):
        with psycopg.connect(address, autocommit=True) as connection:
            for each in statements:
                connection.execute(_placed(each, "mirror.", "comporta.").encode())
        return
    with closing(sqlite3.connect(file_of(address), timeout=10)) as connection:
        for each in statements:
            connection.execute(_placed(each, "", ""))
        connection.commit()


def asked(address: str, query: str) -> list[dict[str, Value]]:
    """Return what some other program's query finds, each value as SQLite stores it."""
    if is_postgres(address):
        with psycopg.connect(address, row_factory=dict_row, options="-c timezone=UTC -c datestyle=ISO") as connection:
            cursor = connection.execute(_placed(query, "mirror.", "comporta.").encode())
            kinds = {column.name: column.type_code for column in cursor.description or ()}
            return [{name: _stored(value, kinds[name]) for name, value in row.items()} for row in cursor]
    with closing(sqlite3.connect(file_of(address))) as connection:
        connection.row_factory = sqlite3.Row
        kinds_by_name = _json_columns(connection)
        return [
            {name: _document(row[name]) if name in kinds_by_name else row[name] for name in row.keys()}  # noqa: SIM118  a row of sqlite3 iterates over its values
            for row in connection.execute(_placed(query, "", ""))
        ]


def contents(address: str) -> Rows:
    """Return every row of the ledger and of every mirrored table, in an order of its own."""
    tables = [("{ledger}", name) for name in LEDGER] + [("{mirror}", name) for name in mirrored(address)]
    return {
        name: sorted(asked(address, f'SELECT * FROM {place}"{name}"'), key=lambda row: json.dumps(row, default=str))
        for place, name in tables
    }


def mirrored(address: str) -> list[str]:
    """Return the names of the mirrored tables."""
    if is_postgres(address):
        query = "SELECT table_name AS name FROM information_schema.columns WHERE column_name = '_cmp_hash' ORDER BY 1"
    else:
        query = (
            "SELECT m.name FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table'"
            " AND c.name = '_cmp_hash' ORDER BY 1"
        )
    return [row["name"] for row in asked(address, query)]


def _placed(statement: str, mirror: str, ledger: str) -> str:
    return statement.replace("{mirror}", mirror).replace("{ledger}", ledger)


def _json_columns(connection: sqlite3.Connection) -> set[str]:
    query = (
        "SELECT c.name FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table' AND c.type = 'JSONTEXT'"
    )
    return {name for (name,) in connection.execute(query)}


def _stored(value: Value, oid: int) -> Value:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() and abs(value) < 2**63 else float(value)
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, datetime):
        return instant_text(value)
    return value.isoformat() if isinstance(value, date) else value


def _document(text: str | None) -> Value:
    return None if text is None else json.loads(text)
