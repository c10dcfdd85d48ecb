"""Mercado Livre's records as canonical rows, with the lists inside them, and what becomes of those that are odd."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from tests.sources.mercadolivre_desk import cells

from comporta.core.record import Page
from comporta.errors import BadValue, UnknownField, UnknownStream
from comporta.ports.source import StreamRequest
from comporta.sandbox.mercadolivre import MercadoLivreSandbox
from comporta.sandbox.mercadolivre_orders import order_row
from comporta.sources.mercadolivre_rows import Plan, prepared
from comporta.sources.mercadolivre_shape import table_for

BIG = 2_000_010_000_000_123
LINE: Mapping[str, Any] = {
    "item": {"id": "MLB4000000001", "title": "Caneca azul", "variation_id": 181_000_000_001, "seller_sku": "CAN-AZ"},
    "quantity": 2,
    "unit_price": 89.9,
    "sale_fee": 11.07,
    "currency_id": "BRL",
}
PAYMENT: Mapping[str, Any] = {"id": 90_000_000_001, "status": "approved", "marketplace_fee": 22.14, "payer_id": 7}
ORDER: Mapping[str, Any] = {
    "id": BIG,
    "status": "paid",
    "date_created": "2026-03-02T09:40:02.000-04:00",
    "date_closed": None,
    "last_updated": "2026-03-02T10:00:00.000-04:00",
    "date_last_updated": "2026-03-02T14:00:03.210Z",
    "pack_id": None,
    "total_amount": 179.8,
    "order_items": [LINE],
    "payments": [PAYMENT],
    "shipping": {"id": 44_000_000_555},
    "buyer": {"id": 3_800_300_400, "nickname": "COMPRADOR", "first_name": "Ana", "last_name": None},
    "seller": {"id": 1001, "nickname": "LOJA"},
    "tags": ["paid"],
}
ITEM: Mapping[str, Any] = {
    "id": "MLB4000000001",
    "seller_id": 1001,
    "status": "active",
    "price": 89.9,
    "attributes": [{"id": "SELLER_SKU", "value_name": "CAN-AZ"}],
    "variations": [{"id": 181_000_000_001, "price": 89.9, "available_quantity": 4, "seller_custom_field": "AZ-1"}],
    "last_updated": "2026-03-02T14:00:00.000Z",
}
SHIPMENT: Mapping[str, Any] = {
    "id": 44_000_000_555,
    "status": "shipped",
    "last_updated": "2026-03-02T10:00:00.000-04:00",
    "logistic": {"mode": "me2", "type": "drop_off", "direction": "forward"},
    "lead_time": {"cost": 0, "list_cost": 40.1, "option_id": 5},
    "destination": {
        "receiver_id": 7,
        "receiver_name": "Ana",
        "shipping_address": {"zip_code": "01000000", "city": {"name": "São Ninguém"}, "state": {"name": "SP"}},
    },
    "costs": {
        "gross_amount": 40.1,
        "receiver": {"user_id": 7, "cost": 9.9},
        "senders": [{"user_id": 55, "cost": 1.0}, {"user_id": 1001, "cost": 23.65}],
    },
}


def read(*records: Mapping[str, Any], stream: str = "orders", fields: tuple[str, ...] | None = None) -> Page:
    """Read records of a stream."""
    plan = Plan(table_for(StreamRequest(stream, fields)), keeps_unknown=fields is None)
    return plan.page([prepared(stream, each, seller="1001") for each in records])


def row(page: Page, stream: str = "orders", place: int = 0) -> dict[str, Any]:
    """Return a row by the names of its columns."""
    return cells(Plan(table_for(StreamRequest(stream)), keeps_unknown=True).shape, page.rows[place])


def inside(page: Page, stream: str) -> list[dict[str, Any]]:
    """Return the rows of a list inside the records."""
    return [cells(each.shape, one) for each in page.nested if each.shape.stream == stream for one in each.rows]


def test_an_order_becomes_a_row_with_its_lines_and_payments() -> None:
    """Ids of sixteen digits whole, times in UTC, what was bought and paid in tables of their own."""
    page = read(ORDER)
    order, (line,), (payment,) = row(page), inside(page, "order_items"), inside(page, "order_payments")

    assert (order["id"], order["shipping_id"], order["buyer_id"]) == (BIG, 44_000_000_555, 3_800_300_400)
    assert (order["last_updated"], order["date_closed"]) == ("2026-03-02T14:00:00.000000Z", None)
    assert (line["id"], line["order_id"], line["position"]) == (f"{BIG}-1", BIG, 1)
    assert (line["item_id"], line["variation_id"], line["seller_sku"]) == ("MLB4000000001", 181_000_000_001, "CAN-AZ")
    assert (payment["id"], payment["payment_id"], payment["order_id"]) == (f"{BIG}-90000000001", 90_000_000_001, BIG)
    assert line["order_last_updated"] == payment["order_last_updated"] == order["last_updated"]


def test_a_fee_is_per_unit_and_stays_so() -> None:
    """Two pieces at 11.07 are 22.14 in the payment: neither is multiplied or divided here."""
    page = read(ORDER)

    assert inside(page, "order_items")[0]["sale_fee"] == 11.07
    assert inside(page, "order_payments")[0]["marketplace_fee"] == 22.14


def test_times_are_kept_as_they_were_sent() -> None:
    """The text with its offset stays beside the instant; of a null nothing."""
    sent = json.loads(row(read(ORDER))["times_as_sent"])

    assert sent == {"date_created": ORDER["date_created"], "last_updated": ORDER["last_updated"]}


def test_ids_as_texts_are_the_same_ids() -> None:
    """An order whose ids come as texts is the very same row."""
    texts = {
        **ORDER,
        "id": str(BIG),
        "shipping": {"id": "44000000555"},
        "buyer": {"id": "3800300400"},
        "payments": [{**PAYMENT, "id": "90000000001"}],
    }

    assert read(texts).rows == read(ORDER).rows
    assert inside(read(texts), "order_payments") == inside(read(ORDER), "order_payments")


def test_a_row_is_the_same_read_by_search_or_by_id() -> None:
    """What only a search shows is no part of it: names, and the stamp that the search goes by."""
    by_id = {name: value for name, value in ORDER.items() if name not in {"date_last_updated", "expiration_date"}}
    by_id |= {"buyer": {"id": 3_800_300_400}, "seller": {"id": 1001}}
    by_search, by_key = read({**ORDER, "expiration_date": "2026-04-02T10:00:00.000-04:00"}), read(by_id)

    assert (by_search.rows, by_search.extras, by_search.nested) == (by_key.rows, by_key.extras, by_key.nested)
    assert [each.rows for each in by_search.lookups] == [[(3_800_300_400, None, "Ana", None, None, "COMPRADOR")]]
    assert not by_key.lookups


def test_nothing_of_a_buyer_is_lost() -> None:
    """The key to the tax data has a column, and what nobody knows yet is kept beside it."""
    buyer = {**ORDER["buyer"], "billing_info": {"id": 600_000_000_000_000_007}, "new": 1}
    (named,) = read({**ORDER, "buyer": buyer}).lookups
    found = dict(zip([each.name for each in named.shape.columns], named.rows[0], strict=True))

    assert (found["billing_info_id"], found["more"]) == ("600000000000000007", '{"new":1}')


@pytest.fixture(scope="module")
def orders() -> Iterator[list[tuple[dict[str, Any], dict[str, Any]]]]:
    """Return every order of a simulated seller, as a search shows it and as its id does."""
    with MercadoLivreSandbox(records=400, sellers=1) as sandbox:
        sandbox.people.step(100)
        known = sandbox.world.orders_of(1001)
        yield [(order_row(each, in_search=True), order_row(each)) for each in known]


@pytest.mark.full
def test_all_kinds_of_orders_are_the_same_both_ways(orders: list[tuple[dict[str, Any], dict[str, Any]]]) -> None:
    """Odd words, missing fields, nulls, ids as texts, one by one: no row changes with the way it is read."""
    for found, looked_at in orders:
        one, other = read(found), read(looked_at)
        assert (one.rows, one.extras, one.nested, one.rejected) == (other.rows, other.extras, other.nested, [])
    statuses = {row(read(found))["status"] for found, _ in orders}

    assert {"held_for_inspection", "cancelled", "payment_required", "partially_refunded"} <= statuses


def test_unknown_words_are_kept() -> None:
    """Vocabularies are open: a status nobody documented is a status."""
    page = read({**ORDER, "status": "held_for_inspection", "payments": [{**PAYMENT, "status": "under_new_review"}]})

    assert row(page)["status"] == "held_for_inspection"
    assert inside(page, "order_payments")[0]["status"] == "under_new_review"


@pytest.mark.parametrize("name", sorted(set(ORDER) - {"id", "order_items", "last_updated"}))
@pytest.mark.parametrize("is_null", [True, False])
def test_what_is_missing_is_null(name: str, *, is_null: bool) -> None:
    """Whatever it is but id, version and what was bought, absent or null: the order is a row, the others stay."""
    odd = {**ORDER, name: None} if is_null else {each: value for each, value in ORDER.items() if each != name}

    page = read(odd)

    assert not page.rejected
    assert row(page)["id"] == BIG
    assert len(inside(page, "order_items")) == 1


def test_an_order_that_does_not_say_what_was_bought_waits() -> None:
    """Taken for an order without lines it would make the lines that are here disappear."""
    page = read({**ORDER, "order_items": None}, {each: ORDER[each] for each in ORDER if each != "order_items"}, ORDER)

    assert [each.key for each in page.rejected] == [str(BIG)] * 2
    assert "order_items is missing" in page.rejected[0].reason
    assert len(page.rows) == 1


def test_an_order_without_any_line_waits() -> None:
    """Nobody buys nothing: an empty list is an odd answer, and would make the lines that are here disappear."""
    page = read({**ORDER, "order_items": []}, ORDER)

    assert [(each.key, each.reason) for each in page.rejected] == [
        (str(BIG), "order_items is empty; expected what was bought")
    ]
    assert len(page.rows) == len(inside(page, "order_items")) == 1


@pytest.mark.parametrize(("stream", "name", "record"), [("orders", "payments", ORDER), ("items", "variations", ITEM)])
def test_a_list_that_did_not_come_is_no_empty_one(stream: str, name: str, record: Mapping[str, Any]) -> None:
    """Absent or null it says nothing of what is here; empty it says that there is nothing."""
    absent = {each: value for each, value in record.items() if each != name}
    untold = [read(each, stream=stream).nested[-1].untold for each in (absent, {**record, name: None})]
    told = [read(each, stream=stream).nested[-1].untold for each in ({**record, name: []}, record)]

    assert untold == [{record["id"]}] * 2
    assert told == [frozenset()] * 2


def test_unknown_fields_are_kept_beside_and_in_more() -> None:
    """Of an order beside its row; of a line, however deep, in a column."""
    line = {**LINE, "item": {**LINE["item"], "novo": 1}, "also": "ç"}
    page = read(ORDER, {**ORDER, "id": 2, "novo": {"a": 1}, "order_items": [line]})

    assert page.extras == {1: '{"novo":{"a":1}}'}
    assert [each["more"] for each in inside(page, "order_items")] == [None, '{"also":"ç","item":{"novo":1}}']


def test_what_stands_where_a_record_should_is_kept_as_it_came() -> None:
    """A shipment's bare id in place of the record that holds it feeds no column, and is not lost."""
    page = read({**ORDER, "shipping": 44_000_000_555, "order_items": [{**LINE, "item": "MLB1"}]})

    assert page.extras == {0: '{"shipping":44000000555}'}
    assert inside(page, "order_items")[0]["more"] == '{"item":"MLB1"}'


