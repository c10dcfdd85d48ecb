"""The two sides of a move: what is asked of a database, whichever it is.

A side knows its tables and its rows; it does not know the other side, nor what is done when. What is said
within a transaction takes the ``Session``; where a function may be called again after a lost COMMIT, it says
so itself. How far the copy is stands in the new database, in ``cmp_move``, in the same transactions as the rows.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from comporta.errors import CommitOutcomeUnknown, DestinationRefused
from comporta.ledger.seal import Seal
from comporta.ledger.session import OUTCOME_TRIES, Database, Session
from comporta.moving.parts import Cell, Cells, Part, Progress
from comporta.ports.destination import Connection

T = TypeVar("T")


class Seals(Protocol):
    """``ledger.sqlite_seal`` or ``ledger.postgres_seal``."""

    def seal_of(self, connection: Any, /) -> Seal | None:  # noqa: ANN401  the driver's own
        """Return the seal, ``None`` for an open database."""

    def wait_for_writers(self, connection: Any, /) -> None:  # noqa: ANN401  as above
        """Wait until nobody writes to the ledger."""

    def put_seal(self, connection: Any, /, seal: Seal) -> None:  # noqa: ANN401  as above
        """Seal the ledger, or seal it anew."""

    def set_shut(self, connection: Any, /, *, is_shut: bool) -> None:  # noqa: ANN401  as above
        """Open the gate for the rest of the transaction, or shut it again."""

    def lift_seal(self, connection: Any, /) -> None:  # noqa: ANN401  as above
        """Take the seal away, if there is one."""


@dataclass(frozen=True, slots=True)
class Found:
    """The mirrored tables of a database.

    ``left_behind`` are columns and tables that do not go along, for people to read. ``shortened`` are names
    that PostgreSQL may have got in a shortened form, and nobody knows the whole one.
    """

    parts: list[Part] = field(default_factory=list)
    left_behind: list[str] = field(default_factory=list)
    shortened: list[str] = field(default_factory=list)


class Side(Protocol):
    """One of the two databases."""

    @property
    def database(self) -> Database:
        """Return the open database."""

    @property
    def seals(self) -> Seals:
        """Return how it is sealed."""

    @property
    def is_postgres(self) -> bool:
        """Say which of the two it is."""

    def is_same_as(self, other: "Side") -> bool:
        """Say whether the other side is this very database, whatever it is called."""

    def ask(self, session: Session, query: str, *values: Cell) -> list[tuple[Any, ...]]:
        """Return what a statement of the ledger's finds; ``?`` is a parameter."""

    def mirrored(self, connection: Connection) -> Found:
        """Return the mirrored tables."""

    def page(self, part: Part, after: Cells | None, limit: int) -> list[Cells]:
        """Return the rows that follow a key, in this database's own order of keys."""

    def make(self, connection: Connection, part: Part) -> None:
        """Make a mirrored table, and the views that build on it."""

    def write(self, connection: Connection, part: Part, rows: list[Cells]) -> None:
        """Add rows; ``Unstorable`` names the first that this database cannot hold."""

    def settle(self, connection: Connection, part: Part) -> None:
        """Let the database learn how many rows of which kind a table has now."""

    def called(self, part: Part) -> str:
        """Return how a statement names a mirrored table."""

    def column(self, name: str) -> str:
        """Return how a statement names a column."""

    def forget_views(self, connection: Connection, account: str) -> None:
        """Drop the views that are one account's."""

    def drop(self, connection: Connection, tables: list[str]) -> None:
        """Drop our views, these mirrored tables and the whole ledger."""


def settled(database: Database, work: Callable[[Session], T]) -> T:
    """Do what may be done twice, again where the answer to COMMIT was lost."""
    for _ in range(OUTCOME_TRIES - 1):
        with suppress(CommitOutcomeUnknown):
            return database.write(work).result()
    return database.write(work).result()


def unstorable(part: Part, key: Cells, where: str, reason: str) -> DestinationRefused:
    """Return the error that names a row which the new database cannot hold."""
    called = "/".join(map(str, key)).encode("ascii", "backslashreplace").decode()
    return DestinationRefused(
        f"{where}: the row {called} of {part.table} cannot be copied: {reason}",
        next_step=(
            "Nothing is lost: take the move back with `comporta migrate-database FROM TO --abandon`, mend the record at"
            " its source, sync, and move again."
        ),
    )


def make_progress(side: Side, session: Session) -> None:
    """Make the table that says how far the copy is."""
    side.ask(
        session,
        "CREATE TABLE cmp_move (part TEXT NOT NULL PRIMARY KEY, mirrored INTEGER NOT NULL, after TEXT,"
        " rows BIGINT NOT NULL, done INTEGER NOT NULL)",
    )


def progress_of(side: Side, session: Session, part: Part) -> Progress | None:
    """Return how far a part is copied, ``None`` if it was not begun; in a write, nobody else may go on meanwhile."""
    lock = " FOR UPDATE" if side.is_postgres else ""
    found = side.ask(session, f"SELECT after, rows, done FROM cmp_move WHERE part = ?{lock}", part.table)
    return Progress(found[0][0], found[0][1], is_done=bool(found[0][2])) if found else None


def begin_progress(side: Side, session: Session, part: Part) -> None:
    """Note that a part is begun."""
    is_mirrored = int(part.shape is not None)
    side.ask(session, "INSERT INTO cmp_move VALUES (?, ?, NULL, 0, 0)", part.table, is_mirrored)


def put_progress(side: Side, session: Session, part: Part, progress: Progress) -> None:
    """Note how far a part is copied."""
    query = "UPDATE cmp_move SET after = ?, rows = ?, done = ? WHERE part = ?"
    side.ask(session, query, progress.after, progress.rows, int(progress.is_done), part.table)


def mirrored_begun(side: Side, session: Session) -> list[str]:
    """Return the mirrored tables that were begun."""
    found = side.ask(session, "SELECT part FROM cmp_move WHERE mirrored = 1 ORDER BY part")
    return [name for (name,) in found]


def key_text(key: Cells) -> str:
    """Return a key as progress keeps it."""
    return json.dumps(key)


def key_from(text: str | None) -> Cells | None:
    """Return the key that progress keeps."""
    return tuple(json.loads(text)) if text is not None else None
