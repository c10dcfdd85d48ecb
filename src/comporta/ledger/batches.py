"""The inside of the transaction that writes a batch: rows, counts, resume point, coverage, fence.

Everything here happens or nothing does. The fence is the last statement; a run that lost its lease
rolls back all of it, its log lines too.
"""

import json
import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from comporta.core.counts import Counts
from comporta.core.coverage import Coverage, Interval
from comporta.core.instant import instant_text, parse_instant
from comporta.core.lease import Lease
from comporta.core.run import Run
from comporta.errors import Unforeseen
from comporta.ledger import leases
from comporta.ledger.rows import text_of
from comporta.ledger.statements import statements
from comporta.ports.destination import Destination, Written
from comporta.ports.progress import Requests
from comporta.ports.store import Batch, Committed, Ending, LogLine

SQL = statements("sqlite")


class Batches:
    """Writes batches of one store: the destination's half and the ledger's half over one connection."""

    def __init__(self, destination: Destination, *, checkpoint: Callable[[str], None]) -> None:
        self._destination = destination
        self._checkpoint = checkpoint

    def commit(
        self,
        connection: sqlite3.Connection,
        lease: Lease,
        batch: Batch,
        ending: Ending | None,
        *,
        now: datetime,
        ttl: timedelta,
    ) -> Committed:
        """Write a batch, and the end of the run with it if given."""
        account = lease.scope.partition("/")[0]
        written = self._destination.write(connection, account, batch, run=lease.holder, now=instant_text(now))
        if not written.counts.is_balanced:
            message = f"{lease.scope}: the counts of a batch do not add up: {written.counts}; nothing of it was written"
            raise Unforeseen(message)
        _record_counts(connection, lease, batch, written, now)
        _record_quarantine(connection, lease, batch, written, now)
        _record_hints(connection, lease, batch, written)
        append_log(connection, lease.holder, batch.log, now)
        if batch.pass_id is not None:
            values = {"pass": batch.pass_id, "position": batch.position, "read": written.counts.read}
            connection.execute(SQL["advance_pass"], values)
        if ending is not None:
            end(connection, lease, ending, now=now)
        self._checkpoint("before_fence")
        advanced = leases.fence(connection, lease, expires_at=now + ttl, release=ending is not None)
        self._checkpoint("after_fence")
        return Committed(advanced, written.counts)


def finish(connection: sqlite3.Connection, lease: Lease, ending: Ending, *, now: datetime) -> Run:
    """End a run without a last batch and free its lease."""
    run = end(connection, lease, ending, now=now)
    leases.release(connection, lease)
    return run


def end(connection: sqlite3.Connection, lease: Lease, ending: Ending, *, now: datetime) -> Run:
    """Write what the end of a run says; the caller frees the lease in the same transaction."""
    if ending.covered is not None and ending.fingerprint is not None:
        _cover(connection, lease.scope, ending.covered, ending.fingerprint, replaces=ending.replaces)
    if ending.pass_id is not None:
        connection.execute(SQL["end_pass"], {"pass": ending.pass_id})
    if ending.reconciled is not None:
        learned = {"reconciled_at": text_of(now), "reconcile_result": json.dumps(ending.reconciled)}
        connection.execute(SQL["learn"], NOTHING_LEARNT | {"scope": lease.scope} | learned)
    append_log(connection, lease.holder, ending.log, now)
    if ending.counts is not None:
        values = {"run": lease.holder, "now": text_of(now)} | _counts(ending.counts)
        connection.execute(SQL["count_batch"], values | requests_values(ending.requests))
    values = {"state": ending.state.value, "now": text_of(now)} | requests_values(ending.requests)
    run = leases.end_run(connection, lease, values=values, error=ending.error)
    if ending.successor is not None:
        leases.queue_successor(connection, run, ending.successor, now=now)
    return run


