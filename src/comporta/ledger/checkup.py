"""Looking at a database without changing it: what ``comporta doctor`` and ``migrate --check`` tell.

Nothing here creates a file or migrates one; a database that is not there is an answer, not an error.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from comporta.ledger.accounts import accounts
from comporta.ledger.database import Pragmas, explained
from comporta.ledger.schema import REVISIONS, revision_of

PRAGMAS = (
    "journal_mode",
    "synchronous",
    "cache_size",
    "mmap_size",
    "temp_store",
    "busy_timeout",
    "page_size",
    "wal_autocheckpoint",
)


@dataclass(frozen=True, slots=True)
class Checkup:
    """What was seen. ``problems`` is empty when SQLite finds the file sound."""

    sqlite_version: str
    exists: bool
    revision: str | None = None
    pragmas: dict[str, object] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    @property
    def is_current(self) -> bool:
        """Say whether the schema is the one this version works with."""
        return self.revision == REVISIONS[-1]


def examine(path: Path, pragmas: Pragmas, *, is_thorough: bool) -> Checkup:
    """Look at the file at ``path``; a thorough look reads all of it."""
    if not path.is_file():
        return Checkup(sqlite3.sqlite_version, exists=False)
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            for statement in pragmas.statements():
                connection.execute(statement)
            connection.execute("PRAGMA query_only = 1")
            problems = connection.execute("PRAGMA quick_check(10)").fetchall() if is_thorough else []
            return Checkup(
                sqlite3.sqlite_version,
                exists=True,
                revision=revision_of(connection),
                pragmas={name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in PRAGMAS},
                problems=tuple(row[0] for row in problems if row[0] != "ok"),
            )
    except sqlite3.Error as error:
        raise explained(error, path) from error


def kept_accounts(path: Path) -> dict[str, Mapping[str, object]]:
    """Return the accounts that ``comporta connect`` kept in the file; none where there is no ledger yet."""
    if not path.is_file():
        return {}
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA query_only = 1")
            return accounts(connection) if revision_of(connection) is not None else {}
    except sqlite3.Error as error:
        raise explained(error, path) from error


def first_rows(path: Path, view: str, columns: Sequence[str], *, order: str, limit: int) -> list[tuple[object, ...]]:
    """Return a few rows of one of our views, for a person to look at."""
    query = f"SELECT {', '.join(columns)} FROM {view} ORDER BY {order} LIMIT ?"
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA query_only = 1")
            return connection.execute(query, (limit,)).fetchall()
    except sqlite3.Error as error:
        raise explained(error, path) from error
