from datetime import UTC, datetime, timedelta

import pytest
from tests.sandbox.mercadolivre_clients import OpenMarket, Shopkeeper, truth_of
from tests.sandbox.odoo_clients import StandingClock, act, fetch

from comporta.sandbox.mercadolivre import MercadoLivreSandbox
from comporta.sandbox.mercadolivre_orders import ODD_WORDS, TEXT_IDS
from comporta.sandbox.mercadolivre_records import chance

MONTH = "order.date_last_updated.from"
UNTIL = "order.date_last_updated.to"


def test_a_search_shows_what_the_truth_has_but_for_cancellations(market: MercadoLivreSandbox) -> None:
    """Rows are alike, but for what only a search knows; the total counts what is shown."""
    truth = {row["id"]: row for row in truth_of(market, "orders")}
    shop = Shopkeeper(market)
    found = shop.orders()
    cancelled = {known for known, row in truth.items() if row["status"] == "cancelled"}

    assert len(truth) == 60
    assert {row["id"] for row in found} == truth.keys() - cancelled
    assert cancelled
    assert shop.search().json["paging"] == {"total": len(found), "offset": 0, "limit": 50}
    for row in found:
        assert set(row) - set(truth[row["id"]]) == {"date_last_updated", "expiration_date"}
        assert row["last_updated"] == truth[row["id"]]["last_updated"]
        assert row["buyer"].keys() > {"nickname", "first_name", "last_name"}


def test_an_order_alone_shows_less(market: MercadoLivreSandbox) -> None:
    """No ``date_last_updated``, of the buyer the id only; it is the truth's row; cancelled ones are there."""
    shop = Shopkeeper(market)
    for row in truth_of(market, "orders"):
        assert shop.get(f"orders/{row['id']}").json == row
        assert "date_last_updated" not in row
        assert list(row["buyer"]) == ["id"]

    seen = fetch(f"{market.url}/_stats").json
    assert seen["fetched_orders"] == {str(row["id"]): 1 for row in truth_of(market, "orders")}
    assert seen["routes"]["/orders/{id}"]["requests"] == 60


def test_what_is_not_there_is_not_found(market: MercadoLivreSandbox) -> None:
    """In the vendor's words."""
    missing = Shopkeeper(market).get("orders/7")

    assert missing.status == 404
    assert missing.json == {"message": "Order not found.", "error": "order_not_found", "status": 404, "cause": None}


def test_a_seller_sees_nothing_of_another(market: MercadoLivreSandbox) -> None:
    """By search and by id."""
    shop = Shopkeeper(market)
    other = truth_of(market, "orders", 1002)[0]["id"]
    refused = shop.get("orders/search", {"seller": 1002})

    assert refused.status == 403
    assert refused.json == {
        "status": 403,
        "error": "access_denied",
        "message": "access to the requested resource is forbidden",
        "code": "FORBIDDEN",
    }
    assert shop.get(f"orders/{other}").status == 403
    assert other not in {row["id"] for row in shop.orders()}


def test_two_stamps_say_when_an_order_changed(market: MercadoLivreSandbox) -> None:
    """One in whole seconds with the offset, the other some seconds later, in UTC with milliseconds."""
    for row in Shopkeeper(market).orders():
        own, indexed = row["last_updated"], row["date_last_updated"]
        late = datetime.fromisoformat(indexed) - datetime.fromisoformat(own)

        assert own.endswith(".000-04:00")
        assert indexed.endswith("Z")
        assert timedelta(seconds=1) <= late <= timedelta(seconds=7)


@pytest.mark.parametrize(
    ("faults", "since", "until", "is_found"),
    [
        ((), "12:59", "14:00", True),
        ((), "13:59", "14:00", True),
        ((), "13:00", "13:59", False),
        (("hour_truncation=inclusive",), "13:00", "13:01", True),
        (("hour_truncation=off",), "13:00", "13:59", True),
        (("hour_truncation=off",), "13:31", "13:59", False),
    ],
)
def test_a_filter_knows_hours_only(
    open_market: OpenMarket, clock: StandingClock, *, faults: tuple[str, ...], since: str, until: str, is_found: bool
) -> None:
    """What changed at 13:30 is not found up to 13:59, but is from 13:59 on; switches choose other readings."""
    market = open_market(faults=faults)
    clock.instant = clock.instant.replace(hour=13, minute=30)
    known = truth_of(market, "orders")[-1]["id"]
    act(market, "update_order", id=known, values={"status": "paid"})
    day = f"{clock.instant:%Y-%m-%d}T"
    reply = Shopkeeper(market).search(**{MONTH: f"{day}{since}:00.000Z", UNTIL: f"{day}{until}:00.000Z"})

    assert ([row["id"] for row in reply.json["results"]] == [known]) is is_found


