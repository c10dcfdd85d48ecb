"""A PostgreSQL database behind its pool: what a transaction may rely on, and what happens when one is cut."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg
import pytest

from comporta.errors import CommitOutcomeUnknown, DestinationRefused, Retryable, Unforeseen
from comporta.errors_postgres import DatabaseUnreachable
from comporta.ledger.postgres import PoolLimits, PostgresDatabase
from comporta.ledger.postgres_address import Address
from comporta.ledger.postgres_schema import LOCALS
from comporta.ledger.session import Session
from comporta.ports.system_clock import SystemClock

if TYPE_CHECKING:
    from tests.servers.pgbouncer import PgBouncer
    from tests.servers.postgres import PostgresServer
    from tests.servers.proxy import Fault, Proxy

PATIENCE_S = 8.0
T = TypeVar("T")
LIMITS = PoolLimits(size=4, wait=timedelta(seconds=3))
NOTES = "CREATE TABLE comporta.notes (note text PRIMARY KEY)"


@pytest.fixture
def postgres_url(ledger_url: str) -> str:
    """Return the URL of a database with a ledger and a table to write notes in."""
    with opened(ledger_url) as database:
        database.write(lambda s: s.connection.execute(NOTES)).result(PATIENCE_S)
    return ledger_url


@contextmanager
def opened(url: str, limits: PoolLimits = LIMITS) -> Iterator[PostgresDatabase]:
    """Open a database for a while; its clock is the server's."""
    clock = {"comporta.now": "2026-03-01T08:00:00Z"}
    with closing(PostgresDatabase(Address.parse(url), limits, SystemClock(), local=lambda: clock)) as database:
        yield database


def put(database: PostgresDatabase, note: str) -> "Future[Any]":
    """Write a note."""
    return database.write(lambda s: s.connection.execute("INSERT INTO comporta.notes VALUES (%s)", (note,)))


