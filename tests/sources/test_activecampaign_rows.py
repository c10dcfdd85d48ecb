"""ActiveCampaign's records as canonical rows, and what becomes of those that are odd."""

from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from comporta.core.record import ColumnType
from comporta.errors import BadValue, SourceChangedShape, UnknownField, UnknownStream
from comporta.ports.source import StreamRequest
from comporta.sources.activecampaign_rows import Batch, Plan
from comporta.sources.activecampaign_shape import fields_of, shape_of
from comporta.sources.activecampaign_streams import ENDPOINTS

ZONE = ZoneInfo("America/Sao_Paulo")
DEAL: Mapping[str, Any] = {
    "id": "46",
    "title": "Proposta Padaria Central",
    "value": "1250050",
    "currency": "brl",
    "status": "0",
    "account": "20",
    "winProbability": None,
    "cdate": "2026-03-01T08:00:00-06:00",
    "mdate": "2026-04-01T08:00:00-05:00",
    "edate": "0000-00-00 00:00:00",
    "isDisabled": False,
    "links": {"contact": "https://demo.activehosted.com/api/3/deals/46/contact"},
}


def read(*records: Mapping[str, Any], stream: str = "deals", fields: tuple[str, ...] | None = None) -> Batch:
    """Read records of a stream."""
    request = StreamRequest(stream, fields)
    endpoint = ENDPOINTS[stream]
    plan = Plan(
        fields_of(request),
        stamp=endpoint.stamp,
        order=endpoint.order_field,
        zone=ZONE,
        keeps_unknown=fields is None,
    )
    return plan.rows([dict(each) for each in records], subject="activecampaign/crm deals: a page")


def cells(batch: Batch, stream: str = "deals", place: int = 0) -> dict[str, object]:
    """Return a row by the names of its columns."""
    shape = shape_of(stream, fields_of(StreamRequest(stream)))
    return {column.name: cell for column, cell in zip(shape.columns, batch.rows[place], strict=True)}


def test_texts_become_what_they_mean() -> None:
    """Ids and amounts are whole numbers, times are UTC whatever the account's summer time, zero dates are null."""
    row = cells(read(DEAL))

    assert (row["id"], row["value"], row["status"], row["account_"]) == (46, 1_250_050, 0, 20)
    assert (row["cdate"], row["mdate"]) == ("2026-03-01T14:00:00.000000Z", "2026-04-01T13:00:00.000000Z")
    assert (row["edate"], row["edate_utc"], row["is_disabled"], row["win_probability"]) == (None, None, False, None)
    assert not any(name.startswith("links") for name in row)


def test_a_time_without_a_zone_stays_and_is_read_beside() -> None:
    """The text is what came; what it means in UTC is a best effort in a column of its own."""
    row = cells(read({**DEAL, "edate": "2019-11-22 14:15:37"}))

    assert (row["edate"], row["edate_utc"]) == ("2019-11-22 14:15:37", "2019-11-22T17:15:37.000000Z")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Site", "Site"),
        ("", ""),
        (9990, "9990"),
        (100.5, "100.5"),
        ("100.90", "100.90"),
        (["Plano A", "Plano Ç"], '["Plano A","Plano Ç"]'),
        ({"a": 1}, '{"a":1}'),
        (None, None),
    ],
)
def test_a_custom_field_keeps_whatever_it_holds(value: object, text: str | None) -> None:
    """Texts as they are, numbers by their digits, lists as JSON: the type is told by the field's definition."""
    record = {"id": "3", "dealId": 46, "customFieldId": 1, "dealCustomFieldMetumId": 1, "fieldValue": value}

    row = cells(read(record, stream="dealCustomFieldData"), "dealCustomFieldData")

    assert row["field_value"] == text
    assert (row["id"], row["deal_id"], row["deal_custom_field_metum_id"]) == (3, 46, 1)


