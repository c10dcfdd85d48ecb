"""The lease protocol: each function is the inside of one write transaction.

core/lease.py tells the idea, docs/explanation/coordination.md the protocol. The order inside
``fence``'s transaction matters: it comes last, so that its row lock is short and every commit renews.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from comporta.core.lease import NEVER, Lease
from comporta.core.run import Run, RunState
from comporta.core.ticket import Ticket, successor
from comporta.errors import LeaseLost, RunLost
from comporta.ledger.rows import instant_from, instant_of, run_from, text_of
from comporta.ledger.session import Session, term
from comporta.ports.store import Granted, Occupied

JUMP = timedelta(minutes=5)
"""A run that was queued so long after now shows that the clock was set back; less, only that a transaction waited."""


def queue_run(session: Session, ticket: Ticket, *, run_id: str) -> Run:
    """Queue a run or join the queued one of equal kind and bounds; one that a person joins is the person's."""
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
        "now": text_of(session.now),
    }
    return run_from(session.one("queue_run", values))


def queue_tick(session: Session, ticket: Ticket, at: datetime, *, run_id: str) -> Run | None:
    """Queue a run for a tick, or let the queued one serve it; ``None`` when nothing was queued."""
    values = {
        "id": run_id,
        "scope": ticket.scope,
        "account": ticket.account,
        "stream": ticket.stream,
        "trigger": ticket.trigger.value,
        "request": ticket.request.text,
        "tick": text_of(at),
        "not_before": text_of(ticket.not_before),
        "priority": ticket.priority,
        "now": text_of(session.now),
    }
    _after_jump(session, ticket.scope)
    queued = session.one("queue_tick", values)
    if queued is None:
        session.run("join_tick", {name: values[name] for name in ("scope", "request", "tick", "now")})
    return run_from(queued) if queued is not None else None


def _after_jump(session: Session, scope: str) -> None:
    """Let ticks come again, and let what waits begin, when runs that were queued hours from now show a clock set back.

    Otherwise nothing of the stream would begin until the clock is again where it was.
    """
    values = {"scope": scope, "now": text_of(session.now), "ahead": text_of(session.now + JUMP)}
    session.run("free_coming_ticks", values)
    session.run("free_postponed", values)


def queue_successor(session: Session, run: Run, ticket: Ticket) -> None:
    """Queue the successor of a run, named after the first and numbered, unless a person asked the run to end."""
    if run.cancel_requested:
        return
    first, _, number = run.id.partition(".")
    queue_run(session, ticket, run_id=f"{first}.{int(number or 1) + 1}")


def acquire(session: Session, run: Run, *, ttl: timedelta, timeout: timedelta, instance: str) -> Granted | Occupied:
    """Take the lease and start the run, or say who holds it. A dead predecessor is marked lost here."""
    taken = session.one("take_lease", {"scope": run.scope, "run": run.id} | term(session, ttl))
    if taken is None:
        return occupied(session, run.scope)
    # Not the instant at which the transaction began: it may have waited for the row, or been stopped, since.
    at = instant_of(taken["at"])
    lost = _mark_lost(session, run.scope, at)
    times = {"now": text_of(at), "deadline_at": text_of(at + timeout)}
    started = session.one("start_run", {"run": run.id, "epoch": taken["epoch"], "instance": instance} | times)
    if started is None:
        # Somebody else started this very run and has already ended it, or a person cancelled it.
        message = f"{run.scope}: run {run.id} is no longer queued; another process took it"
        raise LeaseLost(message)
    return Granted(Lease(run.scope, taken["epoch"], run.id, taken["commits"]), run_from(started), lost)


def queued_before(session: Session, run_id: str) -> Run | None:
    """Return the run if it was queued by a transaction whose COMMIT was not answered."""
    row = session.one("run", {"run": run_id})
    return run_from(row) if row is not None else None


def acquire_again(
    session: Session, run: Run, tried: Sequence[Granted], *, ttl: timedelta, timeout: timedelta, instance: str
) -> Granted | Occupied:
    """Acquire after transactions whose COMMIT was not answered; ``tried`` is what they would have granted."""
    answer = _granted_before(session, run, tried) or acquire(session, run, ttl=ttl, timeout=timeout, instance=instance)
    if isinstance(answer, Occupied) and answer.holder == run.id:
        # It was still on its way while we looked, and we have waited for it since.
        return _granted_before(session, run, tried) or answer
    return answer


