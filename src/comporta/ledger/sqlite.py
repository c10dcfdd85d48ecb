"""One SQLite file: one writer thread with group commit, and read-only connections for everything else.

SQLite lets one transaction write at a time. Instead of many connections that fight for that right and
fail with "database is locked", every write of this process goes through one queue; what waits together
is committed together, each job in a savepoint of its own, so that one job's failure (a lost lease, say)
takes nothing else with it. What is brief and waited for by a person or a lease goes before batches, and is
never in one transaction with them: it waits for the batch that is being written, not for ten. A job that
is a plain function of the connection returns its result through a future, only after COMMIT. Other
processes are waited for: BEGIN IMMEDIATE takes the right to write before anything is read, so nothing that
was read can be overtaken.
"""

import itertools
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, InvalidStateError
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from comporta.errors import ComportaError, DestinationBusy, DestinationRefused, NotADatabase
from comporta.ledger.seal import refusal_from
from comporta.ledger.session import Row, Session, Values
from comporta.ledger.statements import statements
from comporta.observability.meter import UNMEASURED, Meter
from comporta.ports.clock import Clock

GROUP_MAX = 32
"""Jobs in one transaction at most: bounds how long the first of them waits for its COMMIT."""
GROUP_S = 0.05
"""And no further job once so long was written: a commit costs a hundredth of that."""
READERS_MAX = 8
"""Idle read-only connections that are kept; more may be open at once, the rest are closed after use."""
READER_CACHE_MB = 2
"""Each connection has a cache of its own, and a server that is up for weeks fills all of them."""

FIRST, NEXT, LAST = range(3)
"""Which jobs go first; of those, the one that came first. The end of the queue is the last."""
REPLACED = "Start every `comporta serve` and `comporta worker` anew: each still has the file that was there before."
SQL = statements("sqlite")
T = TypeVar("T")
DURABLE = frozenset({"full", "extra"})
"""Values of ``synchronous`` with which every COMMIT waits for the disk."""


@dataclass(frozen=True, slots=True)
class Job:
    """What to do, whom to tell, whether it must be on the disk before they are told, and since when it waits."""

    work: Callable[[Session], Any]
    future: "Future[Any]"
    is_durable: bool
    is_brief: bool
    since: float

    @property
    def kind(self) -> tuple[bool, bool]:
        """Return what jobs of one transaction have in common."""
        return self.is_durable, self.is_brief


@dataclass(frozen=True, slots=True)
class Pragmas:
    """Settings of SQLite. None of them measurably pays for a sync (docs/explanation/performance.md)."""

    cache_mb: int = 16
    mmap_mb: int = 0
    temp_store: str = "memory"
    synchronous: str = "normal"
    busy_timeout_s: float = 15.0

    def statements(self, *, is_reading: bool = False) -> list[str]:
        """Return what a new connection executes."""
        cache_mb = min(self.cache_mb, READER_CACHE_MB) if is_reading else self.cache_mb
        return [
            f"PRAGMA busy_timeout = {int(self.busy_timeout_s * 1000)}",
            f"PRAGMA cache_size = {-1024 * cache_mb}",
            f"PRAGMA mmap_size = {1024 * 1024 * self.mmap_mb}",
            f"PRAGMA temp_store = {self.temp_store}",
            f"PRAGMA synchronous = {self.synchronous}",
        ]


class SqliteSession:
    """A transaction on SQLite; see ``ledger.session.Session``."""

    def __init__(self, connection: sqlite3.Connection, now: datetime) -> None:
        self.connection = connection
        self.now = now

    def one(self, name: str, values: Values) -> Row | None:
        """Execute a statement and return its first row."""
        return self.connection.execute(SQL[name], values).fetchone()

    def all(self, name: str, values: Values) -> list[Row]:
        """Execute a statement and return its rows."""
        return self.connection.execute(SQL[name], values).fetchall()

    def run(self, name: str, values: Values) -> int:
        """Execute a statement and return how many rows it hit."""
        return self.connection.execute(SQL[name], values).rowcount

    def each(self, name: str, many: Iterable[Values]) -> None:
        """Execute a statement for each of many values."""
        self.connection.executemany(SQL[name], many)


