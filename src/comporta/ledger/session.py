"""What the ledger needs of a database, whichever it is: transactions in which named statements run.

Everything else in this room is written once, against ``Session``; what differs between the databases is
their SQL (``queries/<dialect>.sql``) and how a transaction begins and ends (``sqlite``, ``postgres``).
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import Future
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

from comporta.core.instant import instant_text
from comporta.errors import CommitOutcomeUnknown, ComportaError
from comporta.ports.destination import Connection

OUTCOME_TRIES = 5
"""How often a write is tried whose COMMIT was not answered."""
T = TypeVar("T")
Values = Mapping[str, object]
Row = Any
"""A row whose columns are taken by name: ``row["epoch"]``."""


class Session(Protocol):
    """One transaction, seen from inside. ``now`` is the database's clock as it began."""

    @property
    def connection(self) -> Connection:
        """Return the driver's own connection, for the destination's half."""

    @property
    def now(self) -> datetime:
        """Return the instant at which the transaction began, by the database's clock."""

    def one(self, name: str, values: Values) -> Row | None:
        """Execute a statement and return its first row."""

    def all(self, name: str, values: Values) -> list[Row]:
        """Execute a statement and return its rows."""

    def run(self, name: str, values: Values) -> int:
        """Execute a statement and return how many rows it hit."""

    def each(self, name: str, many: Iterable[Values]) -> None:
        """Execute a statement for each of many values."""


class Database(Protocol):
    """An open database. It may be used from any thread until it is closed."""

    @property
    def where(self) -> str:
        """Return what to call it in a message, without its password."""

    def now(self) -> datetime:
        """Return the instant by the database's clock."""

    def trouble(self) -> ComportaError | None:
        """Return why nobody can reach the database now, as far as that is known already; it asks nobody."""

    def write(self, work: Callable[[Session], T], *, is_durable: bool = False, is_brief: bool = False) -> "Future[T]":
        """Run ``work`` in a write transaction; the future is done after COMMIT, or holds the error.

        ``is_durable``: what it wrote is on the disk by then, whatever the settings allow to other writes.
        ``is_brief``: it writes a few rows that somebody waits for, and goes before batches where there is one writer.
        ``work`` may be run again from its start, in a new transaction, after the first was rolled back.
        """

    def write_now(self, work: Callable[[Session], T]) -> T:
        """Run ``work`` as ``write`` does, in the calling thread; for heartbeats, before what waits if that can be."""

    def read(self, work: Callable[[Session], T]) -> T:
        """Run ``work``, which writes nothing, on one consistent state, in the calling thread."""

    def read_now(self, work: Callable[[Session], T]) -> T:
        """Run ``work`` as ``read`` does; for heartbeats, before what waits."""

    def rows(self, name: str, values: Values) -> list[Row]:
        """Return the rows of one reading statement, for the time of one answer where the database is distant."""

    def close(self) -> None:
        """Wait for what is being written and close every connection."""


async def settled(write: Callable[[], Awaitable[T]], again: Callable[[], Awaitable[T]] | None = None) -> T:
    """Write, and once more where the answer to COMMIT was lost: ``again``, or what may be done twice the same way."""
    for _ in range(OUTCOME_TRIES - 1):
        try:
            return await write()
        except CommitOutcomeUnknown:
            write = again or write
    return await write()


def term(session: Session, ttl: timedelta) -> dict[str, object]:
    """Return the parameters of a lease that lasts ``ttl`` from now.

    SQLite takes the instants, PostgreSQL only the span: its statements read the server's clock when they
    have got their row, so that a wait for a lock does not shorten a lease.
    """
    return {"now": instant_text(session.now), "expires_at": instant_text(session.now + ttl), "ttl": ttl}
