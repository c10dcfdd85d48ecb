"""The database that each history of the model test begins with, made once and copied."""

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.coordination.lease_world import SHAPES

from comporta.destinations.sqlite import SqliteDestination
from comporta.ledger.sqlite_schema import migrate

HISTORY = """
CREATE TABLE history(
  seq integer PRIMARY KEY, batch text, scope text, run text, epoch integer, commits integer, read integer,
  scope_epoch integer);
CREATE TABLE written(run text, kind text);
"""


def make_template(folder: Path) -> bytes:
    """Return a database with the ledger, two mirrored tables and the tables of the history checker."""
    path = folder / "template.db"
    migrate(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        destination = SqliteDestination()
        connection.executescript(HISTORY)
        for shape in SHAPES.values():
            destination.prepare(connection, shape)
            for event, kind in (("INSERT", "inserted"), ("UPDATE", "updated")):
                connection.execute(
                    f"CREATE TRIGGER {kind}_{shape.table} AFTER {event} ON {shape.table}"
                    f" BEGIN INSERT INTO written VALUES (NEW._cmp_run, '{kind}'); END"
                )
    return path.read_bytes()
