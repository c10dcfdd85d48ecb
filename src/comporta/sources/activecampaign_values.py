"""One value of ActiveCampaign's as a canonical one, whatever form it came in; nothing is guessed in silence.

What is not of its field's kind is refused with a reason that a person can act on. The one guess is the zone of a time
that came without an offset, and whoever asks is told that it was one.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, tzinfo

from comporta.core.instant import instant_text
from comporta.core.record import Value
from comporta.sources.activecampaign_shape import Field, Kind
from comporta.sources.answers import quote
from comporta.sources.values import INTEGER_MAX, INTEGER_MIN, UnfitError, as_text, compact

NOTHING = frozenset({None, "", "0000-00-00", "0000-00-00 00:00:00"})
"""How the API writes that there is no time or number."""

_WHOLE = re.compile(r"-?\d{1,19}(\.0+)?", re.ASCII)
_DAY_TIME = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:?\d\d)?", re.ASCII)
_DAY = re.compile(r"(\d{4}-\d\d-\d\d)([ T]00:00:00)?", re.ASCII)
_FLAGS: Mapping[object, bool] = {0: False, 1: True, "0": False, "1": True, "false": False, "true": True}


def read_value(field: Field, value: object, zone: tzinfo) -> tuple[Value, bool]:
    """Return the canonical value, and whether its zone had to be guessed; raise ``UnfitError`` if it has none.

    >>> read_value(Field("value", Kind.INTEGER), "1250050", UTC)
    (1250050, False)
    >>> read_value(Field("cdate", Kind.TIME), "2026-03-01T08:00:00-06:00", UTC)
    ('2026-03-01T14:00:00.000000Z', False)
    >>> read_value(Field("edate", Kind.LOCAL_TIME), "0000-00-00 00:00:00", UTC)
    (None, False)
    """
    try:
        if field.kind is Kind.TIME:
            return _instant(value, zone)
        if field.kind is Kind.LOCAL_TIME_UTC:
            return _instant_or_nothing(value, zone), False
        return _VALUE[field.kind](value), False
    except UnfitError as error:
        message = f"{field.name} is {quote(repr(value))}; expected {error}"
        raise UnfitError(message) from error


def _integer(value: object) -> Value:
    if _is_nothing(value):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
        value = int(value.strip().partition(".")[0])
    if type(value) is int and INTEGER_MIN <= value <= INTEGER_MAX:
        return value
    message = "a whole number"
    raise UnfitError(message)


def _text(value: object) -> Value:
    return None if value is None else as_text(value)


def _flag(value: object) -> Value:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | str) and value in _FLAGS:
        return _FLAGS[value]
    message = "true or false"
    raise UnfitError(message)


def _local_time(value: object) -> Value:
    """Keep what came; a zero date is nothing."""
    return None if _is_nothing(value) else as_text(value)


def _instant(value: object, zone: tzinfo) -> tuple[Value, bool]:
    if _is_nothing(value):
        return None, False
    time = _time(value)
    if time is None:
        message = "a time with its offset, such as 2026-03-01T08:00:00-03:00"
        raise UnfitError(message)
    return _utc(time, zone), time.tzinfo is None


def _instant_or_nothing(value: object, zone: tzinfo) -> Value:
    """Read what can be read: the text is there in any case."""
    time = None if _is_nothing(value) else _time(value)
    return None if time is None else _utc(time, zone)


def _time(value: object) -> datetime | None:
    if not isinstance(value, str) or not _DAY_TIME.fullmatch(value):
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return None


def _utc(time: datetime, zone: tzinfo) -> str:
    try:
        return instant_text((time if time.tzinfo else time.replace(tzinfo=zone)).astimezone(UTC))
    except OverflowError as error:
        message = "a time after the year 1"
        raise UnfitError(message) from error


def _date(value: object) -> Value:
    if _is_nothing(value):
        return None
    found = _DAY.fullmatch(value) if isinstance(value, str) else None
    try:
        return date.fromisoformat(found[1] if found else "").isoformat()
    except ValueError as error:
        message = "a date, YYYY-MM-DD"
        raise UnfitError(message) from error


def _document(value: object) -> Value:
    return None if value is None else compact(value)


def _is_nothing(value: object) -> bool:
    return value is None or (isinstance(value, str) and value in NOTHING)


_VALUE: Mapping[Kind, Callable[[object], Value]] = {
    Kind.INTEGER: _integer,
    Kind.TEXT: _text,
    Kind.FLAG: _flag,
    Kind.LOCAL_TIME: _local_time,
    Kind.DATE: _date,
    Kind.ANY: _text,
    Kind.DOCUMENT: _document,
}
