"""The databases on which the conformance suites run: one parameter for each."""

import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.conformance.tables import NewTables, SqliteTables, Tables

from comporta.destinations.sqlite import SqliteDestination
from comporta.ledger.sqlite import Pragmas, SqliteDatabase
from comporta.ledger.store import LedgerStore
from comporta.testing.clock import FakeClock

if TYPE_CHECKING:
    import psycopg
    from tests.conformance.tables_postgres import PostgresTables

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
        if request.param == "postgres":
            cleared: Tables = request.getfixturevalue("postgres_tables")
            cleared.clear()
            return cleared
        opened.append(SqliteTables())
        return opened[-1]

    yield new
    for each in opened:
        each.close()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.full)])
def tables(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Tables]:
    """Return a fresh database, SQLite's in a real file."""
    if request.param == "postgres":
        yield request.getfixturevalue("postgres_tables")
        return
    with closing(SqliteTables(str(tmp_path / "tables.db"))) as opened:
        yield opened


@pytest.fixture
def postgres_tables(postgres_url: str) -> Iterator["PostgresTables"]:
    """Open the test's PostgreSQL database; what speaks to it is loaded only by tests that do."""
    from tests.conformance.tables_postgres import PostgresTables

    with closing(PostgresTables(postgres_url)) as opened:
        yield opened


@pytest.fixture
def second(postgres_tables: "PostgresTables") -> Iterator["psycopg.Connection[tuple[Any, ...]]"]:
    """Return the connection of another process."""
    from tests.conformance.tables_postgres import open_connection

    with open_connection(postgres_tables.url) as connection:
        yield connection


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