@pytest.mark.parametrize(
    ("oddity", "reason"),
    [
        ({"total_amount": "a lot"}, "total_amount is 'a lot'; expected a number"),
        ({"pack_id": {"id": 1}}, "pack_id is"),
        ({"pack_id": 2**63}, "expected a whole number"),
        ({"last_updated": "2026-03-02T10:00:00"}, "expected a time with its offset"),
        ({"fulfilled": "maybe"}, "fulfilled is 'maybe'; expected true or false"),
        ({"shipping": {"id": "none"}}, "shipping_id is 'none'"),
        ({"buyer": {"id": "x", "nickname": "N"}}, "id is 'x'"),
        ({"order_items": {}}, "expected a list of records"),
        ({"order_items": {"0": {}}}, "expected a list of records"),
        ({"order_items": ["MLB1"]}, "expected a list of records"),
        ({"payments": "none"}, "expected a list of records"),
        ({"payments": [{**PAYMENT, "transaction_amount": []}]}, "transaction_amount is"),
        ({"order_items": [{**LINE, "quantity": "two"}]}, "quantity is 'two'"),
        ({"comment": "half \ud83d"}, "half a surrogate pair"),
        ({"novo": "half \ud83d"}, "half a surrogate pair"),
        ({"order_items": [{**LINE, "item": {"id": "MLB1", "title": "half \ud83d"}}]}, "half a surrogate pair"),
    ],
)
def test_a_record_that_nobody_can_type_waits_and_the_others_go_on(oddity: dict[str, Any], reason: str) -> None:
    """With its reason and all it holds, its lines and payments too."""
    page = read({**ORDER, "id": 1}, {**ORDER, **oddity}, {**ORDER, "id": 3})

    (rejected,) = page.rejected
    assert [each[0] for each in page.rows] == [1, 3]
    assert {each["order_id"] for each in inside(page, "order_items")} == {1, 3}
    assert (rejected.key, rejected.code) == (str(BIG), "CMP-ROW-001")
    assert reason in rejected.reason
    assert '"date_created"' in rejected.payload


