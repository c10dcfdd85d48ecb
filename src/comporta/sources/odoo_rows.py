"""From Odoo's records to canonical rows, fast while everything is as described.

Two ways lead to the same rows. The quick one decodes a page into typed structs and converts whole
columns, with C loops inside. Where anything at all is odd it gives up, and the page is read again
record by record (``odoo_oddities``), which says exactly what is odd and where it went.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import lru_cache, partial
from itertools import repeat
from math import isfinite
from operator import attrgetter
from typing import Annotated, Any

import msgspec

from comporta.core.record import Column, ColumnType, Rejected, Row, Value
from comporta.sources.values import INTEGER_MAX, INTEGER_MIN

Integer = Annotated[int, msgspec.Meta(ge=INTEGER_MIN, le=INTEGER_MAX)]

_WIRE: Mapping[ColumnType, Any] = {
    ColumnType.BOOLEAN: bool | None,
    ColumnType.INTEGER: Integer,
    ColumnType.NUMERIC: Integer | float,
    ColumnType.TEXT: str,
    ColumnType.TIMESTAMP: str,
    ColumnType.DATE: str,
    ColumnType.JSON: Any,
}
"""What the decoder lets through, besides null."""
_NULLABLE = frozenset(_WIRE) - {ColumnType.BOOLEAN, ColumnType.JSON}
"""Where null is written ``false`` and must be let through besides."""

Finish = Callable[[Sequence[Any]], Sequence[Value]]


class OddPageError(Exception):
    """Something in the page is not as described; never leaves ``comporta.sources``."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One answer's records: ``keys`` of all of them, rejected ones too, in the order they came."""

    keys: Sequence[int]
    rows: Sequence[Row]
    rejected: Sequence[Rejected] = ()
    extras: Mapping[int, str] = field(default_factory=dict)


class Plan:
    """How the records of one shape are decoded and converted.

    Most columns never hold a null. Until one does, the decoder lets none through there, and nothing has to look for
    it: that spares a third of the conversion. The page that brings the first one is decoded once more.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = tuple(columns)
        self.fields = [column.field for column in columns]
        # Not the first one, which is the key.
        self._nullable = {place for place, column in enumerate(columns) if place and column.type in _NULLABLE}
        self._nulls: set[int] = set()
        self._wire: Any = None

    def read(self, decode: Callable[[Any], Sequence[msgspec.Struct]]) -> Batch:
        """Return the records as rows, or raise ``OddPageError``; the key is the first column.

        ``decode`` returns them as the type it is given, or raises what its decoder raises.
        """
        self._wire = self._wire or self._records_type(self._nulls)
        try:
            records = decode(self._wire)
        except msgspec.ValidationError:
            records = decode(self._records_type(self._nullable))
            self._nulls |= {place for place in self._nullable if _holds_null(_column(records, place))}
            self._wire = None
        return self._rows(records)

    def _records_type(self, nulls: Collection[int]) -> Any:  # noqa: ANN401 - a type
        return _records_type(tuple((column.field, column.type) for column in self.columns), frozenset(nulls))

    def _rows(self, records: Sequence[msgspec.Struct]) -> Batch:
        """Convert what needs it in place, a whole column at a time; the others are left alone."""
        for place, column in enumerate(self.columns):
            finish = _FINISH.get(column.type)
            if place in self._nulls:
                finish = partial(_with_nulls, finish=finish)
            if finish is not None:
                values = _column(records, place)
                done = finish(values)
                if done is not values:
                    list(map(setattr, records, repeat(f"c{place}"), done))
        rows = list(map(msgspec.structs.astuple, records))
        return Batch([row[0] for row in rows], rows)


@lru_cache(maxsize=64)
def _records_type(columns: Sequence[tuple[str, ColumnType]], nulls: frozenset[int]) -> Any:  # noqa: ANN401 - a type
    """Return the type that a page of such records is decoded as: one for all runs, for Python frees types late."""
    kinds: list[tuple[str, Any]] = [(f"c{place}", _WIRE[kind]) for place, (_, kind) in enumerate(columns)]
    for place in nulls:
        name, kind = kinds[place]
        kinds[place] = name, kind | bool | None
    names = {f"c{place}": field for place, (field, _) in enumerate(columns)}
    record = msgspec.defstruct("Record", kinds, rename=names, gc=False)
    return list[record]  # type: ignore[valid-type]  # a type made at run time


def _column(records: Sequence[msgspec.Struct], place: int) -> list[Any]:
    return list(map(attrgetter(f"c{place}"), records))


def _holds_null(values: Sequence[Any]) -> bool:
    return not {bool, type(None)}.isdisjoint(map(type, values))


def _with_nulls(values: Sequence[Any], finish: Finish | None) -> Sequence[Value]:
    """Make ``false`` null and finish the others; ``true`` is nothing that such a field may hold."""
    cleaned = [None if value is False else value for value in values]
    present = [value for value in cleaned if value is not None]
    if bool in set(map(type, present)):
        raise OddPageError
    if finish is None:
        return cleaned
    done = iter(finish(present))
    return [None if value is None else next(done) for value in cleaned]


def _numbers(values: Sequence[Any]) -> Sequence[Value]:
    if not isfinite(sum(values)):
        raise OddPageError
    return values


def _stamps(values: Sequence[Any]) -> Sequence[Value]:
    """Rewrite a whole column as one text, because a call for each value costs four times as much."""
    written = ".000000Z\n".join([*values, ""]).replace(" ", "T").split("\n")[:-1]
    if len(written) != len(values):
        raise OddPageError
    _check(written, list[datetime])
    return written


def _dates(values: Sequence[Any]) -> Sequence[Value]:
    _check([*{*values}], list[date])
    return values


def _check(values: Sequence[Value], wanted: type[list[Any]]) -> None:
    """Parse a whole column in one call, for its verdict alone: 60 ns a value."""
    try:
        msgspec.convert(values, wanted)
    except msgspec.ValidationError as error:
        raise OddPageError from error


def _documents(values: Sequence[object]) -> Sequence[Value]:
    encode = msgspec.json.encode
    try:
        return [None if value is False or value is None else encode(value).decode() for value in values]
    except (msgspec.MsgspecError, OverflowError, TypeError, ValueError) as error:
        raise OddPageError from error


_FINISH: Mapping[ColumnType, Finish] = {
    ColumnType.NUMERIC: _numbers,
    ColumnType.TIMESTAMP: _stamps,
    ColumnType.DATE: _dates,
    ColumnType.JSON: _documents,
}
"""What is still to be done with the values of a column once they are decoded; with others, nothing."""
