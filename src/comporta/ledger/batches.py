"""The inside of the transaction that writes a batch: rows, counts, resume point, coverage, fence.

Everything here happens or nothing does. The fence is the last statement; a run that lost its lease
rolls back all of it, its log lines too.
"""

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from comporta.core.counts import Counts
from comporta.core.coverage import Coverage, Interval
from comporta.core.gaps import Voided
from comporta.core.instant import instant_text
from comporta.core.lease import Lease
from comporta.core.rate import limit_used, rate_text
from comporta.core.record import Key
from comporta.core.run import Run
from comporta.errors import Unforeseen
from comporta.ledger import leases
from comporta.ledger.rows import coverage_from, instant_of, text_of
from comporta.ledger.session import Session
from comporta.ports.destination import Destination, Written
from comporta.ports.progress import LogLine, Requests
from comporta.ports.store import Batch, Committed, Ending


class Batches:
    """Writes batches of one store: the destination's half and the ledger's half over one connection."""

    def __init__(self, destination: Destination, *, checkpoint: Callable[[str], None]) -> None:
        self._destination = destination
        self._checkpoint = checkpoint

    def commit(
        self,
        session: Session,
        lease: Lease,
        batch: Batch,
        ending: Ending | None,
        *,
        ttl: timedelta,
    ) -> Committed:
        """Write a batch, and the end of the run with it if given."""
        account = lease.scope.partition("/")[0]
        written = self._destination.write(
            session.connection, account, batch, run=lease.holder, now=instant_text(session.now)
        )
        if not written.counts.is_balanced:
            message = f"{lease.scope}: the counts of a batch do not add up: {written.counts}; nothing of it was written"
            raise Unforeseen(message)
        _record_counts(session, lease, batch, written)
        _record_quarantine(session, lease, batch, written)
        _record_hints(session, lease, batch, written)
        append_log(session, lease.holder, (*batch.log, *written.log))
        if batch.pass_id is not None:
            values = {"pass": batch.pass_id, "position": batch.position, "read": written.counts.read}
            session.run("advance_pass", values)
        if ending is not None:
            end(session, lease, ending)
        self._checkpoint("before_fence")
        advanced = leases.fence(session, lease, ttl, release=ending is not None)
        self._checkpoint("after_fence")
        return Committed(advanced, written.counts, written.nested, written.log)


def finish(session: Session, lease: Lease, ending: Ending) -> Run:
    """End a run without a last batch and free its lease."""
    session.one("lock_run", {"run": lease.holder})
    run = end(session, lease, ending)
    leases.release(session, lease)
    return run


def end(session: Session, lease: Lease, ending: Ending) -> Run:
    """Write what the end of a run says; the caller frees the lease in the same transaction."""
    if ending.covered is not None and ending.fingerprint is not None:
        _cover(session, lease.scope, ending.covered, ending.fingerprint, replaces=ending.replaces)
    if ending.pass_id is not None:
        session.run("end_pass", {"pass": ending.pass_id})
    if ending.reconciled is not None:
        learned = {"reconciled_at": text_of(session.now), "reconcile_result": json.dumps(ending.reconciled)}
        session.run("learn", NOTHING_LEARNT | {"scope": lease.scope} | learned)
    append_log(session, lease.holder, ending.log)
    if ending.counts is not None:
        values = {"run": lease.holder, "now": text_of(session.now)} | _counts(ending.counts)
        session.run("count_batch", values | requests_values(ending.requests))
    values = {"state": ending.state.value, "now": text_of(session.now)} | requests_values(ending.requests)
    run = leases.end_run(session, lease, values=values, error=ending.error)
    if ending.successor is not None:
        leases.queue_successor(session, run, ending.successor)
    return run


def coverage_of(session: Session, scope: str) -> Coverage:
    """Return the coverage of a scope."""
    return coverage_from(session.all("coverage", {"scope": scope}))


def voided_of(session: Session, scope: str, *, limit: int) -> Voided | None:
    """Return the last line in the log of a scope's newest runs that says that coverage was taken back."""
    account, _, stream = scope.partition("/")
    row = session.one("voided", {"scope": scope, "account": account, "stream": stream, "limit": limit})
    return Voided(row["run"], row["request"].partition(" ")[0], instant_of(row["at"]), row["message"]) if row else None


def note(session: Session, run: str, lines: Sequence[LogLine]) -> None:
    """Append lines to the log of a run that somebody else may be working on: two may not count on from one line."""
    session.one("lock_run", {"run": run})
    append_log(session, run, lines)


def append_log(session: Session, run: str, lines: Sequence[LogLine]) -> None:
    """Append lines to the log of a run."""
    about = {"run": run, "now": text_of(session.now)}
    session.each(
        "append_log",
        [
            about
            | {"level": line.level, "step": line.step}
            | {"message": line.message, "fields": json.dumps(line.fields, default=str)}
            for line in lines
        ],
    )


