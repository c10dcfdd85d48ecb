"""The last release's code on the new schema: a process that is at work goes on while a new one migrates.

A migration named ``pre`` may only add what the code before it does not miss. So every table of the schema before is
written, read and deleted from with exactly the columns that it had then: the code of then knows no others.
"""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import comporta.ledger.sqlite_schema
from comporta.ledger.schema import REVISIONS
from comporta.ledger.sqlite_schema import migrate_stepwise

VERSIONS = Path(comporta.ledger.sqlite_schema.__file__).parent / "migrations/versions"
PRE = [after for after in REVISIONS[1:] if list(VERSIONS.glob(f"{after}_pre_*"))]
UpTo = Callable[[str], None]


@pytest.fixture
def up_to(monkeypatch: pytest.MonkeyPatch) -> UpTo:
    """Return a way to let migrations end at a revision."""
    import alembic.command

    upgrade = alembic.command.upgrade

    def choose(revision: str) -> None:
        monkeypatch.setattr(alembic.command, "upgrade", lambda config, _: upgrade(config, revision))

    return choose


def before(revision: str) -> str:
    """Return the revision that came before."""
    return REVISIONS[REVISIONS.index(revision) - 1]


def columns_on_sqlite(connection: sqlite3.Connection) -> dict[str, list[tuple[str, str]]]:
    """Return the columns of every table of the ledger, with their types."""
    tables = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'cmp\\_%' ESCAPE '\\'"
    )
    names = [name for (name,) in tables if name != "cmp_schema_version"]
    query = "SELECT name, type FROM pragma_table_info(?)"
    return {name: connection.execute(query, (name,)).fetchall() for name in names}


def sample(column: str, kind: str) -> object:
    """Return a value that a column takes."""
    if column == "state":
        return "queued"
    if kind.startswith("timestamp"):
        return "2026-03-01T08:00:00Z"
    numbers = ("BIGINT", "INTEGER", "FLOAT", "BOOLEAN", "DOUBLE PRECISION")
    if kind.upper() in numbers:
        return False if kind.upper() == "BOOLEAN" else 1
    return b"x" if kind.upper() in {"BLOB", "BYTEA"} else "x"


def as_before(table: str, columns: dict[str, str], mark: str) -> list[tuple[str, dict[str, object]]]:
    """Return what the code of then does with a table: write a row, change it, read it, take it away."""
    values = {name: sample(name, kind) for name, kind in columns.items()}
    names = ", ".join(f'"{name}"' for name in columns)
    marks = ", ".join(mark.format(name) for name in columns)
    first = next(iter(columns))
    return [
        (f"INSERT INTO {table} ({names}) VALUES ({marks})", values),
        (f'UPDATE {table} SET "{first}" = {mark.format(first)}', {first: values[first]}),
        (f"SELECT {names} FROM {table}", {}),
        (f"DELETE FROM {table}", {}),
    ]


@pytest.mark.parametrize("revision", PRE)
def test_the_code_before_goes_on_with_the_schema_after_on_sqlite(revision: str, tmp_path: Path, up_to: UpTo) -> None:
    """A connection that was open all the while does all it did, table by table."""
    path = tmp_path / "ledger.db"
    up_to(before(revision))
    migrate_stepwise(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as at_work:
        known = columns_on_sqlite(at_work)
        up_to(revision)
        migrate_stepwise(path)

        for table, columns in known.items():
            for statement, values in as_before(table, dict(columns), ":{}"):
                found = at_work.execute(statement, values).fetchall()
                assert len(found) == statement.startswith("SELECT"), statement


@pytest.mark.full
def test_the_code_before_goes_on_with_the_newest_schema_on_postgresql(postgres_url: str, up_to: UpTo) -> None:
    """The same, with the types of PostgreSQL."""
    from comporta.ledger import postgres_schema
    from comporta.ledger.postgres_address import Address

    if REVISIONS[-1] not in PRE:
        pytest.skip("the newest migration is one that the code before does not meet")
    address = Address.parse(postgres_url)
    up_to(before(REVISIONS[-1]))
    postgres_schema.migrate_stepwise(address)
    with closing(postgres_schema.connect(address)) as at_work:
        at_work.execute("SET datestyle = 'ISO'")
        known: dict[str, dict[str, str]] = {}
        query = (
            "SELECT table_name, column_name, data_type FROM information_schema.columns"
            " WHERE table_schema = 'comporta' ORDER BY table_name, ordinal_position"
        )
        for table, column, kind in at_work.execute(query).fetchall():
            known.setdefault(table, {})[column] = kind
        up_to(REVISIONS[-1])
        postgres_schema.migrate_stepwise(address)

        assert "cmp_run" in known
        for table in known.keys() - {"cmp_schema_version"}:
            for statement, values in as_before(f"comporta.{table}", known[table], "%({})s"):
                found: Any = at_work.execute(statement.encode(), values)
                assert len(found.fetchall() if found.description else ()) == statement.startswith("SELECT"), statement


def test_a_change_that_the_code_before_would_miss_is_seen(tmp_path: Path) -> None:
    """The check sees a column that is gone, and one that must be filled."""
    for change in ("ALTER TABLE cmp_log DROP COLUMN fields", "ALTER TABLE cmp_log ADD COLUMN must TEXT NOT NULL"):
        path = tmp_path / f"{len(change)}.db"
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE cmp_log (run TEXT, fields TEXT)")
            known = dict(columns_on_sqlite(connection)["cmp_log"])
            connection.execute(change.replace(" NOT NULL", " NOT NULL DEFAULT NULL"))
            statement, values = as_before("cmp_log", known, ":{}")[0]
            with pytest.raises(sqlite3.Error):
                connection.execute(statement, values)
