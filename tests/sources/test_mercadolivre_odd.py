"""Records of Mercado Livre that answer oddly whenever they are asked for: the others of their stream go on."""

from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.sources.mercadolivre_desk import SELLER, Desk, Spoken, StandIn, keys_of, pages_of
from tests.sources.mercadolivre_shop import Shop, hours_ago, open_shop
from tests.sources.scripted import Reply, ScriptedServer, SteppingClock, http

from comporta.core.instant import instant_text
from comporta.core.run import RunState
from comporta.core.window import Kind
from comporta.errors import (
    AccessRefused,
    ComportaError,
    RateLimited,
    SourceBadGateway,
    SourceChangedShape,
    SourceRefused,
    SourceUnavailable,
)
from comporta.errors_mercadolivre import ItemsUntold, TokenRefused
from comporta.sandbox.exchange import Answer, json_answer
from comporta.sandbox.mercadolivre import MercadoLivreSandbox

FAILED = http({"message": "internal"}, status=500)
BAD = http({"message": "not valid", "error": "bad_request", "status": 400}, status=400)
NO_ITEM = {"code": 404, "body": {"message": "no", "error": "not_found", "status": 404, "cause": []}}


@pytest.fixture
async def ask(server: ScriptedServer, clock: SteppingClock) -> AsyncIterator[Callable[[Any], Desk]]:
    """Return what makes an account at a server that says what a test wrote."""
    desks: list[Desk] = []

    def told_by(say: Any) -> Desk:  # noqa: ANN401  see ``Spoken``
        server.overrides = Spoken(say)
        desks.append(Desk(server.url, clock, StandIn(lambda: "APP_USR-token", clock)))
        return desks[-1]

    yield told_by
    for desk in desks:
        await desk.source.aclose()


async def test_what_concerns_every_record_ends_the_look(ask: Callable[[Any], Desk]) -> None:
    """A login that is lost."""
    lost = http({"message": "unauthorized"}, status=401)
    reader = await ask(lambda path, query: lost if path.endswith(("/5", "/me")) else http({"id": 6})).read("packs")

    with pytest.raises(TokenRefused):
        await reader.fetch([5, 6])


async def test_a_record_that_is_refused_as_a_token_is_stops_no_other(
    ask: Callable[[Any], Desk], server: ScriptedServer
) -> None:
    """The token opens other things: one renewal says so, and a look for each."""
    refused = http({"message": "Unauthorized receiver_id", "error": "invalid_user_id_for_order"}, status=401)
    desk = ask(lambda path, query: refused if path[-1] in "57" else http({"id": 6}))
    reader = await desk.read("packs", concurrency=1)

    page = await reader.fetch([5, 6, 7])

    assert (keys_of(page), {each.code for each in page.unseen}) == ([6], {AccessRefused.code})
    assert len(desk.login.refusals) == 1
    assert [each.path for each in server.received].count("/users/me") == 2


async def test_a_server_that_nobody_reaches_ends_the_look(clock: SteppingClock) -> None:
    """It says nothing of the record."""
    desk = Desk("http://127.0.0.1:1", clock, StandIn(lambda: "APP_USR-token", clock))

    page = await (await desk.read("packs")).fetch([5])
    await desk.source.aclose()

    assert (keys_of(page), page.unseen) == ([], [])
    assert isinstance(page.failure, SourceUnavailable)
    assert "could not be reached" in page.failure.message


@pytest.mark.parametrize("answer", [FAILED, BAD, http([])])
async def test_what_costs_fail_to_tell_stays_untold(ask: Callable[[Any], Desk], answer: Reply) -> None:
    """The shipment is written, and asked for again for its costs."""
    reader = await ask(lambda path, query: answer if path.endswith("costs") else http({"id": 5})).read("shipments")

    page = await reader.fetch([5])

    assert (keys_of(page), list(page.untold)) == ([5], [5])


@pytest.mark.parametrize("count", [4, 5])
async def test_orders_that_fail_are_not_gone(ask: Callable[[Any], Desk], count: int) -> None:
    """Where each of many does, nothing is said of any."""
    gone = http({"message": "no", "error": "not_found"}, status=404)
    keys = list(range(1, count + 1))
    desk = ask(lambda path, query: gone if path.endswith("/9") else FAILED)
    reader = await desk.read()

    assert await reader.existing([*keys, 9]) == set(keys)
    if count == 5:
        with pytest.raises(SourceBadGateway):
            await reader.existing(keys)