def repeated(work: Callable[[], T]) -> T:
    """Do it until it succeeds; a pool takes its time to try again."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        with suppress(Retryable):
            return work()
    return work()


def notes(database: PostgresDatabase) -> list[str]:
    """Return the notes that are there."""
    query = "SELECT note FROM comporta.notes ORDER BY note"
    return [row[0] for row in database.read(lambda s: s.connection.execute(query).fetchall())]


def seen(database: PostgresDatabase) -> dict[str, str]:
    """Return the settings of a transaction as the server has them."""
    ask = "SELECT current_setting(%s)"
    return database.read(lambda s: {name: s.connection.execute(ask, (name,)).fetchone()[0] for name in LOCALS})


def test_every_transaction_is_set_up_whatever_the_server_is_set_to(postgres_url: str) -> None:
    """Its dates may be German and its clock Brazilian; idle and waiting transactions end."""
    with opened(postgres_url) as database:
        found = seen(database)

    assert {**found, "DateStyle": found["DateStyle"].partition(",")[0]} == {**LOCALS, "statement_timeout": "100s"}


@pytest.mark.full
def test_behind_a_pooler_no_setting_is_left_for_the_next_client(postgres_url: str, pgbouncer: "PgBouncer") -> None:
    """Another client of the pooler would inherit it, and its long queries would be stopped."""
    url = pgbouncer.url(postgres_url.rpartition("/")[2])
    ask = "SELECT current_setting('statement_timeout'), current_setting('lock_timeout')"
    with opened(url) as database:
        for number in range(8):
            put(database, str(number)).result(PATIENCE_S)
        left = []
        for _ in range(8):
            with database._pool.connection() as connection:
                left.append(connection.execute(ask).fetchone())

    assert set(left) == {("0", "0")}


def test_a_read_sees_one_state_and_cannot_write(postgres_url: str) -> None:
    """What is committed meanwhile is for the next one."""
    with opened(postgres_url) as database:
        count = "SELECT count(*) FROM comporta.notes"

        def look(session: Session) -> tuple[int, int]:
            before = session.connection.execute(count).fetchone()[0]
            put(database, "meanwhile").result(PATIENCE_S)
            return before, session.connection.execute(count).fetchone()[0]

        found = database.read(look)
        with pytest.raises(DestinationRefused, match="read-only"):
            database.read(lambda s: s.connection.execute("DELETE FROM comporta.notes"))

        assert found == (0, 0)
        assert notes(database) == ["meanwhile"]


def test_an_error_takes_back_all_of_its_transaction_and_nothing_else(postgres_url: str) -> None:
    """And the connection is used again."""
    with opened(postgres_url, PoolLimits(size=1, wait=timedelta(seconds=3))) as database:

        def fail(session: Session) -> None:
            session.connection.execute("INSERT INTO comporta.notes VALUES ('half')")
            raise ValueError("a bug")

        with pytest.raises(ValueError, match="a bug"):
            database.write(fail).result(PATIENCE_S)
        put(database, "whole").result(PATIENCE_S)

        assert notes(database) == ["whole"]


@pytest.mark.full
@pytest.mark.parametrize(("fault", "is_there"), [("swallow", True), ("drop_before", False)])
def test_a_commit_without_an_answer_is_unknown(postgres_proxy: "Proxy", fault: "Fault", *, is_there: bool) -> None:
    """Whether it happened cannot be told from here: it may or may not have."""
    with opened(postgres_proxy.url) as database:
        postgres_proxy.on_commit(fault)
        with pytest.raises(CommitOutcomeUnknown):
            put(database, "perhaps").result(PATIENCE_S)

        assert notes(database) == (["perhaps"] if is_there else [])


@pytest.mark.full
def test_a_connection_that_is_lost_before_commit_costs_nothing(
    postgres_url: str, postgres_server: "PostgresServer"
) -> None:
    """The transaction is run again from its start, and applied once; so are those of the other dead connections."""
    with opened(postgres_url) as database:
        tries: list[int] = []

        def work(session: Session) -> None:
            session.connection.execute("INSERT INTO comporta.notes VALUES ('once')")
            tries.append(1)
            if len(tries) == 1:
                postgres_server.kill_backends(postgres_url)
            session.connection.execute("SELECT 1")

        database.write(work).result(PATIENCE_S)
        postgres_server.kill_backends(postgres_url)

        assert notes(database) == ["once"]
        assert len(tries) > 1


@pytest.mark.full
@pytest.mark.parametrize("said", ["cannot exit pipeline mode while busy", "connection socket closed"])
def test_a_lost_connection_is_known_whatever_the_driver_says_of_it(
    postgres_url: str, postgres_server: "PostgresServer", said: str
) -> None:
    """The driver may trip over a connection that died; that the transaction cannot be rolled back tells the truth."""
    with opened(postgres_url) as database:
        tries: list[int] = []

        def work(session: Session) -> None:
            session.connection.execute("INSERT INTO comporta.notes VALUES ('once')")
            tries.append(1)
            if len(tries) == 1:
                postgres_server.kill_backends(postgres_url)
                raise psycopg.OperationalError(said)

        database.write(work).result(PATIENCE_S)

        assert notes(database) == ["once"]
        assert len(tries) > 1


def test_a_commit_that_the_server_did_not_answer_is_unknown_whatever_the_driver_says(postgres_url: str) -> None:
    """Only a server that has ended the transaction has refused to commit it."""
    with opened(postgres_url) as database:

        def work(session: Session) -> None:
            session.connection.execute("INSERT INTO comporta.notes VALUES ('perhaps')")
            session.connection.pgconn.send_query(b"SELECT 1")  # so that the driver cannot ask for anything else

        with pytest.raises(CommitOutcomeUnknown):
            database.write(work).result(PATIENCE_S)

        assert notes(database) == []


def test_a_commit_that_the_server_refused_is_not_unknown(postgres_url: str) -> None:
    """What is checked at the end only, as deferred constraints are, is an error like any other."""
    deferred = "ALTER TABLE comporta.notes ADD COLUMN n int UNIQUE DEFERRABLE INITIALLY DEFERRED"
    with opened(postgres_url) as database:
        database.write(lambda s: s.connection.execute(deferred)).result(PATIENCE_S)
        twice = "INSERT INTO comporta.notes VALUES ('a', 1), ('b', 1)"
        with pytest.raises(DestinationRefused, match="duplicate key"):
            database.write(lambda s: s.connection.execute(twice)).result(PATIENCE_S)

        assert notes(database) == []


@pytest.mark.full
def test_a_read_is_done_when_its_rows_are_here(postgres_proxy: "Proxy") -> None:
    """A connection that is lost after the last row takes nothing back: a read has nothing to commit."""
    with opened(postgres_proxy.url) as database:
        put(database, "here").result(PATIENCE_S)

        def work(session: Session) -> list[str]:
            found = [row[0] for row in session.connection.execute("SELECT note FROM comporta.notes").fetchall()]
            postgres_proxy.cut()
            return found

        assert database.read(work) == ["here"]


@pytest.mark.full
def test_of_two_transactions_that_wait_for_each_other_both_succeed(postgres_url: str) -> None:
    """The server ends one of them; it is run again."""
    with opened(postgres_url) as database:
        for note in "ab":
            put(database, note).result(PATIENCE_S)
        met = threading.Barrier(2, timeout=PATIENCE_S)
        first_tries = [True, True]

        def cross(session: Session, first: str, second: str, who: int) -> None:
            update = "UPDATE comporta.notes SET note = note || %s WHERE note LIKE %s"
            session.connection.execute(update, (str(who), f"{first}%"))
            if first_tries[who]:
                first_tries[who] = False
                met.wait()
            session.connection.execute(update, (str(who), f"{second}%"))

        waiting = [
            database.write(lambda s: cross(s, "a", "b", 0)),
            database.write(lambda s: cross(s, "b", "a", 1)),
        ]
        for each in waiting:
            each.result(PATIENCE_S)

        assert [sorted(note[1:]) for note in notes(database)] == [["0", "1"], ["0", "1"]]


@pytest.mark.full
def test_who_cannot_connect_is_told_why_and_not_only_that_it_waited(postgres_proxy: "Proxy") -> None:
    """The pool's own error names no reason."""
    with opened(postgres_proxy.url, PoolLimits(size=1, wait=timedelta(seconds=1))) as database:
        postgres_proxy.refuse()
        postgres_proxy.cut()
        with pytest.raises(Exception, match=r"refused|could not|closed") as error:
            put(database, "never").result(PATIENCE_S)
        postgres_proxy.accept()
        again = repeated(lambda: put(database, "again").result(PATIENCE_S))

        assert getattr(error.value, "code", "").startswith("CMP-DB-")
        assert (again.rowcount, notes(database)) == (1, ["again"])