def requests_values(requests: Requests) -> dict[str, object]:
    """Return the parameters that record a run's requests."""
    return {
        "sent": requests.sent,
        "retried": requests.retried,
        "throttled": requests.throttled,
        "waited_s": requests.waited_s,
        "rate_limit": rate_text(requests.rate) if requests.rate else None,
        "limit_used": limit_used(requests.sent, requests.first_s, requests.last_s, requests.rate),
        "failures": json.dumps(requests.failures) if requests.failures else None,
    }


NOTHING_LEARNT: dict[str, object] = dict.fromkeys(
    ("scope", "fingerprint", "identity", "clock_offset_s", "reconciled_at", "reconcile_result")
)


def cut_coverage(session: Session, scope: str, at: datetime) -> None:
    """Take back what is covered from ``at`` on, and the passes that would claim it."""
    rows = session.all("coverage", {"scope": scope})
    fingerprint = rows[0]["query_fingerprint"] if rows else ""
    _put_coverage(session, scope, coverage_of(session, scope).cut(at), fingerprint)
    session.run("forget_passes", {"scope": scope})


def doubt_stream(session: Session, stream: str, columns: Sequence[str] = ()) -> Sequence[LogLine]:
    """Take back what is said to be covered of a stream whose table, or those columns, had to be made, in every account.

    Somebody dropped it, and what was in it. Return what to tell of it.
    """
    forgotten = session.run("forget_coverage_of_stream", {"stream": stream})
    forgotten += session.run("forget_passes_of_stream", {"stream": stream})
    if not forgotten:
        return []
    lost = ", ".join(columns)
    what = f"a column ({lost}) of the table" if lost else "the table"
    message = f"{what} of {stream} was gone, with data that was covered: all of it is read again"
    return [LogLine("warning", "schema_changed", message, {"of": stream} | ({"lost": lost} if lost else {}))]


def _cover(session: Session, scope: str, new: Interval, fingerprint: str, *, replaces: bool) -> None:
    before = Coverage() if replaces else coverage_of(session, scope)
    _put_coverage(session, scope, before.add(new), fingerprint)


def _put_coverage(session: Session, scope: str, covered: Coverage, fingerprint: str) -> None:
    session.run("forget_coverage", {"scope": scope})
    for each in covered.intervals:
        values = {"scope": scope, "since": text_of(each.since), "until": text_of(each.until)}
        session.run("add_coverage", values | {"fingerprint": fingerprint})


def _record_counts(session: Session, lease: Lease, batch: Batch, written: Written) -> None:
    values: dict[str, object] = {"run": lease.holder, "now": text_of(session.now)}
    session.run("count_batch", values | _counts(written.counts) | requests_values(batch.requests))


def _counts(counts: Counts) -> dict[str, object]:
    return dict(counts.as_json())


def _record_quarantine(session: Session, lease: Lease, batch: Batch, written: Written) -> None:
    """Keep what was rejected; let go what could be written this time."""
    rejected = {each.key: each for each in (*batch.rejected, *written.rejected)}
    about = {"scope": lease.scope, "run": lease.holder, "now": text_of(session.now)}
    session.each(
        "put_in_quarantine",
        [
            about | {"key": each.key, "code": each.code, "reason": each.reason, "payload": each.payload}
            for each in rejected.values()
        ],
    )
    waiting = {row["key"] for row in session.all("quarantined_keys", {"scope": lease.scope})}
    if waiting:
        place = batch.shape.index(batch.shape.key)
        written_now = {str(row[place]) for row in batch.rows} - rejected.keys()
        freed = waiting & {*written_now, *batch.released}
        session.each("leave_quarantine", [{"scope": lease.scope, "key": key} for key in freed])


def _record_hints(session: Session, lease: Lease, batch: Batch, written: Written) -> None:
    for scope, column in batch.hints.items():
        put_hints(session, scope, _hinted(batch, written, column))
    about: dict[str, object] = {"scope": lease.scope}
    handled = [about | {"parent": each.key, "times": each.times} for each in batch.handled_hints]
    session.each("forget_hint", handled)
    postponed = [
        about | {"parent": each.key, "times": each.times, "tries": each.tries + 1, "not_before": text_of(at)}
        for each, at in batch.postponed_hints
    ]
    session.each("postpone_hint", postponed)


def put_hints(session: Session, scope: str, keys: Sequence[Key]) -> None:
    """Hint a scope at records, whatever is known of them."""
    session.each("hint", [{"scope": scope, "parent": str(key), "told_at": None} for key in dict.fromkeys(keys)])


def _hinted(batch: Batch, written: Written, column: str | None) -> Sequence[Key]:
    """Return what the rows that were written, or are gone, say in a column; their keys without one.

    A limited row, new or alive again, says nothing of its children: its source shows neither.
    """
    if column is None:
        limited = {batch.rows[place][batch.shape.index(batch.shape.key)] for place in batch.limited}
        return [key for key in written.changed if key not in limited]
    key, named = batch.shape.index(batch.shape.key), batch.shape.index(column)
    changed = set(written.changed)
    values = (row[named] for row in batch.rows if row[key] in changed)
    return [value for value in values if isinstance(value, int | str)]
