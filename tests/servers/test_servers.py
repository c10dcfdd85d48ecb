"""The servers that tests of PostgreSQL stand on are real, fresh, hostile and gone afterwards."""

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from tests.servers import builds
from tests.servers.builds import Build, each_postgres
from tests.servers.guarded import TLS_ONLY, GuardedPostgres
from tests.servers.pgbouncer import PgBouncer, Pooling
from tests.servers.postgres import OwnPostgres, PostgresServer

each_kind = pytest.mark.parametrize(
    "pgbouncer", [Pooling(), pytest.param(Pooling("session", 20), marks=pytest.mark.full)], indirect=True, ids=str
)


def ask(url: str, statement: str) -> list[tuple[object, ...]]:
    """Return the rows of one statement, none where it has none."""
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


@each_postgres
def test_a_database_is_fresh_and_of_the_version_asked_for(postgres_build: Build, postgres_url: str) -> None:
    """It holds no table; each test of each PostgreSQL gets its own."""
    tables = ask(postgres_url, "SELECT * FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')")
    ((version,),) = ask(postgres_url, "SHOW server_version_num")

    assert tables == []
    assert not postgres_build.is_ours or str(version).startswith(postgres_build.name.removeprefix("debian-"))


@each_postgres
def test_a_client_that_counts_on_utc_is_wrong(postgres_build: Build, postgres_url: str) -> None:
    """No server of ours keeps that time."""
    if not postgres_build.is_ours:
        pytest.skip("the time zone of the server of TEST_PG_URL is its owner's affair")

    assert ask(postgres_url, "SHOW timezone") == [("America/Sao_Paulo",)]


@pytest.mark.parametrize(
    "postgres_build", [case for case in builds.cases() if case.id == "18"], indirect=True, scope="session"
)
def test_dates_come_as_germans_write_them(postgres_url: str) -> None:
    """A client that does not say how it wants them is told at once."""
    with pytest.raises(NotImplementedError, match="German"):
        ask(postgres_url, "SELECT now()")

    assert ask(postgres_url, "SELECT date '2026-11-30' :: text") == [("30.11.2026",)]


def test_clones_have_what_the_template_has_and_nothing_of_each_other(
    postgres_server: PostgresServer, postgres_clone: Callable[[str], str]
) -> None:
    """A template with tables is made once; each test then gets a copy of its own."""
    template = postgres_server.create()
    ask(postgres_server.url(template), "CREATE TABLE notes AS SELECT 'old' AS note")
    one, other = postgres_clone(template), postgres_clone(template)
    postgres_server.drop(template)
    ask(one, "INSERT INTO notes VALUES ('new')")

    assert ask(one, "SELECT count(*) FROM notes") == [(2,)]
    assert ask(other, "SELECT note FROM notes") == [("old",)]


@each_postgres
def test_a_pooled_connection_is_the_same_database(postgres_url: str, pgbouncer_url: str) -> None:
    """What is written directly is read through PgBouncer."""
    ask(postgres_url, "CREATE TABLE notes AS SELECT 7 AS number")

    assert ask(pgbouncer_url, "SELECT number FROM notes") == [(7,)]
    assert postgres_url != pgbouncer_url


@each_kind
def test_connections_are_lent_per_transaction_or_per_session(pgbouncer: PgBouncer, pgbouncer_url: str) -> None:
    """Two clients at once meet in one server process, unless the pooler keeps sessions."""
    who = "SELECT pg_backend_pid()"
    with psycopg.connect(pgbouncer_url, autocommit=True) as one, psycopg.connect(pgbouncer_url) as other:
        is_shared = one.execute(who).fetchone() == other.execute(who).fetchone()

    assert is_shared is (pgbouncer.pooling.mode == "transaction")


def test_what_a_session_sets_leaks_to_the_next_client(pgbouncer_url: str) -> None:
    """The pooler resets nothing between two transactions: that is what makes it worth testing with."""
    with psycopg.connect(pgbouncer_url, autocommit=True) as careless:
        careless.execute("SET statement_timeout = '7s'")

        assert ask(pgbouncer_url, "SHOW statement_timeout") == [("7s",)]


