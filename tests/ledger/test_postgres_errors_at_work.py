"""What goes wrong on a connection that stands, as the person is told, and whether it may simply be run again."""

import os
import threading
from contextlib import closing

import pytest
from tests.ledger.provoked import PATIENCE_S, as_role, enter, failure, role, wait_until_gone
from tests.servers.builds import each_postgres
from tests.servers.postgres import PostgresServer
from tests.servers.proxy import Proxy

from comporta import errors_postgres as kinds
from comporta.errors import ComportaError, DestinationRefused
from comporta.ledger.postgres_address import Address
from comporta.ledger.postgres_errors import explained, is_connection_lost, is_repeatable
from comporta.ledger.postgres_schema import connect, migrate, revision_of


def test_a_right_that_is_missing_is_named_with_the_statement_that_gives_it(
    postgres_url: str, postgres_server: PostgresServer
) -> None:
    """Comporta makes two schemas, so its user must be allowed to."""
    with role(postgres_server, "LOGIN") as name:
        address = Address.parse(as_role(postgres_url, name))
        with closing(enter(as_role(postgres_url, name))) as connection:
            schema = failure(lambda: connection.execute("CREATE SCHEMA comporta"))
            table = failure(lambda: connection.execute("CREATE TABLE pg_catalog.mine (id int)"))

    granted = f'GRANT CREATE ON DATABASE "{address.url.database}" TO "{name}";'
    assert type(explained(schema, address)) is type(explained(table, address)) is kinds.PermissionMissing
    assert explained(schema, address).next_step.endswith(granted)
    assert explained(table, address).next_step == kinds.PermissionMissing.next_step
    assert not is_repeatable(schema)


@each_postgres
@pytest.mark.parametrize(
    ("settings", "statement", "kind", "is_again"),
    [
        ("default_transaction_read_only = on", "CREATE SCHEMA x", kinds.DatabaseReadOnly, False),
        ("statement_timeout = '10ms'", "SELECT pg_sleep(5)", kinds.StatementTimedOut, False),
        ("lock_timeout = '10ms'", "UPDATE held SET id = 2", kinds.LockTimedOut, False),
        ("timezone = UTC", "SELECT * FROM comporta.cmp_run", DestinationRefused, False),
        ("timezone = UTC", "INSERT INTO taken VALUES (1)", DestinationRefused, False),
    ],
)
def test_a_statement_that_fails_is_told_by_its_state(
    settings: str, statement: str, kind: type[ComportaError], is_again: bool, postgres_url: str
) -> None:
    """The connection goes on; the transaction is over."""
    with enter(postgres_url) as holder, enter(postgres_url) as connection:
        holder.execute("CREATE TABLE held (id int PRIMARY KEY)")
        holder.execute("INSERT INTO held VALUES (1)")
        holder.execute("CREATE TABLE taken AS TABLE held")
        holder.execute("CREATE UNIQUE INDEX ON taken (id)")
        holder.execute("BEGIN")
        holder.execute("UPDATE held SET id = 1")
        connection.execute(f"SET {settings}".encode())
        error = failure(lambda: connection.execute(statement.encode()))
        told = explained(error, postgres_url)

        assert type(told) is kind
        assert f"state {error.sqlstate}" in told.message
        assert (is_repeatable(error), is_connection_lost(error)) == (is_again, False)


def test_a_statement_that_somebody_cancelled_took_not_too_long(postgres_url: str) -> None:
    """It has the state of a timeout."""
    with enter(postgres_url) as connection:
        connection.execute("SET statement_timeout = '5s'")
        threading.Timer(0.05, connection.cancel_safe).start()
        told = explained(failure(lambda: connection.execute("SELECT pg_sleep(5)")), postgres_url)

        assert "somebody cancelled the statement" in told.message


def test_what_can_be_run_again_says_so(postgres_url: str) -> None:
    """A conflict of two transactions, found out by the second to come."""
    with enter(postgres_url) as first, enter(postgres_url) as second:
        first.execute("CREATE TABLE t AS SELECT 1 AS id")
        second.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        second.execute("SELECT * FROM t")
        first.execute("UPDATE t SET id = 2")
        error = failure(lambda: second.execute("UPDATE t SET id = 3"))

        assert type(explained(error, postgres_url)) is kinds.TransactionConflict
        assert is_repeatable(error)


