"""Instants and their text."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comporta.core.instant import BEGINNING, instant_text, parse_instant, short_text

aware = st.datetimes(
    min_value=datetime(2, 1, 1),  # noqa: DTZ001  hypothesis adds the zone
    max_value=datetime(9998, 1, 1),  # noqa: DTZ001  as above
    timezones=st.timedeltas(timedelta(hours=-14), timedelta(hours=14)).map(timezone),
)


@given(aware)
def test_an_instant_survives_its_text(instant: datetime) -> None:
    """To the microsecond, in any zone."""
    assert parse_instant(instant_text(instant)) == instant


@given(aware, aware)
def test_texts_sort_as_instants_compare(one: datetime, other: datetime) -> None:
    """SQLite compares texts."""
    assert (instant_text(one) < instant_text(other)) == (one < other)


def test_the_beginning_of_time_has_a_text_and_sorts_first() -> None:
    """It is stored like any other instant."""
    assert parse_instant(instant_text(BEGINNING)) == BEGINNING
    assert instant_text(BEGINNING) < instant_text(datetime(1970, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("text", ["2026-03-01T08:00:00", "2026-03-01"])
def test_a_text_without_a_zone_is_refused(text: str) -> None:
    """Nobody knows which hour it means."""
    with pytest.raises(ValueError, match="needs a time zone"):
        parse_instant(text)


def test_a_naive_instant_is_refused() -> None:
    """As above, on the way out."""
    with pytest.raises(ValueError, match="needs a time zone"):
        instant_text(datetime(2026, 3, 1))  # noqa: DTZ001  that is the point


@pytest.mark.parametrize(
    ("instant", "expected"),
    [
        (None, None),
        (BEGINNING, None),
        (datetime(2026, 3, 1, 8, tzinfo=UTC), "2026-03-01T08:00:00Z"),
        (datetime(2026, 3, 1, 8, 0, 0, 5, tzinfo=UTC), "2026-03-01T08:00:00.000005Z"),
    ],
)
def test_people_see_no_idle_microseconds_and_no_minus_infinity(instant: datetime | None, expected: str | None) -> None:
    """A stream without a start shows no bound."""
    assert short_text(instant) == expected
