"""What real servers and poolers refuse, as the person is told: the kind of error, the words, the next step."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, closing

import pytest
from psycopg_pool import ConnectionPool
from tests.ledger.provoked import PATIENCE_S, as_role, enter, failure, role
from tests.servers.builds import each_postgres
from tests.servers.guarded import TLS_ONLY, GuardedPostgres
from tests.servers.home import free_port
from tests.servers.pgbouncer import PgBouncer, Pooling
from tests.servers.postgres import OwnPostgres, PostgresServer

from comporta import errors_postgres as kinds
from comporta.errors import ComportaError
from comporta.ledger.postgres_address import Address
from comporta.ledger.postgres_errors import explained, is_repeatable


def refusal(url: str) -> ComportaError:
    """Return what a person is told who cannot get in."""
    return explained(failure(lambda: enter(url)), Address.parse(url))


@pytest.mark.parametrize(
    ("url", "kind", "said", "step"),
    [
        (lambda it: it.url(password="errada"), kinds.DatabaseLoginRefused, "password or the user", "percent-encoded"),
        (lambda it: it.url(password=""), kinds.DatabaseLoginRefused, "asks for a password", "env:NAME"),
        (lambda it: it.url("nenhuma"), kinds.DatabaseMissing, "no such database", "create the database"),
        (lambda it: it.url(TLS_ONLY, sslmode="disable"), kinds.TlsMismatch, "is not encrypted", "sslmode=require"),
        (
            lambda it: it.url(sslmode="verify-full", sslrootcert=str(it.stranger)),
            kinds.CertificateRefused,
            "not signed by the authority",
            "Get the authority's certificate",
        ),
        (
            lambda it: it.url(sslmode="verify-full", sslrootcert="system"),
            kinds.CertificateRefused,
            "not signed by the authority",
            "Get the authority's certificate",
        ),
        (
            lambda it: it.url(host="127.0.0.1", sslmode="verify-full", sslrootcert=str(it.authority)),
            kinds.CertificateRefused,
            "for another name",
            "the host that the certificate is for",
        ),
        (
            lambda it: it.url(sslmode="verify-full", sslrootcert="/nowhere/ca.crt"),
            kinds.CertificateRefused,
            "cannot be used",
            "Check the path",
        ),
        (
            lambda it: it.url(sslmode="require", sslrootcert="system"),
            kinds.CertificateRefused,
            "check everything, or nothing",
            "verify-full",
        ),
    ],
)
def test_a_guarded_server_says_why_it_lets_nobody_in(
    url: Callable[[GuardedPostgres], str],
    kind: type[ComportaError],
    said: str,
    step: str,
    guarded_postgres: GuardedPostgres,
) -> None:
    """Passwords, databases, encryption, certificates: each with the one thing to change, and no password shown."""
    address = url(guarded_postgres)
    told = refusal(address)

    assert type(told) is kind
    assert told.message.startswith(Address.parse(address).shown + ": ")
    assert said in told.message
    assert step in told.next_step
    assert not [text for text in (guarded_postgres.password, "errada") if text in str(told.as_json())]


def test_with_the_right_certificate_everybody_is_content(guarded_postgres: GuardedPostgres) -> None:
    """The refusals above are refusals of what was wrong, not of everything."""
    with enter(guarded_postgres.url(TLS_ONLY, sslrootcert=str(guarded_postgres.authority))) as connection:
        assert connection.pgconn.ssl_in_use


def test_a_server_without_tls_is_told_apart(postgres_url: str) -> None:
    """The next step is the server's, not to switch encryption off."""
    told = refusal(postgres_url + "?sslmode=require")

    assert type(told) is kinds.TlsMismatch
    assert told.next_step.startswith("Give the server a certificate")


@each_postgres
@pytest.mark.parametrize(
    ("options", "kind", "is_passing"),
    [("NOLOGIN", kinds.DatabaseLoginRefused, False), ("LOGIN CONNECTION LIMIT 0", kinds.TooManyConnections, True)],
)
def test_a_user_who_may_not_come_in_is_told_why(
    options: str, kind: type[ComportaError], is_passing: bool, postgres_url: str, postgres_server: PostgresServer
) -> None:
    """A right that is missing stays missing; a connection may come free."""
    with role(postgres_server, options) as name:
        error = failure(lambda: enter(as_role(postgres_url, name)))

    assert type(explained(error, postgres_url)) is kind
    assert is_repeatable(error) is is_passing
    assert type(refusal(as_role(postgres_url, "nobody_knows"))) is kinds.DatabaseLoginRefused


def test_a_pool_that_is_all_in_use_says_so(postgres_url: str) -> None:
    """Not that the server is down."""
    told = Address.parse(postgres_url).conninfo()
    with ConnectionPool(kwargs=told, min_size=1, max_size=1) as pool:
        with pool.connection():
            error = failure(lambda: pool.getconn(timeout=0.1))
        pool.close()
        closed = failure(pool.getconn)

    assert type(explained(error, postgres_url)) is kinds.PoolExhausted
    assert is_repeatable(error)
    assert "the database was closed" in explained(closed, postgres_url).message
    assert not is_repeatable(closed)


