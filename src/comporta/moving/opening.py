"""Opening the two sides of a move, and taking one back whose new database is out of reach.

The old one must be there and have a ledger; the new one is made. Nothing is made before it is clear that the
move may begin.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from comporta.bootstrap.databases import examine, open_for_move
from comporta.errors import DestinationBusy, WrongUse
from comporta.ledger.schema import is_current
from comporta.ledger.session import Database
from comporta.ledger.sqlite import SqliteDatabase
from comporta.moving.abandon import abandon, refuse_reopen, reopen
from comporta.moving.move import Moved, move, refuse_busy, seal_of
from comporta.moving.sides import Side
from comporta.moving.sqlite_side import SqliteSide
from comporta.ports.clock import Clock
from comporta.settings.tree import Settings


def migrate_database(source: Settings, target: Settings, *, clock: Clock, tell: Callable[[str], None]) -> Moved:
    """Move everything from one database to another; each is told as the settings that name it."""
    with _source(source, clock) as old:
        _refuse_unfit(target)
        with _opened(target, clock) as new:
            return move(old, new, clock=clock, tell=tell)


def take_back(source: Settings, target: Settings, *, clock: Clock) -> str | None:
    """Take a move back; return why the unfinished copy could not be dropped, ``None`` if it was."""
    with _source(source, clock, is_taken_back=True) as old:
        try:
            seen = examine(target, is_thorough=False)
            if seen.revision is None:
                return _without_target(old, seen.where, "there is none")
            with _opened(target, clock) as new:
                abandon(old, new)
                return None
        except DestinationBusy as error:
            return _without_target(old, target.database_shown, error.message)


def _without_target(old: Side, where: str, reason: str) -> str:
    seal = seal_of(old)
    refuse_reopen(seal, old.database.where, where)
    if seal is not None:
        reopen(old, seal)
    return reason


@contextmanager
def _source(settings: Settings, clock: Clock, *, is_taken_back: bool = False) -> Iterator[Side]:
    """Open the old database for a while; refuse one that is not there, or in which somebody works."""
    seen = examine(settings, is_thorough=False)
    if seen.revision is None:
        what = "has no data of Comporta's" if seen.exists else "is not there"
        raise WrongUse(f"FROM: {seen.where} {what}; expected the database to move", next_step="Correct FROM.")
    with _opened(settings, clock) as side:
        if not is_taken_back:
            side.database.read(lambda session: refuse_busy(session, side.database.where))
        yield side


@contextmanager
def _opened(settings: Settings, clock: Clock) -> Iterator[Side]:
    database = open_for_move(settings, clock)
    try:
        yield side_of(settings, database)
    finally:
        database.close()


def side_of(settings: Settings, database: Database) -> Side:
    """Return an open database as one whose mirrored tables are known."""
    if isinstance(database, SqliteDatabase):
        return SqliteSide(database)
    from comporta.ledger.postgres import PostgresDatabase
    from comporta.moving.postgres_side import PostgresSide

    assert isinstance(database, PostgresDatabase), "there are two kinds"  # noqa: S101  for mypy
    return PostgresSide(database, settings.schema)


def _refuse_unfit(settings: Settings) -> None:
    """Raise if the new database has a ledger of another version, which opening it would migrate."""
    seen = examine(settings, is_thorough=False)
    if seen.revision is not None and not is_current(seen.revision, seen.where):
        message = f"TO: {seen.where} has a ledger already, with schema {seen.revision!r}; expected none"
        raise WrongUse(message, next_step="Give another database, or an empty file.")
