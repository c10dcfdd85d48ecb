from tests.sandbox.mercadolivre_clients import OpenMarket, Shopkeeper, truth_of
from tests.sandbox.odoo_clients import StandingClock, act

from comporta.sandbox.mercadolivre import MercadoLivreSandbox
from comporta.sandbox.mercadolivre_items import PRICES, rough

SEARCH = "users/1001/items/search"


def test_the_list_is_of_ids_only(market: MercadoLivreSandbox) -> None:
    """Page by page or by scroll, it is that of the truth; nobody lists another's."""
    shop = Shopkeeper(market)
    expected = {row["id"] for row in truth_of(market, "items")}
    pages = [shop.get(SEARCH, {"limit": 40, "offset": offset}).json for offset in (0, 40, 80)]

    assert [len(page["results"]) for page in pages] == [40, 20, 0]
    assert {known for page in pages for known in page["results"]} == expected
    assert set(shop.scan(SEARCH, limit=25)) == expected
    assert pages[0]["seller_id"] == "1001"
    assert pages[0]["paging"] == {"limit": 40, "offset": 0, "total": 60}
    assert shop.get("users/1002/items/search").status == 403


def test_a_list_reaches_a_thousand_and_a_page_a_hundred(market: MercadoLivreSandbox) -> None:
    """Beyond, or with an offset in a scroll, it is refused."""
    shop = Shopkeeper(market)

    assert shop.get(SEARCH, {"offset": 950, "limit": 50}).status == 200
    assert shop.get(SEARCH, {"offset": 951, "limit": 50}).status == 400
    assert shop.get(SEARCH, {"limit": 101}).status == 400
    assert shop.get(SEARCH, {"search_type": "scan", "offset": 1}).status == 400


def test_a_list_has_a_status_and_an_order(market: MercadoLivreSandbox) -> None:
    """The last change first, for one."""
    shop = Shopkeeper(market)
    rows = {row["id"]: row for row in truth_of(market, "items")}
    paused = shop.scan(SEARCH, status="paused")
    newest = shop.scan(SEARCH, orders="last_updated_desc")

    assert {rows[known]["status"] for known in paused} == {"paused"}
    assert [rows[known]["last_updated"] for known in newest] == sorted(
        (row["last_updated"] for row in rows.values()), reverse=True
    )


def test_a_scroll_ends(open_market: OpenMarket, clock: StandingClock) -> None:
    """With no scroll and no ids; or by time, which a fault shortens."""
    market = open_market(faults=["scroll_expiry=10"])
    shop = Shopkeeper(market)
    first = shop.get(SEARCH, {"search_type": "scan", "limit": 100}).json
    step = {"search_type": "scan", "limit": 100, "scroll_id": first["scroll_id"]}
    last = shop.get(SEARCH, step).json
    clock.advance(seconds=11)

    assert len(first["results"]) == 60
    assert (last["results"], last["scroll_id"]) == ([], None)
    assert shop.get(SEARCH, step).status == 400


def test_twenty_at_a_time(market: MercadoLivreSandbox) -> None:
    """Each with a code of its own; whoever names one twice has named it once."""
    shop = Shopkeeper(market)
    rows = truth_of(market, "items")[:20]
    ids = [row["id"] for row in rows]
    reply = shop.get("items", {"ids": ",".join([*ids, ids[0]]), "include_attributes": "all"})
    refused = shop.get("items", {"ids": ",".join([*ids, "MLB1"])})
    mixed = shop.get("items", {"ids": f"{ids[0]},MLB1", "attributes": "id,price"}).json

    assert reply.json == [{"code": 200, "body": row} for row in rows]
    assert refused.status == 400
    assert refused.json["message"].endswith("sending 21 elements")
    assert mixed[0] == {"code": 200, "body": {"id": ids[0], "price": rows[0]["price"]}}
    assert (mixed[1]["code"], mixed[1]["body"]["error"]) == (404, "not_found")
    assert (shop.get("items/MLB1").status, shop.get(f"items/{ids[0]}").json) == (404, rows[0])


def test_a_variation_shows_its_code_to_who_asks_for_all_attributes(market: MercadoLivreSandbox) -> None:
    """Alone or in a multiget; else it has no attributes at all."""
    shop, whole = Shopkeeper(market), {"include_attributes": "all"}
    row = next(row for row in truth_of(market, "items") if row["variations"])
    bare = [{name: value for name, value in kind.items() if name != "attributes"} for kind in row["variations"]]
    codes = [each["value_name"] for kind in row["variations"] for each in kind["attributes"]]

    assert len(codes) == len(row["variations"])
    assert shop.get(f"items/{row['id']}").json["variations"] == bare
    assert shop.get(f"items/{row['id']}", whole).json == row
    assert shop.get("items", {"ids": row["id"]}).json[0]["body"]["variations"] == bare