@pytest.mark.full
def test_a_server_that_comes_back_is_found_at_once(postgres_proxy: "Proxy") -> None:
    """However long it was away: a pool that tries ever more seldom is away for as long again."""
    with opened(postgres_proxy.url, PoolLimits(size=2, wait=timedelta(seconds=4))) as database:
        postgres_proxy.refuse()
        postgres_proxy.cut()
        with pytest.raises(DatabaseUnreachable):
            put(database, "never").result(PATIENCE_S)
        postgres_proxy.accept()
        began = time.monotonic()
        put(database, "again").result(PATIENCE_S)

        assert time.monotonic() - began < 2.0
        assert notes(database) == ["again"]


@pytest.mark.full
def test_while_it_is_waited_for_it_is_known_why(postgres_proxy: "Proxy") -> None:
    """Long before whoever waits gives up; and no longer once somebody got a connection."""
    with opened(postgres_proxy.url, PoolLimits(size=2, wait=timedelta(seconds=20))) as database:
        postgres_proxy.refuse()
        postgres_proxy.cut()
        waiting = put(database, "patient")
        while (known := database.trouble()) is None and not waiting.done():
            threading.Event().wait(0.01)
        postgres_proxy.accept()
        waiting.result(PATIENCE_S)

        assert (type(known), database.trouble()) == (DatabaseUnreachable, None)


