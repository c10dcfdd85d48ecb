"""Instants as Odoo's database, its RPC and its domains write them.

Stored stamps are text with microseconds, ``2026-03-01 08:00:00.123456``: they sort as they compare.
RPC shows the first nineteen characters: truncated, never rounded.
"""

import re
from datetime import UTC, datetime, timedelta

from comporta.sandbox.odoo_errors import VALUE_ERROR, OdooError

SHOWN = 19
_FORM = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)(?:[ T](?P<time>\d\d:\d\d(?::\d\d)?)(?P<fraction>\.\d{1,6})?)?"
    r"(?P<zone>Z|[+-]\d\d:?\d\d)?"
)


def exact_text(instant: datetime) -> str:
    """Return an instant as it is stored, in UTC with microseconds.

    >>> exact_text(datetime(2026, 3, 1, 8, tzinfo=UTC))
    '2026-03-01 08:00:00.000000'
    """
    return instant.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def shown_text(instant: datetime) -> str:
    """Return an instant as RPC shows it.

    >>> shown_text(datetime(2026, 3, 1, 8, 0, 0, 999_999, tzinfo=UTC))
    '2026-03-01 08:00:00'
    """
    return exact_text(instant)[:SHOWN]


def from_text(text: str) -> datetime:
    """Return the instant that stored or shown text means.

    >>> from_text("2026-03-01 08:00:00").isoformat()
    '2026-03-01T08:00:00+00:00'
    """
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def parse_stamp(value: object, version: int, *, is_day_end: bool = False) -> str:
    """Return what a client wrote as stored text; a zone is refused from 19 on, ignored silently before.

    >>> parse_stamp("2026-03-01T08:00:00-03:00", 16)
    '2026-03-01 08:00:00.000000'
    >>> parse_stamp("2026-03-01", 19, is_day_end=True)
    '2026-03-01 23:59:59.000000'
    """
    match = _FORM.fullmatch(value) if isinstance(value, str) else None
    if match is None or (match["zone"] and version >= 19):
        raise OdooError(VALUE_ERROR, f"time data {value!r} does not match format '%Y-%m-%d %H:%M:%S'")
    time = match["time"] or ("23:59:59" if is_day_end else "00:00:00")
    seconds = time if len(time) == 8 else f"{time}:00"
    text = f"{match['day']} {seconds}.{(match['fraction'] or '.')[1:]:0<6}"
    try:
        from_text(text)
    except ValueError as error:
        raise OdooError(VALUE_ERROR, str(error)) from error
    return text


def next_second(text: str) -> str:
    """Return the stored text of the whole second after the one given.

    >>> next_second("2026-03-01 23:59:59.500000")
    '2026-03-02 00:00:00.000000'
    """
    return exact_text(from_text(text[:SHOWN]) + timedelta(seconds=1))
