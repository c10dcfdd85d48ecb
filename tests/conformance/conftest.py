"""The databases on which the conformance suites run: SQLite today; another is another parameter."""

import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from tests.conformance.tables import NewTables, SqliteTables

from comporta.destinations.sqlite import SqliteDestination
from comporta.ledger.database import Database, Pragmas
from comporta.ledger.schema import migrate
from comporta.ledger.store import SqliteStore
from comporta.testing.clock import FakeClock

TTL = timedelta(seconds=30)
StoreFactory = Callable[[], SqliteStore]
"""Opens the same database once more, as another process would."""


@pytest.fixture(params=["sqlite"])
def new_tables(request: pytest.FixtureRequest) -> Iterator[NewTables]:
    """Return a function that gives a fresh database each time, for suites with many examples."""
    opened: list[SqliteTables] = []

    def new() -> SqliteTables:
        opened.append(SqliteTables())
        return opened[-1]

    yield new
    for each in opened:
        each.close()


@pytest.fixture(params=["sqlite"])
def tables(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqliteTables]:
    """Return a fresh database in a real file."""
    opened = SqliteTables(str(tmp_path / "tables.db"))
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a migrated file to copy: migrating takes longer than most tests."""
    path = tmp_path_factory.mktemp("migrated") / "ledger.db"
    migrate(path)
    return path


@pytest.fixture
def clock() -> FakeClock:
    """Return the clock of the stores: it moves only when told."""
    return FakeClock(is_jumping=False)


@pytest.fixture
def database_path(migrated: Path, tmp_path: Path) -> Path:
    """Return a migrated file of the test's own."""
    path = tmp_path / "comporta.db"
    shutil.copy(migrated, path)
    return path


@pytest.fixture(params=["sqlite"])
async def store_factory(
    request: pytest.FixtureRequest, database_path: Path, clock: FakeClock
) -> AsyncIterator[StoreFactory]:
    """Return a function that opens the test's database once more."""
    opened: list[SqliteStore] = []

    def open_store() -> SqliteStore:
        database = Database(database_path, Pragmas(busy_timeout_s=0.2))
        opened.append(SqliteStore(database, SqliteDestination(), clock, ttl=TTL))
        return opened[-1]

    yield open_store
    for each in opened:
        await each.aclose()


@pytest.fixture
async def store(store_factory: StoreFactory) -> SqliteStore:
    """Return a store on the test's database."""
    return store_factory()
