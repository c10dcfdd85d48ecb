"""A ledger of the version before, with its runs in it: what a database is that somebody has used for months."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from comporta.core.run import Run, RunState
from comporta.ledger.rows import run_from
from comporta.ledger.schema import REVISIONS
from comporta.ledger.sqlite import Pragmas, SqliteDatabase
from comporta.ledger.sqlite_schema import migrate, migrate_stepwise, revision_of
from comporta.ports.system_clock import SystemClock

BEFORE = REVISIONS[-2]
OLD_RUN = (
    "INSERT INTO {}cmp_run (id, scope, account, stream, state, trigger, request, dry_run, read, unchanged)"
    " VALUES ('r1', 'crm/deals', 'crm', 'deals', 'succeeded', 'manual', 'full', {}, 7, 7)"
)


@pytest.fixture
def only_before(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let migrations end at the revision before, until what is returned is called."""
    import alembic.command

    upgrade = alembic.command.upgrade
    monkeypatch.setattr(alembic.command, "upgrade", lambda config, _: upgrade(config, BEFORE))
    return monkeypatch.undo


def facts(run: Run) -> tuple[object, ...]:
    """Return what both versions know of a run, and then what only the new one does."""
    return run.id, run.state, run.counts.read, run.limit, run.limit_used, dict(run.failures)


def test_the_runs_of_before_are_there_on_sqlite(tmp_path: Path, only_before: Callable[[], None]) -> None:
    """Nobody knows their limit, and that is what is said."""
    path = tmp_path / "old.db"
    migrate_stepwise(path)
    with closing(sqlite3.connect(path)) as connection:
        assert revision_of(connection) == BEFORE
        connection.execute(OLD_RUN.format("", "0"))
        connection.commit()
    only_before()

    migrate(path)
    with closing(SqliteDatabase(path, Pragmas(), SystemClock())) as database:
        run = run_from(database.read(lambda session: session.one("run", {"run": "r1"})) or {})

    assert facts(run) == ("r1", RunState.SUCCEEDED, 7, None, None, {})


@pytest.mark.full
def test_the_runs_of_before_are_there_on_postgresql(postgres_url: str, only_before: Callable[[], None]) -> None:
    """And the budgets have their table."""
    from comporta.ledger import postgres_schema
    from comporta.ledger.budget_log import Row
    from comporta.ledger.budget_table import BudgetTable
    from comporta.ledger.postgres import PoolLimits, PostgresDatabase
    from comporta.ledger.postgres_address import Address

    address = Address.parse(postgres_url)
    postgres_schema.migrate_stepwise(address)
    with closing(postgres_schema.connect(address)) as connection:
        assert postgres_schema.revision_of(connection) == BEFORE
        connection.execute(OLD_RUN.format("comporta.", "false").encode())
    only_before()

    with closing(postgres_schema.connect(address)) as connection:
        postgres_schema.migrate(connection, address)
    with closing(PostgresDatabase(address, PoolLimits(size=2), SystemClock())) as database:
        run = run_from(database.read(lambda session: session.one("run", {"run": "r1"})) or {})
    with closing(BudgetTable(address)) as table:
        written = list(table.put({"k": Row(1, b"{}")}))

    assert facts(run) == ("r1", RunState.SUCCEEDED, 7, None, None, {})
    assert written == ["k"]
