"""A sealed database takes no write of any Comporta, and says why and what to do."""

import asyncio
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from tests.moving.stage import asked, by_hand, contents, is_postgres, opened, settings_of

from comporta.bootstrap.databases import examine, open_database, open_for_move, open_store
from comporta.core.run import Trigger
from comporta.core.ticket import Ticket
from comporta.core.window import Request
from comporta.errors import DatabaseSealed
from comporta.ledger import postgres_seal, sqlite_seal
from comporta.ledger.seal import Seal, State
from comporta.ledger.session import Session
from comporta.ledger.tables import LedgerTable, ledger_tables
from comporta.ports.system_clock import SystemClock

pytestmark = [pytest.mark.full, pytest.mark.timeout(60)]

AT = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
ELSEWHERE = "postgresql://ana:***@db.example.com:5432/o'brien"
SAMPLES = {
    "TEXT": "'queued'",
    "BIGINT": "7",
    "INTEGER": "7",
    "BOOLEAN": "false",
    "TIMESTAMP WITH TIME ZONE": "'2026-03-01T08:00:00.000000Z'",
    "FLOAT": "0.5",
}
TICKET = Ticket("a", "b", Request(), Trigger.MANUAL)


def seals(address: str) -> Any:  # noqa: ANN401  one of two modules
    """Return how a database is sealed."""
    return postgres_seal if is_postgres(address) else sqlite_seal


def sealed(address: str, state: State = State.MOVED) -> str:
    """Seal a database and return its address."""
    write(address, lambda session: seals(address).put_seal(session.connection, Seal(state, ELSEWHERE, "m1", AT)))
    return address


def write(address: str, work: Callable[[Session], object]) -> None:
    """Do something in one transaction, as a move would."""
    with closing(open_for_move(settings_of(address), SystemClock())) as database:
        database.write(work).result()


def sample(address: str, table: LedgerTable) -> str:
    """Return a statement that adds a row to a table of the ledger."""
    samples = SAMPLES | {"BYTEA": r"'\x00'" if is_postgres(address) else "x'00'"}
    return f"INSERT INTO {{ledger}}{table.name} VALUES ({', '.join(samples[kind] for kind in table.columns.values())})"


@pytest.fixture
def filled(address: str) -> str:
    """Return a database with one row in every table of the ledger."""
    with opened(address):
        pass
    by_hand(address, *(sample(address, table) for table in ledger_tables()))
    return address


COLUMNS = {
    True: "SELECT table_name AS name, column_name AS field FROM information_schema.columns"
    " WHERE table_schema = 'comporta'",
    False: "SELECT m.name AS name, c.name AS field FROM sqlite_master m, pragma_table_info(m.name) c"
    " WHERE m.type = 'table'",
}
KEYS = (
    "SELECT m.name AS name, c.name AS field FROM sqlite_master m, pragma_table_info(m.name) c"
    " WHERE m.type = 'table' AND c.pk > 0 ORDER BY m.name, c.pk"
)


def test_the_tables_of_the_ledger_are_those_of_the_schema(address: str) -> None:
    """In name, columns and key: what is not known here would neither be sealed nor copied.

    Budgets are neither on purpose: what was sent in the last second is of no use in another database.
    """
    with opened(address):
        pass
    there = {(row["name"], row["field"]) for row in asked(address, COLUMNS[is_postgres(address)])}
    keys = [] if is_postgres(address) else [(row["name"], row["field"]) for row in asked(address, KEYS)]
    known = sorted(ledger_tables(), key=lambda table: table.name)

    assert {(table.name, name) for table in known for name in table.columns} == {
        each for each in there if each[0] not in {"cmp_schema_version", "cmp_budget"}
    }
    if keys:
        assert [(table.name, name) for table in known for name in table.key] == [
            each for each in keys if each[0] != "cmp_schema_version"
        ]


@pytest.mark.full
def test_every_table_of_the_ledger_refuses_every_write_of_any_program(filled: str) -> None:
    """The database keeps the seal, so that it binds versions that know nothing of it."""
    before = contents(sealed(filled))
    refused = []
    for table in ledger_tables():
        key = table.key[0]
        for statement in (
            sample(filled, table),
            f'UPDATE {{ledger}}{table.name} SET "{key}" = "{key}"',
            f"DELETE FROM {{ledger}}{table.name}",
        ):
            with pytest.raises(Exception, match=r"its data was moved to postgresql://ana:\*\*\*@db.example.com"):
                by_hand(filled, statement)
            refused.append(statement)

    assert len(refused) == 3 * len(ledger_tables()) > 0
    assert contents(filled) == before


def test_a_statement_that_would_hit_no_row_is_refused_by_postgresql_too(postgres_url: str) -> None:
    """Its triggers look at statements; and TRUNCATE is one."""
    with opened(postgres_url):
        sealed(postgres_url)

    for statement in ("UPDATE {ledger}cmp_scope SET epoch = 1 WHERE false", "TRUNCATE {ledger}cmp_log"):
        with pytest.raises(psycopg.DatabaseError, match="its data was moved") as refusal:
            by_hand(postgres_url, statement)
        assert refusal.value.sqlstate == "CMP01"


