"""A new ledger is made in one step, and is the one that the migrations arrive at."""

import sqlite3
import subprocess
import sys
from pathlib import Path

from comporta.ledger.schema import REVISIONS, is_current
from comporta.ledger.sqlite_schema import migrate, migrate_stepwise, revision_of


def schema_of(path: Path) -> list[tuple[str, str, str]]:
    """Return every object of a database, its definition without regard to spaces."""
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT type, name, coalesce(sql, '') FROM sqlite_master ORDER BY rowid").fetchall()
    connection.close()
    return [(kind, name, "".join(sql.split())) for kind, name, sql in rows]


def test_one_step_arrives_where_the_migrations_do(tmp_path: Path) -> None:
    """Otherwise a new user and an old one would have different ledgers."""
    new, old = tmp_path / "new.db", tmp_path / "old.db"

    migrate(new)
    migrate_stepwise(old)

    assert schema_of(new) == schema_of(old)
    for path in (new, old):
        connection = sqlite3.connect(path)
        assert connection.execute("SELECT version_num FROM cmp_schema_version").fetchall() == [(REVISIONS[-1],)]
        assert is_current(revision_of(connection), str(path))
        connection.close()


def test_a_second_migration_changes_nothing(tmp_path: Path) -> None:
    """Whoever comes second finds the work done."""
    path = tmp_path / "ledger.db"
    migrate(path)
    before = schema_of(path)

    migrate(path)

    assert schema_of(path) == before


def test_a_new_ledger_needs_no_migration_tools(tmp_path: Path) -> None:
    """They take a third of a second and 35 MB to import."""
    code = (
        "import sys; from pathlib import Path; from comporta.ledger.sqlite_schema import migrate;"
        f"migrate(Path({str(tmp_path / 'ledger.db')!r})); sys.exit('sqlalchemy' in sys.modules)"
    )

    ended = subprocess.run([sys.executable, "-c", code], check=False)

    assert ended.returncode == 0
