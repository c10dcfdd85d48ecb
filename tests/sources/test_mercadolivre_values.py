"""One value of Mercado Livre's in all its forms, and what is refused."""

from datetime import UTC, datetime

import pytest

from comporta.core.record import ColumnType, Value
from comporta.sources.mercadolivre_values import instant_of, read_value
from comporta.sources.values import UnfitError

MORNING = "2026-03-02T13:40:02.000000Z"


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-02T09:40:02.000-04:00",
        "2026-03-02T09:40:02.000-0400",
        "2026-03-02T13:40:02.000Z",
        "2026-03-02T13:40:02Z",
        "2026-03-02T10:40:02-03:00",
        "2026-03-02T13:40:02.000-00:00",
        "2026-03-02T13:40:02.000+00:00",
        "2026-03-02T19:10:02.0+05:30",
    ],
)
def test_every_form_of_a_time_is_one_instant(text: str) -> None:
    """With a colon in its offset or without, with ``Z``, with fractions or none."""
    assert read_value("last_updated", ColumnType.TIMESTAMP, text) == MORNING
    assert instant_of(text) == datetime(2026, 3, 2, 13, 40, 2, tzinfo=UTC)


def test_milliseconds_stay() -> None:
    """Search rows have them."""
    assert read_value("x", ColumnType.TIMESTAMP, "2026-03-02T13:40:02.345Z") == "2026-03-02T13:40:02.345000Z"


@pytest.mark.parametrize(
    ("kind", "came", "value"),
    [
        (ColumnType.INTEGER, 2_000_010_000_000_123, 2_000_010_000_000_123),
        (ColumnType.INTEGER, "2000010000000123", 2_000_010_000_000_123),
        (ColumnType.INTEGER, "-5", -5),
        (ColumnType.INTEGER, 7.0, 7),
        (ColumnType.INTEGER, 2**63 - 1, 2**63 - 1),
        (ColumnType.INTEGER, "", None),
        (ColumnType.NUMERIC, "149.90", 149.9),
        (ColumnType.NUMERIC, 149.9, 149.9),
        (ColumnType.NUMERIC, 150.0, 150),
        (ColumnType.NUMERIC, 0, 0),
        (ColumnType.NUMERIC, "", None),
        (ColumnType.TIMESTAMP, "", None),
        (ColumnType.BOOLEAN, "true", True),
        (ColumnType.BOOLEAN, False, False),
        (ColumnType.TEXT, 12_501, "12501"),
        (ColumnType.TEXT, "", ""),
        (ColumnType.TEXT, {"a": 1}, '{"a":1}'),
        (ColumnType.JSON, ["ç", None], '["ç",null]'),
        *[(kind, None, None) for kind in ColumnType],
    ],
)
def test_odd_forms_of_a_value_are_read_like_the_usual(kind: ColumnType, came: object, value: Value) -> None:
    """Numbers as texts, whole numbers as decimals, nothing as an empty text, and null for every type."""
    found = read_value("x", kind, came)

    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("kind", "came", "expected"),
    [
        (ColumnType.INTEGER, True, "a whole number"),
        (ColumnType.INTEGER, "12a", "a whole number"),
        (ColumnType.INTEGER, 1.5, "a whole number"),
        (ColumnType.INTEGER, str(2**63), "a whole number"),
        (ColumnType.INTEGER, {"id": 1}, "a whole number"),
        (ColumnType.NUMERIC, True, "a number"),
        (ColumnType.NUMERIC, "much", "a number"),
        (ColumnType.NUMERIC, float("nan"), "a number"),
        (ColumnType.BOOLEAN, "perhaps", "true or false"),
        (ColumnType.BOOLEAN, 1, "true or false"),
        (ColumnType.TIMESTAMP, "2026-03-02T09:40:02", "with its offset"),
        (ColumnType.TIMESTAMP, "yesterday", "with its offset"),
        (ColumnType.TIMESTAMP, 1_772_458_802, "with its offset"),
        (ColumnType.TIMESTAMP, "2026-02-30T09:40:02-04:00", "with its offset"),
        (ColumnType.TIMESTAMP, "0001-01-01T00:00:00+14:00", "with its offset"),
    ],
)
def test_what_is_not_of_its_type_is_refused_by_name(kind: ColumnType, came: object, expected: str) -> None:
    """Nothing is guessed: the message says the column, what came and what should have."""
    with pytest.raises(UnfitError, match=f"^amount is .*; expected .*{expected}"):
        read_value("amount", kind, came)
