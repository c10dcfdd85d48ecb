"""A throttle of Mercado Livre's that lasts: what was told before it is kept, of the rest nothing is said."""

from collections.abc import AsyncIterator, Callable, Mapping

import pytest
from tests.sources.mercadolivre_desk import Desk, Say, Spoken, StandIn, keys_of
from tests.sources.scripted import Reply, ScriptedServer, SteppingClock, http

from comporta.errors import RateLimited

Ask = Callable[[Say], Desk]


@pytest.fixture(params=["429", "503"])
def throttle(request: pytest.FixtureRequest) -> Reply:
    """Return each form of a throttle."""
    return {"429": http("", status=429), "503": http("", status=503, headers="Retry-After: 600\r\n")}[request.param]


@pytest.fixture
async def ask(server: ScriptedServer, clock: SteppingClock) -> AsyncIterator[Ask]:
    """Return what makes an account at a server that says what a test wrote."""
    desk = Desk(server.url, clock, StandIn(lambda: "APP_USR-token", clock))

    def told_by(say: Say) -> Desk:
        server.overrides = Spoken(say)
        return desk

    yield told_by
    await desk.source.aclose()


async def test_shipments_whose_costs_were_told_before_are_kept(ask: Ask, throttle: Reply) -> None:
    """Whole ones; those whose costs nobody was asked for are not written without them."""
    costs = [http({"senders": []})] * 3

    def say(path: str, query: Mapping[str, str]) -> Reply:
        if path.endswith("/costs"):
            return costs.pop() if costs else throttle
        return http({"id": int(path.rpartition("/")[2])})

    page = await (await ask(say).read("shipments", concurrency=1)).fetch(range(1, 9))

    assert (len(keys_of(page)), page.unseen, page.untold) == (3, [], {})
    assert isinstance(page.failure, RateLimited)


async def test_items_whose_price_was_told_before_are_kept(ask: Ask, throttle: Reply) -> None:
    """Of a sweep, which fails then, and is read again."""
    keys, prices = [f"MLB{number}" for number in range(1, 9)], [http({"amount": 1.5})] * 3

    def say(path: str, query: Mapping[str, str]) -> Reply:
        if path.endswith("/search"):
            return http({"results": keys, "paging": {"total": len(keys)}, "scroll_id": None})
        if path.endswith("/sale_price"):
            return prices.pop() if prices else throttle
        return http([{"code": 200, "body": {"id": key, "status": "active"}} for key in query["ids"].split(",")])

    reader = await ask(say).read("items", concurrency=1)
    pages = reader.pages(since=None, until=None, after=None)

    assert len(keys_of(await anext(pages))) == 3
    with pytest.raises(RateLimited):
        await anext(pages)


async def test_items_that_were_told_before_are_kept(ask: Ask, throttle: Reply) -> None:
    """Twenty at a time; nobody is called absent who was not asked for."""
    keys, told = [f"MLB{number}" for number in range(1, 61)], []

    def say(path: str, query: Mapping[str, str]) -> Reply:
        told.append(query["ids"])
        bodies = [{"code": 200, "body": {"id": key, "price": 1.5}} for key in query["ids"].split(",")]
        return http(bodies) if len(told) == 1 else throttle

    reader = await ask(say).read("items", concurrency=1)

    page = await reader.fetch(keys)

    assert (len(keys_of(page)), page.unseen) == (20, [])
    assert isinstance(page.failure, RateLimited)
    with pytest.raises(RateLimited):
        await reader.existing(keys)
