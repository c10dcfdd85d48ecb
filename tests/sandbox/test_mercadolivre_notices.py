import threading
from collections.abc import Callable, Iterator

import pytest
from tests.sandbox.mercadolivre_clients import OpenMarket, Shopkeeper, truth_of
from tests.sandbox.odoo_clients import Json, StandingClock, act, fetch
from tests.sandbox.webhook_receiver import Receiver, receiver

from comporta.sandbox.mercadolivre import MercadoLivreSandbox

PATIENCE_S = 8.0
APPLICATION = "5000000000000001"


@pytest.fixture
def taking() -> Iterator[Receiver]:
    """Somebody who takes notifications."""
    with receiver() as started:
        yield started


def notices(market: MercadoLivreSandbox) -> dict[str, Json]:
    """Return what the sender has done so far."""
    counts: dict[str, Json] = fetch(f"{market.url}/_stats").json["notices"]
    return counts


def settled(market: MercadoLivreSandbox, is_enough: Callable[[dict[str, Json]], bool]) -> dict[str, Json]:
    """Return the sender's counts as soon as they are as wished, or what they are after some seconds."""
    waiting = threading.Event()
    for _ in range(int(PATIENCE_S / 0.02)):
        counts = notices(market)
        if is_enough(counts) and not counts["in_hand"]:
            return counts
        waiting.wait(0.02)
    return notices(market)


def delivered(amount: int) -> Callable[[dict[str, Json]], bool]:
    """Tell whether so many were taken."""
    return lambda counts: counts["delivered"] >= amount


def test_a_change_is_told(market: MercadoLivreSandbox, taking: Receiver) -> None:
    """As a pointer to what changed, to whoever subscribed, of the topics wished for."""
    known = truth_of(market, "orders")[0]["id"]
    item = truth_of(market, "items")[0]["id"]
    act(market, "subscribe", url=taking.url, topics=["orders_v2"])
    act(market, "update_order", id=known, values={"status": "paid"})
    act(market, "update_item", id=item, values={"available_quantity": 3})
    act(market, "update_order", id=known, values={"status": "paid"}, notify=False)
    settled(market, delivered(1))

    assert len(taking.came) == 1
    said = taking.came[0]
    assert list(said) == [
        "_id", "resource", "user_id", "topic", "application_id", "attempts", "sent", "received",
    ]  # fmt: skip
    assert (said["resource"], said["user_id"], said["topic"]) == (f"/orders/{known}", 1001, "orders_v2")
    assert (said["application_id"], said["attempts"]) == (int(APPLICATION), 1)
    assert said["sent"].endswith("Z")
    assert len(said["sent"]) == len("2026-03-02T13:40:06.129Z")


@pytest.mark.full
def test_people_are_heard_of(market: MercadoLivreSandbox, taking: Receiver) -> None:
    """Every order, item and shipment that changes is named."""
    act(market, "subscribe", url=taking.url)
    streams = ("orders", "items", "shipments")
    before = {stream: {row["id"]: row for row in truth_of(market, stream)} for stream in streams}
    act(market, "step", times=80)
    settled(market, lambda counts: counts["delivered"] == counts["told"])

    named = {said["resource"] for said in taking.came if said["user_id"] == 1001}
    changed = {
        f"/{stream}/{row['id']}"
        for stream in streams
        for row in truth_of(market, stream)
        if row != before[stream].get(row["id"])
    }
    # A shipment's own form changes with its order too: the address shows once somebody has paid.
    assert {name for name in changed if "shipments" not in name} <= named
    assert {said["topic"] for said in taking.came} >= {"orders_v2", "items", "shipments"}


@pytest.mark.full
@pytest.mark.parametrize("pauses", [(0.8, 0.0), (0.35, 0.35)], ids=["late", "dribbling"])
def test_what_is_not_taken_comes_again(
    open_market: OpenMarket, clock: StandingClock, taking: Receiver, pauses: tuple[float, float]
) -> None:
    """By the source's clock; taken too late is not taken."""
    market = open_market()
    taking.pauses = pauses
    act(market, "subscribe", url=taking.url, retry_s=60)
    act(market, "notify", n=1)
    late = settled(market, lambda counts: counts["waiting"] == 1 and counts["attempts"] == 1)
    taking.pauses = (0.0, 0.0)
    clock.advance(seconds=61)
    counts = settled(market, delivered(1))

    assert (late["delivered"], late["attempts"]) == (0, 1)
    assert (counts["delivered"], counts["attempts"], counts["dropped"]) == (1, 2, 0)
    assert [said["attempts"] for said in taking.came] == [1, 2]
    assert taking.came[0]["_id"] == taking.came[1]["_id"]


