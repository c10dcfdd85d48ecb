"""A history of every write, kept by triggers inside the transactions that write, and what it must show.

After Jepsen: the history is taken where nothing can be left out of it, and judged afterwards by queries.
A transaction that the fence rolls back takes its history with it, so what is left did happen.
"""

from collections.abc import Sequence

from tests.acceptance.company import STREAMS, table_of
from tests.acceptance.databases import Database, Json

TABLES = (*map(table_of, STREAMS), "odoo_currency")
ACTS = (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD"))

_SQLITE = """
CREATE TABLE audit_row(seq INTEGER PRIMARY KEY, at TEXT, place TEXT, key INTEGER, act TEXT,
  run TEXT, state TEXT, run_epoch INTEGER, scope_epoch INTEGER, holder TEXT);
CREATE TABLE audit_scope(seq INTEGER PRIMARY KEY, at TEXT, scope TEXT, holder TEXT,
  epoch_before INTEGER, epoch INTEGER, commits_before INTEGER, commits INTEGER);
CREATE TRIGGER audit_scope AFTER UPDATE OF epoch, commits ON cmp_scope BEGIN
  INSERT INTO audit_scope(at, scope, holder, epoch_before, epoch, commits_before, commits)
  VALUES (strftime('%Y-%m-%dT%H:%M:%f', 'now'), NEW.scope, OLD.holder, OLD.epoch, NEW.epoch, OLD.commits, NEW.commits);
END;
"""
_SQLITE_ROW = """
CREATE TRIGGER audit_{table}_{act} AFTER {act} ON {table} BEGIN
  INSERT INTO audit_row(at, place, key, act, run, state, run_epoch, scope_epoch, holder)
  SELECT strftime('%Y-%m-%dT%H:%M:%f', 'now'), '{table}', {side}.id, '{act}', {side}._cmp_run, r.state, r.epoch,
    s.epoch, s.holder
  FROM (SELECT 1) LEFT JOIN cmp_run r ON r.id = {side}._cmp_run LEFT JOIN cmp_scope s ON s.scope = r.scope;
END;
"""
# The row of a scope is locked while its trigger fires, so its numbers rise in the order of the commits.
_POSTGRES = """
CREATE SCHEMA audit;
CREATE TABLE audit.audit_row(seq bigserial PRIMARY KEY, at timestamptz DEFAULT clock_timestamp(), place text,
  key bigint, act text, run text, state text, run_epoch bigint, scope_epoch bigint, holder text);
CREATE TABLE audit.audit_scope(seq bigserial PRIMARY KEY, at timestamptz DEFAULT clock_timestamp(), scope text,
  holder text, epoch_before bigint, epoch bigint, commits_before bigint, commits bigint);
CREATE FUNCTION audit.note_scope() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO audit.audit_scope(scope, holder, epoch_before, epoch, commits_before, commits)
  VALUES (NEW.scope, OLD.holder, OLD.epoch, NEW.epoch, OLD.commits, NEW.commits);
  RETURN NULL;
END $$;
CREATE TRIGGER audit AFTER UPDATE OF epoch, commits ON comporta.cmp_scope
  FOR EACH ROW EXECUTE FUNCTION audit.note_scope();
CREATE FUNCTION audit.note_row() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  one record;
BEGIN
  IF TG_OP = 'DELETE' THEN one := OLD; ELSE one := NEW; END IF;
  INSERT INTO audit.audit_row(place, key, act, run, state, run_epoch, scope_epoch, holder)
  SELECT TG_TABLE_NAME, one.id, TG_OP, one._cmp_run, r.state, r.epoch, s.epoch, s.holder
  FROM (SELECT 1) AS always LEFT JOIN comporta.cmp_run r ON r.id = one._cmp_run
  LEFT JOIN comporta.cmp_scope s ON s.scope = r.scope;
  RETURN NULL;
END $$;
"""
_POSTGRES_ROW = """
CREATE TRIGGER audit_{act} AFTER {act} ON mirror.{table} FOR EACH ROW EXECUTE FUNCTION audit.note_row();
"""
_DIALECTS = {"sqlite": (_SQLITE, _SQLITE_ROW), "postgres": (_POSTGRES, _POSTGRES_ROW)}

VIOLATIONS = {
    "a row was written by a run that did not hold its scope": """
        SELECT * FROM audit_row WHERE act <> 'DELETE'
        AND (run IS NULL OR run <> coalesce(holder, '') OR coalesce(run_epoch, -1) <> coalesce(scope_epoch, -2))""",
    "a row was written by a run that was not running": """
        SELECT * FROM audit_row WHERE act <> 'DELETE' AND coalesce(state, '') <> 'running'""",
    "a row was written by a run after it was called lost": """
        SELECT a.* FROM audit_row a JOIN cmp_run r ON r.id = a.run WHERE r.state = 'lost' AND a.at > r.finished_at""",
    "an epoch fell": "SELECT * FROM audit_scope WHERE epoch < epoch_before",
    "commits do not rise by one": """
        SELECT * FROM audit_scope WHERE commits - commits_before NOT IN (0, 1)
        OR (commits <> commits_before AND epoch <> epoch_before)""",
    "something changed a scope beside its history": """
        SELECT * FROM (SELECT *, lag(epoch) OVER w AS epoch_left, lag(commits) OVER w AS commits_left
          FROM audit_scope WINDOW w AS (PARTITION BY scope ORDER BY seq)) AS history
        WHERE epoch_left IS NOT NULL AND (epoch_left <> epoch_before OR commits_left <> commits_before)""",
    "a run's counts do not add up": """
        SELECT * FROM cmp_run WHERE read <> inserted + updated + unchanged + rejected""",
    "two runs of a scope had one epoch": """
        SELECT scope, epoch FROM cmp_run WHERE epoch IS NOT NULL GROUP BY 1, 2 HAVING count(*) > 1""",
    "epochs of a scope fell from one run to the next": """
        SELECT * FROM (SELECT *, lag(epoch) OVER (PARTITION BY scope ORDER BY started_at) AS earlier
          FROM cmp_run WHERE epoch IS NOT NULL) AS runs WHERE epoch < earlier""",
    "a run met an error that nobody foresaw": "SELECT * FROM cmp_run WHERE error LIKE '%CMP-BUG%'",
}
"""What the history must not hold: each a claim broken, and the query that finds where."""

AFTERWARDS = {
    "a run is still called running": "SELECT * FROM cmp_run WHERE state = 'running'",
    "a run was left in the queue": "SELECT * FROM cmp_run WHERE state = 'queued'",
    "a lease was not given back": "SELECT * FROM cmp_scope WHERE holder IS NOT NULL",
    "coverage has a hole, or does not begin at the beginning": """
        SELECT scope, count(*), min(since) FROM cmp_coverage GROUP BY scope
        HAVING count(*) <> 1 OR CAST(min(since) AS text) NOT LIKE '0001-01-01%'""",
}
"""What must not be found any more once everything has come to rest."""


def begin_audit(database: Database, tables: Sequence[str] = TABLES) -> None:
    """Record from now on, inside each transaction, who writes what and in which epoch; tables must be there."""
    scopes, rows = _DIALECTS[database.dialect]
    each_row = [rows.format(table=table, act=act, side=side) for table in tables for act, side in ACTS]
    database.run("".join([scopes, *each_row]))


def broken_claims(database: Database, *, is_at_rest: bool = False) -> list[str]:
    """Return each claim that the history breaks, with the first places where it does."""
    claims = VIOLATIONS | (AFTERWARDS if is_at_rest else {})
    found = {claim: database.ask(query)[:3] for claim, query in claims.items()}
    if is_at_rest:
        found |= {f"rows and counts of {table} differ": _miscounted(database, table) for table in TABLES[:-1]}
    return [f"{claim}: {rows}" for claim, rows in found.items() if rows]


def _miscounted(database: Database, table: str) -> list[tuple[Json, ...]]:
    """Return (inserted by all runs less removed, rows) if they differ; rows that were gone keep their place."""
    stream = next(stream for stream in STREAMS if table_of(stream) == table)
    query = f"""
        SELECT * FROM (SELECT (SELECT coalesce(sum(inserted), 0) FROM cmp_run WHERE stream = ? AND NOT dry_run)
          - (SELECT count(*) FROM audit_row WHERE place = '{table}' AND act = 'DELETE') AS inserted,
          (SELECT count(*) FROM {table}) AS here) AS counted WHERE inserted <> here"""
    return database.ask(query, stream)