@pytest.mark.parametrize("key", [None, "", 1.5, True])
def test_a_record_without_an_id_waits_and_the_others_go_on(key: object) -> None:
    """Under a name that is made of what it holds: the same each time that it comes."""
    page = read({**ORDER, "id": 1}, {**ORDER, "id": key}, {**ORDER, "id": 3})
    (again,) = read({**ORDER, "id": key}).rejected

    (rejected,) = page.rejected
    assert [each[0] for each in page.rows] == [1, 3]
    assert rejected.key.startswith("without-id-")
    assert "the record has no id" in rejected.reason
    assert rejected == again


@pytest.mark.parametrize("stamp", [None, ""])
def test_an_order_that_does_not_say_when_it_changed_waits(stamp: object) -> None:
    """Nobody can say whether it is newer than what is here: to call it unchanged would be a guess."""
    page = read({**ORDER, "id": 1}, {**ORDER, "last_updated": stamp})

    (rejected,) = page.rejected
    assert [each[0] for each in page.rows] == [1]
    assert "last_updated is missing" in rejected.reason


@pytest.mark.parametrize("nothing", [0, "0"])
def test_the_id_0_names_no_shipment_and_no_pack(nothing: object) -> None:
    """It would be looked for for ever."""
    page = read({**ORDER, "shipping": {"id": nothing}, "pack_id": nothing})

    told = row(page)
    assert (told["shipping_id"], told["pack_id"]) == (None, None)


