"""The log of the budgets on SQLite: a file of its own beside the database, so that no request waits for a batch.

It is never flushed to the disk: it must outlive a process, not a power cut. A file that was damaged, by a power
cut for one, is put away and begun anew; it then says of itself that something was lost, and every budget begins
as if all that is allowed had just been sent. The clock is the machine's monotonic one, which all its processes
share; it starts anew with the machine, for which see ``core.limit``.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from comporta.errors import NotADatabase
from comporta.ledger.budget_log import Row
from comporta.ledger.sqlite import explained, file_identity
from comporta.ports.clock import Clock

SUFFIX = "-budgets"
BUSY_MS = 5_000
SETTINGS = (
    f"PRAGMA busy_timeout = {BUSY_MS}",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = OFF",
)
TABLE = "CREATE TABLE IF NOT EXISTS budget(key TEXT PRIMARY KEY, version INTEGER NOT NULL, state BLOB NOT NULL)"
LOOK = "SELECT version, state FROM budget WHERE key = ?"
PUT = """
INSERT INTO budget VALUES (:key, :version, :state)
ON CONFLICT(key) DO UPDATE SET version = excluded.version, state = excluded.state
WHERE budget.version = excluded.version - 1
"""
WAS_LOST = 1
"""The file's ``user_version`` where an earlier one was damaged."""


class BudgetFile:
    """An open file; see ``ledger.budget_log.Shelf``."""

    def __init__(self, database: Path, clock: Clock) -> None:
        self._path = database.with_name(database.name + SUFFIX)
        self._clock = clock
        self._connection, self._is_forgetful = self._opened()
        self._file = file_identity(self._path)

    @property
    def is_forgetful(self) -> bool:
        """Say whether a damaged file was put away once."""
        return self._is_forgetful

    def look(self, keys: Sequence[str]) -> tuple[Mapping[str, Row], float]:
        """Return the rows that are there, and the instant by the machine's clock."""
        try:
            found = [(key, self._connection.execute(LOOK, (key,)).fetchone()) for key in keys]
        except sqlite3.Error as error:
            raise self._mended(error) from error
        return {key: Row(row[0], row[1]) for key, row in found if row is not None}, self._clock.monotonic()

    def put(self, rows: Mapping[str, Row]) -> Iterable[str]:
        """Write those rows whose version follows the present one, and return their keys.

        A file that was deleted or replaced while it was open is begun anew: what is written to it nobody sees.
        """
        if file_identity(self._path) != self._file:
            self._begin_anew(was_lost=True)
            return ()
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            written = [key for key, row in rows.items() if self._put(key, row)]
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            raise self._mended(error) from error
        return written

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _put(self, key: str, row: Row) -> bool:
        values = {"key": key, "version": row.version, "state": row.state}
        return self._connection.execute(PUT, values).rowcount == 1

    def _opened(self, *, was_lost: bool = False) -> tuple[sqlite3.Connection, bool]:
        try:
            return self._connected(was_lost=was_lost)
        except sqlite3.Error as error:
            told = explained(error, self._path)
            if not isinstance(told, NotADatabase):
                raise told from error
        for ending in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + ending).unlink(missing_ok=True)
        try:
            return self._connected(was_lost=True)
        except sqlite3.Error as error:
            raise explained(error, self._path) from error

    def _connected(self, *, was_lost: bool) -> tuple[sqlite3.Connection, bool]:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        try:
            for statement in (*SETTINGS, TABLE):
                connection.execute(statement)
            if was_lost:
                connection.execute(f"PRAGMA user_version = {WAS_LOST}")
            is_forgetful: bool = connection.execute("PRAGMA user_version").fetchone()[0] == WAS_LOST
        except sqlite3.Error:
            connection.close()
            raise
        return connection, is_forgetful

    def _begin_anew(self, *, was_lost: bool) -> None:
        self._connection.close()
        self._connection, self._is_forgetful = self._opened(was_lost=was_lost)
        self._file = file_identity(self._path)

    def _mended(self, error: sqlite3.Error) -> Exception:
        """Return the error in our words; where the file is damaged, begin anew for the next request."""
        told = explained(error, self._path)
        if isinstance(told, NotADatabase):
            self._begin_anew(was_lost=False)
        return told
