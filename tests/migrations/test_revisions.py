"""The revisions: which there are, what they are called, and that the statements fit what they make."""

import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory

import comporta.ledger.sqlite_schema
from comporta.errors import DestinationBusy, NewerSchema, NotADatabase
from comporta.ledger.schema import REVISIONS, is_current
from comporta.ledger.sqlite_schema import migrate, migrate_stepwise, revision_of
from comporta.ledger.statements import statements

FOLDER = Path(comporta.ledger.sqlite_schema.__file__).parent / "migrations"
WAYS = [migrate, migrate_stepwise]
FORKING = """
import os
from pathlib import Path
import alembic.command, sqlalchemy
from comporta.ledger.sqlite_schema import {way}
children = []
for _ in range(3):
    child = os.fork()
    if not child:
        {way}(Path({path!r}))
        os._exit(0)
    children.append(child)
print([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children])
"""
"""Three processes at the same moment: each has imported what takes most of the time before it was forked."""


class Anything(dict[str, object]):
    """Parameters for any statement."""

    def __missing__(self, name: str) -> None:
        return None


def test_the_list_of_revisions_is_that_of_the_folder() -> None:
    """Oldest first, in one line without branches: looking at the version needs no migration tools."""
    script = ScriptDirectory(str(FOLDER))
    walked = [revision.revision for revision in script.walk_revisions()]

    assert tuple(reversed(walked)) == REVISIONS
    assert script.get_heads() == [REVISIONS[-1]]


def test_a_file_says_its_number_and_whether_it_comes_before_or_after_the_code() -> None:
    """``pre`` runs before the new version starts, ``post`` after the old one has stopped."""
    names = sorted(path.name for path in (FOLDER / "versions").glob("*.py"))
    parts = [re.fullmatch(r"(\d{4})_(pre|post)_[a-z0-9_]+\.py", name) for name in names]

    assert [part and part[1] for part in parts] == list(REVISIONS)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("name", statements("sqlite"))
def test_every_statement_fits_the_schema(
    ledgers: dict[Callable[[Path], None], Path], way: Callable[[Path], None], name: str
) -> None:
    """Each table and column that a statement names is there, whichever way the ledger was made."""
    with closing(sqlite3.connect(ledgers[way])) as connection:
        plan = connection.execute(f"EXPLAIN {statements('sqlite')[name]}", Anything()).fetchall()

    assert plan != []


@pytest.fixture(scope="module")
def ledgers(tmp_path_factory: pytest.TempPathFactory) -> dict[Callable[[Path], None], Path]:
    """Return a ledger made in each way."""
    made: dict[Callable[[Path], None], Path] = {}
    for way in WAYS:
        made[way] = tmp_path_factory.mktemp(way.__name__) / "ledger.db"
        way(made[way])
    return made


def test_a_file_without_a_ledger_is_behind(tmp_path: Path) -> None:
    """Also one that somebody uses for something else; it is theirs, and stays so."""
    path = tmp_path / "theirs.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs(x)")
        before = (revision_of(connection), is_current(revision_of(connection), str(path)))
        migrate(path)
        after = (revision_of(connection), is_current(revision_of(connection), str(path)))
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}

    assert (before, after) == ((None, False), (REVISIONS[-1], True))
    assert "theirs" in tables


def test_a_newer_ledger_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    """This version does not know what the newer one promised."""
    path = tmp_path / "newer.db"
    migrate(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE cmp_schema_version SET version_num = '9999'")
        connection.commit()
        before = list(connection.iterdump())

        with pytest.raises(NewerSchema, match="9999"):
            is_current(revision_of(connection), str(path))
        assert list(connection.iterdump()) == before


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_what_is_no_database_is_said_in_our_words(tmp_path: Path, way: Callable[[Path], None]) -> None:
    """Not in those of the migration tools."""
    path = tmp_path / "notes.txt"
    path.write_bytes(b"some text " * 500)

    with pytest.raises(NotADatabase, match=r"notes\.txt"):
        way(path)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_migration_waits_for_other_programs_and_then_names_them(
    tmp_path: Path, way: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here without the half minute."""
    path = tmp_path / "ledger.db"

    def impatient(connection: sqlite3.Connection) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA busy_timeout = 20")

    monkeypatch.setattr(comporta.ledger.sqlite_schema, "_explicit", impatient)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DestinationBusy):
            way(path)
        other.execute("ROLLBACK")


@pytest.mark.full
@pytest.mark.timeout(60)
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_processes_that_migrate_at_once_make_one_ledger(tmp_path: Path, way: Callable[[Path], None]) -> None:
    """The second finds the work done after it got the lock."""
    path = tmp_path / "ledger.db"
    code = FORKING.format(way=way.__name__, path=str(path))
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (said.stderr, said.stdout) == ("", "[0, 0, 0]\n")
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*), max(version_num) FROM cmp_schema_version").fetchone() == (
            1,
            REVISIONS[-1],
        )
