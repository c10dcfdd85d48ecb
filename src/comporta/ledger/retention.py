"""Forgetting old history beyond the retention, a bounded number at a time: the one place that does.

Runs with their logs, notifications, alerts that were closed, and processes that have ended or were not seen since.
What is open, queued or running stays, however old, and so does the run of a stream's newest tick, or that tick would be
done again. Coverage, leases and rows never expire. A scope keeps its epoch for ever, or an old holder could pass for a
new one; only the scopes of dry runs go, because a run's id is never used again.
"""

import json
from datetime import datetime, timedelta

from comporta.errors import RunLost
from comporta.ledger.rows import text_of
from comporta.ledger.session import Session

FORGOTTEN_MAX = 500
"""Runs, and rows of each other kind, in one transaction: some ten thousand log lines, so that no writer waits long."""

DRY_RUN_STALE = timedelta(hours=1)
"""A dry run is worked on by the process that queued it, at once, and by no other: so old, its process is gone."""


def bounds(before: datetime, now: datetime) -> dict[str, object]:
    """Return the instants that say what is to be forgotten: ended runs, and dry runs that nobody does."""
    return {"before": text_of(before), "stale": text_of(now - DRY_RUN_STALE)}


def forget(session: Session, before: datetime) -> int:
    """Forget ended runs that were queued before that instant; return how many. Dry runs that nobody does end."""
    error = RunLost(
        "the process that asked for this dry run ended before it began",
        next_step="Ask again with `comporta sync --dry-run` when wanted.",
    )
    times = {"stale": text_of(session.now - DRY_RUN_STALE), "now": text_of(session.now)}
    session.run("skip_stale_dry_runs", times | {"error": json.dumps(error.as_json())})
    values = {"before": text_of(before), "limit": FORGOTTEN_MAX}
    expired = [{"run": row["id"], "scope": row["scope"]} for row in session.all("expired_history", values)]
    for name in ("forget_log", "forget_run"):
        session.each(name, [{"run": each["run"]} for each in expired])
    session.each("forget_dry_scope", [{"scope": each["scope"]} for each in expired])
    for name in ("forget_notifications", "forget_alerts", "forget_instances"):
        session.run(name, values)
    return len(expired)