def coverage_of(connection: sqlite3.Connection, scope: str) -> Coverage:
    """Return the coverage of a scope."""
    rows = connection.execute(SQL["coverage"], {"scope": scope}).fetchall()
    return Coverage(tuple(Interval(parse_instant(row["since"]), parse_instant(row["until"])) for row in rows))


def append_log(connection: sqlite3.Connection, run: str, lines: Sequence[LogLine], now: datetime) -> None:
    """Append lines to the log of a run."""
    for line in lines:
        fields = json.dumps(line.fields, default=str)
        values = {"run": run, "now": text_of(now), "level": line.level, "step": line.step}
        connection.execute(SQL["append_log"], values | {"message": line.message, "fields": fields})


def requests_values(requests: Requests) -> dict[str, object]:
    """Return the parameters that record a run's requests."""
    return {
        "sent": requests.sent,
        "retried": requests.retried,
        "throttled": requests.throttled,
        "waited_s": requests.waited_s,
    }


NOTHING_LEARNT: dict[str, object] = dict.fromkeys(
    ("scope", "fingerprint", "identity", "clock_offset_s", "reconciled_at", "reconcile_result")
)


def cut_coverage(connection: sqlite3.Connection, scope: str, at: datetime) -> None:
    """Take back what is covered from ``at`` on, and the passes that would claim it."""
    rows = connection.execute(SQL["coverage"], {"scope": scope}).fetchall()
    fingerprint = rows[0]["query_fingerprint"] if rows else ""
    _put_coverage(connection, scope, coverage_of(connection, scope).cut(at), fingerprint)
    connection.execute(SQL["forget_passes"], {"scope": scope})


def _cover(connection: sqlite3.Connection, scope: str, new: Interval, fingerprint: str, *, replaces: bool) -> None:
    before = Coverage() if replaces else coverage_of(connection, scope)
    _put_coverage(connection, scope, before.add(new), fingerprint)


def _put_coverage(connection: sqlite3.Connection, scope: str, covered: Coverage, fingerprint: str) -> None:
    connection.execute(SQL["forget_coverage"], {"scope": scope})
    for each in covered.intervals:
        values = {"scope": scope, "since": text_of(each.since), "until": text_of(each.until)}
        connection.execute(SQL["add_coverage"], values | {"fingerprint": fingerprint})


def _record_counts(connection: sqlite3.Connection, lease: Lease, batch: Batch, written: Written, now: datetime) -> None:
    values: dict[str, object] = {"run": lease.holder, "now": text_of(now)}
    connection.execute(SQL["count_batch"], values | _counts(written.counts) | requests_values(batch.requests))


def _counts(counts: Counts) -> dict[str, object]:
    return dict(counts.as_json())


def _record_quarantine(
    connection: sqlite3.Connection, lease: Lease, batch: Batch, written: Written, now: datetime
) -> None:
    """Keep what was rejected; let go what could be written this time."""
    for each in (*batch.rejected, *written.rejected):
        values = {"scope": lease.scope, "key": each.key, "code": each.code, "reason": each.reason}
        more = {"payload": each.payload, "run": lease.holder, "now": text_of(now)}
        connection.execute(SQL["put_in_quarantine"], values | more)
    waiting = {row["key"] for row in connection.execute(SQL["quarantined_keys"], {"scope": lease.scope})}
    if waiting:
        again = {each.key for each in (*batch.rejected, *written.rejected)}
        place = batch.shape.index(batch.shape.key)
        written_now = {str(row[place]) for row in batch.rows} - again
        for key in waiting & {*written_now, *batch.released}:
            connection.execute(SQL["leave_quarantine"], {"scope": lease.scope, "key": key})


def _record_hints(connection: sqlite3.Connection, lease: Lease, batch: Batch, written: Written) -> None:
    if batch.hint_scope is not None:
        scope = batch.hint_scope
        connection.executemany(SQL["hint"], [{"scope": scope, "parent": str(key)} for key in written.changed])
    handled = [{"scope": lease.scope, "parent": parent} for parent in batch.handled_hints]
    connection.executemany(SQL["forget_hint"], handled)
