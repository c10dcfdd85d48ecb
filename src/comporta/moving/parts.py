"""What a move copies: tables of the ledger and mirrored tables, described the same way for every database.

Between the two sides a row travels as a tuple of what SQLite would store: integers (0 and 1 for booleans),
floats, text, bytes. Both databases take these as they are, and each gives them back exactly.
"""

from dataclasses import dataclass
from enum import StrEnum

from comporta.core.record import Column, ColumnType, Shape
from comporta.core.schema import OURS
from comporta.ledger.tables import ledger_tables

Cell = int | float | str | bytes | None
Cells = tuple[Cell, ...]
PAGE_ROWS_FIRST = 200
"""Rows of a table's first page: nothing is known yet of how long they are."""
PAGE_ROWS_MAX = 5_000
PAGE_BYTES = 4 * 2**20
"""About so many bytes are read at once, and written in one transaction."""
SAMPLE = 16
"""Every so manyth row is measured."""


class Kind(StrEnum):
    """The types of columns: those of mirrored tables, and two more that the ledger has."""

    BOOLEAN = "boolean"
    INTEGER = "integer"
    NUMERIC = "numeric"
    TEXT = "text"
    TIMESTAMP = "timestamp"
    DATE = "date"
    JSON = "json"
    FLOAT = "float"
    BYTES = "bytes"


_LEDGER_KINDS = {
    "TEXT": Kind.TEXT,
    "BIGINT": Kind.INTEGER,
    "INTEGER": Kind.INTEGER,
    "BOOLEAN": Kind.BOOLEAN,
    "TIMESTAMP WITH TIME ZONE": Kind.TIMESTAMP,
    "FLOAT": Kind.FLOAT,
    "BYTEA": Kind.BYTES,
}
_OUR_KINDS = (Kind.TEXT, Kind.TIMESTAMP, Kind.TIMESTAMP, Kind.INTEGER, Kind.JSON)


@dataclass(frozen=True, slots=True)
class Part:
    """One table to copy. ``shape`` makes a mirrored one; it is ``None`` for a table of the ledger."""

    table: str
    kinds: dict[str, Kind]
    key: tuple[str, ...]
    shape: Shape | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Return the columns in the order in which a row holds them."""
        return tuple(self.kinds)

    def key_of(self, row: Cells) -> Cells:
        """Return the key of a row."""
        return tuple(row[self.names.index(name)] for name in self.key)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a part is copied: up to the row with key ``after`` (as JSON), so many rows, all or not yet."""

    after: str | None = None
    rows: int = 0
    is_done: bool = False


def ledger_parts() -> list[Part]:
    """Return all of the ledger."""
    return [
        Part(table.name, {name: _LEDGER_KINDS[kind] for name, kind in table.columns.items()}, table.key)
        for table in ledger_tables()
    ]


def mirrored_part(table: str, columns: dict[str, ColumnType], *, key: str, parent: str | None) -> Part:
    """Return a mirrored table as a part; ``columns`` are those between ``account`` and ours."""
    source, _, stream = table.partition("_")
    shape = Shape(
        source, stream, tuple(Column(name, kind, name) for name, kind in columns.items()), key=key, parent=parent
    )
    kinds = {"account": Kind.TEXT} | {name: Kind(kind.value) for name, kind in columns.items()}
    return Part(table, kinds | dict(zip(OURS, _OUR_KINDS, strict=True)), ("account", key), shape)


def next_limit(rows: list[Cells]) -> int:
    """Return how many rows the next page should have, by how long the last ones were.

    >>> next_limit([("x" * 1000,)] * 50), next_limit([(7,)] * 50)
    (3994, 5000)
    """
    sample = rows[::SAMPLE]
    if not sample:
        return PAGE_ROWS_FIRST
    length = sum(_length(cell) for row in sample for cell in row) // len(sample)
    return max(1, min(PAGE_ROWS_MAX, PAGE_BYTES // max(length, 1)))


def _length(cell: Cell) -> int:
    """Return about how many bytes a cell takes."""
    return 50 + len(cell) if isinstance(cell, str | bytes) else 30
