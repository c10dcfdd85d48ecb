"""The views on SQLite: the text of a view is kept by the database, so ours is known by a mark in it.

A view is dropped and made again when its text would differ; nobody's view is lost by that, as SQLite
looks up what a view builds on only when it is read.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence

from comporta.core.record import Column, ColumnType
from comporta.destinations.told import view_made
from comporta.destinations.upsert import quoted
from comporta.destinations.views import Speech, selects, tables
from comporta.errors import NameTaken
from comporta.ports.progress import LogLine

MARK = "/* made by comporta */"
# SQLite's names do not know upper case from lower; triggers have names of their own.
_TAKEN = "SELECT type, sql FROM sqlite_master WHERE name = ? COLLATE NOCASE AND type <> 'trigger'"
ColumnsOf = Callable[[sqlite3.Connection, str], Mapping[str, Column]]


def refresh(connection: sqlite3.Connection, columns_of: ColumnsOf) -> Sequence[LogLine]:
    """Make every view that can be made, or make it again if it would differ; return what to tell of it."""
    done: list[LogLine] = []
    present = {table: columns_of(connection, table) for table in tables()}
    for view, select in selects(present, Speech(str, _column)):
        done += make(connection, view, f"\n{select}")
    return done


def make(connection: sqlite3.Connection, view: str, definition: str) -> Sequence[LogLine]:
    """Make a view of ours, or make it again if it would differ; return what to tell of it."""
    wanted = f"CREATE VIEW {view} AS {MARK}{definition}"
    before = _present(connection, view)
    if before == wanted:
        return []
    if before is not None:
        connection.execute(f"DROP VIEW {view}")
    connection.execute(wanted)
    return [view_made(view, is_there=before is not None)]


def _present(connection: sqlite3.Connection, view: str) -> str | None:
    """Return the definition of our view, ``None`` if there is none; refuse what is not ours."""
    row = connection.execute(_TAKEN, (view,)).fetchone()
    if row is None:
        return None
    kind, definition = row
    if kind != "view" or MARK not in definition:
        message = (
            f"the database has a {kind} called {view!r} that is not ours; Comporta's view of that name needs the place"
        )
        raise NameTaken(message)
    return str(definition)


def _column(alias: str, name: str, _kind: ColumnType, present: Column | None) -> str:
    return f"{alias}.{quoted(name)}" if present is not None else "NULL"
