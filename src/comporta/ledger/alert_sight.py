"""One look at the ledger for alerts: a few statements, however many streams there are, in one consistent state.

What needs a stream's runs is read only for those streams whose newest run is not the one of the last look, and of no
more than some at a time: a database that is far away, or busy, would else be taken for one that gives no answer.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby, islice

from comporta.core.alert_facts import SchedulerFact
from comporta.core.alert_history import History, history_of
from comporta.core.login import Standing
from comporta.ledger.logins import login_states
from comporta.ledger.rows import instant_of, run_from, text_of
from comporta.ledger.session import Session
from comporta.ledger.stream_states import coverage_of, facts_of, quarantined_in
from comporta.ports.alerts import Sight

TOGETHER = 50
"""Streams whose runs are read by one statement: some thousand rows."""
LOOKED_MAX = 1_000
"""Streams whose past is read in one look; the others' turn comes with the next."""
SCHEDULER = "scheduler"
LOST = frozenset({Standing.NEEDS_LOGIN})


def sight_of(session: Session, known: Mapping[str, str], scopes: Sequence[str], *, depth: int) -> Sight:
    """Return what the ledger knows that alerts are decided from."""
    newest = {
        row["scope"]: row["newest"]
        for row in session.all("newest_runs", {"scopes": json.dumps(scopes), "now": text_of(session.now)})
        if row["newest"]
    }
    changed = [scope for scope, run in newest.items() if known.get(scope) != run]
    put_off = frozenset(changed[LOOKED_MAX:])
    facts = facts_of(session, scopes)
    logins = login_states(session)
    return Sight(
        now=session.now,
        coverage=coverage_of(session, scopes),
        clock_offsets={scope: at for scope, each in facts.items() if (at := each.clock_offset_s) is not None},
        quarantined=quarantined_in(session),
        running={row["scope"]: run_from(row) for row in session.all("living_runs", {"now": text_of(session.now)})},
        newest={scope: run for scope, run in newest.items() if scope not in put_off},
        histories=_histories(session, changed[:LOOKED_MAX], depth),
        logins={account: each.reason or "" for account, each in logins.items() if each.standing in LOST},
        granted=[account for account, each in logins.items() if each.standing not in LOST],
        paused=[row["account"] for row in session.all("paused_accounts", {})],
        scheduler=_scheduler(session),
    )


def _histories(session: Session, scopes: Sequence[str], depth: int) -> Mapping[str, History]:
    """Return what each stream's past says; how long ago it brought anything is asked only where it matters."""
    found: dict[str, History] = {}
    left = iter(scopes)
    while together := list(islice(left, TOGETHER)):
        found |= _past(session, together, depth)
        silent = [scope for scope in together if found[scope].empty and not found[scope].has_brought]
        rows = session.all("have_brought", {"scopes": json.dumps(silent)}) if silent else []
        found |= {row["scope"]: replace(found[row["scope"]], has_brought=True) for row in rows}
    return found


def _past(session: Session, scopes: Sequence[str], depth: int) -> Mapping[str, History]:
    values = {"scopes": json.dumps(scopes), "now": text_of(session.now), "limit": depth}
    rows = session.all("past_runs", values)
    runs = groupby((run_from(row) for row in rows), key=lambda run: f"{run.account}/{run.stream}")
    past = {scope: history_of(list(each)) for scope, each in runs}
    return {scope: past.get(scope, History()) for scope in scopes}


def _scheduler(session: Session) -> SchedulerFact | None:
    row = session.one("newest_instance", {"role": f"%{SCHEDULER}%"})
    if row is None:
        return None
    return SchedulerFact(row["instance"], instant_of(row["seen_at"]), row["ended_at"] is not None)
