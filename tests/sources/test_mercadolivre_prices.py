"""Prices that items do not tell: each asked for, and once more where there must be one."""

from collections.abc import Mapping

from tests.sources.mercadolivre_desk import SELLER, Desk, Spoken, StandIn, keys_of
from tests.sources.scripted import Reply, ScriptedServer, SteppingClock, http


async def test_a_price_that_tells_no_amount_is_none(server: ScriptedServer, clock: SteppingClock) -> None:
    """It would empty the price that is known."""

    def say(path: str, query: Mapping[str, str]) -> Reply:
        if path.endswith("sale_price"):
            return http({"message": "try later", "status": 200})
        return http([{"code": 200, "body": {"id": key, "seller_id": SELLER}} for key in query["ids"].split(",")])

    server.overrides = Spoken(say)
    desk = Desk(server.url, clock, StandIn(lambda: "APP_USR-token", clock))
    page = await (await desk.read("items")).fetch(["MLB1"])

    assert (keys_of(page), list(page.untold)) == (["MLB1"], ["MLB1"])
    await desk.source.aclose()


async def test_only_of_what_is_for_sale_a_price_that_is_not_told_is_asked_for_twice(
    server: ScriptedServer, clock: SteppingClock
) -> None:
    """Of what is closed there may be none: it would cost a request for each, in every sweep."""
    statuses = {"MLB1": "active", "MLB2": "closed", "MLB3": "under_review", "MLB4": "paused"}
    asked: list[str] = []

    def say(path: str, query: Mapping[str, str]) -> Reply:
        if path.endswith("sale_price"):
            asked.append(path.split("/")[-2])
            return http({"message": "none"}, status=404)
        bodies = [{"id": key, "seller_id": SELLER, "status": statuses[key]} for key in query["ids"].split(",")]
        return http([{"code": 200, "body": body} for body in bodies])

    server.overrides = Spoken(say)
    desk = Desk(server.url, clock, StandIn(lambda: "APP_USR-token", clock))
    page = await (await desk.read("items")).fetch(list(statuses))

    assert sorted(asked) == ["MLB1", "MLB1", "MLB2", "MLB3", "MLB4", "MLB4"]
    assert (keys_of(page), sorted(map(str, page.untold))) == (list(statuses), ["MLB1", "MLB4"])
    await desk.source.aclose()
