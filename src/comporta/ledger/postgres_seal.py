"""The seal on a PostgreSQL database: one trigger on each table of the ledger, all of one function.

They fire once for each statement, also for one that would hit no row, and for TRUNCATE. Every statement here
is part of the caller's write transaction. Whoever seals waits first until no transaction writes to the ledger
any more: what comes later finds the triggers.
"""

from contextlib import closing
from typing import Any

import psycopg
from psycopg.rows import tuple_row

from comporta.core.instant import parse_instant
from comporta.ledger.postgres_address import Address
from comporta.ledger.postgres_errors import explained
from comporta.ledger.postgres_schema import connect, looking, revision_of
from comporta.ledger.seal import UNREADABLE, Seal, State
from comporta.ledger.tables import ledger_tables

MOVED_STATE = "CMP01"
UNFINISHED_STATE = "CMP02"
"""The SQLSTATEs of a refused write, by which ``postgres_errors`` knows it."""
_TABLE = """
CREATE TABLE comporta.cmp_seal (state text NOT NULL, other text NOT NULL, move text NOT NULL, at timestamptz NOT NULL,
  is_shut boolean NOT NULL, sqlstate text NOT NULL, words text NOT NULL)
"""
_FUNCTION = """
CREATE FUNCTION comporta.cmp_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  seal record;
BEGIN
  SELECT is_shut, sqlstate, words INTO seal FROM comporta.cmp_seal;
  IF seal.is_shut IS DISTINCT FROM false THEN
    RAISE EXCEPTION USING ERRCODE = coalesce(seal.sqlstate, 'CMP02'), MESSAGE = coalesce(seal.words, 'it is sealed');
  END IF;
  RETURN NULL;
END $$
"""
_TRIGGER = """
CREATE TRIGGER cmp_sealed BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON comporta.{table}
FOR EACH STATEMENT EXECUTE FUNCTION comporta.cmp_refuse()
"""
# A session writes instants as its settings say, and the driver does not read every style.
_SEAL = """
SELECT state, other, move, pg_catalog.to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
FROM comporta.cmp_seal
"""
Connection = psycopg.Connection[Any]


def look(address: Address) -> tuple[str | None, Seal | None]:
    """Return revision and seal of a database that is not open yet; both are ``None`` for one without a ledger."""
    try:
        with closing(connect(address)) as connection, looking(connection):
            return revision_of(connection), seal_of(connection)
    except psycopg.Error as error:
        raise explained(error, address) from error


def seal_of(connection: Connection) -> Seal | None:
    """Return the seal, ``None`` for an open database."""
    with connection.cursor(row_factory=tuple_row) as cursor:
        there = cursor.execute("SELECT pg_catalog.to_regclass('comporta.cmp_seal')", prepare=False).fetchone()
        if there is None or there[0] is None:
            return None
        row = cursor.execute(_SEAL, prepare=False).fetchone()
    if row is None:
        return UNREADABLE
    state, other, move, at = row
    return Seal(State(state), other, move, parse_instant(at))


def wait_for_writers(connection: Connection) -> None:
    """Wait until nobody writes to the ledger; who wants to from now on waits for this transaction's end."""
    tables = ", ".join(f"comporta.{table.name}" for table in ledger_tables())
    connection.execute(f"LOCK TABLE {tables} IN SHARE ROW EXCLUSIVE MODE".encode())


def put_seal(connection: Connection, seal: Seal) -> None:
    """Seal the ledger, or seal it anew."""
    lift_seal(connection)
    sqlstate = MOVED_STATE if seal.state is State.MOVED else UNFINISHED_STATE
    connection.execute(_TABLE)
    connection.execute(
        "INSERT INTO comporta.cmp_seal VALUES (%s, %s, %s, %s, true, %s, %s)",
        (seal.state, seal.other, seal.move, seal.at, sqlstate, seal.words),
    )
    connection.execute(_FUNCTION)
    for table in ledger_tables():
        connection.execute(_TRIGGER.format(table=table.name).encode())


def set_shut(connection: Connection, *, is_shut: bool) -> None:
    """Open the gate for the rest of the transaction, or shut it again."""
    connection.execute("UPDATE comporta.cmp_seal SET is_shut = %s", (is_shut,))


def lift_seal(connection: Connection) -> None:
    """Take the seal away, if there is one."""
    for table in ledger_tables():
        connection.execute(f"DROP TRIGGER IF EXISTS cmp_sealed ON comporta.{table.name}".encode())
    connection.execute("DROP FUNCTION IF EXISTS comporta.cmp_refuse()")
    connection.execute("DROP TABLE IF EXISTS comporta.cmp_seal")