def item(key: str) -> dict[str, Any]:
    """Return an item as a multiget tells of it."""
    return {"code": 200, "body": {"id": key, "seller_id": SELLER, "price": 1.5, "status": "active"}}


def multiget(**odd: object) -> Callable[[str, Mapping[str, str]], Reply]:
    """Return what tells of items, of some oddly, and lists the odd ones that there are."""
    listed = [key for key, each in odd.items() if each is not NO_ITEM]

    def say(path: str, query: Mapping[str, str]) -> Reply:
        if path.endswith("search"):
            return http({"results": listed, "paging": {"total": len(listed)}, "scroll_id": None})
        return http([odd.get(key, item(key)) for key in query["ids"].split(",")])

    return say


FAILS = {"code": 500, "body": {"message": "internal"}}


@pytest.mark.parametrize(
    ("odd", "error"),
    [(FAILS, ItemsUntold), ({"code": 200, "body": None}, SourceChangedShape), ({"body": 7}, SourceChangedShape)],
)
async def test_an_item_that_fails_among_items_that_are_gone_waits(
    ask: Callable[[Any], Desk], odd: object, error: type[ComportaError]
) -> None:
    """That no other of its request was shown is not the source's trouble: they were told to be gone."""
    reader = await ask(multiget(MLB1=NO_ITEM, MLB2=NO_ITEM, MLB3=odd)).read("items")

    page = await reader.fetch(["MLB1", "MLB2", "MLB3"])

    assert (keys_of(page), [(each.key, each.code) for each in page.unseen]) == ([], [("MLB3", error.code)])
    assert await reader.existing(["MLB1", "MLB2", "MLB3"]) == {"MLB3"}


@pytest.mark.parametrize("odd", [{"code": 403, "body": {"error": "access_denied"}}, {"code": 400, "body": None}])
async def test_an_answer_that_tells_of_items_in_another_order_calls_none_gone(
    ask: Callable[[Any], Desk], odd: object
) -> None:
    """Which part without an item is whose is a guess where they differ: each is asked for by itself."""
    known = {"MLB1": odd, "MLB2": NO_ITEM}
    fine = multiget(**known)

    def say(path: str, query: Mapping[str, str]) -> Reply:
        if path.endswith("search"):
            return fine(path, query)
        return http([known.get(key, item(key)) for key in reversed(query["ids"].split(","))])

    reader = await ask(say).read("items")

    page = await reader.fetch(["MLB1", "MLB2", "MLB3"])

    assert (keys_of(page), [each.key for each in page.unseen]) == (["MLB3"], ["MLB1"])
    assert await reader.existing(["MLB1", "MLB2", "MLB3"]) == {"MLB1", "MLB3"}


async def test_items_that_are_always_throttled_end_the_look(ask: Callable[[Any], Desk]) -> None:
    """That is about us."""
    reader = await ask(multiget(MLB2={"code": 429, "body": None})).read("items")

    with pytest.raises(RateLimited):
        await reader.existing(["MLB1", "MLB2"])


async def test_an_item_that_spoils_its_whole_request_waits_alone(ask: Callable[[Any], Desk]) -> None:
    """A made-up id among twenty: each is asked for by itself."""
    fine = multiget()
    reader = await ask(lambda path, query: BAD if "MLB2" in query["ids"] else fine(path, query)).read("items")

    page = await reader.fetch(["MLB1", "MLB2", "MLB3"])

    assert (keys_of(page), [each.code for each in page.unseen]) == (["MLB1", "MLB3"], [SourceRefused.code])


@pytest.mark.parametrize("count", [4, 5])
async def test_a_sweep_that_shows_none_of_many_items_fails(ask: Callable[[Any], Desk], count: int) -> None:
    """Nothing waits in quarantine for that: the run comes back. Those that were looked at alone wait."""
    keys = [f"MLB{number}" for number in range(1, count + 1)]
    reader = await ask(multiget(**dict.fromkeys(keys, FAILS))).read("items")

    looked = await reader.fetch(keys)
    living = await reader.existing(keys)
    if count == 5:
        with pytest.raises(ItemsUntold, match="not one of them could be read"):
            await pages_of(reader)
    else:
        assert [each.key for page in await pages_of(reader) for each in page.rejected] == keys

    assert [each.key for each in looked.unseen] == keys
    assert living == set(keys)


