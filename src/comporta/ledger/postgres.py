"""One PostgreSQL database behind a pool of connections: each job is a transaction on one of them.

Everything here works through a pooler in transaction mode, where each transaction may meet another server
process: what a session would remember is said again at the beginning of every transaction (``SET LOCAL``,
in one message with BEGIN, so it costs no round trip), no statement is prepared, no lock outlives its
transaction. So a direct connection, a session pooler and a transaction pooler need no switch.

A job that failed before COMMIT was sent is run again when that can help (a deadlock, a lost connection, a
server that restarts): nothing of it was kept. When the connection dies while COMMIT is under way nobody
knows what happened; that is ``CommitOutcomeUnknown``, and the ledger tells (core/lease.py).
"""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, TypeVar

import psycopg
from psycopg import Pipeline
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool, PoolTimeout

from comporta.errors import CommitOutcomeUnknown, ComportaError, DestinationRefused, Unforeseen
from comporta.errors_postgres import ConnectionBroken, DatabaseRestarting, DatabaseUnreachable
from comporta.ledger import postgres_schema
from comporta.ledger.postgres_address import Address, let_the_server_notice
from comporta.ledger.postgres_cut import cut_after
from comporta.ledger.postgres_errors import explained, is_connection_lost, is_repeatable
from comporta.ledger.postgres_schema import connect, settings_query, settings_text
from comporta.ledger.session import Row, Session, Values
from comporta.ledger.statements import statements
from comporta.observability.meter import UNMEASURED, Meter
from comporta.ports.clock import Clock

TRIES = 6
"""How often a transaction is begun, when what stopped it can pass by itself."""
PAUSE_S = 0.05
"""First pause before a transaction is tried again; doubled each time, with full jitter."""
AGAIN_S = 1.0
"""How often a server that is away is tried. Left to itself the pool waits for as long again as it was away."""
AWAY = (ConnectionBroken, DatabaseRestarting, DatabaseUnreachable)
AWAY_S = 30.0
"""How long a server that was away is taken for it, unless somebody got a connection since."""
WRITING = "BEGIN ISOLATION LEVEL READ COMMITTED; SET CONSTRAINTS ALL IMMEDIATE"
"""A rule of the user's that waits for COMMIT would refuse the batch instead of the row."""
DURABLE = f"{WRITING}; SET LOCAL synchronous_commit = on"
"""For what must survive the server's machine, also where a database or a role was set to answer before its disk."""
READING = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
SQL = statements("postgres")
# What the driver and its pool say of lost connections is told by the errors that reach the caller, in our words.
logging.getLogger("psycopg").addHandler(logging.NullHandler())
logging.getLogger("psycopg").propagate = False
Connection = psycopg.Connection[Any]
T = TypeVar("T")
Job = Callable[[Connection], T]


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """How many connections a process opens at most, how long it waits for one, when one is replaced."""

    size: int = 15
    wait: timedelta = timedelta(seconds=30)
    recycle: timedelta = timedelta(hours=1)


TRANSACTION_MAX = timedelta(minutes=5)
"""A server ends what takes too long, unless it is frozen itself while its connections live: then we end it."""


class PostgresSession:
    """A transaction on PostgreSQL; see ``ledger.session.Session``."""

    def __init__(self, connection: Connection, now: datetime) -> None:
        self.connection = connection
        self.now = now
        self._cursor = connection.cursor(row_factory=dict_row)

    def one(self, name: str, values: Values) -> Row | None:
        """Execute a statement and return its first row."""
        return self._cursor.execute(SQL[name], _storable(values)).fetchone()

    def all(self, name: str, values: Values) -> list[Row]:
        """Execute a statement and return its rows."""
        return self._cursor.execute(SQL[name], _storable(values)).fetchall()

    def run(self, name: str, values: Values) -> int:
        """Execute a statement and return how many rows it hit."""
        return self._cursor.execute(SQL[name], _storable(values)).rowcount

    def each(self, name: str, many: Iterable[Values]) -> None:
        """Execute a statement for many values at once: each of its parameters is a list.

        Not the driver's way, a pipeline: a process that is stopped in one keeps its locks until it dies, because
        the server counts neither idle nor working time while it waits for the rest of a pipeline.
        """
        if every := [_storable(values) for values in many]:
            self._cursor.execute(SQL[name], {column: [values[column] for values in every] for column in every[0]})