def test_a_deadlock_can_be_run_again(postgres_url: str) -> None:
    """One of two loses, and only that one."""
    with enter(postgres_url) as first, enter(postgres_url) as second:
        first.execute("CREATE TABLE t AS SELECT generate_series(1, 2) AS id")
        for connection, own in ((first, 1), (second, 2)):
            connection.execute("BEGIN")
            connection.execute("SET LOCAL deadlock_timeout = %s" % ("'10s'" if own == 1 else "'20ms'"))
            connection.execute("UPDATE t SET id = id WHERE id = %s", (own,))
        waiting = threading.Thread(target=first.execute, args=("UPDATE t SET id = id WHERE id = 2",))
        waiting.start()
        error = failure(lambda: second.execute("UPDATE t SET id = id WHERE id = 1"))
        second.execute("ROLLBACK")
        waiting.join(PATIENCE_S)

        assert type(explained(error, postgres_url)) is kinds.TransactionConflict
        assert is_repeatable(error)


def test_a_transaction_that_was_silent_too_long_can_be_run_again(postgres_url: str) -> None:
    """Its connection is gone with it; what is said on it afterwards is told as lost."""
    connection = enter(postgres_url)
    connection.execute("BEGIN")
    connection.execute("SET LOCAL idle_in_transaction_session_timeout = '10ms'")
    wait_until_gone(postgres_url, connection)
    error, after = (failure(lambda: connection.execute("SELECT 1")) for _ in range(2))

    assert type(explained(error, postgres_url)) is kinds.TransactionIdle
    assert type(explained(after, postgres_url)) is kinds.ConnectionBroken
    assert all(is_repeatable(each) and is_connection_lost(each) for each in (error, after))


def test_a_connection_that_an_administrator_ended_can_be_made_again(postgres_url: str) -> None:
    """As when the server restarts."""
    connection = enter(postgres_url)
    with enter(postgres_url) as other:
        other.execute("SELECT pg_terminate_backend(%s)", (connection.info.backend_pid,))
    wait_until_gone(postgres_url, connection)
    error = failure(lambda: connection.execute("SELECT 1"))

    assert type(explained(error, postgres_url)) is kinds.DatabaseRestarting
    assert is_repeatable(error)
    assert is_connection_lost(error)


def test_a_connection_that_was_cut_is_lost(postgres_proxy: Proxy) -> None:
    """By the network: the server has no part in it, so there is no state."""
    connection = enter(postgres_proxy.url)
    postgres_proxy.cut()
    error = failure(lambda: connection.execute("SELECT 1"))

    assert error.sqlstate is None
    assert type(explained(error, postgres_proxy.url)) is kinds.ConnectionBroken
    assert is_repeatable(error)
    assert is_connection_lost(error)


def test_a_database_that_is_not_utf8_is_told(postgres_server: PostgresServer) -> None:
    """It takes most letters and fails at one, in the middle of a run."""
    name = f"latin_{os.getpid()}"
    with postgres_server.admin() as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'".encode())
    with closing(enter(postgres_server.url(name), client_encoding="UTF8")) as connection:
        error = failure(lambda: connection.execute("SELECT %s || ''", ("ação → €",)))
    postgres_server.drop(name)

    assert type(explained(error, postgres_server.url(name))) is kinds.EncodingUnfit
    assert not is_repeatable(error)


def test_a_database_without_an_encoding_is_refused_before_anything_is_made(postgres_server: PostgresServer) -> None:
    """SQL_ASCII, as of a server made with LC_ALL=C: text comes back as bytes, and no budget would find its row."""
    name = f"bytes_{os.getpid()}"
    with postgres_server.admin() as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'".encode())
    address = Address.parse(postgres_server.url(name))
    with closing(connect(address)) as connection:
        with pytest.raises(kinds.EncodingUnfit, match="SQL_ASCII"):
            migrate(connection, address)
        made = revision_of(connection)
    postgres_server.drop(name)

    assert made is None
