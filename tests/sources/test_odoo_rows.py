"""Odoo's values as canonical ones: quickly where all is as described, and without loss where it is not."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.sources.scripted import result

from comporta.core.record import Column, ColumnType
from comporta.errors import SourceChangedShape
from comporta.sources.answers import Answer
from comporta.sources.odoo_calls import UNFIT, Call, Dialect, Json2, JsonRpc
from comporta.sources.odoo_oddities import read_oddities
from comporta.sources.odoo_rows import Batch, OddPageError, Plan
from comporta.sources.odoo_xml import XmlRpc

CALL = Call("odoo/matriz sale.order: page", "sale.order", "search_read")
DIALECTS: list[Dialect] = [JsonRpc("", "demo"), Json2("", "demo"), XmlRpc("", "demo")]
COLUMNS = [
    Column("id", ColumnType.INTEGER, "id"),
    Column("active", ColumnType.BOOLEAN, "active"),
    Column("amount", ColumnType.NUMERIC, "amount"),
    Column("day", ColumnType.DATE, "day"),
    Column("name", ColumnType.TEXT, "name"),
    Column("partner_id", ColumnType.INTEGER, "partner_id"),
    Column("tags", ColumnType.JSON, "tags"),
    Column("write_date", ColumnType.TIMESTAMP, "write_date"),
]
PLAN = Plan(COLUMNS)
GOOD: Mapping[str, Any] = {
    "id": 1,
    "active": True,
    "amount": 1.5,
    "day": "2026-03-01",
    "name": "á",
    "partner_id": 3,
    "tags": [1, 2],
    "write_date": "2026-03-01 10:00:00",
}
CANON = (1, True, 1.5, "2026-03-01", "á", 3, "[1,2]", "2026-03-01T10:00:00.000000Z")


def body(dialect: Dialect, records: object) -> Answer:
    """Return the answer that carries these records."""
    return Answer(200, {}, result(dialect.name, records).partition(b"\r\n\r\n")[2])


def quick(dialect: Dialect, answer: Answer) -> Batch:
    """Read a page the quick way."""
    return PLAN.read(lambda wanted: dialect.typed(CALL, answer, wanted))


def careful(dialect: Dialect, answer: Answer) -> Batch:
    """Read a page record by record."""
    return read_oddities(dialect.loose(CALL, answer), COLUMNS, stamp="write_date", subject=CALL.subject)


def read(dialect: Dialect, answer: Answer) -> Batch:
    """Read a page as the session does."""
    try:
        return quick(dialect, answer)
    except (OddPageError, *UNFIT):
        return careful(dialect, answer)


def cell(name: str, batch: Batch) -> object:
    """Return one value of the first row."""
    return batch.rows[0][[column.name for column in COLUMNS].index(name)]


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=["Cc", "Cs"]), max_size=8)
XML_INTEGER = st.integers(-(2**31), 2**31 - 1)
RECORD = st.fixed_dictionaries(
    {
        "active": st.booleans(),
        "amount": st.just(False) | XML_INTEGER | st.floats(-1e15, 1e15),
        "day": st.just(False) | st.dates().map(str),
        "name": st.just(False) | TEXT,
        "partner_id": st.just(False) | XML_INTEGER,
        "tags": st.just(False) | st.lists(XML_INTEGER, max_size=3) | st.dictionaries(TEXT, TEXT, max_size=2),
        "write_date": st.just(False) | st.datetimes().map(lambda at: at.isoformat(" ", "seconds")),
    }
)


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
@given(records=st.lists(RECORD, max_size=4))
def test_the_quick_and_the_careful_way_agree(dialect: Dialect, records: list[dict[str, Any]]) -> None:
    """Whatever Odoo may store comes out as the same rows, none rejected, nothing beside them."""
    answer = body(dialect, [{"id": key, **record} for key, record in enumerate(records, 1)])

    quickly, carefully = quick(dialect, answer), careful(dialect, answer)

    assert list(quickly.rows) == list(carefully.rows)
    assert list(quickly.keys) == list(carefully.keys) == list(range(1, len(records) + 1))
    assert (carefully.rejected, carefully.extras) == ([], {})


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=3,
)


@given(values=st.fixed_dictionaries({column.field: ANYTHING for column in COLUMNS[1:]}))
@example(values={column.field: None for column in COLUMNS[1:]} | {"partner_id": [None, ""]})
@example(values={column.field: None for column in COLUMNS[1:]} | {"partner_id": [False, "label"]})
def test_nothing_is_dropped_whatever_comes(values: dict[str, Any]) -> None:
    """Every value ends in its column, beside the row, or with the rejected record, and can be stored there."""
    answer = body(DIALECTS[0], [{"id": 1, **values}])

    batch = read(DIALECTS[0], answer)

    assert len(batch.rows) + len(batch.rejected) == 1
    beside = json.loads(batch.extras.get(0, "{}"))
    for row in batch.rows:
        json.dumps(row).encode()
        for column, value in zip(COLUMNS, row, strict=True):
            sent = values.get(column.field)
            is_null = sent is None or sent is False
            assert is_null or value is not None or column.field in beside
    for rejected in batch.rejected:
        assert rejected.key == "1"
        assert rejected.payload.isascii()
        assert json.loads(rejected.payload)["id"] == 1


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("amount", False, None),
        ("active", False, False),
        ("name", "", ""),
        ("name", "linha\ncom tab\t", "linha\ncom tab\t"),
        ("partner_id", False, None),
        ("partner_id", [9, "Padaria Central"], 9),
        ("partner_id", 0, 0),
        ("tags", [], "[]"),
        ("tags", [{"name": "cor", "value": "é"}], '[{"name":"cor","value":"é"}]'),
        ("day", False, None),
        ("write_date", "2026-02-28 23:59:59", "2026-02-28T23:59:59.000000Z"),
    ],
)
def test_values_are_canonical(dialect: Dialect, *, field: str, value: object, expected: object) -> None:
    """False is null but for booleans, links are ids, JSON is compact, stamps sort."""
    batch = read(dialect, body(dialect, [{**GOOD, field: value}]))

    assert cell(field, batch) == expected
    assert type(cell(field, batch)) is type(expected)
    assert not batch.extras


@pytest.mark.parametrize(
    ("field", "sent", "kept"),
    [
        ("name", "true", True),
        ("name", "5", 5),
        ("partner_id", '"x"', "x"),
        ("partner_id", "true", True),
        ("partner_id", "9223372036854775808", 2**63),
        ("amount", "NaN", "nan"),
        ("amount", "1e999", "inf"),
        ("amount", '"12,50"', "12,50"),
        ("amount", "true", True),
        ("active", "1", 1),
        ("day", '"2026-02-30"', "2026-02-30"),
        ("day", '"2026-03-01 00:00:00"', "2026-03-01 00:00:00"),
    ],
)
def test_a_value_of_the_wrong_type_goes_beside_the_row(field: str, sent: str, kept: object) -> None:
    """The column is null, the value is kept, and the other records of the page are as ever."""
    odd = json.dumps({**GOOD, field: "?"}).replace('"?"', sent)
    raw = f'{{"jsonrpc": "2.0", "result": [{json.dumps(GOOD)}, {odd}]}}'.replace('"id": 1', '"id": 0', 1)

    batch = read(DIALECTS[0], Answer(200, {}, raw.encode()))

    assert batch.rows[0] == (0, *CANON[1:])
    assert batch.rows[1] == tuple(
        None if column.field == field else value for column, value in zip(COLUMNS, CANON, strict=True)
    )
    assert json.loads(batch.extras[1]) == {field: kept}
    assert list(batch.extras) == [1]


def test_a_page_is_decoded_twice_only_where_a_column_has_its_first_null() -> None:
    """Before it nothing looks for nulls in that column, and after it one decoding is enough again."""
    plan, asked = Plan(COLUMNS), list[Any]()

    def names(*records: Mapping[str, Any]) -> list[object]:
        answer = body(DIALECTS[0], records)

        def decode(wanted: Any) -> Any:  # noqa: ANN401 - a type, and what it is decoded to
            asked.append(wanted)
            return DIALECTS[0].typed(CALL, answer, wanted)

        return [row[4] for row in plan.read(decode).rows]

    seen = [names(GOOD), names(GOOD, {**GOOD, "name": False}, {**GOOD, "name": None}), names({**GOOD, "name": False})]
    with pytest.raises(OddPageError):
        names({**GOOD, "name": True})

    assert seen == [["á"], ["á", None, None], [None]]
    assert len(asked) == 1 + 2 + 1 + 1


def test_runs_of_one_shape_share_the_types_of_their_records() -> None:
    """A type of its own for each would stay until cycles are looked for, which a server does seldom."""
    asked = list[Any]()

    def decode(wanted: Any) -> list[Any]:  # noqa: ANN401  a type
        asked.append(wanted)
        return []

    for _ in range(2):
        Plan(COLUMNS).read(decode)

    assert asked[0] is asked[1]


@pytest.mark.parametrize("number", ["nan", "inf", "-inf"])
def test_xmlrpc_carries_numbers_that_are_none(number: str) -> None:
    """Python's XML-RPC writes and reads them; no database column should."""
    answer = body(DIALECTS[2], [{**GOOD, "amount": float(number)}, {**GOOD, "id": 2}])

    batch = read(DIALECTS[2], answer)

    assert cell("amount", batch) is None
    assert batch.extras == {0: json.dumps({"amount": number}).replace(" ", "")}