def test_payments_that_have_no_id_do_not_take_each_others_place() -> None:
    """They are told apart by their place."""
    page = read({**ORDER, "payments": [{"status": "a"}, {"status": "b"}, PAYMENT]})

    assert [each["id"] for each in inside(page, "order_payments")] == [f"{BIG}-1", f"{BIG}-2", f"{BIG}-90000000001"]


def test_an_item_says_its_sku_wherever_it_is() -> None:
    """In an attribute, or in the older field; each variation its own."""
    page = read(ITEM, {**ITEM, "attributes": None, "seller_custom_field": "OLD-7", "variations": None}, stream="items")

    assert [row(page, "items", place)["seller_sku"] for place in (0, 1)] == ["CAN-AZ", "OLD-7"]
    (variation,) = inside(page, "item_variations")
    assert (variation["id"], variation["item_id"], variation["seller_sku"]) == (181_000_000_001, ITEM["id"], "AZ-1")


def test_a_variation_without_an_id_keeps_its_item_waiting() -> None:
    """It has no name to be kept under."""
    page = read({**ITEM, "variations": [{"price": 1}]}, stream="items")

    assert "expected an id in each" in page.rejected[0].reason


@pytest.mark.parametrize(
    ("costs", "cost"),
    [
        (SHIPMENT["costs"], 23.65),
        ({"senders": [{"user_id": "1001", "cost": "23.65"}]}, 23.65),
        ({"senders": [{"user_id": 1001, "cost": 0}]}, 0),
        ({"senders": [{"cost": 23.65}]}, 23.65),
        ({"senders": [{"user_id": 55, "cost": 1.0}]}, None),
        ({"senders": []}, None),
        ({"senders": None}, None),
        ({}, None),
        (None, None),
    ],
)
def test_the_sellers_freight_is_what_costs_say(costs: object, cost: float | None) -> None:
    """Of our seller among the senders, and never ``lead_time.cost``, which is nought while the seller pays."""
    assert row(read({**SHIPMENT, "costs": costs}, stream="shipments"), "shipments")["sender_cost"] == cost


