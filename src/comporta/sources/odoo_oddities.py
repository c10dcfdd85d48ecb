"""From Odoo's records to canonical rows where something is odd: record by record, nothing dropped.

A value of the wrong type for its column goes beside the row, as JSON in the page's ``extras``. What
cannot be stored even so (text with half a surrogate pair, a cursor stamp nobody can read) makes the
record a ``Rejected``. A record without a usable id cannot be either, and stops the run.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime

from comporta.core.record import Column, ColumnType, Rejected, Row, Value
from comporta.errors import RecordRejected, SourceChangedShape
from comporta.sources.answers import quote
from comporta.sources.odoo_rows import Batch
from comporta.sources.values import INTEGER_MAX, INTEGER_MIN, UnfitError, compact

_LINK_LENGTH = 2
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_STAMP = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d", re.ASCII)


class _RefusedError(Exception):
    """The record cannot be stored."""


def read_oddities(records: object, columns: Sequence[Column], *, stamp: str | None, subject: str) -> Batch:
    """Return the records as rows, with what fits no column beside them."""
    if not isinstance(records, list):
        message = f"{subject} answered {type(records).__name__} {quote(repr(records))}; expected a list of records"
        raise SourceChangedShape(message)
    keys: list[int] = []
    rows: list[Row] = []
    rejected: list[Rejected] = []
    extras: dict[int, str] = {}
    for record in records:
        key = _key(record, subject=subject)
        keys.append(key)
        try:
            row, beside = _row(record, columns, stamp=stamp, subject=subject)
        except _RefusedError as error:
            rejected.append(Rejected(str(key), RecordRejected.code, str(error), compact(record, ascii_only=True)))
            continue
        if beside:
            extras[len(rows)] = beside
        rows.append(row)
    return Batch(keys, rows, rejected, extras)


def _key(record: object, *, subject: str) -> int:
    key = record.get("id") if isinstance(record, Mapping) else None
    if type(key) is int and INTEGER_MIN <= key <= INTEGER_MAX:
        return key
    seen = quote(compact(record, ascii_only=True))
    message = f"{subject} answered a record with id {quote(repr(key))} ({seen}); expected an integer"
    raise SourceChangedShape(message)


def _row(
    record: Mapping[str, object], columns: Sequence[Column], *, stamp: str | None, subject: str
) -> tuple[Row, str]:
    cells: list[Value] = []
    beside: dict[str, object] = {}
    for column in columns:
        if column.field not in record:
            message = (
                f"{subject} answered id {record['id']} without the field {column.field!r}; expected every field asked"
            )
            raise SourceChangedShape(message)
        value = record[column.field]
        try:
            cell = _CELL[column.type](value)
        except UnfitError as error:
            if column.name == stamp:
                reason = f"{column.field} is {quote(repr(value))}; expected YYYY-MM-DD HH:MM:SS"
                raise _RefusedError(reason) from error
            cell, beside[column.field] = None, value
        if isinstance(cell, str):
            _encodable(cell, column.field)
        cells.append(cell)
    text = compact(beside) if beside else ""
    _encodable(text, " and ".join(beside))
    return tuple(cells), text


def _encodable(text: str, field: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        half = f"\\u{ord(text[error.start]):04x}"
        message = f"{field} holds half a surrogate pair ({half}), which no database can store as text"
        raise _RefusedError(message) from error


def _boolean(value: object) -> Value:
    if value is None or isinstance(value, bool):
        return value
    raise UnfitError


def _integer(value: object) -> Value:
    if isinstance(value, list) and len(value) == _LINK_LENGTH and type(value[0]) is int and isinstance(value[1], str):
        value = value[0]  # a many2one with its label
    if value is None or value is False:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is int and INTEGER_MIN <= value <= INTEGER_MAX:
        return value
    raise UnfitError


def _number(value: object) -> Value:
    if isinstance(value, float) and math.isfinite(value):
        return value
    return None if value is None or value is False else _whole(value)


def _whole(value: object) -> Value:
    if type(value) is int and INTEGER_MIN <= value <= INTEGER_MAX:
        return value
    raise UnfitError


def _text(value: object) -> Value:
    if value is None or value is False:
        return None
    if isinstance(value, str):
        return value
    raise UnfitError


def _timestamp(value: object) -> Value:
    text = _text(value)
    if text is None:
        return None
    if not isinstance(text, str) or not _STAMP.fullmatch(text):
        raise UnfitError
    try:
        return datetime.fromisoformat(text).isoformat("T", "microseconds") + "Z"
    except ValueError as error:
        raise UnfitError from error


def _date(value: object) -> Value:
    text = _text(value)
    if text is None:
        return None
    if not isinstance(text, str) or not _DATE.fullmatch(text):
        raise UnfitError
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise UnfitError from error


def _document(value: object) -> Value:
    return None if value is None or value is False else compact(value)


_CELL: Mapping[ColumnType, Callable[[object], Value]] = {
    ColumnType.BOOLEAN: _boolean,
    ColumnType.INTEGER: _integer,
    ColumnType.NUMERIC: _number,
    ColumnType.TEXT: _text,
    ColumnType.TIMESTAMP: _timestamp,
    ColumnType.DATE: _date,
    ColumnType.JSON: _document,
}
