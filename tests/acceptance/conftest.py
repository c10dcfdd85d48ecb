"""The stage of the acceptance tests: simulated companies, and projects on every database that we promise.

Each test that asks for a project is played three times: on SQLite, on PostgreSQL, and on PostgreSQL through a
pooler that lends connections per transaction. In the quick check that is SQLite alone. `nox -s full` takes one of the
two ways to PostgreSQL, half of the tests this one, half that one: three times takes a quarter of an hour; ``--deep``
takes both, and so does who asks for tests by name.
What only SQLite can show is marked ``only_sqlite`` and has its entry in docs/explanation/dialects.md.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING
from zlib import crc32

import pytest
from tests.acceptance.company import Company, wait_or_release
from tests.acceptance.databases import Database, Json, PostgresPlace, SqliteFile
from tests.acceptance.project import Project

from comporta.ledger.sqlite_schema import migrate
from comporta.sandbox.odoo import OdooSandbox
from comporta.sandbox.reality import Reality

if TYPE_CHECKING:
    from tests.servers.pgbouncer import PgBouncer
    from tests.servers.postgres import PostgresServer

START = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
Open = Callable[..., Company]
MakeProject = Callable[[str, str], Project]
_templates: dict[str, str] = {}


class SourceTime:
    """The simulator's clock where a test moves it: stands still between two moves."""

    def __init__(self) -> None:
        self.instant = START

    def __call__(self) -> datetime:
        return self.instant

    def advance(self, **span: float) -> None:
        """Move on."""
        self.instant += timedelta(**span)


@pytest.fixture
def source_time() -> SourceTime:
    """A clock for simulators that stands still until moved."""
    return SourceTime()


@pytest.fixture
def open_company() -> Iterator[Open]:
    """Start simulators that are closed after the test."""
    with ExitStack() as stack:

        def start(**options: Json) -> Company:
            released = Event()
            reality = Reality(wait=partial(wait_or_release, released))
            sandbox = OdooSandbox(**{"records": 60, "reality": reality, **options})
            return Company(stack.enter_context(sandbox).url, released)

        yield start


@pytest.fixture
def company(open_company: Open) -> Company:
    """A small company."""
    return open_company()


SLOWER = [pytest.param(name, marks=pytest.mark.full) for name in ("postgres", "pgbouncer")]
only_postgres = pytest.mark.parametrize("way", SLOWER, indirect=True)
"""For what SQLite cannot do: see docs/explanation/dialects.md."""
each_database = pytest.mark.parametrize("way", ["sqlite", "postgres"], indirect=True)
"""For those that take a minute and in which a pooler has no part."""


@pytest.fixture(params=["sqlite", *SLOWER])
def way(request: pytest.FixtureRequest) -> str:
    """Which database the test is played on, and by which way it is reached."""
    kind: str = request.param
    return kind


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out one of the two ways to PostgreSQL where nobody asked for it: another one from test to test."""
    if config.getoption("--deep") or config.option.keyword:
        return
    left_out = [item for item in items if _is_left_out(item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if not _is_left_out(item)]


def _is_left_out(item: pytest.Item) -> bool:
    params = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    is_asked_for = any(mark.name == "parametrize" and mark.args[0] == "way" for mark in item.iter_markers())
    if params.get("way") not in {"postgres", "pgbouncer"} or is_asked_for:
        return False
    return params["way"] != ("postgres", "pgbouncer")[crc32(item.nodeid.partition("[")[0].encode()) % 2]


@pytest.fixture
def make_project(request: pytest.FixtureRequest, tmp_path: Path) -> MakeProject:
    """Make folders without settings, each with an empty database of ours that is reached by the way named."""

    def make(name: str, way: str) -> Project:
        folder = tmp_path / name
        folder.mkdir()
        if way != "sqlite":
            return Project(folder, request.getfixturevalue("postgres_place")(way))
        migrate(folder / "comporta.db")
        return Project(folder, SqliteFile(folder / "comporta.db"))

    return make


@pytest.fixture
def postgres_place(
    request: pytest.FixtureRequest, postgres_server: "PostgresServer", postgres_clone: Callable[[str], str]
) -> Callable[[str], Database]:
    """Make databases of a server, each with an empty ledger of ours, to be reached directly or by the pooler."""

    def make(way: str) -> Database:
        direct = postgres_clone(_template(postgres_server))
        if way == "postgres":
            return PostgresPlace(direct, direct)
        from tests.servers.postgres import database_of

        pooler: PgBouncer = request.getfixturevalue("pgbouncer")
        return PostgresPlace(pooler.url(database_of(direct)), direct)

    return make


@pytest.fixture
def new_project(make_project: MakeProject, way: str) -> Project:
    """A folder without settings."""
    return make_project("project", way)


@pytest.fixture
def project(new_project: Project, company: Company) -> Project:
    """A folder whose only account is the small company."""
    new_project.configure({"matriz": company.url})
    return new_project


def _template(server: "PostgresServer") -> str:
    """Return the name of a database with a ledger, made once for each worker: copying one takes half as long."""
    if server.root_url not in _templates:
        from comporta.ledger.postgres_address import Address
        from comporta.ledger.postgres_schema import connect
        from comporta.ledger.postgres_schema import migrate as migrate_postgres

        name = server.create()
        address = Address.parse(server.url(name))
        with closing(connect(address)) as connection:
            migrate_postgres(connection, address)
        _templates[server.root_url] = name
    return _templates[server.root_url]
