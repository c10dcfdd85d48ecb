"""A history of every write, kept by triggers inside the transactions that write, and what it must show.

After Jepsen: the history is taken where nothing can be left out of it, and judged afterwards by queries.
A transaction that the fence rolls back takes its history with it, so what is left did happen.
"""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from tests.acceptance.company import STREAMS, table_of

TABLES = (*map(table_of, STREAMS), "odoo_currency")
NOW = "strftime('%Y-%m-%dT%H:%M:%f', 'now')"

_TABLES = """
CREATE TABLE audit_row(seq INTEGER PRIMARY KEY, at TEXT, place TEXT, key INTEGER, act TEXT,
  run TEXT, state TEXT, run_epoch INTEGER, scope_epoch INTEGER, holder TEXT);
CREATE TABLE audit_scope(seq INTEGER PRIMARY KEY, at TEXT, scope TEXT, holder TEXT,
  epoch_before INTEGER, epoch INTEGER, commits_before INTEGER, commits INTEGER);
CREATE TRIGGER audit_scope AFTER UPDATE OF epoch, commits ON cmp_scope BEGIN
  INSERT INTO audit_scope(at, scope, holder, epoch_before, epoch, commits_before, commits)
  VALUES (NOW, NEW.scope, OLD.holder, OLD.epoch, NEW.epoch, OLD.commits, NEW.commits);
END;
"""
_ROW = """
CREATE TRIGGER audit_{table}_{act} AFTER {act} ON {table} BEGIN
  INSERT INTO audit_row(at, place, key, act, run, state, run_epoch, scope_epoch, holder)
  SELECT NOW, '{table}', {side}.id, '{act}', {side}._cmp_run, r.state, r.epoch, s.epoch, s.holder
  FROM (SELECT 1) LEFT JOIN cmp_run r ON r.id = {side}._cmp_run LEFT JOIN cmp_scope s ON s.scope = r.scope;
END;
"""

VIOLATIONS = {
    "a row was written by a run that did not hold its scope": """
        SELECT * FROM audit_row WHERE act <> 'DELETE' AND (run IS NOT holder OR run_epoch IS NOT scope_epoch)""",
    "a row was written by a run that was not running": """
        SELECT * FROM audit_row WHERE act <> 'DELETE' AND state IS NOT 'running'""",
    "a row was written by a run after it was called lost": """
        SELECT a.* FROM audit_row a JOIN cmp_run r ON r.id = a.run WHERE r.state = 'lost' AND a.at > r.finished_at""",
    "an epoch fell": "SELECT * FROM audit_scope WHERE epoch < epoch_before",
    "commits do not rise by one": """
        SELECT * FROM audit_scope WHERE commits - commits_before NOT IN (0, 1)
        OR (commits <> commits_before AND epoch <> epoch_before)""",
    "something changed a scope beside its history": """
        SELECT * FROM (SELECT *, lag(epoch) OVER w AS epoch_left, lag(commits) OVER w AS commits_left
          FROM audit_scope WINDOW w AS (PARTITION BY scope ORDER BY seq))
        WHERE epoch_left IS NOT NULL AND (epoch_left <> epoch_before OR commits_left <> commits_before)""",
    "a run's counts do not add up": """
        SELECT * FROM cmp_run WHERE read <> inserted + updated + unchanged + rejected""",
    "two runs of a scope had one epoch": """
        SELECT scope, epoch FROM cmp_run WHERE epoch IS NOT NULL GROUP BY 1, 2 HAVING count(*) > 1""",
    "epochs of a scope fell from one run to the next": """
        SELECT * FROM (SELECT *, lag(epoch) OVER (PARTITION BY scope ORDER BY started_at) AS earlier
          FROM cmp_run WHERE epoch IS NOT NULL) WHERE epoch < earlier""",
    "a run met an error that nobody foresaw": "SELECT * FROM cmp_run WHERE error LIKE '%CMP-BUG%'",
}
"""What the history must not hold: each a claim broken, and the query that finds where."""

AFTERWARDS = {
    "a run is still called running": "SELECT * FROM cmp_run WHERE state = 'running'",
    "a run was left in the queue": "SELECT * FROM cmp_run WHERE state = 'queued'",
    "a lease was not given back": "SELECT * FROM cmp_scope WHERE holder IS NOT NULL",
    "coverage has a hole, or does not begin at the beginning": """
        SELECT scope, count(*), min(since) FROM cmp_coverage GROUP BY scope
        HAVING count(*) <> 1 OR min(since) NOT LIKE '0001-01-01%'""",
}
"""What must not be found any more once everything has come to rest."""


def begin_audit(database: Path, tables: Sequence[str] = TABLES) -> None:
    """Record from now on, inside each transaction, who writes what and in which epoch; tables must be there."""
    with closing(sqlite3.connect(database, timeout=30)) as connection:
        connection.executescript(_TABLES.replace("NOW", NOW))
        for table in tables:
            for act, side in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD")):
                connection.executescript(_ROW.replace("NOW,", f"{NOW},").format(table=table, act=act, side=side))


def broken_claims(database: Path, *, is_at_rest: bool = False) -> list[str]:
    """Return each claim that the history breaks, with the first places where it does."""
    claims = VIOLATIONS | (AFTERWARDS if is_at_rest else {})
    with closing(sqlite3.connect(database, timeout=30)) as connection:
        found = {claim: connection.execute(query).fetchmany(3) for claim, query in claims.items()}
        if is_at_rest:
            found |= {f"rows and counts of {table} differ": _miscounted(connection, table) for table in TABLES[:-1]}
    return [f"{claim}: {rows}" for claim, rows in found.items() if rows]


def _miscounted(connection: sqlite3.Connection, table: str) -> list[tuple[int, int]]:
    """Return (inserted by all runs less removed, rows) if they differ; rows that were gone keep their place."""
    stream = next(stream for stream in STREAMS if table_of(stream) == table)
    query = f"""
        SELECT * FROM (SELECT (SELECT coalesce(sum(inserted), 0) FROM cmp_run WHERE stream = ? AND NOT dry_run)
          - (SELECT count(*) FROM audit_row WHERE place = '{table}' AND act = 'DELETE') AS inserted,
          (SELECT count(*) FROM {table}) AS here) WHERE inserted <> here"""
    return connection.execute(query, (stream,)).fetchall()
