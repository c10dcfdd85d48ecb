import json
from collections.abc import Callable
from http.client import IncompleteRead

import pytest
from tests.sandbox.mercadolivre_clients import OpenMarket, Shopkeeper, refresh, truth_of
from tests.sandbox.odoo_clients import Reply, StandingClock, act, fetch

from comporta.sandbox.mercadolivre import MercadoLivreSandbox


def is_json(body: bytes) -> bool:
    """Tell whether a body can be read."""
    try:
        json.loads(body)
    except json.JSONDecodeError:
        return False
    return True


@pytest.mark.parametrize(
    ("fault", "status", "says"),
    [
        ("error_500=1:1", 500, lambda reply: reply.json["status"] == 500),
        ("error_502=1:1", 502, lambda reply: reply.body.startswith(b"<!doctype html>")),
        ("html=1:1", 200, lambda reply: reply.body.startswith(b"<!doctype html>")),
        ("truncate_clean=1:1", 200, lambda reply: not is_json(reply.body)),
        ("json_garbage=1:1", 200, lambda reply: not is_json(reply.body)),
        ("unauthorized=1:1", 401, lambda reply: reply.json["message"] == "invalid access token"),
        ("forbidden=1:1", 403, lambda reply: reply.json["code"] == "FORBIDDEN"),
        ("forbidden=1:1 body_403=scopes", 403, lambda reply: reply.json["error"] == "Invalid scopes"),
        ("forbidden=1:1 body_403=policy", 403, lambda reply: reply.json["code"].startswith("PA_UNAUTHORIZED")),
    ],
)
def test_an_answer_may_be_no_answer(
    open_market: OpenMarket, fault: str, status: int, says: Callable[[Reply], bool]
) -> None:
    """Once, and then all is well."""
    market = open_market()
    shop = Shopkeeper(market)
    for each in fault.split():
        market.faults.add(each)
    reply = shop.search()

    assert reply.status == status
    assert says(reply)
    assert shop.search().status == 200


def test_a_connection_may_end_in_mid_answer(market: MercadoLivreSandbox) -> None:
    """Short of its announced length, or with a reset."""
    shop = Shopkeeper(market)
    market.faults.add("truncate=1:1")

    with pytest.raises(IncompleteRead):
        shop.search()
    market.faults.add("reset=1:1")
    with pytest.raises(ConnectionResetError):
        shop.search()
    assert shop.search().status == 200


def test_a_fault_may_be_one_sellers(market: MercadoLivreSandbox) -> None:
    """The label of a call begins with its seller."""
    market.faults.add("throttled=1@1001/")
    market.faults.add("oauth_500=1@1002/")

    assert Shopkeeper(market, 1001).search().status == 429
    assert refresh(market, "demo-1002").status == 500


@pytest.mark.parametrize(
    ("faults", "body"),
    [
        ((), b""),
        (("body_429=empty",), b""),
        (("body_429=text",), b"local_rate_limited"),
        (("body_429=json",), b'{"status":429,"error":"local_rate_limited","message":"too many requests"}'),
    ],
)
def test_a_limit_says_nothing_of_itself(open_market: OpenMarket, faults: tuple[str, ...], body: bytes) -> None:
    """Neither before nor with the 429: no header, and hardly a body; each seller has one of its own."""
    market = open_market(limit=2, faults=faults)
    shop, other = Shopkeeper(market), Shopkeeper(market, 1002)
    replies = [shop.get("users/me") for _ in range(5)]
    refused = next(reply for reply in replies if reply.status == 429)

    assert refused.body == body
    for reply in replies:
        assert not {name for name in reply.headers if "retry" in name.lower() or "limit" in name.lower()}
    assert other.get("users/me").status == 200
    seen = fetch(f"{market.url}/_stats").json["limits"]
    assert (seen["1001"]["arrivals"], seen["1002"]["arrivals"]) == (5, 1)
    assert seen["1001"]["refused"] >= 1