def _granted_before(session: Session, run: Run, tried: Sequence[Granted]) -> Granted | None:
    """Return the lease if one of the grants was kept; the scope's row is locked first.

    The run and the process do not tell: another task of this process may hold the lease for the same run. The
    epoch alone does not either, for what was taken back is given again. The instant of the start does.
    """
    held = session.one("lock_scope", {"scope": run.scope})
    if held is None or held["holder"] != run.id:
        return None
    row = session.one("run", {"run": run.id})
    began = {(each.lease.epoch, each.run.started_at): each.lost for each in tried}
    if row is None or row["epoch"] != held["epoch"] or (row["epoch"], instant_from(row["started_at"])) not in began:
        return None
    lost = began[row["epoch"], instant_from(row["started_at"])]
    return Granted(Lease(run.scope, held["epoch"], run.id, held["commits"]), run_from(row), lost)


def ended_before(session: Session, lease: Lease, state: RunState) -> Run | None:
    """Return the run if a transaction ended it so whose COMMIT was not answered."""
    session.one("lock_scope", {"scope": lease.scope})
    row = session.one("run", {"run": lease.holder})
    is_ours = row is not None and row["epoch"] == lease.epoch and row["state"] == state.value
    return run_from(row) if is_ours else None


def renew(session: Session, lease: Lease, ttl: timedelta) -> bool:
    """Extend the lease if it is still ours, expired or not: the epoch did not change, so it is safe."""
    return session.run("renew", identity(lease) | term(session, ttl)) == 1


def hold(session: Session, lease: Lease, ttl: timedelta) -> None:
    """Renew, or raise ``LeaseLost``: the guard of small writes beside the batches."""
    if not renew(session, lease, ttl):
        raise _lost(lease)


def fence(session: Session, lease: Lease, ttl: timedelta, *, release: bool) -> Lease:
    """Let the transaction through only if the lease is ours and nothing was committed meanwhile."""
    values = identity(lease) | {"commits": lease.commits} | term(session, ttl)
    if session.run("fence_and_release" if release else "fence", values) != 1:
        raise _lost(lease)
    return lease.advanced()


def release(session: Session, lease: Lease) -> None:
    """Free our own lease, never a successor's."""
    if session.run("release", identity(lease)) != 1:
        raise _lost(lease)


def expiry(now: datetime) -> dict[str, object]:
    """Return the bounds outside of which no lease is alive."""
    return {"now": text_of(now), "never": text_of(now + NEVER)}


def reap(session: Session) -> list[Run]:
    """Take away every expired lease; its run is lost in the same transaction that raises the epoch."""
    seized = session.all("seize_expired", expiry(session.now))
    return [lost for row in seized for lost in _mark_lost(session, row["scope"], instant_of(row["at"]))]


def unlock(session: Session, scope: str) -> list[Run] | None:
    """Free a scope by hand, ``None`` when it is free: the reaper's statements without the test of time."""
    seized = session.one("seize_one", {"scope": scope, "now": text_of(session.now)})
    if seized is None:
        return None
    return _mark_lost(session, scope, instant_of(seized["at"]), why="a person released it (`comporta unlock`)")


def end_run(session: Session, lease: Lease, *, values: Mapping[str, object], error: Mapping[str, str] | None) -> Run:
    """Write the terminal state of the run that holds ``lease``."""
    given = {"run": lease.holder, "epoch": lease.epoch, "error": json.dumps(error) if error else None, **values}
    row = session.one("end_run", given)
    if row is None:
        raise _lost(lease)
    return run_from(row)


def _mark_lost(
    session: Session,
    scope: str,
    at: datetime,
    *,
    why: str = "the lease ran out; the process died, froze or lost the database",
) -> list[Run]:
    """Mark the running run of a scope lost and queue its successor, which joins an equal one that is queued."""
    error = RunLost(f"{scope}: {why}")
    values = {"scope": scope, "now": text_of(at), "error": json.dumps(error.as_json())}
    lost = [run_from(row) for row in session.all("mark_lost", values)]
    for run in lost:
        ticket = successor(run, not_before=None)
        if ticket is not None:
            queue_successor(session, run, ticket)
    return lost


def occupied(session: Session, scope: str) -> Occupied:
    """Return who holds a scope."""
    row = session.one("holder", {"scope": scope})
    assert row is not None, "a scope is never deleted while it is held"  # noqa: S101  for mypy
    expires_at = instant_from(row["expires_at"])
    assert expires_at is not None, "a held scope always has an expiry"  # noqa: S101  for mypy
    return Occupied(scope, row["holder"], instant_from(row["started_at"]), expires_at, row["instance"])


def identity(lease: Lease) -> dict[str, object]:
    """Return the parameters by which a statement hits the scope only under this lease."""
    return {"scope": lease.scope, "epoch": lease.epoch, "run": lease.holder}


def _lost(lease: Lease) -> LeaseLost:
    message = (
        f"{lease.scope}: run {lease.holder} no longer holds epoch {lease.epoch}; nothing of this batch was written"
    )
    return LeaseLost(message)