def test_a_record_of_which_only_a_part_may_be_seen_is_limited() -> None:
    """It says its id and title; the rest is not null but unknown."""
    batch = read(DEAL, {"id": "47", "title": "Sem permissão", "isDisabled": 1}, {**DEAL, "id": 48, "isDisabled": True})

    assert (batch.keys, batch.limited) == ([46, 47, 48], frozenset({1}))
    assert cells(batch, place=1)["title"] == "Sem permissão"


def test_a_field_that_nobody_knows_is_kept_beside_the_row() -> None:
    """Unless fields were named: then only those are wanted."""
    odd = {**DEAL, "novo": {"a": [1, "ç"]}}

    assert read(DEAL, odd).extras == {1: '{"novo":{"a":[1,"ç"]}}'}
    assert read(odd, fields=("title",)).extras == {}


@pytest.mark.parametrize(
    ("oddity", "reason"),
    [
        ({"value": "a lot"}, "value is 'a lot'; expected a whole number"),
        ({"value": True}, "value is True; expected a whole number"),
        ({"value": str(2**63)}, "expected a whole number"),
        ({"mdate": "yesterday"}, "mdate is 'yesterday'; expected a time with its offset"),
        ({"mdate": "2026-04-01 08:00:00"}, "without a zone; expected a time with its offset"),
        ({"cdate": "2026-02-30T08:00:00-03:00"}, "cdate is '2026-02-30T08:00:00-03:00'"),
        ({"isDisabled": "maybe"}, "isDisabled is 'maybe'; expected true or false"),
        ({"title": "half \ud83d"}, "half a surrogate pair"),
        ({"novo": "half \ud83d"}, "half a surrogate pair"),
    ],
)
def test_a_record_that_nobody_can_type_waits_and_the_others_go_on(oddity: dict[str, object], reason: str) -> None:
    """With its reason and all it holds; its key is among those that came."""
    batch = read({**DEAL, "id": "45"}, {**DEAL, **oddity}, {**DEAL, "id": "47"})

    (rejected,) = batch.rejected
    assert batch.keys == [45, 46, 47]
    assert [row[0] for row in batch.rows] == [45, 47]
    assert (rejected.key, rejected.code) == ("46", "CMP-ROW-001")
    assert reason in rejected.reason
    assert '"title"' in rejected.payload


def test_odd_forms_of_the_usual_are_read_like_the_usual() -> None:
    """One odd record in a page makes it be read record by record: with the same result."""
    strange = {**DEAL, "value": "1250050.0", "status": 0, "isDisabled": "0", "percent": "", "title": 7}
    batch = read(DEAL, strange)

    assert not batch.rejected
    assert cells(batch, place=1) == {**cells(batch), "title": "7"}


@pytest.mark.parametrize(
    "oddity",
    [
        {"value": "1e3"},
        {"owner": "null"},
        {"isDisabled": "TRUE"},
        {"cdate": "2026-03-01t08:00:00z"},
        {"cdate": "2026-03-01T08:00:00.1234567Z"},
    ],
)
def test_what_is_read_in_a_good_page_is_read_beside_an_odd_record(oddity: dict[str, object]) -> None:
    """Else a row would wait in quarantine as long as another record of its page does."""
    alone = read({**DEAL, **oddity})
    beside = read({**DEAL, **oddity}, {**DEAL, "id": "47", "value": "much"})

    assert (beside.rows, [each.key for each in beside.rejected]) == (alone.rows, ["47"])


def test_a_time_whose_zone_is_guessed_says_what_came() -> None:
    """Where a time with an offset is usual: the text stays beside the row."""
    batch = read({**DEAL, "nextdate": "2026-04-01 08:00:00"})

    assert cells(batch)["nextdate"] == "2026-04-01T11:00:00.000000Z"
    assert batch.extras == {0: '{"nextdate":"2026-04-01 08:00:00"}'}


