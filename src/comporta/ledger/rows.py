"""Reading the ledger's rows back into values, and values into the parameters of its statements.

The one place that knows how an instant, a window or an error is stored; nothing here decides.
"""

import json
from collections.abc import Iterable
from datetime import UTC, datetime

from comporta.core.counts import Counts
from comporta.core.coverage import Coverage, Interval
from comporta.core.hint import Hint
from comporta.core.instant import BEGINNING, instant_text, parse_instant
from comporta.core.run import Run, RunState, Trigger
from comporta.core.window import Kind, Window, parse_request
from comporta.ledger.session import Row
from comporta.ports.store import Instance, LeaseRow, Pass, Quarantined
from comporta.ports.stream_state import StreamFacts

COUNTS = ("read", "inserted", "updated", "unchanged", "rejected", "deleted")


def run_from(row: Row) -> Run:
    """Return the run of a row of cmp_run."""
    return Run(
        id=row["id"],
        scope=row["scope"],
        account=row["account"],
        stream=row["stream"],
        state=RunState(row["state"]),
        trigger=Trigger(row["trigger"]),
        request=row["request"],
        attempt=row["attempt"],
        epoch=row["epoch"],
        dry_run=bool(row["dry_run"]),
        partial=bool(row["partial"]),
        window_kind=row["window_kind"],
        window_since=instant_from(row["window_since"]),
        window_until=instant_from(row["window_until"]),
        counts=Counts(*(row[name] for name in COUNTS)),
        requests_sent=row["requests_sent"],
        requests_retried=row["requests_retried"],
        requests_throttled=row["requests_throttled"],
        waited_s=row["waited_s"],
        limit=row["rate_limit"],
        limit_used=row["limit_used"],
        failures=json.loads(row["failures"]) if row["failures"] else {},
        not_before=instant_from(row["not_before"]),
        priority=row["priority"],
        queued_at=instant_from(row["queued_at"]),
        started_at=instant_from(row["started_at"]),
        finished_at=instant_from(row["finished_at"]),
        progress_at=instant_from(row["progress_at"]),
        deadline_at=instant_from(row["deadline_at"]),
        cancel_requested=bool(row["cancel_requested"]),
        instance=row["instance"],
        error=json.loads(row["error"]) if row["error"] else None,
    )


def lease_row_from(row: Row) -> LeaseRow:
    """Return the line of ``comporta leases`` of a row of cmp_scope joined with its holder."""
    return LeaseRow(
        scope=row["scope"],
        epoch=row["epoch"],
        holder=row["holder"],
        expires_at=instant_from(row["expires_at"]),
        since=instant_from(row["started_at"]),
        instance=row["instance"],
    )


def pass_from(row: Row) -> Pass:
    """Return the pass of a row of cmp_pass."""
    return Pass(
        id=row["id"],
        request=row["request"],
        window=_window_from(row),
        fingerprint=row["query_fingerprint"],
        position=row["position"],
        read=row["read"],
    )


def _window_from(row: Row) -> Window:
    """Return the window of a pass; it is bounded above if its end is the one that was asked for."""
    until = instant_of(row["until"])
    since = instant_of(row["since"])
    is_bounded = parse_request(row["request"]).until == until and since != BEGINNING
    return Window(since, until, Kind(row["kind"]), is_bounded=is_bounded)


def facts_from(row: Row | None) -> StreamFacts:
    """Return the facts of a row of cmp_stream; nothing known without one."""
    if row is None:
        return StreamFacts()
    return StreamFacts(
        fingerprint=row["query_fingerprint"],
        identity=row["identity"],
        clock_offset_s=row["clock_offset_s"],
        reconciled_at=instant_from(row["reconciled_at"]),
        reconcile_result=json.loads(row["reconcile_result"]) if row["reconcile_result"] else None,
    )


def coverage_from(rows: Iterable[Row]) -> Coverage:
    """Return the coverage of a stream's rows of cmp_coverage, which are in order."""
    return Coverage(tuple(Interval(instant_of(row["since"]), instant_of(row["until"])) for row in rows))


def instance_from(row: Row) -> Instance:
    """Return the server of a row of cmp_instance."""
    return Instance(
        instance=row["instance"],
        roles=row["roles"],
        seen_at=instant_of(row["seen_at"]),
        ended_at=instant_from(row["ended_at"]),
    )


def hint_from(row: Row) -> Hint:
    """Return the hint of a row of cmp_hint."""
    return Hint(row["parent"], row["times"], instant_from(row["told_at"]), row["tries"])


def quarantined_from(row: Row) -> Quarantined:
    """Return the waiting record of a row of cmp_quarantine."""
    return Quarantined(
        scope=row["scope"],
        key=row["key"],
        code=row["code"],
        reason=row["reason"],
        payload=row["payload"],
        run=row["run"],
        first_seen=instant_of(row["first_seen"]),
        last_seen=instant_of(row["last_seen"]),
        times=row["times"],
    )


def instant_of(value: str | datetime) -> datetime:
    """Return the instant of a column: text on SQLite, timestamptz on PostgreSQL."""
    return parse_instant(value) if isinstance(value, str) else value.astimezone(UTC)


def instant_from(value: str | datetime | None) -> datetime | None:
    """Return the instant of a column, ``None`` for null."""
    return instant_of(value) if value else None


def text_of(instant: datetime | None) -> str | None:
    """Return what a column of instants stores."""
    return instant_text(instant) if instant is not None else None
