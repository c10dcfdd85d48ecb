"""The databases on which the conformance suites run: one parameter for each."""

import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from tests.conformance.tables import NewTables, SqliteTables, Tables

from comporta.destinations.sqlite import SqliteDestination
from comporta.ledger.sqlite import Pragmas, SqliteDatabase
from comporta.ledger.store import LedgerStore
from comporta.testing.clock import FakeClock

TTL = timedelta(seconds=30)
StoreFactory = Callable[[], LedgerStore]
"""Opens the same database once more, as another process would."""


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.full)])
def new_tables(request: pytest.FixtureRequest) -> Iterator[NewTables]:
    """Return a function that gives a fresh database each time, for suites with many examples.

    On PostgreSQL it is the same one with all its rows gone: to make another takes ten times as long as an example.
    """
    opened: list[Tables] = []

    def new() -> Tables:
        if request.param == "postgres" and opened:
            opened[0].clear()
            return opened[0]
        opened.append(postgres_tables(request) if request.param == "postgres" else SqliteTables())
        return opened[-1]

    yield new
    for each in opened:
        each.close()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.full)])
def tables(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Tables]:
    """Return a fresh database, SQLite's in a real file."""
    is_postgres = request.param == "postgres"
    opened = postgres_tables(request) if is_postgres else SqliteTables(str(tmp_path / "tables.db"))
    yield opened
    opened.close()


def postgres_tables(request: pytest.FixtureRequest) -> Tables:
    """Open the test's PostgreSQL database; what speaks to it is loaded only by tests that do."""
    from tests.conformance.tables_postgres import PostgresTables

    return PostgresTables(request.getfixturevalue("postgres_url"))


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


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.full)])
async def store_factory(
    request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock
) -> AsyncIterator[StoreFactory]:
    """Return a function that opens the test's database once more."""
    opened: list[LedgerStore] = []
    if request.param == "sqlite":
        path = request.getfixturevalue("database_path")
    else:
        from tests.conformance.ledgers import open_postgres

        url = request.getfixturevalue("ledger_url")

    def open_store() -> LedgerStore:
        if request.param == "sqlite":
            database = SqliteDatabase(path, Pragmas(busy_timeout_s=0.2), clock)
            opened.append(LedgerStore(database, SqliteDestination(), ttl=TTL))
        else:
            opened.append(open_postgres(url, clock, ttl=TTL))
        return opened[-1]

    yield open_store
    for each in opened:
        await each.aclose()


@pytest.fixture
async def store(store_factory: StoreFactory) -> LedgerStore:
    """Return a store on the test's database."""
    return store_factory()