def test_a_part_of_a_batch_keeps_what_belongs_to_each_record() -> None:
    """Extras, limits and rejections go by place, and places move."""
    batch = read(
        {**DEAL, "id": "1", "novo": 1},
        {**DEAL, "id": "2", "value": "?"},
        {"id": "3", "title": "limited", "isDisabled": 1, "novo": 3},
        {**DEAL, "id": "4", "value": "?"},
    )

    part = batch.only([1, 2])

    assert (part.keys, [row[0] for row in part.rows]) == ([2, 3], [3])
    assert ([each.key for each in part.rejected], part.extras, part.limited) == (
        ["2"],
        {0: '{"novo":3}'},
        frozenset({0}),
    )


def test_an_id_that_comes_twice_takes_no_other_record_away() -> None:
    """Once as it should be and once as nobody can read it: each row stays with its own id."""
    odd = {"id": "5", "value": "x"}
    batch = read({**DEAL, **odd}, {**DEAL, "id": "5"}, {**DEAL, "id": "6"}, {**DEAL, "id": "7", "novo": 1})

    part = batch.only([0, 2, 3])

    assert ([row[0] for row in part.rows], part.rejected, part.extras) == ([5, 6, 7], [], {2: '{"novo":1}'})


def test_a_part_of_a_deal_is_limited_also_where_it_names_what_it_does_not_say() -> None:
    """With a stamp that is null: it must not make nothing of what is known."""
    part = {"id": "46", "title": "Proposta", "isDisabled": 1, "mdate": None, "value": None}

    assert read(part, {**DEAL, "id": "47", "isDisabled": 1}).limited == {0}


def test_a_part_of_a_record_that_does_not_say_so_waits() -> None:
    """A deal without its stamp is no deal that anybody may write over a whole one; the others go on."""
    batch = read({"id": "46", "title": "Proposta"}, {**DEAL, "id": "47"})

    assert [(each.key, each.reason.partition(",")[0]) for each in batch.rejected] == [("46", "mdate is missing")]
    assert [row[0] for row in batch.rows] == [47]


def test_records_without_end_stop_the_run_with_a_reason() -> None:
    """Lists in lists in lists, deeper than anybody reads."""
    deep: list[Any] = []
    for _ in range(2_000):
        deep = [deep]

    with pytest.raises(SourceChangedShape, match="levels deep"):
        read({**DEAL, "novo": deep})


@pytest.mark.parametrize("key", [None, "", "x", -1, 1.5, True, [1], "9" * 5_000])
def test_a_record_without_an_id_stops_the_run(key: object) -> None:
    """It can be neither written nor put aside."""
    with pytest.raises(SourceChangedShape, match="expected a whole number"):
        read({**DEAL, "id": key})


@pytest.mark.parametrize("stream", ENDPOINTS)
def test_every_stream_has_a_key_first_and_columns_of_its_own(stream: str) -> None:
    """A whole number; no two fields share a column; only what can be filtered by a stamp has one."""
    shape = shape_of(stream, fields_of(StreamRequest(stream)))
    names = [column.name for column in shape.columns]

    assert (names[0], shape.columns[0].type, shape.key) == ("id", ColumnType.INTEGER, "id")
    assert len(names) == len(set(names))
    assert shape.stamp in {None, *names}
    assert all(name == name.lower() for name in names)


def test_what_nobody_can_read_is_refused_by_name() -> None:
    """An unknown stream, an unknown field, and a domain, which only Odoo has."""
    with pytest.raises(UnknownStream, match="did you mean 'deals'"):
        fields_of(StreamRequest("deal"))
    with pytest.raises(UnknownField, match="the nearest is 'title'"):
        fields_of(StreamRequest("deals", ("titel",)))
    with pytest.raises(BadValue, match="only Odoo does"):
        fields_of(StreamRequest("deals", domain=(["status", "=", 1],)))


def test_named_fields_bring_what_reading_needs() -> None:
    """The key, the stamp, what the list is in order of, and the mark of limited rows."""
    names = [each.name for each in fields_of(StreamRequest("deals", ("value",)))]

    assert names == ["id", "cdate", "isDisabled", "mdate", "value"]