def test_others_see_a_rough_stock(market: MercadoLivreSandbox) -> None:
    """Of an item and of its kinds; nothing else differs."""
    stranger = Shopkeeper(market, 1002)
    for row in truth_of(market, "items"):
        seen = stranger.get(f"items/{row['id']}").json

        assert seen["available_quantity"] == rough(row["available_quantity"])
        assert [kind["available_quantity"] for kind in seen["variations"]] == [
            rough(kind["available_quantity"]) for kind in row["variations"]
        ]
        assert seen["price"] == row["price"]


def test_a_price_may_be_elsewhere(open_market: OpenMarket) -> None:
    """The fields of the item can go; two routes tell the price."""
    market = open_market(faults=["price_removed=1"])
    shop = Shopkeeper(market)
    row = next(row for row in truth_of(market, "items") if row["original_price"])
    sale = shop.get(f"items/{row['id']}/sale_price", {"context": "channel_marketplace"}).json
    prices = shop.get(f"items/{row['id']}/prices").json["prices"]

    assert not set(PRICES) & set(shop.get(f"items/{row['id']}").json)
    assert (sale["amount"], sale["regular_amount"]) == (row["price"], row["original_price"])
    assert [price["amount"] for price in prices] == [row["original_price"], row["price"]]


def test_an_item_changes_and_goes(market: MercadoLivreSandbox, clock: StandingClock) -> None:
    """By hand: a fact, a field of its form, with its stamp or without; gone, it is 404."""
    shop = Shopkeeper(market)
    row = truth_of(market, "items")[0]
    act(
        market,
        "update_item",
        id=row["id"],
        values={"available_quantity": 7, "price": 12.34, "health": 0.5},
        stamp=False,
    )
    silent = shop.get(f"items/{row['id']}").json
    act(market, "update_item", id=row["id"], values={"status": "closed"})
    closed = shop.get(f"items/{row['id']}").json
    act(market, "remove_item", id=row["id"])

    assert silent["last_updated"] == row["last_updated"]
    assert (silent["available_quantity"], silent["price"], silent["health"]) == (7, 12.34, 0.5)
    assert closed["status"] == "closed"
    assert closed["last_updated"] == f"{clock.instant:%Y-%m-%dT%H:%M:%S}.000Z"
    assert shop.get(f"items/{row['id']}").status == 404
    assert row["id"] not in shop.scan(SEARCH)


def test_people_change_things(market: MercadoLivreSandbox, clock: StandingClock) -> None:
    """Orders come and change, items and shipments too; the search follows the truth."""
    clock.advance(days=1)
    streams = ("orders", "items", "shipments")
    before = {stream: {row["id"]: row for row in truth_of(market, stream)} for stream in streams}
    act(market, "step", times=150)
    after = {stream: {row["id"]: row for row in truth_of(market, stream)} for stream in streams}
    today = f"{clock.instant:%Y-%m-%dT%H}:00:00Z"
    moved = {row["id"] for row in Shopkeeper(market).orders({"order.date_last_updated.from": today})}

    for stream in streams:
        shared = before[stream].keys() & after[stream].keys()
        assert any(before[stream][known] != after[stream][known] for known in shared)
    assert len(after["orders"]) > len(before["orders"])
    assert moved == {
        known
        for known, row in after["orders"].items()
        if row["status"] != "cancelled" and row != before["orders"].get(known)
    }


def test_an_item_has_a_code_of_its_own_in_a_multiget_and_for_its_price(open_market: OpenMarket) -> None:
    """Those of one item only; the others are shown."""
    market = open_market()
    shop = Shopkeeper(market)
    one, two = [row["id"] for row in truth_of(market, "items")][:2]
    for fault in (f"multiget_code=403@{one}", f"price_code=204:1@{two}"):
        market.faults.add(fault)

    told = shop.get("items", {"ids": f"{one},{two}"}).json
    prices = [shop.get(f"items/{two}/sale_price").status for _ in range(2)]

    assert [(part["code"], part["body"].get("id")) for part in told] == [(403, None), (200, two)]
    assert prices == [204, 200]
