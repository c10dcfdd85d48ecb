"""The seal on an SQLite file: three triggers on each table of the ledger, with their refusal written in.

Every statement here is part of the caller's write transaction.
"""

import sqlite3

from comporta.core.instant import instant_text, parse_instant
from comporta.ledger.seal import UNREADABLE, Seal, State, trigger_text
from comporta.ledger.tables import ledger_tables

_THERE = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'cmp_seal'"
_TABLE = """
CREATE TABLE cmp_seal (state TEXT NOT NULL, other TEXT NOT NULL, move TEXT NOT NULL, at TEXT NOT NULL,
  is_shut INTEGER NOT NULL)
"""
_TRIGGER = """
CREATE TRIGGER {name} BEFORE {event} ON {table} WHEN (SELECT is_shut FROM cmp_seal) IS NOT 0
BEGIN SELECT RAISE(ABORT, '{text}'); END
"""
EVENTS = ("INSERT", "UPDATE", "DELETE")


def seal_of(connection: sqlite3.Connection) -> Seal | None:
    """Return the seal, ``None`` for an open database."""
    if connection.execute(_THERE).fetchone() is None:
        return None
    row = connection.execute("SELECT state, other, move, at FROM cmp_seal").fetchone()
    if row is None:
        return UNREADABLE
    state, other, move, at = row
    return Seal(State(state), other, move, parse_instant(at))


def wait_for_writers(_: sqlite3.Connection) -> None:
    """Return at once: BEGIN IMMEDIATE has waited, and nobody else writes before the transaction ends."""


def put_seal(connection: sqlite3.Connection, seal: Seal) -> None:
    """Seal the ledger, or seal it anew."""
    lift_seal(connection)
    connection.execute(_TABLE)
    values = (seal.state, seal.other, seal.move, instant_text(seal.at))
    connection.execute("INSERT INTO cmp_seal VALUES (?, ?, ?, ?, 1)", values)
    # The text of RAISE must be a literal, hence one made for each seal.
    text = trigger_text(seal).replace("'", "''")
    for table in ledger_tables():
        for event in EVENTS:
            name = _trigger(table.name, event)
            connection.execute(_TRIGGER.format(name=name, event=event, table=table.name, text=text))


def set_shut(connection: sqlite3.Connection, *, is_shut: bool) -> None:
    """Open the gate for the rest of the transaction, or shut it again."""
    connection.execute("UPDATE cmp_seal SET is_shut = ?", (is_shut,))


def lift_seal(connection: sqlite3.Connection) -> None:
    """Take the seal away, if there is one."""
    for table in ledger_tables():
        for event in EVENTS:
            connection.execute(f"DROP TRIGGER IF EXISTS {_trigger(table.name, event)}")
    connection.execute("DROP TABLE IF EXISTS cmp_seal")


def _trigger(table: str, event: str) -> str:
    return f"cmp_sealed_{table}_{event.lower()}"
