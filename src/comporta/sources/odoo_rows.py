"""From Odoo's records to canonical rows, fast while everything is as described.

Two ways lead to the same rows. The quick one decodes a page into typed structs and converts whole
columns, with C loops inside. Where anything at all is odd it gives up, and the page is read again
record by record (``odoo_oddities``), which says exactly what is odd and where it went.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from math import isfinite
from typing import Annotated, Any

import msgspec

from comporta.core.record import Column, ColumnType, Rejected, Row, Value

INTEGER_MAX = 2**63 - 1
INTEGER_MIN = -(2**63)

Integer = Annotated[int, msgspec.Meta(ge=INTEGER_MIN, le=INTEGER_MAX)]

_WIRE: Mapping[ColumnType, Any] = {
    ColumnType.BOOLEAN: bool | None,
    ColumnType.INTEGER: Integer | bool | None,
    ColumnType.NUMERIC: Integer | float | bool | None,
    ColumnType.TEXT: str | bool | None,
    ColumnType.TIMESTAMP: str | bool | None,
    ColumnType.DATE: str | bool | None,
    ColumnType.JSON: Any,
}
"""What the decoder lets through; ``false`` stands for null in every type."""


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
    """How the records of one shape are decoded and converted."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = tuple(columns)
        self.fields = [column.field for column in columns]
        self._finish = [_FINISH[column.type] for column in columns]
        names = {f"c{place}": column.field for place, column in enumerate(columns)}
        kinds = [(f"c{place}", _WIRE[column.type]) for place, column in enumerate(columns)]
        record = msgspec.defstruct("Record", kinds, rename=names, gc=False)
        self.wire: Any = list[record]  # type: ignore[valid-type]

    def rows(self, records: Sequence[msgspec.Struct]) -> Batch:
        """Return the records as rows, or raise ``OddPageError``; the key is the first column."""
        if not records:
            return Batch((), ())
        raw = zip(*map(msgspec.structs.astuple, records), strict=True)
        columns = [finish(values) for finish, values in zip(self._finish, raw, strict=True)]
        keys = columns[0]
        if set(map(type, keys)) != {int}:
            raise OddPageError
        return Batch(keys, list(zip(*columns, strict=True)))  # type: ignore[arg-type]


def _plain(values: Sequence[Value]) -> Sequence[Value]:
    """Text, integers: ``false`` is null, and ``true`` is nothing that such a field may hold.

    Most columns hold no ``false``: looking at the types, in C, is half the cost of a copy.
    """
    if bool not in set(map(type, values)):
        return values
    done = [None if value is False else value for value in values]
    if bool in set(map(type, done)):
        raise OddPageError
    return done


def _numbers(values: Sequence[Value]) -> Sequence[Value]:
    done = _plain(values)
    if not isfinite(sum(filter(None, done))):  # type: ignore[arg-type]
        raise OddPageError
    return done


def _stamps(values: Sequence[Value]) -> Sequence[Value]:
    """Rewrite a whole column as one text, because a call for each value costs four times as much."""
    done = _plain(values)
    texts = [value for value in done if value is not None]
    if not texts:
        return done
    column = "\n".join([*texts, ""])  # type: ignore[list-item]
    written = column.replace(" ", "T").replace("\n", ".000000Z\n").split("\n")[:-1]
    if len(written) != len(texts):
        raise OddPageError
    _check(written, list[datetime])
    if len(written) == len(done):
        return written
    following = iter(written)
    return [None if value is None else next(following) for value in done]


def _dates(values: Sequence[Value]) -> Sequence[Value]:
    done = _plain(values)
    _check([value for value in {*done} if value is not None], list[date])
    return done


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


_FINISH: Mapping[ColumnType, Callable[[Sequence[Any]], Sequence[Value]]] = {
    ColumnType.BOOLEAN: lambda values: values,
    ColumnType.INTEGER: _plain,
    ColumnType.NUMERIC: _numbers,
    ColumnType.TEXT: _plain,
    ColumnType.TIMESTAMP: _stamps,
    ColumnType.DATE: _dates,
    ColumnType.JSON: _documents,
}
