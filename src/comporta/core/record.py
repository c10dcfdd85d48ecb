"""What a stream's records look like, as plain values: columns, shape, page.

A row is a tuple in the order of ``Shape.columns`` and holds only canonical values, so that every
source means the same thing by them and every destination may store them as they are:

========== ====================================================================
type       canonical value (``None`` is null, for every type)
========== ====================================================================
boolean    ``True`` / ``False``
integer    ``int`` within 64 bits, signed
numeric    ``int`` within 64 bits or ``float``, finite
text       ``str`` without lone surrogates
timestamp  ``str``, UTC, always ``YYYY-MM-DDTHH:MM:SS.ffffffZ``: sorts as it compares
date       ``str``, ``YYYY-MM-DD``
json       ``str``, compact JSON text
========== ====================================================================
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

from comporta.errors import ComportaError, Retryable

Key = int | str
Value = bool | int | float | str | None
Row = tuple[Value, ...]


def key_from_text(text: str) -> Key:
    """Return a key as its source writes it: the ledger keeps every key as text.

    >>> key_from_text("42"), key_from_text("MLB42")
    (42, 'MLB42')
    """
    return int(text) if text.removeprefix("-").isdecimal() else text


class ColumnType(StrEnum):
    """The types a mirrored column may have, the same on every database."""

    BOOLEAN = "boolean"
    INTEGER = "integer"
    NUMERIC = "numeric"
    TEXT = "text"
    TIMESTAMP = "timestamp"
    DATE = "date"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a mirrored table and the source's field that feeds it."""

    name: str
    type: ColumnType
    field: str


@dataclass(frozen=True, slots=True)
class Shape:
    """A stream as its source describes it when a run starts.

    ``key`` and ``stamp`` name columns; the stamp is the cursor field and the version at once. Where there is none,
    the keys are numbers that rise as records come.
    ``parent`` names the column that points to the stream in ``parent_stream``, where there is one; the table has an
    index on it unless ``is_parent_indexed`` is false.
    ``nested`` are the lists inside its records that people join on, each a table of its own: their ``parent`` points
    to this stream's key, and their stamp, if any, is that of the record they came with.
    ``settled`` is a column and its values after which a record changes no more; records of a stream that has it are
    never deleted at the source, only lost from sight. ``referred_by`` is the column of ``parent_stream`` that names
    this stream's keys, where records cannot be listed and so are found by it alone. ``also_named`` is a column, here
    or in a list, by whose values records are told of, too: a hint at those is ``column=value``.
    """

    source: str
    stream: str
    columns: tuple[Column, ...]
    key: str
    stamp: str | None = None
    parent: str | None = None
    parent_stream: str | None = None
    is_parent_indexed: bool = True
    nested: tuple["Shape", ...] = ()
    settled: tuple[str, frozenset[str]] | None = None
    referred_by: str | None = None
    also_named: str | None = None

    @property
    def table(self) -> str:
        """Return the mirrored table's name, ``odoo_sale_order`` for Odoo's ``sale.order``.

        >>> Shape("activecampaign", "dealCustomFieldMeta", (), key="id").table
        'activecampaign_deal_custom_field_meta'
        """
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", f"{self.source}_{self.stream}").replace(".", "_").lower()

    def index(self, name: str) -> int:
        """Return the position in a row of the column called ``name``."""
        return next(place for place, column in enumerate(self.columns) if column.name == name)


REFUSED_LEAST = 5
"""So many records asked for by key that are all refused speak of our rights, not of them; fewer may be chance."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that cannot be written, with what a person needs to know to mend it.

    ``may_pass``: the source was in trouble. That says nothing of the record, and may be over the next time.
    """

    key: str
    code: str
    reason: str
    payload: str
    may_pass: bool = False

    @classmethod
    def untold(cls, key: Key, error: ComportaError) -> Self:
        """Return a record in place of which an error came."""
        return cls(str(key), error.code, error.message, "{}", may_pass=isinstance(error, Retryable))


@dataclass(frozen=True, slots=True)
class Lookup:
    """A small table that gives names to ids in a stream; written with it, not counted."""

    shape: Shape
    rows: Sequence[Row]


@dataclass(frozen=True, slots=True)
class Nested:
    """The rows of one list inside a page's records, of all of them: what a record does not list is gone from it.

    ``untold``: keys of records that came without this list, which is no empty one: what the table has of it stays.
    """

    shape: Shape
    rows: Sequence[Row]
    untold: frozenset[Key] = frozenset()


@dataclass(frozen=True, slots=True)
class Page:
    """One answer of a source, already in canonical rows.

    ``extras`` holds, by index into ``rows``, JSON text of what no column can hold. ``limited`` holds the indexes of
    rows that the source gave only a part of, because its user may not see the rest: they never replace a row.
    ``nested`` holds the lists inside the records, ``lookups`` names that came along; neither is counted.
    ``position`` is where a later run goes on after this page; ``is_last`` is the source's own word
    that nothing follows. ``unseen``: records that were asked for by key and are not shown, and what was said instead.
    ``untold``: by key, columns that the source should tell and did not this time: what the table has of them stays.
    ``failure``: why the rest of what was asked for by key was not read. Of a key that is not here nothing is said then.
    """

    rows: Sequence[Row]
    rejected: Sequence[Rejected] = ()
    extras: Mapping[int, str] = field(default_factory=dict)
    position: str | None = None
    is_last: bool = False
    limited: frozenset[int] = frozenset()
    nested: Sequence[Nested] = ()
    lookups: Sequence[Lookup] = ()
    unseen: Sequence[Rejected] = ()
    untold: Mapping[Key, Collection[str]] = field(default_factory=dict)
    failure: ComportaError | None = None


@dataclass(frozen=True, slots=True)
class Bucket:
    """How many rows are stamped in one hour, and the sum of their ids: cheap to compare."""

    hour: str
    rows: int
    key_sum: int