def test_what_is_never_taken_is_dropped_and_kept_two_days(
    open_market: OpenMarket, clock: StandingClock, taking: Receiver
) -> None:
    """After eight attempts; ``/missed_feeds`` lists it, ten at a time."""
    market = open_market()
    shop = Shopkeeper(market)
    taking.status = 500
    act(market, "subscribe", url=taking.url, retry_s=0, disable_after=1_000)
    act(market, "notify", n=12)
    act(market, "notify", n=1, topic="items", resource="/items/MLB1")
    counts = settled(market, lambda counts: counts["dropped"] == 13)
    query = {"app_id": APPLICATION, "topic": "orders_v2"}
    page = shop.get("missed_feeds", query).json["messages"]
    rest = shop.get("missed_feeds", {**query, "offset": 10}).json["messages"]

    assert (counts["attempts"], counts["dropped"], counts["disabled"]) == (104, 13, [])
    assert (len(page), len(rest)) == (10, 2)
    assert page[0]["attempts"] == 8
    assert page[0]["response"]["http_code"] == 500
    assert page[0]["request"]["data"]["resource"] == page[0]["resource"]
    assert shop.get("missed_feeds", {"app_id": "demo", "topic": "items"}).status == 400
    assert len(shop.get("missed_feeds", {"app_id": "demo", "topic": "items", "site_id": "MLB"}).json["messages"]) == 1
    assert shop.get("missed_feeds", {"app_id": "7"}).status == 403
    market.faults.add("missed_limit=10")
    assert shop.get("missed_feeds", {**query, "limit": 11}).status == 400
    assert shop.get("missed_feeds", {**query, "limit": 10}).status == 200
    clock.advance(days=2, seconds=1)
    assert Shopkeeper(market).get("missed_feeds", query).json == {"messages": []}


def test_a_topic_nobody_takes_is_switched_off(market: MercadoLivreSandbox, taking: Receiver) -> None:
    """What happens from then on is kept nowhere; to subscribe again switches it on."""
    act(market, "subscribe", url=taking.url, retry_s=0, disable_after=2)
    act(market, "outage", on=True)
    act(market, "notify", n=2)
    off = settled(market, lambda counts: counts["dropped"] == 2)
    act(market, "outage", on=False)
    act(market, "notify", n=3)
    lost = notices(market)
    act(market, "subscribe", url=taking.url)
    act(market, "notify", n=1)
    again = settled(market, delivered(1))

    assert off["disabled"] == ["orders_v2"]
    assert (lost["lost"], lost["delivered"], lost["waiting"]) == (3, 0, 0)
    assert (again["delivered"], again["disabled"]) == (1, [])
    assert len(taking.came) == 1


def test_notifications_are_odd(open_market: OpenMarket, taking: Receiver) -> None:
    """Twice, of topics nobody asked for, with the id as a text and a word misspelt."""
    market = open_market(faults=["duplicate_notifications=1", "unknown_topics=1", "odd_notifications=1@orders"])
    act(market, "subscribe", url=taking.url)
    act(market, "notify", n=2)
    settled(market, delivered(6))

    told = [said for said in taking.came if said["topic"] == "orders_v2"]
    assert len(told) == 4
    assert len({said["_id"] for said in told}) == 2
    assert {said["user_id"] for said in told} == {"1001"}
    assert all("recieved" in said and "received" not in said for said in told)
    assert {said["topic"] for said in taking.came} == {"orders_v2", "vis_leads"}


def test_notifications_may_come_in_another_order(open_market: OpenMarket, taking: Receiver) -> None:
    """A later one before an earlier one."""
    market = open_market(faults=["shuffled_notifications=1"])
    act(market, "subscribe", url=taking.url)
    with market.world.lock:
        expected = [f"/orders/{order.id}" for order in market.world.orders_of(1001)]
    act(market, "notify", n=40)
    settled(market, delivered(40))

    came = [said["resource"] for said in taking.came]
    assert sorted(came) == expected[:40]
    assert came != expected[:40]


@pytest.mark.full
def test_a_flood_arrives(market: MercadoLivreSandbox, taking: Receiver) -> None:
    """Hundreds at once, of orders that did not change."""
    act(market, "subscribe", url=taking.url)
    act(market, "notify", n=300)

    assert settled(market, delivered(300))["delivered"] == 300
    assert len({said["resource"] for said in taking.came}) == 60


def test_an_order_just_told_of_may_not_be_found(open_market: OpenMarket, taking: Receiver) -> None:
    """At its first reads."""
    market = open_market(faults=["just_notified_404=2"])
    shop = Shopkeeper(market)
    quiet, told = (row["id"] for row in truth_of(market, "orders")[:2])
    act(market, "subscribe", url=taking.url)
    act(market, "update_order", id=told, values={"status": "paid"})

    assert shop.get(f"orders/{quiet}").status == 200
    assert [shop.get(f"orders/{told}").status for _ in range(4)] == [404, 404, 200, 200]