class SqliteDatabase:
    """An open SQLite file; see ``ledger.session.Database``."""

    def __init__(self, path: Path, pragmas: Pragmas, clock: Clock, *, meter: Meter = UNMEASURED) -> None:
        self.path = path
        self._meter = meter
        self._pragmas = pragmas
        self._clock = clock
        self._jobs: queue.PriorityQueue[tuple[int, int, Job | None]] = queue.PriorityQueue()
        self._numbers = itertools.count()
        self._readers: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()
        self._closed = False
        self._closing = threading.Lock()
        self._writer = self._connect()
        self._file = file_identity(path)
        self._thread = threading.Thread(target=self._write_until_closed, name="comporta-writer", daemon=True)
        self._thread.start()

    @property
    def where(self) -> str:
        """Return what to call it in a message."""
        return str(self.path)

    def now(self) -> datetime:
        """Return the instant by this machine's clock, which is SQLite's."""
        return self._clock.now()

    def trouble(self) -> None:
        """Return nothing: a file is not away."""

    def write(self, work: Callable[[Session], T], *, is_durable: bool = False, is_brief: bool = False) -> "Future[T]":
        """Run ``work`` in a write transaction; the future is done after COMMIT, or holds the error."""
        future: Future[T] = Future()
        with self._closing:  # so that no job is put behind the end of the queue, to be waited for in vain
            if self._closed:
                future.set_exception(DestinationRefused(f"{self.path}: the database was closed"))
            else:
                job = Job(work, future, is_durable, is_brief, self._clock.monotonic())
                self._jobs.put((FIRST if is_brief else NEXT, next(self._numbers), job))
        return future

    def write_now(self, work: Callable[[Session], T]) -> T:
        """Write before the batches that wait: there is one writer, and a heartbeat is brief."""
        return self.write(work, is_brief=True).result()

    def read_now(self, work: Callable[[Session], T]) -> T:
        """Read: no reader waits for another."""
        return self.read(work)

    def read(self, work: Callable[[Session], T]) -> T:
        """Run ``work`` on a read-only connection, seeing one consistent state, in the calling thread."""
        self._expect_the_same_file()
        try:
            connection = self._readers.get_nowait()
        except queue.Empty:
            connection = self._connect(read_only=True)
        try:
            connection.execute("BEGIN")
            return work(SqliteSession(connection, self.now()))
        except sqlite3.Error as error:
            raise explained(error, self.path) from error
        finally:
            self._give_back(connection)

    def rows(self, name: str, values: Values) -> list[Row]:
        """Return the rows of one reading statement."""
        return self.read(lambda session: session.all(name, values))

    def close(self) -> None:
        """Write what is queued, let SQLite refresh its statistics, and close every connection."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
            self._jobs.put((LAST, next(self._numbers), None))
        self._thread.join()
        while not self._readers.empty():
            self._readers.get_nowait().close()
        with suppress(sqlite3.Error):
            self._writer.execute("PRAGMA optimize")
        self._writer.close()

    def _connect(self, *, read_only: bool = False) -> sqlite3.Connection:
        options: dict[str, Any] = {"isolation_level": None, "check_same_thread": False, "cached_statements": 256}
        try:
            connection: sqlite3.Connection = sqlite3.connect(self.path, **options)
        except sqlite3.Error as error:
            raise explained(error, self.path) from error
        try:
            for statement in self._pragmas.statements(is_reading=read_only):
                connection.execute(statement)
            connection.execute("PRAGMA query_only = 1" if read_only else "PRAGMA journal_mode = WAL")
        except sqlite3.Error as error:
            connection.close()
            raise explained(error, self.path) from error
        connection.row_factory = sqlite3.Row
        return connection

    def _give_back(self, connection: sqlite3.Connection) -> None:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        if self._closed or self._readers.qsize() >= READERS_MAX:
            connection.close()
        else:
            self._readers.put(connection)

    def _expect_the_same_file(self) -> None:
        """Raise where the path leads to another file, or to none: what is written to ours nobody sees any more."""
        if file_identity(self.path) != self._file:
            message = f"{self.path}: the file was deleted or replaced while it was open"
            raise DestinationRefused(message, next_step=REPLACED)

    def _write_until_closed(self) -> None:
        while (first := self._jobs.get()[2]) is not None:
            self._write_group(first)

    def _write_group(self, first: Job) -> None:
        """Commit what waits together in one transaction; tell each job its result only when it is durable."""
        group, done = [first], list[tuple[Future[Any], Any]]()
        try:
            self._expect_the_same_file()
            with self._waiting_for_the_disk(is_needed=first.is_durable):
                self._writer.execute("BEGIN IMMEDIATE")
                begun = self._clock.monotonic()
                job: Job | None = first
                while job is not None:
                    self._meter.observe("comporta_database_write_wait_seconds", self._clock.monotonic() - job.since)
                    self._write_one(job.work, job.future, done)
                    job = self._companion(group, begun)
                self._writer.execute("COMMIT")
        except (sqlite3.Error, DestinationRefused) as error:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            reason = explained(error, self.path) if isinstance(error, sqlite3.Error) else error
            if isinstance(reason, DestinationBusy):
                self._meter.count("comporta_database_busy_total")
                group += self._worn_out()
            for each in group:
                with suppress(InvalidStateError):
                    each.future.set_exception(reason)
            return
        for future, result in done:
            future.set_result(result)

    def _worn_out(self) -> Iterator[Job]:
        """Take what is brief and has waited as long as a lock is waited for: in its turn it would wait again."""
        while True:
            try:
                entry = self._jobs.get_nowait()
            except queue.Empty:
                return
            job = entry[2]
            if job is None or not job.is_brief or self._clock.monotonic() - job.since < self._pragmas.busy_timeout_s:
                self._jobs.put(entry)
                return
            yield job

    def _companion(self, group: list[Job], begun: float) -> Job | None:
        """Add the next job to a group, if it is of the same kind and the transaction is not long yet."""
        if len(group) >= GROUP_MAX or self._clock.monotonic() - begun >= GROUP_S:
            return None
        try:
            entry = self._jobs.get_nowait()
        except queue.Empty:
            return None
        job = entry[2]
        if job is None or job.kind != group[0].kind:
            self._jobs.put(entry)
            return None
        group.append(job)
        return job

    @contextmanager
    def _waiting_for_the_disk(self, *, is_needed: bool) -> Iterator[None]:
        """Let COMMIT flush the log, where the setting is not to: it cannot be said within a transaction."""
        if not is_needed or self._pragmas.synchronous in DURABLE:
            yield
            return
        self._writer.execute("PRAGMA synchronous = full")
        try:
            yield
        finally:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            self._writer.execute(f"PRAGMA synchronous = {self._pragmas.synchronous}")

    def _write_one(self, work: Callable[[Session], Any], future: "Future[Any]", done: list[Any]) -> None:
        """Run one job in its savepoint. An error of the file itself ends the whole group."""
        if not future.set_running_or_notify_cancel():
            return
        self._writer.execute("SAVEPOINT job")
        try:
            result = work(SqliteSession(self._writer, self.now()))
        except BaseException as error:
            if not self._writer.in_transaction:  # a full disk, for one: SQLite has rolled back all of it
                raise error if isinstance(error, sqlite3.Error) else sqlite3.OperationalError(str(error)) from error
            self._writer.execute("ROLLBACK TO job")
            self._writer.execute("RELEASE job")
            known = explained(error, self.path) if isinstance(error, sqlite3.Error) else error
            future.set_exception(known)
            return
        self._writer.execute("RELEASE job")
        done.append((future, result))


def file_identity(path: Path) -> tuple[int, int] | None:
    """Return which file stands at a path: what is written into a file without a name is lost at the end."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def explained(error: sqlite3.Error, path: Path) -> ComportaError:
    """Return the error of ours that says what SQLite's error means for the user."""
    sealed = refusal_from(str(error), str(path))
    if sealed is not None:
        return sealed
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF  # the rest says more than we need
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return DestinationBusy(f"{path}: another program keeps the database locked ({error})")
    if code in {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}:
        return NotADatabase(f"{path}: {error}; expected an SQLite database")
    if code == sqlite3.SQLITE_FULL:
        return DestinationRefused(f"{path}: no space left to write ({error})")
    return DestinationRefused(f"{path}: SQLite says: {error}")
