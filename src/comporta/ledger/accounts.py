"""Accounts kept in the database: what ``comporta connect`` was told, in the words of comporta.toml.

Never a secret: those are rows of their own (``secrets``). What the file says of an account of the same
name wins; whoever reads both decides that, not this module.
"""

import json
import sqlite3
from collections.abc import Mapping
from datetime import datetime

from comporta.ledger.rows import text_of
from comporta.ledger.statements import statements

SQL = statements("sqlite")


def put_account(connection: sqlite3.Connection, name: str, table: Mapping[str, object], *, now: datetime) -> None:
    """Keep an account, in place of the one of that name; ``table`` holds its keys as in comporta.toml."""
    text = json.dumps(dict(table), sort_keys=True)
    values = {"name": name, "source": table["source"], "settings": text, "now": text_of(now)}
    connection.execute(SQL["put_account"], values)


def accounts(connection: sqlite3.Connection) -> dict[str, Mapping[str, object]]:
    """Return every account that is kept, by name, its keys as in comporta.toml."""
    return {row[0]: json.loads(row[2]) for row in connection.execute(SQL["accounts"])}
