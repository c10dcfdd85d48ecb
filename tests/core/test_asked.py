"""What a person asked of a sync becomes one request, or is refused with the names they know."""

from datetime import UTC, datetime, timedelta

import pytest

from comporta.core.asked import Asked, request_for
from comporta.core.window import Kind, Request
from comporta.errors import WrongUse

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("asked", "request_"),
    [
        (Asked(), Request()),
        (Asked(full=True), Request(Kind.FULL)),
        (Asked(clear_first=True), Request(Kind.CLEAR_FIRST)),
        (Asked(max_records=5), Request(max_records=5)),
        (Asked(since=NOW - HOUR), Request(Kind.MANUAL, NOW - HOUR)),
        (Asked(NOW - HOUR, NOW + HOUR), Request(Kind.MANUAL, NOW - HOUR, NOW + HOUR)),
    ],
)
def test_what_was_asked_becomes_a_request(asked: Asked, request_: Request) -> None:
    """One kind; bounds make it a window by hand."""
    assert request_for(asked, now=NOW) == request_


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (Asked(NOW - HOUR, full=True), "full and since do not go together"),
        (Asked(full=True, clear_first=True), "full and clear_first do not go together"),
        (Asked(until=NOW), "until was given without since"),
        (Asked(NOW - HOUR, NOW - HOUR), "since 2026-03-01T11:00:00Z is not before until 2026-03-01T11:00:00Z"),
        (Asked(NOW), "since 2026-03-01T12:00:00Z is not before now"),
        (Asked(max_records=0), "max_records is 0; expected 1 or more"),
        (Asked(clear_first=True, max_records=1), "a part of the rows would be removed"),
    ],
)
def test_what_does_not_go_together_is_refused(asked: Asked, said: str) -> None:
    """Before anything is opened."""
    with pytest.raises(WrongUse, match=said):
        request_for(asked, now=NOW)


def test_names_are_said_as_the_person_wrote_them() -> None:
    """Who typed --clear-first is not told of clear_first."""
    with pytest.raises(WrongUse, match="--FULL and --CLEAR_FIRST"):
        request_for(Asked(full=True, clear_first=True), now=NOW, written=lambda name: f"--{name.upper()}")