@pytest.mark.full
def test_a_heartbeat_does_not_wait_behind_the_batches_it_is_for(postgres_url: str) -> None:
    """Otherwise a run whose pool is busy would lose its lease, and everybody would in turn."""
    with opened(postgres_url, PoolLimits(size=2, wait=timedelta(seconds=5))) as database:
        entered, leave = threading.Event(), threading.Event()

        def long(_: Session) -> None:
            entered.set()
            assert leave.wait(PATIENCE_S)

        batches = [database.write(long) for _ in range(3)]
        assert entered.wait(PATIENCE_S)
        beats = [database.write_now(lambda s: s.now), database.read_now(lambda s: s.now)]
        are_waiting = [not each.done() for each in batches]
        leave.set()
        for each in batches:
            each.result(PATIENCE_S)

        assert len(beats) == 2
        assert all(are_waiting)


def test_what_failed_unheard_is_not_called_committed(postgres_url: str) -> None:
    """The server answers COMMIT with ROLLBACK then, and with no error."""
    with opened(postgres_url) as database:

        def careless(session: Session) -> None:
            session.connection.execute("INSERT INTO comporta.notes VALUES ('lost')")
            with suppress(psycopg.Error):
                session.connection.execute("SELECT 1 / 0")

        with pytest.raises(Unforeseen, match="taken back"):
            database.write(careless).result(PATIENCE_S)

        assert notes(database) == []


def test_a_rule_that_waits_for_commit_is_asked_before(postgres_url: str) -> None:
    """So that it refuses a row, which can be set aside, and not the whole transaction for ever."""
    with opened(postgres_url) as database:
        rule = "ALTER TABLE comporta.notes ADD UNIQUE (note) DEFERRABLE INITIALLY DEFERRED"
        database.write(lambda s: s.connection.execute(rule)).result(PATIENCE_S)

        def twice(session: Session) -> str:
            session.connection.execute("ALTER TABLE comporta.notes DROP CONSTRAINT notes_pkey")
            session.connection.execute("INSERT INTO comporta.notes VALUES ('a')")
            session.connection.execute("SAVEPOINT row")
            try:
                session.connection.execute("INSERT INTO comporta.notes VALUES ('a')")
            except psycopg.errors.UniqueViolation:
                session.connection.execute("ROLLBACK TO row")
                return "refused"
            return "taken"

        assert database.write(twice).result(PATIENCE_S) == "refused"
        assert notes(database) == ["a"]


def test_a_database_that_cannot_be_opened_leaves_nothing_behind(postgres_proxy: "Proxy") -> None:
    """Who tries again and again, as a worker does while a server is away, is not buried under what tries with him."""
    postgres_proxy.refuse()
    before = threading.active_count()
    address = Address.parse(postgres_proxy.url)
    with pytest.raises(Retryable):
        PostgresDatabase(address, PoolLimits(size=4, wait=timedelta(seconds=0.2)), SystemClock())

    assert threading.active_count() == before


def test_a_closed_database_answers_at_once(postgres_url: str) -> None:
    """What was begun is written; nothing is waited for in vain."""
    with opened(postgres_url) as database:
        begun = put(database, "begun")
    late = put(database, "late")

    assert begun.result(0).rowcount == 1
    with pytest.raises(DestinationRefused, match="closed"):
        late.result(0)


def test_the_clock_is_the_servers(postgres_url: str) -> None:
    """This machine's may be years off."""
    with opened(postgres_url) as database:
        found = database.read(lambda s: s.now)

        assert found.isoformat() == "2026-03-01T08:00:00+00:00"
        assert abs(database.now() - found) < timedelta(minutes=1)


def test_text_with_a_letter_that_the_server_cannot_hold_is_kept_in_words(postgres_url: str) -> None:
    """A log line about a broken record must not stop the run."""
    line = {"run": "r", "now": "2026-03-01T08:00:00Z", "level": "info", "step": "s", "message": "a\0b", "fields": "{}"}
    with opened(postgres_url) as database:
        database.write(lambda s: s.each("append_log", [line])).result(PATIENCE_S)
        kept = database.read(lambda s: s.one("log", {"run": "r", "after": 0}))

    assert kept is not None
    assert kept["message"] == "a\\0b"
