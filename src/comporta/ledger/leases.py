"""The lease protocol on SQLite: each function is the inside of one write transaction.

core/lease.py tells the idea, docs/explanation/coordination.md the protocol. The order inside
``fence``'s transaction matters: it comes last, so that its row lock is short and every commit renews.
"""

import json
import sqlite3
from collections.abc import Mapping
from datetime import datetime, timedelta

from comporta.core.lease import Lease
from comporta.core.run import Run
from comporta.core.ticket import Ticket, successor
from comporta.errors import LeaseLost, RunLost
from comporta.ledger.rows import instant_from, run_from, text_of
from comporta.ledger.statements import statements
from comporta.ports.store import Granted, Occupied

SQL = statements("sqlite")


def queue_run(connection: sqlite3.Connection, ticket: Ticket, *, run_id: str, now: datetime) -> Run:
    """Queue a run or join the queued one of equal kind and bounds."""
    scope = f"dry/{run_id}" if ticket.dry_run else ticket.scope
    values = {
        "id": run_id,
        "scope": scope,
        "account": ticket.account,
        "stream": ticket.stream,
        "trigger": ticket.trigger.value,
        "request": ticket.request.text,
        "not_before": text_of(ticket.not_before),
        "priority": ticket.priority,
        "attempt": ticket.attempt,
        "dry_run": ticket.dry_run,
        "partial": ticket.request.max_records is not None,
        "now": text_of(now),
    }
    return run_from(connection.execute(SQL["queue_run"], values).fetchone())


def queue_successor(connection: sqlite3.Connection, run: Run, ticket: Ticket, *, now: datetime) -> None:
    """Queue the next attempt of a run, named after the first, unless a person asked the run to end."""
    if run.cancel_requested:
        return
    queue_run(connection, ticket, run_id=f"{run.id.partition('.')[0]}.{ticket.attempt}", now=now)


def acquire(
    connection: sqlite3.Connection, run: Run, *, now: datetime, ttl: timedelta, timeout: timedelta, instance: str
) -> Granted | Occupied:
    """Take the lease and start the run, or say who holds it. A dead predecessor is marked lost here."""
    values = {"scope": run.scope, "run": run.id, "now": text_of(now), "expires_at": text_of(now + ttl)}
    taken = connection.execute(SQL["take_lease"], values).fetchone()
    if taken is None:
        return _occupied(connection, run.scope)
    _mark_lost(connection, run.scope, now=now)
    started = connection.execute(
        SQL["start_run"],
        {
            "run": run.id,
            "epoch": taken["epoch"],
            "now": text_of(now),
            "deadline_at": text_of(now + timeout),
            "instance": instance,
        },
    ).fetchone()
    if started is None:
        # Somebody else started this very run and has already ended it, or a person cancelled it.
        message = f"{run.scope}: run {run.id} is no longer queued; another process took it"
        raise LeaseLost(message)
    return Granted(Lease(run.scope, taken["epoch"], run.id, taken["commits"]), run_from(started))


def renew(connection: sqlite3.Connection, lease: Lease, *, expires_at: datetime) -> bool:
    """Extend the lease if it is still ours, expired or not: the epoch did not change, so it is safe."""
    values = _identity(lease) | {"expires_at": text_of(expires_at)}
    return connection.execute(SQL["renew"], values).rowcount == 1


def hold(connection: sqlite3.Connection, lease: Lease, *, expires_at: datetime) -> None:
    """Renew, or raise ``LeaseLost``: the guard of small writes beside the batches."""
    if not renew(connection, lease, expires_at=expires_at):
        raise _lost(lease)


def fence(connection: sqlite3.Connection, lease: Lease, *, expires_at: datetime, release: bool) -> Lease:
    """Let the transaction through only if the lease is ours and nothing was committed meanwhile."""
    values = _identity(lease) | {"commits": lease.commits}
    if release:
        hit = connection.execute(SQL["fence_and_release"], values).rowcount
    else:
        hit = connection.execute(SQL["fence"], values | {"expires_at": text_of(expires_at)}).rowcount
    if hit != 1:
        raise _lost(lease)
    return lease.advanced()


def release(connection: sqlite3.Connection, lease: Lease) -> None:
    """Free our own lease, never a successor's."""
    if connection.execute(SQL["release"], _identity(lease)).rowcount != 1:
        raise _lost(lease)


def reap(connection: sqlite3.Connection, *, now: datetime) -> list[Run]:
    """Take away every expired lease; its run is lost in the same transaction that raises the epoch."""
    seized = connection.execute(SQL["seize_expired"], {"now": text_of(now)}).fetchall()
    return [lost for row in seized for lost in _mark_lost(connection, row["scope"], now=now)]


def unlock(connection: sqlite3.Connection, scope: str, *, now: datetime) -> bool:
    """Free a scope by hand: the reaper's statements without the test of time."""
    if connection.execute(SQL["seize_one"], {"scope": scope}).fetchone() is None:
        return False
    _mark_lost(connection, scope, now=now, why="a person released it (`comporta unlock`)")
    return True


def end_run(
    connection: sqlite3.Connection, lease: Lease, *, values: Mapping[str, object], error: Mapping[str, str] | None
) -> Run:
    """Write the terminal state of the run that holds ``lease``."""
    given = {"run": lease.holder, "epoch": lease.epoch, "error": json.dumps(error) if error else None, **values}
    row = connection.execute(SQL["end_run"], given).fetchone()
    if row is None:
        raise _lost(lease)
    return run_from(row)


def _mark_lost(
    connection: sqlite3.Connection,
    scope: str,
    *,
    now: datetime,
    why: str = "the lease ran out; the process died, froze or lost the database",
) -> list[Run]:
    """Mark the running run of a scope lost and queue its successor, which joins an equal one that is queued."""
    error = RunLost(f"{scope}: {why}")
    values = {"scope": scope, "now": text_of(now), "error": json.dumps(error.as_json())}
    lost = [run_from(row) for row in connection.execute(SQL["mark_lost"], values).fetchall()]
    for run in lost:
        ticket = successor(run, not_before=None)
        if ticket is not None:
            queue_successor(connection, run, ticket, now=now)
    return lost


def _occupied(connection: sqlite3.Connection, scope: str) -> Occupied:
    row = connection.execute(SQL["holder"], {"scope": scope}).fetchone()
    expires_at = instant_from(row["expires_at"])
    assert expires_at is not None, "a held scope always has an expiry"  # noqa: S101
    return Occupied(scope, row["holder"], instant_from(row["started_at"]), expires_at, row["instance"])


def _identity(lease: Lease) -> dict[str, object]:
    return {"scope": lease.scope, "epoch": lease.epoch, "run": lease.holder}


def _lost(lease: Lease) -> LeaseLost:
    message = (
        f"{lease.scope}: run {lease.holder} no longer holds epoch {lease.epoch}; nothing of this batch was written"
    )
    return LeaseLost(message)
