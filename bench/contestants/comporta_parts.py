"""Comporta with a stopwatch of CPU time around its parts, to say what fence, counts, coverage and log cost.

Times are of the thread that does the work, so waiting counts for nothing. What the ledger does in a
transaction is that transaction's time less the time the destination takes to write rows in it.
"""

import functools
import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.contestants import comporta_sync
from comporta.destinations import sqlite, sqlite_sort
from comporta.engine.work import Work
from comporta.ledger import batches, leases
from comporta.ledger.database import Database
from comporta.sources.odoo_calls import JsonRpc
from comporta.sources.odoo_rows import Plan

SPENT: dict[str, float] = defaultdict(float)
WATCHED: tuple[tuple[str, Any, str], ...] = (
    ("transaction", Database, "_write_one"),
    ("rows", sqlite.SqliteDestination, "write"),
    ("prepare", sqlite.SqliteDestination, "prepare"),
    ("sort", sqlite, "sort_batch"),
    ("hash", sqlite_sort, "_decide"),
    ("insert", sqlite, "_execute_each"),
    ("fence", leases, "fence"),
    ("counts", batches, "_record_counts"),
    ("quarantine", batches, "_record_quarantine"),
    ("log", batches, "append_log"),
    ("coverage", batches, "_cover"),
    ("tell", Work, "tell"),
    ("decode", JsonRpc, "typed"),
    ("convert", Plan, "rows"),
    ("group", Database, "_write_group"),
    ("read", Database, "read"),
)


def watched(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function with its CPU time added up under a name."""

    @functools.wraps(function)
    def timed(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  whatever the function takes and gives
        begun = time.thread_time()
        try:
            return function(*args, **kwargs)
        finally:
            SPENT[name] += time.thread_time() - begun

    return timed


def main(url: str, folder: str, mode: str) -> None:
    for name, owner, attribute in WATCHED:
        setattr(owner, attribute, watched(name, getattr(owner, attribute)))
    begun = time.process_time()
    comporta_sync.main(url, folder, mode)
    SPENT["before"] = begun
    SPENT["whole"] = time.process_time()
    SPENT["ledger"] = SPENT["transaction"] - SPENT["rows"] - SPENT["prepare"] + SPENT["tell"]
    (Path(folder) / "parts.json").write_text(json.dumps(SPENT))


if __name__ == "__main__":
    main(*sys.argv[1:])
