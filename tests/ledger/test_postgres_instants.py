"""What the ledger says happened when, where a transaction had to wait: by the server's own clock."""

import time
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from typing import Any

import psycopg

from comporta.core.run import Run, Trigger
from comporta.core.ticket import Ticket
from comporta.core.window import Request
from comporta.ledger.leases import acquire, queue_run
from comporta.ledger.postgres import PoolLimits, PostgresDatabase
from comporta.ledger.postgres_address import Address
from comporta.ledger.rows import run_from
from comporta.ledger.session import Session
from comporta.ports.store import Granted, Occupied
from comporta.ports.system_clock import SystemClock

REAL_CLOCK = """
CREATE OR REPLACE FUNCTION comporta.cmp_now() RETURNS timestamptz LANGUAGE sql VOLATILE AS 'SELECT clock_timestamp()'
"""
WAITING = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
PATIENCE_S = 8.0
HOUR = timedelta(hours=1)
TICKET = Ticket("shop", "thing", Request(), Trigger.MANUAL)


def take(name: str, ttl: timedelta) -> Callable[[Session], Granted | Occupied]:
    """Return what queues a run and takes its lease in one transaction."""

    def work(session: Session) -> Granted | Occupied:
        return acquire(session, queue_run(session, TICKET, run_id=name), ttl=ttl, timeout=HOUR, instance="here")

    return work


def run_of(session: Session, name: str) -> Run:
    """Return a run as the ledger has it."""
    return run_from(session.one("run", {"run": name}))


def until_somebody_waits(connection: "psycopg.Connection[Any]") -> None:
    """Return when a transaction waits for a lock."""
    deadline = time.monotonic() + PATIENCE_S
    while connection.execute(WAITING).fetchone() is None:
        assert time.monotonic() < deadline


def test_a_takeover_happened_when_the_lease_was_taken_not_when_its_transaction_began(ledger_url: str) -> None:
    """A takeover waits for the last batch of the one before, whose rows are then older than its loss."""
    limits = PoolLimits(size=2, wait=timedelta(seconds=3))
    with psycopg.connect(ledger_url, autocommit=True, options="-c datestyle=ISO") as other:
        other.execute(REAL_CLOCK)
        with closing(PostgresDatabase(Address.parse(ledger_url), limits, SystemClock())) as database:
            database.write(take("first", -HOUR)).result(PATIENCE_S)
            with other.transaction():
                other.execute("SELECT 1 FROM comporta.cmp_scope FOR UPDATE")
                second = database.write(take("second", HOUR))
                until_somebody_waits(other)
                released_at = other.execute("SELECT clock_timestamp()").fetchone()
            second.result(PATIENCE_S)
            lost, running = database.read(lambda s: (run_of(s, "first"), run_of(s, "second")))

    assert released_at is not None
    assert lost.finished_at is not None
    assert running.started_at is not None
    assert lost.finished_at > released_at[0]
    assert running.started_at == lost.finished_at
