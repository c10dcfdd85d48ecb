"""From the flags of sync to a request: what goes together, and when."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from comporta.cli.request import Flags, request_from
from comporta.core.window import Kind, Request
from comporta.errors import WrongUse

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("flags", "request_"),
    [
        (Flags(), Request()),
        (Flags(full=True), Request(Kind.FULL)),
        (Flags(clear_first=True), Request(Kind.CLEAR_FIRST)),
        (Flags(full=True, max_records=5), Request(Kind.FULL, max_records=5)),
        (Flags(since="2h"), Request(Kind.MANUAL, NOW - timedelta(hours=2))),
        (
            Flags(since="2026-03-01T08:00:00Z", until="1h"),
            Request(Kind.MANUAL, datetime(2026, 3, 1, 8, tzinfo=UTC), NOW - timedelta(hours=1)),
        ),
    ],
)
def test_flags_become_a_request(flags: Flags, request_: Request) -> None:
    """One kind, and bounds that are instants."""
    assert request_from(flags, now=NOW, zone=UTC) == request_


def test_a_time_without_zone_is_local() -> None:
    """People type the hour that they read on the wall."""
    request = request_from(Flags(since="2026-03-01T08:00"), now=NOW, zone=ZoneInfo("America/Sao_Paulo"))

    assert request.since == datetime(2026, 3, 1, 11, tzinfo=UTC)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (Flags(full=True, clear_first=True), "--full and --clear-first"),
        (Flags(since="1h", until="2h"), "--since 2026-03-01T11:00:00Z is not before --until 2026-03-01T10:00:00Z"),
        (Flags(since="yesterday"), "--since is 'yesterday'; expected a duration such as 2h, or an instant"),
    ],
)
def test_what_does_not_go_together_is_refused(flags: Flags, said: str) -> None:
    """By the names of the flags; what else is refused ``core.asked`` knows."""
    with pytest.raises(WrongUse, match=said):
        request_from(flags, now=NOW, zone=UTC)