@pytest.mark.parametrize(
    ("state", "words", "step"),
    [
        (State.MOVED, f"its data was moved to {ELSEWHERE}, at 2026-03-01T08:00:00Z", "`database` in comporta.toml"),
        (State.MOVING, f"its data is being moved to {ELSEWHERE}, since 2026-03-01T08:00:00Z", "--abandon"),
        (State.INCOMPLETE, f"it holds an unfinished copy of {ELSEWHERE}, begun at", "--abandon"),
    ],
)
def test_whoever_opens_a_sealed_database_is_told_where_the_data_is_and_what_to_do(
    address: str, state: State, words: str, step: str
) -> None:
    """And so is a process that opened it before, by its next write; and a person who asks the doctor."""
    with opened(address) as before:
        sealed(address, state)
        store = open_store(before, settings_of(address))

        with pytest.raises(DatabaseSealed) as late:
            asyncio.run(store.enqueue(TICKET))
        with pytest.raises(DatabaseSealed) as early:
            open_database(settings_of(address), SystemClock())

    seen = examine(settings_of(address), is_thorough=False)
    problems = [problem for problem in seen.problems if "nothing is written" in problem]
    for error in (late.value, early.value):
        assert (words in error.message, step in error.next_step) == (True, True)
    assert [(words in problem, step in problem) for problem in problems] == [(True, True)]
    assert words in str(seen.facts["sealed"])
    assert asked(address, "SELECT * FROM {ledger}cmp_run") == []


def test_an_open_database_has_no_seal_and_says_nothing_of_one(address: str) -> None:
    """Also not to the doctor."""
    with opened(address) as database:
        seal = database.read(lambda session: seals(address).seal_of(session.connection))

    assert seal is None
    assert "sealed" not in examine(settings_of(address), is_thorough=False).facts


def test_a_lifted_seal_leaves_nothing_behind(address: str) -> None:
    """The ledger is as it was, object by object."""
    with opened(address):
        pass
    before = objects(address)
    sealed(address)
    between = objects(address)
    write(address, lambda session: seals(address).lift_seal(session.connection))
    by_hand(address, sample(address, ledger_tables()[0]))

    assert objects(address) == before != between


def objects(address: str) -> list[str]:
    """Return every object of a database by name."""
    if is_postgres(address):
        query = (
            "SELECT 'table ' || relname AS name FROM pg_class WHERE relnamespace = 'comporta'::regnamespace UNION ALL"
            " SELECT 'trigger ' || tgname FROM pg_trigger WHERE NOT tgisinternal UNION ALL"
            " SELECT 'function ' || proname FROM pg_proc WHERE pronamespace = 'comporta'::regnamespace ORDER BY 1"
        )
    else:
        query = "SELECT type || ' ' || name AS name FROM sqlite_master ORDER BY 1"
    return [row["name"] for row in asked(address, query)]


def test_the_gate_that_a_move_opens_is_open_to_nobody_else(filled: str) -> None:
    """Not while the transaction lasts, and not after one that forgot to shut it and failed."""
    sealed(filled, State.INCOMPLETE)

    def careless(session: Session) -> None:
        seals(filled).set_shut(session.connection, is_shut=False)
        session.run("forget_coverage", {"scope": "queued"})
        if is_postgres(filled):  # SQLite lets nobody else write now, whatever he wants
            with pytest.raises(psycopg.DatabaseError, match="unfinished copy"):
                by_hand(filled, "DELETE FROM {ledger}cmp_hint")
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        write(filled, careless)

    assert len(asked(filled, "SELECT * FROM {ledger}cmp_coverage")) == 1
    with pytest.raises(Exception, match="unfinished copy"):
        by_hand(filled, "DELETE FROM {ledger}cmp_hint")


def test_a_seal_whose_row_somebody_removed_still_holds(filled: str) -> None:
    """Who does not find a reason to let a write through refuses it."""
    sealed(filled)
    by_hand(filled, "DELETE FROM {ledger}cmp_seal")

    with pytest.raises(Exception, match=r"sealed|moved"):
        by_hand(filled, "DELETE FROM {ledger}cmp_hint")
    with pytest.raises(DatabaseSealed, match="changed by hand"):
        open_database(settings_of(filled), SystemClock())


def wait_and_seal(session: Session) -> Any:  # noqa: ANN401  the driver's row
    """Seal, and return how many scopes there are then."""
    postgres_seal.wait_for_writers(session.connection)
    postgres_seal.put_seal(session.connection, Seal(State.MOVING, ELSEWHERE, "m1", AT))
    return session.connection.execute("SELECT count(*) FROM comporta.cmp_scope").fetchone()


@pytest.mark.full
def test_who_seals_postgresql_waits_for_the_writer_before(postgres_url: str) -> None:
    """Whose write is there then, and counted; the next one is refused."""
    with opened(postgres_url), psycopg.connect(postgres_url) as writer:
        writer.execute(sample(postgres_url, ledger_tables()[0]).format(ledger="comporta.").encode())
        with closing(open_for_move(settings_of(postgres_url), SystemClock())) as database:
            sealing = database.write(wait_and_seal)
            waiting = "SELECT count(*) AS n FROM pg_locks WHERE NOT granted"
            while not asked(postgres_url, waiting)[0]["n"]:
                assert not sealing.done()
            writer.commit()
            seen = sealing.result()

    assert seen == (1,)