@pytest.mark.parametrize("pgbouncer", [Pooling("transaction", 2)], indirect=True, ids=str)
def test_a_pooler_taken_for_the_server_is_told_by_its_prepared_statements(pgbouncer_url: str) -> None:
    """Both ways: one's own is not there, another's is."""
    with enter(pgbouncer_url, prepare_threshold=0) as first, enter(pgbouncer_url, prepare_threshold=0) as second:
        first.execute("SELECT 1")
        double = failure(lambda: second.execute("SELECT 1"))
        missing = failure(lambda: second.execute("EXECUTE nowhere", prepare=False))
        first.execute("DEALLOCATE ALL", prepare=False)

        assert [type(explained(each, pgbouncer_url)) for each in (double, missing)] == [kinds.PoolerUnrecognised] * 2
        assert "prepares no statements" in explained(double, pgbouncer_url).next_step
        assert not is_repeatable(double)


def test_a_pooler_that_refuses_a_setting_names_the_variable(
    pgbouncer_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Comporta sends none; libpq adds what the environment says."""
    monkeypatch.setenv("PGOPTIONS", "-c geqo=off")

    assert "PGOPTIONS" in refusal(pgbouncer_url).next_step


@pytest.mark.full
@pytest.mark.parametrize("pgbouncer", [Pooling("session", 1)], indirect=True, ids=str)
def test_a_pooler_that_is_full_can_be_asked_again(pgbouncer_url: str, pgbouncer: PgBouncer) -> None:
    """Whether it has no connection to lend, or lets no more clients in."""
    with ExitStack() as stack:
        console = stack.enter_context(closing(enter(pgbouncer.url("pgbouncer"))))
        stack.callback(console.execute, "SET query_wait_timeout = 120")
        stack.callback(console.execute, "SET max_client_conn = 500")
        console.execute("SET query_wait_timeout = 1")
        stack.enter_context(closing(enter(pgbouncer_url))).execute("SELECT 1")
        second = stack.enter_context(closing(enter(pgbouncer_url)))
        waited = failure(lambda: second.execute("SELECT 1"))
        console.execute("SET max_client_conn = 2")
        refused = failure(lambda: [stack.enter_context(closing(enter(pgbouncer_url))) for _ in range(2)])

    for error in (waited, refused):
        assert type(explained(error, pgbouncer_url)) is kinds.TooManyConnections
        assert is_repeatable(error)


@pytest.mark.full
def test_a_server_that_is_full_closes_or_is_gone_can_be_asked_again(chaos_postgres: OwnPostgres) -> None:
    """The last connections are reserved, then there is none, then it shuts down, then nobody listens."""
    chaos_postgres.settings |= {"max_connections": "5", "superuser_reserved_connections": "2"}
    chaos_postgres.restart()
    with ExitStack() as stack, role(chaos_postgres, "LOGIN") as name:
        theirs, ours = as_role(chaos_postgres.root_url, name), chaos_postgres.root_url
        seen = [
            failure(lambda: [stack.enter_context(closing(enter(theirs))) for _ in range(4)]),
            failure(lambda: [stack.enter_context(closing(enter(ours))) for _ in range(3)]),
        ]
        os.kill(chaos_postgres.pid, signal.SIGTERM)
        deadline = time.monotonic() + PATIENCE_S
        seen.append(failure(lambda: enter(ours)))
        while "too many" in str(seen[-1]) and time.monotonic() < deadline:
            seen[-1] = failure(lambda: enter(ours))
        stack.close()
    chaos_postgres.stop()
    seen.append(failure(lambda: enter(ours)))

    assert ["reserved" in str(seen[0]), "too many clients" in str(seen[1])] == [True, True]
    assert [type(explained(each, ours)) for each in seen] == [
        kinds.TooManyConnections,
        kinds.TooManyConnections,
        kinds.DatabaseRestarting,
        kinds.DatabaseUnreachable,
    ]
    assert all(map(is_repeatable, seen))


def test_an_address_where_no_server_is_says_what_is_there() -> None:
    """Nobody, no such name, no such folder."""
    urls = {
        "nobody listens there": f"postgresql://ana@127.0.0.1:{free_port()}/d",
        "leads nowhere": "postgresql://ana@nowhere.invalid/d",
        "nobody listens": "postgresql://ana@/d?host=/nowhere",
    }
    told = {said: refusal(url) for said, url in urls.items()}

    assert {type(each) for each in told.values()} == {kinds.DatabaseUnreachable}
    assert [said for said, each in told.items() if said not in each.message] == []


def test_an_address_where_something_else_answers_says_so() -> None:
    """The port of a web server, or a proxy between."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            with listening.accept()[0] as client:
                client.recv(1024)
                client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        told = refusal(f"postgresql://ana@127.0.0.1:{listening.getsockname()[1]}/d?sslmode=require")
        thread.join(PATIENCE_S)

    assert "what answers there is not PostgreSQL" in told.message


@pytest.mark.full
def test_an_address_that_says_nothing_is_not_waited_for_for_ever() -> None:
    """A firewall that drops everything."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"postgresql://ana@127.0.0.1:{listening.getsockname()[1]}/d"
        told = explained(failure(lambda: enter(url, connect_timeout=2)), Address.parse(url))

    assert type(told) is kinds.DatabaseUnreachable
    assert "no answer in time" in told.message