def test_a_wrong_name_filters_nothing(market: MercadoLivreSandbox) -> None:
    """Without a word."""
    shop = Shopkeeper(market)
    everything = shop.search().json["paging"]["total"]

    assert shop.search(**{"order.last_updated.from": "2030-01-01T00:00:00Z"}).json["paging"]["total"] == everything
    assert shop.search(**{MONTH: "2030-01-01T00:00:00Z"}).json["paging"]["total"] == 0
    assert shop.search(**{MONTH: "2030-01-01T00:00:00 00:00"}).status == 400


def test_filters_narrow(market: MercadoLivreSandbox) -> None:
    """By status, tag, item and text; dates of creation too; offsets are honoured."""
    shop = Shopkeeper(market)
    rows = shop.orders()
    one = rows[len(rows) // 2]
    middle = datetime.fromisoformat(one["date_created"]).replace(minute=0, second=0)

    assert {row["status"] for row in shop.orders({"order.status": "partially_refunded,paid"})} <= {
        "paid",
        "partially_refunded",
    }
    assert all("delivered" in row["tags"] for row in shop.orders({"tags": "delivered"}))
    assert [row["id"] for row in shop.orders({"q": one["id"]})] == [one["id"]]
    later = shop.orders({"order.date_created.from": one["date_created"]})
    assert later == [row for row in rows if datetime.fromisoformat(row["date_created"]) >= middle]


def test_the_order_is_that_of_creation_only(market: MercadoLivreSandbox) -> None:
    """Rising or falling; a name that is not known is ignored."""
    shop = Shopkeeper(market)
    rising = [row["date_created"] for row in shop.orders()]
    falling = [row["date_created"] for row in shop.orders({"sort": "date_desc"})]
    ignored = [row["date_created"] for row in shop.orders({"sort": "date_last_updated_asc"})]

    assert rising == sorted(rising) == ignored == falling[::-1]
    assert shop.search(sort="date_last_updated_asc").json["sort"]["id"] == "date_asc"


def test_a_page_ends_at_51_and_the_search_at_the_cap(open_market: OpenMarket) -> None:
    """Beyond: 400 in the vendor's words; below, past the end: nothing, with 200."""
    shop = Shopkeeper(open_market())
    far = shop.search(offset=10_000, limit=1)

    assert shop.search(limit=51).status == 200
    assert (shop.search(limit=52).status, far.status) == (400, 400)
    assert far.json == {
        "error": "limit.maximum_exceeded",
        "message": "Limit must be a lower or equal than 10000",
    }
    past = shop.search(offset=9_950, limit=50)
    assert (past.status, past.json["results"]) == (200, [])
    capped = Shopkeeper(open_market(faults=["cap=20"]))
    assert capped.search(offset=10, limit=10).status == 200
    assert capped.search(offset=11, limit=10).status == 400


def test_a_scroll_reads_everything_once(open_market: OpenMarket, clock: StandingClock) -> None:
    """With filters, beyond the cap; it ends with an empty page, and after five minutes without a step."""
    market = open_market(faults=["cap=20"])
    shop = Shopkeeper(market)
    expected = [row["id"] for row in truth_of(market, "orders") if row["status"] != "cancelled"]
    first = shop.search(search_type="scan", limit=10).json
    clock.advance(seconds=299)
    step = {"search_type": "scan", "limit": 10, "scroll_id": first["paging"]["scroll_id"]}

    assert first["display"] == "partial"
    assert [row["id"] for row in shop.scan("orders/search", seller=1001, limit=7)] == expected
    assert shop.search(**step).json["results"][0]["id"] == expected[10]
    clock.advance(seconds=301)
    assert shop.search(**step).status == 400
    assert shop.scan("orders/search", seller=1001, **{MONTH: "2030-01-01T00:00:00Z"}) == []


def test_a_scroll_takes_nothing_but_itself(market: MercadoLivreSandbox) -> None:
    """An offset is refused, and a limit beside it where a fault says so; without one its steps stay as they began."""
    shop = Shopkeeper(market)
    first = shop.search(search_type="scan", limit=10).json
    step = {"search_type": "scan", "scroll_id": first["paging"]["scroll_id"]}

    assert len(shop.search(**step).json["results"]) == 10
    assert shop.search(search_type="scan", offset=10).status == 400
    assert shop.search(**step, offset=0).status == 400
    assert shop.search(**step, limit=10).status == 200
    market.faults.add("scroll_limit=1")
    assert shop.search(**step, limit=10).status == 400
    assert shop.search(**step).status == 200


def test_old_orders_are_gone(open_market: OpenMarket, clock: StandingClock) -> None:
    """Twelve months after their creation, from search, id and truth alike."""
    market = open_market()
    shop = Shopkeeper(market)
    oldest = truth_of(market, "orders")[0]

    assert sum(1 for order in market.world.orders.values() if order.seller == 1001) > 60
    assert shop.get(f"orders/{oldest['id']}").status == 200
    clock.instant = datetime.fromisoformat(oldest["date_created"]).astimezone(UTC) + timedelta(days=365, seconds=1)
    shop = Shopkeeper(market)
    assert shop.get(f"orders/{oldest['id']}").status == 404
    assert oldest["id"] not in {row["id"] for row in shop.orders()} | {row["id"] for row in truth_of(market, "orders")}


def test_orders_are_odd(open_market: OpenMarket) -> None:
    """Ids as texts, words nobody knows, two lines, packs of several orders with one shipment, fees for one piece."""
    rows = truth_of(open_market(records=600), "orders")
    packs: dict[int, list[dict[str, object]]] = {}
    for row in rows:
        packs.setdefault(row["pack_id"], []).append(row["shipping"])
    shared = [shippings for pack, shippings in packs.items() if pack and len(shippings) > 1]

    assert min(row["id"] for row in rows) > 2**31
    assert {type(row["buyer"]["id"]) for row in rows} == {int, str}
    assert any(chance(row["id"]) in TEXT_IDS for row in rows)
    assert any(row["payments"] and chance(row["id"]) in ODD_WORDS for row in rows)
    assert {len(row["order_items"]) for row in rows} == {1, 2}
    assert shared
    assert all(shippings.count(shippings[0]) == len(shippings) for shippings in shared)
    assert any("taxes" not in row for row in rows)
    assert any(row["shipping"]["id"] is None for row in rows)
    for row in rows:
        fee = sum(line["quantity"] * line["sale_fee"] for line in row["order_items"])
        charged = [payment["marketplace_fee"] for payment in row["payments"]]
        assert all(amount is None or amount == pytest.approx(fee) for amount in charged)


@pytest.mark.full
def test_packs_and_shipments_have_forms_of_their_own(market: MercadoLivreSandbox) -> None:
    """A pack's offset has no colon; the new shipment needs a header; costs are elsewhere; nothing is 204."""
    shop = Shopkeeper(market)
    shipments = truth_of(market, "shipments")
    one = shipments[-1]
    old = shop.get(f"shipments/{one['id']}").json
    new = shop.get(f"shipments/{one['id']}", X_Format_New="true").json
    costs = shop.get(f"shipments/{one['id']}/costs").json

    for pack in truth_of(market, "packs"):
        assert shop.get(f"packs/{pack['id']}").json == pack
        assert pack["date_created"].endswith(".000-0400")
    assert ("receiver_address" in old, "destination" in old) == (True, False)
    assert {**new, "costs": costs} == one
    assert new["lead_time"]["cost"] == 0
    assert costs["senders"][0]["user_id"] == 1001
    assert shop.get(f"shipments/{one['id']}/items").json[0]["quantity"] > 0
    without = next(row["id"] for row in truth_of(market, "orders") if row["shipping"]["id"] is None)
    assert (shop.get(f"orders/{without}/shipments").status, shop.get(f"orders/{without}/shipments").body) == (204, b"")
    order = truth_of(market, "orders")[-1]
    hosted = shop.get(f"orders/{order['id']}/shipments", X_New_Domain="true").json
    assert hosted == [{"id": order["shipping"]["id"], "type": "forward"}]
    act(market, "update_shipment", id=one["id"], values={"status": "lost", "cost": 12.5, "tags": ["test"]})
    assert shop.get(f"shipments/{one['id']}/costs").json["senders"][0]["cost"] == 12.5
    assert shop.get(f"shipments/{one['id']}").json["status"] == "lost"
    assert shop.get(f"shipments/{one['id']}/history").json[-1]["status"] == "lost"
    other = truth_of(market, "shipments", 1002)[0]["id"]
    assert shop.get(f"shipments/{other}").status == 403


def test_the_seed_invents_the_same(open_market: OpenMarket) -> None:
    """And lets people do the same; another one, something else."""
    markets = [open_market(seed=seed) for seed in (3, 3, 4)]
    first, again, other = (truth_of(market, "orders") for market in markets)
    for market in markets:
        act(market, "step", times=60)
    later = [truth_of(market, "orders") for market in markets]

    assert first == again != other
    assert first != later[0] == later[1]


@pytest.mark.full
@pytest.mark.timeout(180)
def test_thousands_of_orders_are_read_to_the_end(open_market: OpenMarket, *, is_deep: bool) -> None:
    """By a scroll, while people are at work."""
    market = open_market(records=40_000 if is_deep else 12_000, sellers=1)
    shop = Shopkeeper(market)
    expected = {order.id for order in market.world.orders_of(1001) if order.status != "cancelled"}
    first = shop.search(search_type="scan", limit=50).json
    act(market, "start_activity", rate=20)
    rest = shop.scan("orders/search", seller=1001, limit=50, scroll_id=first["paging"]["scroll_id"])
    found = [row["id"] for row in [*first["results"], *rest]]
    act(market, "stop_activity")

    assert len(found) == len(set(found))
    assert set(found) == expected
