"""What people ask of runs: cancel one, skip one, read its log.

Each write is the inside of a transaction. A running run is only *asked* to end: it writes its own end,
because only the holder of a lease may.
"""

import json
import sqlite3
from collections.abc import Mapping
from datetime import datetime

from comporta.core.instant import parse_instant
from comporta.core.run import Run
from comporta.errors import RunCancelled
from comporta.ledger.rows import run_from, text_of
from comporta.ledger.statements import statements
from comporta.ports.store import LogLine

SQL = statements("sqlite")


def skip(connection: sqlite3.Connection, run: Run, error: Mapping[str, str], *, now: datetime) -> Run:
    """End a queued run as skipped; if another process took it meanwhile, return what it is now."""
    values = {"run": run.id, "now": text_of(now), "error": json.dumps(error)}
    row = connection.execute(SQL["skip_run"], values).fetchone()
    return run_from(row or connection.execute(SQL["run"], {"run": run.id}).fetchone())


def cancel(connection: sqlite3.Connection, run_id: str, *, now: datetime) -> Run | None:
    """Cancel a queued run at once, ask a running one; leave an ended one as it is."""
    error = RunCancelled(f"run {run_id}: cancelled while it waited in the queue")
    values = {"run": run_id, "now": text_of(now), "error": json.dumps(error.as_json())}
    for statement in ("cancel_queued", "ask_to_cancel", "run"):
        row = connection.execute(SQL[statement], values).fetchone()
        if row is not None:
            return run_from(row)
    return None


def log_line(row: sqlite3.Row) -> tuple[int, datetime, LogLine]:
    """Return number, instant and line of a row of cmp_log."""
    fields = json.loads(row["fields"])
    return row["seq"], parse_instant(row["at"]), LogLine(row["level"], row["step"], row["message"], fields)
