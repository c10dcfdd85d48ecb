"""Looking at an SQLite file without changing it; nothing here creates a file or migrates one.

A thorough look reads the whole file, which takes as long as reading it takes.
"""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from comporta.core.instant import BEGINNING
from comporta.ledger.accounts import accounts
from comporta.ledger.checkup import Checkup
from comporta.ledger.seal import seal_facts, seal_problems
from comporta.ledger.secrets import closed_by
from comporta.ledger.sqlite import Pragmas, SqliteSession, explained
from comporta.ledger.sqlite_schema import revision_of
from comporta.ledger.sqlite_seal import seal_of

DISK_LEAST = 500 * 1024 * 1024
"""Free bytes below which doctor warns."""
WAL_MOST_MB = 1_024
"""The log is emptied all the time, unless somebody reads on and on what was."""
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


def examine(path: Path, pragmas: Pragmas, *, is_thorough: bool) -> Checkup:
    """Look at the file at ``path``; a thorough look reads all of it."""
    if not path.is_file():
        return Checkup(str(path), exists=False, facts=_disk(path) | {"sqlite": sqlite3.sqlite_version})
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.row_factory = sqlite3.Row
            for statement in pragmas.statements():
                connection.execute(statement)
            connection.execute("PRAGMA query_only = 1")
            revision = revision_of(connection)
            seal = seal_of(connection)
            found = {name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in PRAGMAS}
            unsound = connection.execute("PRAGMA quick_check(10)").fetchall() if is_thorough else []
            return Checkup(
                str(path),
                exists=True,
                revision=revision,
                facts=_disk(path)
                | {"sqlite": sqlite3.sqlite_version}
                | {f"pragma_{name}": value for name, value in found.items()}
                | seal_facts(seal),
                problems=(
                    *(row[0] for row in unsound if row[0] != "ok"),
                    *_problems(path, found),
                    *(_unwritable(connection, path) if is_thorough else ()),
                    *seal_problems(seal),
                ),
                accounts=accounts(SqliteSession(connection, BEGINNING)) if revision is not None else {},
                secrets=closed_by(SqliteSession(connection, BEGINNING)) if revision is not None else {},
            )
    except sqlite3.Error as error:
        raise explained(error, path) from error


def _disk(path: Path) -> dict[str, object]:
    return {
        "database_mb": megabytes(path),
        "wal_mb": megabytes(Path(f"{path}-wal")),
        "free_disk_mb": shutil.disk_usage(path.parent).free // 2**20,
    }


def _problems(path: Path, pragmas: dict[str, object]) -> list[str]:
    found = []
    if shutil.disk_usage(path.parent).free < DISK_LEAST:
        found.append(f"less than {DISK_LEAST // 2**20} MB are free on the disk of {path}")
    if megabytes(Path(f"{path}-wal")) > WAL_MOST_MB:
        found.append(
            f"{path}-wal is over {WAL_MOST_MB} MB: a program keeps reading one old state of the database; close it,"
            " or start it anew"
        )
    if pragmas["journal_mode"] != "wal":
        found.append(
            f"journal_mode is {pragmas['journal_mode']}; expected wal: a program changed it, sync sets it again"
        )
    return found


def _unwritable(connection: sqlite3.Connection, path: Path) -> list[str]:
    """Return why nothing can be written now; to find out takes a lock for a moment and writes nothing."""
    try:
        connection.execute("PRAGMA query_only = 0")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        return [explained(error, path).message + ": close it, or wait until it is done"]
    return []


def megabytes(path: Path) -> float:
    """Return a file's size, 0 when it is not there."""
    return round(path.stat().st_size / 2**20, 3) if path.is_file() else 0.0
