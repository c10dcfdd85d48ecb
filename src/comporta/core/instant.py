"""Instants: aware datetimes in UTC inside, one fixed text form at the edges.

The text form has a fixed width, so that it sorts as it compares, in SQLite too. ``BEGINNING`` stands
for minus infinity: a stream's origin when it has no start.
"""

from datetime import UTC, datetime

BEGINNING = datetime.min.replace(tzinfo=UTC)


def instant_text(instant: datetime) -> str:
    """Return the canonical text of an instant.

    >>> instant_text(datetime(2026, 3, 1, 8, 0, 0, 5, tzinfo=UTC))
    '2026-03-01T08:00:00.000005Z'
    """
    if instant.tzinfo is None:
        message = f"an instant needs a time zone, got {instant!r}"
        raise ValueError(message)
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def parse_instant(text: str) -> datetime:
    """Return the instant that ``instant_text`` wrote; accept any ISO 8601 form with a zone.

    >>> parse_instant("2026-03-01T08:00:00Z")
    datetime.datetime(2026, 3, 1, 8, 0, tzinfo=datetime.timezone.utc)
    """
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        message = f"an instant needs a time zone, got {text!r}"
        raise ValueError(message)
    return instant.astimezone(UTC)


def short_text(instant: datetime | None) -> str | None:
    """Return an instant for JSON, without idle microseconds; ``None`` for no bound.

    >>> short_text(datetime(2026, 3, 1, 8, 0, tzinfo=UTC)), short_text(BEGINNING)
    ('2026-03-01T08:00:00Z', None)
    """
    if instant is None or instant == BEGINNING:
        return None
    return instant_text(instant).replace(".000000Z", "Z")