@pytest.mark.parametrize(
    ("field", "sent", "reason"),
    [
        ("name", '"a\\ud800"', "name holds half a surrogate pair (\\ud800)"),
        ("tags", '["\\udc00"]', "tags holds half a surrogate pair (\\udc00)"),
        ("partner_id", '"\\ud800"', "partner_id holds half a surrogate pair (\\ud800)"),
        ("write_date", '"01/03/2026"', "write_date is '01/03/2026'; expected YYYY-MM-DD HH:MM:SS"),
        ("write_date", '"2026-03-01 10:00:00Z"', "write_date is '2026-03-01 10:00:00Z'; expected"),
        ("write_date", "12", "write_date is 12; expected"),
    ],
)
def test_what_cannot_be_stored_is_rejected_with_its_reason(field: str, sent: str, reason: str) -> None:
    """One such record goes into quarantine, whole and in ASCII; the others are written."""
    odd = json.dumps({**GOOD, "id": 2, field: "?"}).replace('"?"', sent)
    raw = f'{{"jsonrpc": "2.0", "result": [{json.dumps(GOOD)}, {odd}]}}'

    batch = read(DIALECTS[0], Answer(200, {}, raw.encode()))

    assert batch.rows == [CANON]
    assert batch.keys == [1, 2]
    (rejected,) = batch.rejected
    assert (rejected.key, rejected.code) == ("2", "CMP-ROW-001")
    assert rejected.reason.startswith(reason)
    assert json.loads(rejected.payload) == json.loads(odd)
    assert rejected.payload.isascii()


@pytest.mark.parametrize("key", [None, False, "7", True, 1.5, 2**63, [1, "x"]])
def test_a_record_without_a_usable_id_stops_the_run(key: object) -> None:
    """It could neither be written nor be found again."""
    answer = body(DIALECTS[0], [{**GOOD, "id": key}])

    with pytest.raises(SourceChangedShape, match="expected an integer"):
        read(DIALECTS[0], answer)


def test_a_record_without_a_field_that_was_asked_stops_the_run() -> None:
    """A missing field would read as null and overwrite what we have."""
    record = {name: value for name, value in GOOD.items() if name != "amount"}

    with pytest.raises(SourceChangedShape, match="id 1 without the field 'amount'"):
        read(DIALECTS[0], body(DIALECTS[0], [record]))