def test_a_shipment_in_its_older_form_is_the_same_row() -> None:
    """Its address is at the top there, and the mode of logistics too."""
    old = {name: value for name, value in SHIPMENT.items() if name not in {"destination", "logistic"}}
    old |= {
        "mode": "me2",
        "logistic_type": "drop_off",
        "receiver_id": 7,
        "receiver_address": {**SHIPMENT["destination"]["shipping_address"], "receiver_name": "Ana"},
    }
    names = ("status", "logistic_mode", "logistic_type", "receiver_id", "receiver_name", "zip_code", "city", "state")
    new, found = row(read(SHIPMENT, stream="shipments"), "shipments"), row(read(old, stream="shipments"), "shipments")

    assert [found[name] for name in names] == [new[name] for name in names]
    assert found["city"] == "São Ninguém"


def test_a_pack_has_its_times_without_a_colon() -> None:
    """As only packs write them."""
    pack = {
        "id": 2_000_006_000_000_777,
        "status": "released",
        "last_updated": "2026-03-02T10:00:00.000-0400",
        "orders": [{"id": BIG}],
        "shipment": None,
        "buyer": {"id": 7},
    }
    found = row(read(pack, stream="packs"), "packs")

    assert (found["last_updated"], found["shipment_id"]) == ("2026-03-02T14:00:00.000000Z", None)
    assert json.loads(found["orders"]) == [{"id": BIG}]


def test_fields_that_were_named_are_kept_with_those_that_are_needed() -> None:
    """Nothing else, and nothing unknown beside them."""
    page = read({**ORDER, "novo": 1}, fields=("total_amount",))
    kept = [each.column.name for each in table_for(StreamRequest("orders", ("total_amount",))).fields]

    assert kept == ["id", "last_updated", "pack_id", "shipping_id", "status", "total_amount"]
    assert page.rows == [(BIG, "2026-03-02T14:00:00.000000Z", None, 44_000_000_555, "paid", 179.8)]
    assert page.extras == {}


@pytest.mark.parametrize(
    ("request_", "error", "words"),
    [
        (StreamRequest("order"), UnknownStream, "did you mean 'orders'"),
        (StreamRequest("questions"), UnknownStream, "there are: orders"),
        (StreamRequest("orders", ("total",)), UnknownField, "nearest is 'total_amount'"),
        (StreamRequest("orders", domain=(("a", "=", 1),)), BadValue, "domain"),
    ],
)
def test_what_cannot_be_read_is_said_before_anybody_is_asked(
    request_: StreamRequest, error: type[Exception], words: str
) -> None:
    """With the nearest name."""
    with pytest.raises(error, match=words):
        table_for(request_)