class PostgresDatabase:
    """An open PostgreSQL database; see ``ledger.session.Database``.

    ``local`` are more settings for each transaction: tests give the server another clock by one.
    """

    def __init__(
        self,
        address: Address,
        limits: PoolLimits,
        clock: Clock,
        *,
        local: Callable[[], Mapping[str, str]] = dict,
        longest: timedelta = TRANSACTION_MAX,
        meter: Meter = UNMEASURED,
    ) -> None:
        self._meter = meter
        self.address = address
        self._longest = longest
        self._clock = clock
        self._local = local
        self._chance = Random()  # noqa: S311  jitter
        # One connection is left for the heartbeats: a lease must not run out behind the batches that it is for.
        queued = max(1, limits.size - 1)
        self._threads = ThreadPoolExecutor(queued, thread_name_prefix="comporta-writer")
        self._places = threading.BoundedSemaphore(queued)
        self._wait_s = limits.wait.total_seconds()
        self._away: tuple[float, ComportaError] | None = None
        self._pool = ConnectionPool(
            kwargs=address.conninfo() | {"autocommit": True, "prepare_threshold": None},
            configure=let_the_server_notice,
            min_size=0,
            max_size=limits.size,
            reconnect_timeout=AGAIN_S,
            reconnect_failed=self._note_away,
            max_lifetime=limits.recycle.total_seconds(),
            name="comporta",
            open=False,
        )
        self._pool.open()
        self._ahead = timedelta()
        try:
            self.read(lambda _: None)  # connects, and looks at the server's clock
        except BaseException:
            self.close()
            raise

    @property
    def where(self) -> str:
        """Return what to call it in a message."""
        return self.address.shown

    def now(self) -> datetime:
        """Return the instant by the server's clock, as far as this machine's went on at the same pace."""
        return self._clock.now() + self._ahead

    def trouble(self) -> ComportaError | None:
        """Return why no connection could be made, if none was since."""
        away = self._away
        return away[1] if away is not None and self._clock.monotonic() - away[0] < AWAY_S else None

    def write(
        self,
        work: Callable[[Session], T],
        *,
        is_durable: bool = False,
        is_brief: bool = False,  # noqa: ARG002  many may write here at once
    ) -> "Future[T]":
        """Run ``work`` in a write transaction; the future is done after COMMIT, or holds the error."""
        try:
            begin = DURABLE if is_durable else WRITING
            return self._threads.submit(self._queued, self._transaction(work, begin), self._clock.monotonic())
        except RuntimeError:  # what an executor says that was shut down
            future: Future[T] = Future()
            future.set_exception(DestinationRefused(f"{self.where}: the database was closed"))
            return future

    def write_now(self, work: Callable[[Session], T]) -> T:
        """Run ``work`` in a write transaction in the calling thread, past all that waits."""
        return self._patiently(self._transaction(work, WRITING))

    def read(self, work: Callable[[Session], T]) -> T:
        """Run ``work`` in a read-only transaction, seeing one consistent state, in the calling thread."""
        return self._queued(self._transaction(work, READING))

    def read_now(self, work: Callable[[Session], T]) -> T:
        """Run ``work`` as ``read`` does, past all that waits."""
        return self._patiently(self._transaction(work, READING))

    def rows(self, name: str, values: Values) -> list[Row]:
        """Return the rows of one reading statement, asked for in one message with the transaction around it."""
        return self._queued(lambda connection: self._answer(connection, name, values))

    def close(self) -> None:
        """Wait for what is being written and close every connection."""
        self._threads.shutdown()
        self._pool.close()

    def _transaction(self, work: Callable[[Session], T], begin: str) -> Job[T]:
        return lambda connection: self._done(connection, work, begin)

    def _queued(self, job: "Job[T]", since: float | None = None) -> T:
        """Do a job in its turn: all but one of the connections are for these."""
        if not self._places.acquire(timeout=self._wait_s):
            self._meter.count("comporta_database_pool_timeouts_total")
            raise self._waited_in_vain()
        try:
            return self._patiently(job, since)
        finally:
            self._places.release()

    def _patiently(self, job: "Job[T]", since: float | None = None) -> T:
        """Do a job, again if it was stopped before COMMIT by something that passes."""
        pause_s, until = PAUSE_S, self._clock.monotonic() + self._wait_s
        for left in reversed(range(TRIES)):
            try:
                return self._once(job, since)
            except psycopg.Error as error:
                is_last = not left or self._clock.monotonic() > until
                if is_last or not is_repeatable(error):
                    raise explained(error, self.address) from error
                if is_connection_lost(error):
                    self._pool.check()  # the others in the pool died with it
            threading.Event().wait(self._chance.uniform(0, pause_s))
            self._meter.count("comporta_database_retries_total")
            pause_s, since = pause_s * 2, None
        raise AssertionError("the last try returns or raises")  # pragma: no cover  # never reached

    def _once(self, job: "Job[T]", since: float | None) -> T:
        connection = self._connection()
        if since is not None:
            self._meter.observe("comporta_database_write_wait_seconds", self._clock.monotonic() - since)
        try:
            with cut_after(connection, self._longest):
                return job(connection)
        finally:
            self._pool.putconn(connection)

    def _done(self, connection: Connection, work: Callable[[Session], T], begin: str) -> T:
        try:
            session = PostgresSession(connection, _begin(connection, begin, self._locals()))
            self._ahead = session.now - self._clock.now()
            result = work(session)
        except BaseException as error:
            _roll_back(connection, error)
            raise
        if begin == READING:
            with suppress(psycopg.Error):  # all of it is here already, and there is nothing to keep
                connection.execute("COMMIT")
        else:
            self._commit(connection)
        return result

    def _answer(self, connection: Connection, name: str, values: Values) -> list[Row]:
        """Return what a statement reads in a transaction that is sent at once, its COMMIT with it.

        What comes back is read as the session says it, not the transaction: where they differ, it goes step by step.
        """
        if not _says_it_plainly(connection):
            return self._done(connection, lambda session: session.all(name, values), READING)
        cursor = connection.cursor(row_factory=dict_row)
        try:
            with connection.pipeline():
                connection.execute(READING)
                begun = connection.execute(settings_query(self._locals()))
                cursor.execute(SQL[name], _storable(values))
                connection.execute("COMMIT")
            self._ahead = _instant_of(begun) - self._clock.now()
            return cursor.fetchall()
        except BaseException as error:
            _roll_back(connection, error)
            raise

    def _locals(self) -> Mapping[str, str]:
        return {**postgres_schema.LOCALS, **self._local()}

    def _connection(self) -> Connection:
        """Return a connection; the pool tries anew to make one each time that it is asked."""
        since, times = self._clock.monotonic(), max(1, round(self._wait_s / AGAIN_S))
        for _ in range(times):
            with suppress(PoolTimeout):
                connection = self._pool.getconn(self._wait_s / times)
                self._away = None
                self._meter.observe("comporta_database_pool_wait_seconds", self._clock.monotonic() - since)
                return connection
        self._meter.count("comporta_database_pool_timeouts_total")
        # The pool only knows that it waited; whoever cannot connect is told why by trying.
        connect(self.address).close()
        raise self._waited_in_vain()

    def _note_away(self, _: ConnectionPool) -> None:
        """Note why, when the pool has tried in vain to make a connection: it does not say."""
        try:
            connect(self.address).close()
        except AWAY as error:
            self._away = self._clock.monotonic(), error
        except ComportaError:
            return  # it is there, and lets nobody else in: those who are in go on

    def _waited_in_vain(self) -> ComportaError:
        """Return the error in the pool's own words, by which it is known that waiting again may help."""
        return explained(PoolTimeout(f"couldn't get a connection after {self._wait_s:.2f} sec"), self.address)

    def _commit(self, connection: Connection) -> None:
        try:
            ended = connection.execute("COMMIT").statusmessage
        except psycopg.Error as error:
            if connection.info.transaction_status != TransactionStatus.IDLE:
                # Not ended by the server's word. The driver does not always know that a connection is lost.
                connection.close()
                message = f"{self.where}: the connection was lost while COMMIT was under way ({error})"
                raise CommitOutcomeUnknown(message) from error
            raise
        if ended != "COMMIT":  # the server's answer, without an error, where a statement had failed unheard
            raise Unforeseen(f"{self.where}: a transaction was taken back where it was to be committed ({ended})")