FEW = 200
"""Requests that an outage costs at most: those of ten records and of what is under way beside them, five tries each."""


async def test_an_outage_costs_few_requests(ask: Callable[[Any], Desk], server: ScriptedServer) -> None:
    """However many records are asked for: of the rest it is said that the server failed, and none is lost."""
    reader = await ask(lambda path, query: FAILED).read("packs")

    page = await reader.fetch(range(1, 501))

    assert {each.key for each in page.unseen} == {str(key) for key in range(1, 501)}
    assert {each.code for each in page.unseen} == {SourceBadGateway.code}
    assert len(server.overrides.asked) <= FEW  # type: ignore[attr-defined]  # see ``Spoken``


async def test_an_outage_while_orders_are_looked_for_costs_few_requests(
    ask: Callable[[Any], Desk], server: ScriptedServer
) -> None:
    """Nothing is said to be gone, nor to live."""
    reader = await ask(lambda path, query: FAILED).read()

    with pytest.raises(SourceBadGateway):
        await reader.existing(range(1, 501))
    assert len(server.overrides.asked) <= FEW  # type: ignore[attr-defined]  # see ``Spoken``


@pytest.mark.full
async def test_an_outage_of_items_costs_few_requests(ask: Callable[[Any], Desk], server: ScriptedServer) -> None:
    """Requests of twenty are asked again one by one, but not all of them."""
    keys = [f"MLB{number}" for number in range(1, 501)]
    reader = await ask(lambda path, query: FAILED).read("items")

    page = await reader.fetch(keys)

    assert [each.key for each in page.unseen] == keys
    assert len(server.overrides.asked) <= FEW  # type: ignore[attr-defined]  # see ``Spoken``


@pytest.mark.full
async def test_an_outage_of_costs_costs_few_requests(ask: Callable[[Any], Desk], server: ScriptedServer) -> None:
    """The shipments are written all the same."""
    reader = await ask(
        lambda path, query: FAILED if path.endswith("costs") else http({"id": int(path.rpartition("/")[2])})
    ).read("shipments")

    page = await reader.fetch(range(1, 101))

    assert (sorted(keys_of(page)), sorted(page.untold)) == ([*range(1, 101)], [*range(1, 101)])
    assert len(server.overrides.asked) <= 100 + FEW  # type: ignore[attr-defined]  # see ``Spoken``


async def test_many_that_fail_for_ever_hide_no_other(ask: Callable[[Any], Desk]) -> None:
    """Although they come first by key, and are more than speak of an outage."""
    odd = range(1, 16)
    reader = await ask(
        lambda path, query: (
            FAILED if int(path.rpartition("/")[2]) in odd else http({"id": int(path.rpartition("/")[2])})
        )
    ).read("packs")

    page = await reader.fetch(range(1, 61))

    assert keys_of(page) == [*range(16, 61)]
    assert [int(each.key) for each in page.unseen] == sorted(odd, key=str)


@pytest.mark.full
async def test_many_items_that_fail_for_ever_hide_no_other(ask: Callable[[Any], Desk]) -> None:
    """Half of one request, and one of each that follows."""
    keys = [f"MLB{number}" for number in range(1, 301)]
    odd = [*keys[:10], *keys[20::20]]
    reader = await ask(multiget(**dict.fromkeys(odd, FAILS))).read("items")

    page = await reader.fetch(keys)

    assert sorted(each.key for each in page.unseen) == sorted(odd)
    assert len(page.rows) == len(keys) - len(odd)


def answers_oddly(
    sandbox: MercadoLivreSandbox, path: list[str], status: int, told: Mapping[str, Any] | None = None
) -> None:
    """Let a path answer so for ever."""
    routes = sandbox._api._router.__self__  # type: ignore[attr-defined]  # a method of it
    parcels, order = routes._of_parcels, routes._order
    odd = json_answer(told or {"message": "odd", "error": "odd", "status": status, "cause": []}, status)

    def of_parcels(seller: int, asked: list[str], *more: Any) -> Answer:  # noqa: ANN401  handed on
        return odd if asked == path else parcels(seller, asked, *more)

    def of_order(seller: int, known: int, label: str) -> Answer:
        return odd if ["orders", str(known)] == path else order(seller, known, label)

    routes._of_parcels, routes._order = of_parcels, of_order


def told(shop: Shop, *orders: int) -> None:
    """Let notifications have told of orders."""
    rows = [{"scope": "loja/orders", "parent": str(key), "told_at": instant_text(hours_ago(0))} for key in orders]
    shop.database.write(lambda session: session.each("hint", rows)).result()


