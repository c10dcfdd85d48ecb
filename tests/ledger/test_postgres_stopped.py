"""A process that is stopped in the middle of a transaction: the server must be able to end it.

It counts idle time only while it owes no answer, that is after a message that ends with Sync.
"""

import os
import signal
import tempfile
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta

import pytest
from psycopg.pq import Trace

from comporta.ledger.postgres import PoolLimits, PostgresDatabase
from comporta.ledger.postgres_address import Address
from comporta.ledger.session import Session
from comporta.ports.system_clock import SystemClock

HINTS: list[dict[str, object]] = [{"scope": "a/lines", "parent": str(number), "told_at": None} for number in (3, 1, 2)]


def sent(url: str, work: Callable[[Session], object]) -> list[str]:
    """Do some work in a transaction and return the names of the messages that it sent."""
    limits, now = PoolLimits(size=1, wait=timedelta(seconds=3)), {"comporta.now": "2026-03-01T08:00:00Z"}
    with tempfile.TemporaryFile("w+") as traced:

        def tracing(session: Session) -> None:
            session.connection.pgconn.trace(traced.fileno())
            session.connection.pgconn.set_trace_flags(Trace.SUPPRESS_TIMESTAMPS)
            work(session)
            session.connection.pgconn.untrace()

        with closing(PostgresDatabase(Address.parse(url), limits, SystemClock(), local=lambda: now)) as database:
            database.write(tracing).result(8)
        traced.seek(0)
        # From us ("F"), the length, the name, then what is in it, which may have lines of its own.
        return [line.split("\t")[2].strip() for line in traced if line.startswith("F\t")]


def test_many_values_go_in_one_message_that_ends_with_a_sync(ledger_url: str) -> None:
    """In a pipeline, the server would wait for the rest of it for as long as the process is stopped."""

    def work(session: Session) -> None:
        session.each("hint", HINTS)
        session.each("forget_hint", [{"scope": "a/lines", "parent": each, "times": 1} for each in ("3", "1")])
        session.each("forget_hint", [])
        now = "2026-03-01T08:00:00Z"
        left = session.all("hints", {"scope": "a/lines", "limit": 9, "due": now, "never": now})
        assert [row["parent"] for row in left] == ["2"]

    messages = sent(ledger_url, work)

    assert messages == 3 * ["Parse", "Bind", "Describe", "Execute", "Sync"]


@pytest.mark.full
def test_a_server_that_is_frozen_holds_nobody_up_for_ever(ledger_url: str) -> None:
    """Its connections live, so neither the network nor its own time limits say a word."""
    limits, now = PoolLimits(size=2, wait=timedelta(seconds=3)), {"comporta.now": "2026-03-01T08:00:00Z"}
    frozen: list[int] = []

    def work(session: Session) -> int:
        if not frozen:
            frozen.append(session.connection.info.backend_pid)
            os.kill(frozen[0], signal.SIGSTOP)
        return session.run("hint", {"scope": ["a/lines"], "parent": ["1"], "told_at": [None]})

    def opened() -> PostgresDatabase:
        longest = timedelta(seconds=0.3)
        address = Address.parse(ledger_url)
        return PostgresDatabase(address, limits, SystemClock(), local=lambda: now, longest=longest)

    try:
        with closing(opened()) as database:
            written = database.write(work).result(8)
    finally:
        for each in frozen:
            os.kill(each, signal.SIGCONT)

    assert (written, len(frozen)) == (1, 1)
