"""What the product needs from the user's tables, inside a transaction that the ledger opened.

``Connection`` is the driver's own connection object, handed through by the ledger: the two halves of a
store share it, which is what makes rows and ledger one transaction. Every method is blocking.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from comporta.core.counts import Counts
from comporta.core.record import Bucket, Key, Rejected, Shape, Value
from comporta.ports.progress import LogLine
from comporta.ports.rows import Among
from comporta.ports.store import Batch, Change

Connection = Any


@dataclass(frozen=True, slots=True)
class Written:
    """What a batch did to the table: counts, rows the database refused, keys inserted or updated.

    ``log`` tells what was made beside the rows: a view that depends on them. ``nested``: how many rows of the lists
    inside the records were written or marked, by table.
    """

    counts: Counts
    rejected: Sequence[Rejected] = ()
    changed: Sequence[Key] = field(default_factory=tuple)
    log: Sequence[LogLine] = ()
    nested: Mapping[str, int] = field(default_factory=dict)


class Destination(Protocol):
    """The mirrored tables and the views over them."""

    def prepare(self, connection: Connection, shape: Shape) -> Sequence[LogLine]:
        """Make tables (of the lists inside the records too), columns and views fit; return what to tell of it."""

    def values(
        self, connection: Connection, account: str, shape: Shape, column: str, *, lacking: Shape | None
    ) -> Sequence[Key]:
        """Return every value of a column in the living rows, each once.

        ``lacking`` leaves out what is the key of a living row of that table.
        """

    def missing(self, connection: Connection, shape: Shape) -> Sequence[str] | None:
        """Return the columns that the tables of a shape lack, ``None`` if one of the tables is not there."""

    def doubt(self, connection: Connection, shape: Shape) -> None:
        """Let no row of the shape's tables count as unchanged: each is written again when it is read again."""

    def write(self, connection: Connection, account: str, batch: Batch, *, run: str, now: str) -> Written:
        """Insert, update, mark deleted and remove, with exact counts; leave unchanged rows untouched."""

    def preview(self, connection: Connection, account: str, batch: Batch) -> tuple[Counts, Sequence[Change]]:
        """Return what ``write`` would count and change."""

    def stamps(self, connection: Connection, account: str, shape: Shape, among: Among) -> dict[Key, str | None]:
        """Return key and stamp of the living rows among those, by key."""

    def cells(
        self, connection: Connection, account: str, shape: Shape, keys: Sequence[Key], names: Sequence[str]
    ) -> Mapping[Key, Sequence[Value]]:
        """Return what some columns, of the shape's or ``WRITTEN_BY``, hold in the living rows of those keys."""

    def children(self, connection: Connection, account: str, shape: Shape, parents: Sequence[Key]) -> frozenset[Key]:
        """Return the keys of living rows whose parent is one of ``parents``."""

    def buckets(self, connection: Connection, account: str, shape: Shape, until: datetime) -> Sequence[Bucket]:
        """Return count and sum of keys of living rows for every hour before ``until``."""

    def count(self, connection: Connection, account: str, shape: Shape) -> int:
        """Return the number of living rows; 0 when there is no table."""
