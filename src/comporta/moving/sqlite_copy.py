"""One SQLite file into another, as it is at one moment, while others write to it; and a file out of the way.

The copy is one read transaction, which no writer waits for. It is checked page by page before it counts, and has no
side files: a copy that needs its log beside it is a copy that somebody will move without it.
"""

import os
import sqlite3
import stat
import sys
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from comporta.errors import Busy, NotADatabase
from comporta.ledger.sqlite import explained

WAIT_MS = 15_000
"""How long another program may keep the database locked before that is said."""
SIDE_FILES = ("-wal", "-shm")
UNSOUND = frozenset({sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT})
Ask = Callable[[str], Sequence[Any]]
"""Returns the rows of a question."""


def copy(source: Path, draft: Path, *, shown: Path | None = None) -> None:
    """Copy a database into a new file that only its owner reads, and check the copy; ``shown`` is what to call it."""
    os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with closing(_opened(source, "rw")) as old, closing(_opened(draft, "rw")) as new:
            old.execute("BEGIN")
            old.execute("SELECT 1 FROM sqlite_master").fetchone()  # here a lock is waited for, and said
            old.backup(new)
            new.execute("PRAGMA journal_mode = DELETE")
            unsound = [row[0] for row in new.execute("PRAGMA integrity_check(10)") if row[0] != "ok"]
    except sqlite3.Error as error:
        raise explained(error, shown or source) from error
    if unsound:
        raise NotADatabase(f"{shown or source}: damaged: {'; '.join(unsound)}")
    flush(draft)


def asked(path: Path, work: Callable[[Ask], Any]) -> Any:  # noqa: ANN401  what the work returns
    """Do work that only asks, on one state of a file."""
    try:
        with closing(_opened(path, "rw")) as connection:
            connection.execute("PRAGMA query_only = 1")
            connection.execute("BEGIN")
            return work(lambda query: connection.execute(query).fetchall())
    except sqlite3.Error as error:
        raise explained(error, path) from error


def tables_of(path: Path) -> frozenset[str]:
    """Return the names of the tables in a file; of a damaged one none is known."""
    try:
        found = asked(path, lambda ask: ask("SELECT name FROM sqlite_master WHERE type = 'table'"))
    except NotADatabase:
        return frozenset()
    return frozenset(name for (name,) in found)


def set_aside(path: Path, aside: Path) -> Path | None:
    """Give a database another name, if nobody has it open; return that name, ``None`` where there is none.

    A damaged one goes with all its files: somebody may save something from them yet.
    """
    if path.exists():
        with suppress(NotADatabase):
            _closed(path)
        path.rename(aside)
    for end in SIDE_FILES:  # of a damaged database, or left without one: they would be read into the next
        with suppress(FileNotFoundError):
            Path(f"{path}{end}").rename(f"{aside}{end}")
    return aside if aside.exists() else None


def finish(path: Path) -> None:
    """Take the side files of a copy back into it."""
    with closing(_opened(path, "rw")) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    flush(path)


def let_the_same(path: Path, other: Path) -> None:
    """Give a file the owner, group and rights of another; where we may not, it stays ours alone."""
    known = other.stat()
    with suppress(OSError):
        if sys.platform != "win32":
            os.chown(path, known.st_uid, known.st_gid)
        path.chmod(stat.S_IMODE(known.st_mode))


def flush(path: Path) -> None:
    """Return when a file is on the disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _closed(path: Path) -> None:
    """Take the log back into the file, which only works while nobody else has it open."""
    try:
        with closing(_opened(path, "rw")) as connection:
            connection.execute("PRAGMA busy_timeout = 500")
            connection.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in UNSOUND:
            raise NotADatabase(str(error)) from error
        raise Busy(
            f"{path}: another process has it open ({error}); expected nobody",
            next_step="Stop `comporta serve`, and whatever else has the file open, then give the command again.",
        ) from error


def _opened(path: Path, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None)
    connection.execute(f"PRAGMA busy_timeout = {WAIT_MS}")
    return connection