def test_a_database_is_dropped_while_a_pooler_is_in_it(postgres_server: PostgresServer, pgbouncer: PgBouncer) -> None:
    """Neither its pooled connections nor a client that forgot to leave stand in the way."""
    name = postgres_server.create()
    with psycopg.connect(pgbouncer.url(name)) as forgotten:
        forgotten.execute("CREATE TABLE notes ()")
        postgres_server.drop(name)

        with pytest.raises(psycopg.OperationalError):
            forgotten.execute("SELECT 1")
    assert ask(postgres_server.url(), f"SELECT 1 FROM pg_database WHERE datname = '{name}'") == []


def test_the_backends_of_one_database_are_killed(postgres_server: PostgresServer, postgres_url: str) -> None:
    """Those of other databases, which other tests use, go on."""
    with psycopg.connect(postgres_url) as one, psycopg.connect(postgres_server.url()) as other:
        killed = postgres_server.kill_backends(postgres_url)

        assert killed == 1
        assert other.execute("SELECT 1").fetchall() == [(1,)]
        with pytest.raises(psycopg.OperationalError):
            one.execute("SELECT 1")


def test_a_missing_build_is_skipped_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """It stays among the cases, so that the report names it; the first one that is there is not left to `full`."""
    monkeypatch.delenv("TEST_PG_URL", raising=False)
    monkeypatch.setattr(builds, "DEBIAN", Path("/nowhere"))
    monkeypatch.setattr(builds, "WHEEL", {})
    reason = "/nowhere holds no PostgreSQL 15 or newer"

    (case,) = builds.cases()
    with pytest.raises(pytest.skip.Exception, match=f"no PostgreSQL for this: debian: {reason}"):
        builds.first_build()

    assert [(mark.name, mark.kwargs) for mark in case.marks] == [("skip", {"reason": f"PostgreSQL debian: {reason}"})]


@pytest.mark.full
@each_postgres
def test_a_crash_keeps_what_was_committed(chaos_postgres: OwnPostgres) -> None:
    """A server of a test's own is stopped at once, killed and started again; fsync is on."""
    url, before = chaos_postgres.url(), chaos_postgres.pid
    ask(url, "CREATE TABLE notes AS SELECT 'kept' AS note")
    chaos_postgres.restart(immediate=True)
    after_crash = ask(url, "SELECT note FROM notes")
    chaos_postgres.kill()
    is_up = chaos_postgres.is_running
    with pytest.raises(psycopg.OperationalError):
        ask(url, "SELECT 1")
    chaos_postgres.start()

    assert (after_crash, is_up) == ([("kept",)], False)
    assert ask(url, "SELECT note, current_setting('fsync') FROM notes") == [("kept", "on")]
    assert chaos_postgres.pid != before
    assert "was not properly shut down" in chaos_postgres.log


@pytest.mark.full
def test_a_wrong_password_is_refused(guarded_postgres: GuardedPostgres) -> None:
    """The right one lets in, though it has a blank, a slash and letters that a URL must escape."""
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        ask(guarded_postgres.url(password="outra"), "SELECT 1")

    assert ask(guarded_postgres.url(), "SELECT 1") == [(1,)]


@pytest.mark.full
@pytest.mark.parametrize(
    ("mode", "root", "host", "refusal"),
    [
        ("disable", None, "localhost", "no encryption"),
        ("require", None, "127.0.0.1", None),
        ("verify-ca", "authority", "127.0.0.1", None),
        ("verify-ca", "stranger", "127.0.0.1", "certificate verify failed"),
        ("verify-full", "authority", "localhost", None),
        ("verify-full", "authority", "127.0.0.1", "does not match host name"),
    ],
)
def test_tls_is_checked_as_strictly_as_asked(
    guarded_postgres: GuardedPostgres, mode: str, root: str | None, host: str, refusal: str | None
) -> None:
    """No encryption, a stranger's signature and a wrong name are refused, each by the mode that looks at it."""
    roots = {} if root is None else {"sslrootcert": str(getattr(guarded_postgres, root))}
    url = guarded_postgres.url(TLS_ONLY, host=host, sslmode=mode, **roots)
    if refusal is None:
        assert ask(url, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") == [(True,)]
    else:
        with pytest.raises(psycopg.OperationalError, match=refusal):
            ask(url, "SELECT 1")
