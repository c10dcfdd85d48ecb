"""What people ask of runs: cancel one, skip one, read its log.

Each write is the inside of a transaction. A running run is only *asked* to end: it writes its own end,
because only the holder of a lease may.
"""

import json
from collections.abc import Mapping
from datetime import datetime

from comporta.core.outcome import HELD
from comporta.core.run import Run
from comporta.errors import RunCancelled
from comporta.ledger.batches import append_log
from comporta.ledger.rows import instant_of, run_from, text_of
from comporta.ledger.session import Row, Session
from comporta.ports.progress import LogLine


def skip(session: Session, run: Run, error: Mapping[str, str]) -> Run:
    """End a queued run as skipped; if another process took it meanwhile, return what it is now."""
    values = {"run": run.id, "now": text_of(session.now), "error": json.dumps(error)}
    skipped = session.one("skip_run", values)
    if skipped is not None:
        message = error.get("message", "")
        fields = error if error.get("code") in HELD else {**error, "refused": message}
        append_log(session, run.id, [LogLine("warning", "run_skipped", message, fields)])
    return run_from(skipped or session.one("run", {"run": run.id}))


def cancel(session: Session, run_id: str) -> Run | None:
    """Cancel a queued run at once, ask a running one; leave an ended one as it is."""
    error = RunCancelled(f"run {run_id}: cancelled while it waited in the queue")
    values = {"run": run_id, "now": text_of(session.now), "error": json.dumps(error.as_json())}
    for statement in ("cancel_queued", "ask_to_cancel", "run"):
        row = session.one(statement, values)
        if row is not None:
            return run_from(row)
    return None


def log_line(row: Row) -> tuple[int, datetime, LogLine]:
    """Return number, instant and line of a row of cmp_log."""
    fields = json.loads(row["fields"])
    return row["seq"], instant_of(row["at"]), LogLine(row["level"], row["step"], row["message"], fields)
