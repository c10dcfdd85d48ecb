"""One look at the ledger for alerts: a dozen statements over all streams, in one consistent state.

What needs a stream's runs is read only for those streams whose newest run is not the one of the last look.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from comporta.core.alert_facts import SchedulerFact
from comporta.core.alert_history import History, history_of
from comporta.core.coverage import Coverage, Interval
from comporta.errors import RecordAbsent
from comporta.ledger.rows import instant_of, run_from, text_of
from comporta.ledger.session import Session
from comporta.ports.alerts import Sight

LATELY = timedelta(days=1)
LATE = timedelta(hours=1)
"""A record that another names, and that is not there yet, is looked for so long before it is worth an alert."""
SCHEDULER = "scheduler"


def sight_of(session: Session, known: Mapping[str, str], scopes: Sequence[str], *, depth: int) -> Sight:
    """Return what the ledger knows that alerts are decided from."""
    newest = {
        row["scope"]: row["newest"]
        for row in session.all("newest_runs", {"scopes": json.dumps(scopes)})
        if row["newest"]
    }
    bounds = {"since": text_of(session.now - LATELY), "late": text_of(session.now - LATE)}
    waiting = session.all("quarantine_counts", bounds | {"absent": RecordAbsent.code})
    return Sight(
        now=session.now,
        coverage=_coverage(session),
        clock_offsets={row["scope"]: row["clock_offset_s"] for row in session.all("clock_offsets", {})},
        quarantined={row["scope"]: (int(row["waiting"]), int(row["lately"] or 0)) for row in waiting},
        running={row["scope"]: run_from(row) for row in session.all("living_runs", {"now": text_of(session.now)})},
        newest=newest,
        histories={scope: _history(session, scope, depth) for scope, run in newest.items() if known.get(scope) != run},
        logins={row["account"]: row["reason"] or "" for row in session.all("lost_logins", {})},
        paused=[row["account"] for row in session.all("paused_accounts", {})],
        scheduler=_scheduler(session),
    )


def _coverage(session: Session) -> Mapping[str, Coverage]:
    found: dict[str, list[Interval]] = {}
    for row in session.all("all_coverage", {}):
        found.setdefault(row["scope"], []).append(Interval(instant_of(row["since"]), instant_of(row["until"])))
    return {scope: Coverage(tuple(intervals)) for scope, intervals in found.items()}


def _history(session: Session, scope: str, depth: int) -> History:
    """Return what a stream's past says; how long ago it brought anything is asked only where it matters."""
    account, _, stream = scope.partition("/")
    values = {"account": account, "stream": stream, "state": None, "dry_run": False, "limit": depth}
    history = history_of([run_from(row) for row in session.all("runs_of_stream", values)])
    if history.has_brought or not history.empty:
        return history
    row = session.one("has_brought", {"account": account, "stream": stream})
    return replace(history, has_brought=bool(row and row["found"]))


def _scheduler(session: Session) -> SchedulerFact | None:
    row = session.one("newest_instance", {"role": f"%{SCHEDULER}%"})
    if row is None:
        return None
    return SchedulerFact(row["instance"], instant_of(row["seen_at"]), row["ended_at"] is not None)
