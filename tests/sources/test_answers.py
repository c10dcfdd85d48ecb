"""What an answer's headers mean, before anybody looks at its body."""

from datetime import UTC, datetime, timedelta

import pytest

from comporta.sources.answers import Answer


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("Sun, 22 Nov 2026 12:00:35 GMT", timedelta(seconds=30)),
        ("Fri, 31 Dec 9999 23:59:59 GMT", timedelta(days=1)),
        ("9" * 5_000, timedelta(days=1)),
        ("1795348835", timedelta(seconds=30)),  # the same instant as the first, in Unix time
        ("1795348835000", timedelta(seconds=30)),
        ("1700000000", None),
        ("Sun, 22 Nov 2026 12:00:00 GMT", None),
        ("0", None),
        ("-5", None),
    ],
)
def test_retry_after_is_meant_by_the_servers_clock_and_within_a_day(said: str, meant: timedelta | None) -> None:
    """A clock of ours that is an hour behind waits no hour more; a wrong year, or unit, stops nobody for years."""
    answer = Answer(429, {"retry-after": said, "date": "Sun, 22 Nov 2026 12:00:05 GMT"}, b"")

    assert answer.retry_after(datetime(2026, 11, 22, 11, tzinfo=UTC)) == meant