def named_shipments(shop: Shop) -> list[int]:
    """Return the ids of the shipments that orders name."""
    named = "SELECT DISTINCT shipping_id FROM mercadolivre_orders WHERE shipping_id IS NOT NULL ORDER BY 1"
    return [key for (key,) in shop.query(named)]


def quarantined(shop: Shop) -> list[tuple[str, str]]:
    """Return key and code of what waits in quarantine."""
    return [(key, code) for key, code in shop.query("SELECT key, code FROM cmp_quarantine ORDER BY key")]


async def test_a_shipment_that_is_gone_for_good_stops_no_other(tmp_path: Path) -> None:
    """410, whenever it is asked for: it waits, and all others are written."""
    with MercadoLivreSandbox(records=40, items=8, sellers=1) as sandbox:
        async with open_shop(tmp_path, sandbox) as shop:
            await shop.run()
            keys = named_shipments(shop)
            answers_oddly(sandbox, ["shipments", str(keys[3])], 410)

            run = await shop.run("shipments")

            assert (run.state, run.counts.rejected) == (RunState.SUCCEEDED, 1)
            assert shop.query("SELECT id FROM mercadolivre_shipments ORDER BY id") == [
                (key,) for key in keys if key != keys[3]
            ]
            assert quarantined(shop) == [(str(keys[3]), SourceRefused.code)]


async def test_the_shell_of_a_shipment_replaces_none(tmp_path: Path) -> None:
    """It says no version: a comparison takes back what went back in time, and not that."""
    with MercadoLivreSandbox(records=40, items=8, sellers=1) as sandbox:
        async with open_shop(tmp_path, sandbox) as shop:
            await shop.run()
            await shop.run("shipments")
            query = "SELECT * FROM mercadolivre_shipments ORDER BY id"
            before = shop.query(query)
            for (key,) in shop.query("SELECT id FROM mercadolivre_shipments"):
                answers_oddly(sandbox, ["shipments", str(key)], 200, {"id": key})

            run = await shop.run("shipments", Kind.FULL)

            assert (run.state, shop.query(query)) == (RunState.SUCCEEDED, before)


async def test_a_forged_notification_that_answers_400_stops_no_other(tmp_path: Path) -> None:
    """An own order is cancelled and told of beside it."""
    with MercadoLivreSandbox(records=40, items=8, sellers=1) as sandbox:
        async with open_shop(tmp_path, sandbox) as shop:
            await shop.run()
            own = next(each.id for each in sandbox.world.orders_of(SELLER) if each.status == "paid")
            answers_oddly(sandbox, ["orders", "1"], 400)
            sandbox._control.perform({"do": "cancel_order", "id": own})
            told(shop, 1, own)

            run = await shop.run(kind=Kind.NOTIFICATION)

            assert (run.state, run.error) == (RunState.SUCCEEDED, None)
            assert shop.query(f"SELECT status FROM mercadolivre_orders WHERE id = {own}") == [("cancelled",)]
            assert quarantined(shop) == []


@pytest.mark.parametrize(("status", "error"), [(403, AccessRefused), (410, SourceRefused)])
async def test_an_order_that_is_refused_stops_no_comparison_and_is_not_gone(
    tmp_path: Path, status: int, error: type[ComportaError]
) -> None:
    """A cancellation that nobody told of is found beside it, and clearing first removes neither."""
    with MercadoLivreSandbox(records=40, items=8, sellers=1) as sandbox:
        async with open_shop(tmp_path, sandbox) as shop:
            await shop.run()
            own, bad, *_ = [each.id for each in sandbox.world.orders_of(SELLER) if each.status == "paid"]
            answers_oddly(sandbox, ["orders", str(bad)], status)
            for key in (own, bad):
                sandbox._control.perform({"do": "cancel_order", "id": key})

            run = await shop.run(kind=Kind.RECONCILE)
            cleared = await shop.run(kind=Kind.CLEAR_FIRST)
            found = dict(shop.query(f"SELECT id, status FROM mercadolivre_orders WHERE id IN ({own}, {bad})"))

            assert [each.error for each in (run, cleared)] == [None, None]
            assert (run.counts.rejected, found) == (1, {own: "cancelled", bad: "paid"})
            assert quarantined(shop) == [(str(bad), error.code)]
