"""One value of Mercado Livre's as a canonical one, whatever form it came in; nothing is guessed in silence.

Ids come as numbers or as text, and exceed 32 bits. Times come in several forms, each with its offset, and not always
the seller's: ``2026-03-02T09:40:02.000-04:00``, ``…Z``, ``…-0400``. What is not of its column's type is refused with a
reason that a person can act on.
"""

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime

from comporta.core.instant import instant_text
from comporta.core.record import ColumnType, Value
from comporta.sources.answers import quote
from comporta.sources.values import INTEGER_MAX, INTEGER_MIN, UnfitError, as_text, compact

_WHOLE = re.compile(r"-?\d{1,19}", re.ASCII)
_NUMBER = re.compile(r"-?\d{1,15}(\.\d{1,10})?", re.ASCII)
_FLAGS: Mapping[object, bool] = {"true": True, "false": False}


def read_value(name: str, kind: ColumnType, value: object) -> Value:
    """Return the canonical value; raise ``UnfitError`` if it has none.

    >>> read_value("id", ColumnType.INTEGER, "2000010000000123")
    2000010000000123
    >>> read_value("last_updated", ColumnType.TIMESTAMP, "2026-03-02T09:40:02.000-0400")
    '2026-03-02T13:40:02.000000Z'
    """
    if value is None:
        return None
    try:
        return _VALUE[kind](value)
    except UnfitError as error:
        message = f"{name} is {quote(repr(value))}; expected {error}"
        raise UnfitError(message) from error


def instant_of(value: object) -> datetime | None:
    """Return the instant that a text names, ``None`` if it names none."""
    if not isinstance(value, str):
        return None
    try:
        time = datetime.fromisoformat(value)
        return time.astimezone(UTC) if time.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def _integer(value: object) -> Value:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
        value = int(value)
    if value == "":
        return None
    if type(value) is int and INTEGER_MIN <= value <= INTEGER_MAX:
        return value
    message = "a whole number"
    raise UnfitError(message)


def _numeric(value: object) -> Value:
    if value == "":
        return None
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(value, float) and math.isfinite(value):
        return int(value) if value.is_integer() and abs(value) < INTEGER_MAX else value
    if isinstance(value, int) and is_number and INTEGER_MIN <= value <= INTEGER_MAX:
        return value
    message = "a number"
    raise UnfitError(message)


def _flag(value: object) -> Value:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value in _FLAGS:
        return _FLAGS[value]
    message = "true or false"
    raise UnfitError(message)


def _timestamp(value: object) -> Value:
    if value == "":
        return None
    time = instant_of(value)
    if time is None:
        message = "a time with its offset, such as 2026-03-01T08:00:00.000-04:00"
        raise UnfitError(message)
    return instant_text(time)


def _date(value: object) -> Value:
    try:
        return date.fromisoformat(str(value)[:10]).isoformat()
    except ValueError as error:
        message = "a date, YYYY-MM-DD"
        raise UnfitError(message) from error


_VALUE: Mapping[ColumnType, Callable[[object], Value]] = {
    ColumnType.INTEGER: _integer,
    ColumnType.NUMERIC: _numeric,
    ColumnType.TEXT: as_text,
    ColumnType.BOOLEAN: _flag,
    ColumnType.TIMESTAMP: _timestamp,
    ColumnType.DATE: _date,
    ColumnType.JSON: compact,
}
