"""How streams stand, read in a few statements: of a thousand a database that is far away tells as soon as of one.

Each statement takes the names of the streams as one JSON list, so that its text is the same for any number of them.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

from comporta.core.coverage import Coverage, Interval
from comporta.core.run import TERMINAL, Run
from comporta.errors import RecordAbsent
from comporta.ledger.rows import facts_from, instant_from, instant_of, run_from, text_of
from comporta.ledger.session import Row, Session
from comporta.ports.stream_state import StreamFacts, StreamState

LATELY = timedelta(days=1)
LATE = timedelta(hours=1)
"""A record that another names, and that is not there yet, is looked for so long before it is worth an alert."""


def stream_states(session: Session, scopes: Sequence[str]) -> Mapping[str, StreamState]:
    """Return how each of these streams stands."""
    values = {"scopes": json.dumps(scopes), "now": text_of(session.now)}
    last = _by_scope(session.all("latest_runs", values))
    # Whoever found a stream busy came after the run that works on it, and says nothing of how the stream stands.
    for scope, run in _by_scope(session.all("living_runs", {"now": values["now"]})).items():
        if scope not in last or last[scope].state in TERMINAL:
            last[scope] = run
    coverage, facts, waiting = coverage_of(session, scopes), facts_of(session, scopes), quarantined_in(session)
    ticks = session.all("latest_ticks", values)
    ticked_at = {row["scope"]: instant_from(row["tick"]) for row in ticks}
    return {
        scope: StreamState(
            last=last.get(scope),
            coverage=coverage.get(scope, Coverage()),
            facts=facts.get(scope, StreamFacts()),
            ticked_at=ticked_at.get(scope),
            waiting=waiting.get(scope, (0, 0))[0],
        )
        for scope in scopes
    }


def _by_scope(rows: Iterable[Row]) -> dict[str, Run]:
    runs = map(run_from, rows)
    return {f"{run.account}/{run.stream}": run for run in runs}


def coverage_of(session: Session, scopes: Sequence[str]) -> Mapping[str, Coverage]:
    """Return what is covered of those streams of which anything is."""
    found: dict[str, list[Interval]] = {}
    for row in session.all("coverage_of_streams", {"scopes": json.dumps(scopes)}):
        found.setdefault(row["scope"], []).append(Interval(instant_of(row["since"]), instant_of(row["until"])))
    return {scope: Coverage(tuple(intervals)) for scope, intervals in found.items()}


def facts_of(session: Session, scopes: Sequence[str]) -> Mapping[str, StreamFacts]:
    """Return the facts of those streams of which there are any."""
    rows = session.all("facts_of_streams", {"scopes": json.dumps(scopes)})
    return {row["scope"]: facts_from(row) for row in rows}


def quarantined_in(session: Session) -> Mapping[str, tuple[int, int]]:
    """Return how many records of each stream wait in quarantine, and how many of those came in the last day."""
    bounds = {"since": text_of(session.now - LATELY), "late": text_of(session.now - LATE)}
    rows = session.all("quarantine_counts", bounds | {"absent": RecordAbsent.code})
    return {row["scope"]: (int(row["waiting"]), int(row["lately"] or 0)) for row in rows}