def _begin(connection: Connection, begin: str, local: Mapping[str, str]) -> datetime:
    """Begin a transaction, its settings and its instant in one message; return the instant."""
    cursor = connection.execute(f"{begin}; {settings_text(local)}; SELECT comporta.cmp_now()")
    while cursor.nextset():
        pass
    return _instant_of(cursor)


def _instant_of(answer: psycopg.Cursor[Any]) -> datetime:
    row = answer.fetchone()
    assert row is not None, "a SELECT without FROM has one row"  # noqa: S101  for mypy
    instant: datetime = row[-1]
    return instant.astimezone(UTC)


def _says_it_plainly(connection: Connection) -> bool:
    """Say whether a session's own settings read what a transaction of ours writes."""
    style = connection.info.parameter_status("DateStyle") or ""
    return Pipeline.is_supported() and connection.info.encoding == "utf-8" and style.startswith("ISO")


def _roll_back(connection: Connection, error: BaseException) -> None:
    """Roll back. Where that fails the connection is lost, whatever the driver said of it, and nothing was kept."""
    try:
        connection.execute("ROLLBACK")
    except psycopg.Error:
        connection.close()
        if isinstance(error, psycopg.Error) and error.sqlstate is None and not is_connection_lost(error):
            raise psycopg.OperationalError(f"the connection was lost ({error})") from error


def _storable(values: Values) -> Values:
    """Return parameters without the one letter that PostgreSQL's text cannot hold."""
    if any(isinstance(value, str) and "\0" in value for value in values.values()):
        return {name: value.replace("\0", "\\0") if isinstance(value, str) else value for name, value in values.items()}
    return values