def test_a_total_may_lie_and_cancelled_orders_may_show(open_market: OpenMarket) -> None:
    """Each by its switch; filters can be ignored even under their right names."""
    market = open_market(faults=["lying_total=0.5", "cancelled=shown", "ignore_filter=1"])
    shop = Shopkeeper(market)
    rows = shop.orders({"order.date_last_updated.from": "2030-01-01T00:00:00Z"})

    assert len(rows) == 60
    assert shop.search().json["paging"]["total"] == 30
    assert "cancelled" in {row["status"] for row in rows}


def test_a_search_may_end_early_without_a_word(open_market: OpenMarket) -> None:
    """Pages beyond are empty, and the total says what it said before."""
    shop = Shopkeeper(open_market(faults=["quiet_end=25"]))
    pages = [shop.search(limit=20, offset=offset).json for offset in (0, 20, 40)]

    assert [len(page["results"]) for page in pages] == [20, 5, 0]
    assert [page["paging"]["total"] > 40 for page in pages] == [True] * 3


def test_parts_may_be_missing(open_market: OpenMarket) -> None:
    """204 for a shipment, 206 for whatever a call's name says, or for anything."""
    market = open_market(faults=["shipment_204=1", "partial_206=1:1@/orders/2"])
    shop = Shopkeeper(market)
    shipment = truth_of(market, "shipments")[0]["id"]
    order = truth_of(market, "orders")[0]["id"]

    assert (shop.get(f"shipments/{shipment}").status, shop.get(f"shipments/{shipment}").body) == (204, b"")
    assert [shop.get(f"orders/{order}").status for _ in range(2)] == [206, 200]
    market.faults.clear()
    market.faults.add("partial_206=1:1@costs")
    assert [shop.get(f"shipments/{shipment}{each}").status for each in ("", "/costs", "/costs")] == [200, 206, 200]


def test_a_scroll_loses_the_page_whose_answer_was_lost(market: MercadoLivreSandbox) -> None:
    """Whoever asks again gets the next one."""
    shop = Shopkeeper(market)
    expected = [row["id"] for row in shop.orders()]
    step = {"search_type": "scan", "limit": 10}
    step["scroll_id"] = shop.search(**step).json["paging"]["scroll_id"]
    market.faults.add("reset=1:1")

    with pytest.raises(ConnectionResetError):
        shop.search(**step)
    assert [row["id"] for row in shop.search(**step).json["results"]] == expected[20:30]


def test_an_act_may_wait_for_its_turn(market: MercadoLivreSandbox, clock: StandingClock) -> None:
    """Between two pages, say."""
    shop = Shopkeeper(market)
    first = shop.search(limit=10).json["results"]
    act(market, "update_order", id=first[0]["id"], values={"status": "cancelled"}, after=2, on="orders/search")
    found = [shop.search(limit=1).json["results"][0]["id"] for _ in range(3)]

    assert found == [first[0]["id"], first[0]["id"], first[1]["id"]]


def test_acts_name_what_they_change(market: MercadoLivreSandbox, clock: StandingClock) -> None:
    """An order that is created, cancelled, changed in a fact or in its form; the stamps move, or do not."""
    clock.advance(hours=1)
    shop = Shopkeeper(market)
    created = act(market, "create_order", seller=1001)
    known = truth_of(market, "orders")[0]["id"]
    before = shop.get(f"orders/{known}").json
    act(market, "update_order", id=known, values={"comment": "Presente", "tags": ["new_word"]}, stamp=False)
    silent = shop.get(f"orders/{known}").json
    act(market, "cancel_order", id=known)
    cancelled = shop.get(f"orders/{known}").json

    assert all(shop.get(f"orders/{order}").status == 200 for order in created)
    assert (silent["comment"], silent["tags"]) == ("Presente", ["new_word"])
    assert silent["last_updated"] == before["last_updated"] < cancelled["last_updated"]
    assert (cancelled["status"], cancelled["status_detail"]) == ("cancelled", None)
    assert cancelled["cancel_detail"]["requested_by"] in {"buyer", "seller", "meli"}
    assert fetch(f"{market.url}/_act", {"do": "cancel_order", "id": 7}).status == 400
    assert fetch(f"{market.url}/_truth/nothing").status == 400
    assert fetch(f"{market.url}/_truth/orders?seller=7").status == 400
