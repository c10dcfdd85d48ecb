"""Rates and durations: how one is written, and how much of what one allowed was used.

What a rate allowed in a time is taken to be in proportion to it, and one span's worth at least. A burst at the
beginning may come on top, so the share is cut at 1; after N requests it says at most N too much.
"""

from datetime import timedelta

Rate = tuple[int, timedelta]
"""At most so many requests in any span of that length."""
UNITS = {
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
}


def duration_text(length: timedelta) -> str:
    """Return a duration of whole milliseconds in the form it is written in, in its largest units.

    >>> duration_text(timedelta(minutes=90)), duration_text(timedelta(seconds=1.5)), duration_text(timedelta())
    ('1h30m', '1s500ms', '0s')
    """
    words, rest = [], length
    for unit, one in UNITS.items():
        amount, rest = divmod(rest, one)
        if amount:
            words.append(f"{amount}{unit}")
    return "".join(words) or "0s"


def rate_text(rate: Rate) -> str:
    """Return a rate as it is written in comporta.toml.

    >>> rate_text((5, timedelta(seconds=1))), rate_text((100, timedelta(minutes=1)))
    ('5/1s', '100/1m')
    """
    return f"{rate[0]}/{duration_text(rate[1])}"


def limit_used(sent: int, first_s: float | None, last_s: float | None, rate: Rate | None) -> float | None:
    """Return the share of the requests that were allowed from the first to the last which were sent.

    ``None`` where no limit is known, and for less than two requests: between them lies nothing.

    >>> limit_used(10, 0.0, 1.01, (5, timedelta(seconds=1)))
    1.0
    >>> limit_used(10, 0.0, 9.0, (5, timedelta(seconds=1)))
    0.2222
    """
    if rate is None or first_s is None or last_s is None or sent < 2:  # noqa: PLR2004  a rate needs two instants
        return None
    spans = max(1.0, (last_s - first_s) / rate[1].total_seconds())
    return min(1.0, round(sent / (rate[0] * spans), 4))
