"""Items: every id by a scan that was whole, every record by multigets of which each answer counts for itself."""

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import pytest
from tests.sources.mercadolivre_desk import (
    OTHER,
    SELLER,
    Desk,
    Spoken,
    StandIn,
    cells,
    desk_of,
    keys_of,
    listed,
    pages_of,
    rows_of,
)
from tests.sources.scripted import Reply, ScriptedServer, SteppingClock, http

from comporta.core.record import Row, Value
from comporta.errors import (
    AccessRefused,
    ComportaError,
    SourceChangedShape,
    SourceIncomplete,
    SourceTruncated,
)
from comporta.errors_mercadolivre import PolicyRefused
from comporta.ports.source import StreamRequest
from comporta.sandbox.mercadolivre import MercadoLivreSandbox
from comporta.sandbox.mercadolivre_routes import truth_of
from comporta.sources.mercadolivre_rows import Plan, prepared
from comporta.sources.mercadolivre_shape import table_for

ITEMS = 230


@pytest.fixture
def sandbox(clock: SteppingClock) -> Iterator[MercadoLivreSandbox]:
    """Return two sellers with some hundred items each."""
    with MercadoLivreSandbox(records=2, items=ITEMS, clock=clock.now) as running:
        yield running


@pytest.fixture
async def desk(sandbox: MercadoLivreSandbox, clock: SteppingClock) -> AsyncIterator[Desk]:
    """Return the first of them."""
    desk = desk_of(sandbox, clock)
    yield desk
    await desk.source.aclose()


def truth(sandbox: MercadoLivreSandbox, seller: int = SELLER) -> dict[Value, Row]:
    """Return every item as a row."""
    plan = Plan(table_for(StreamRequest("items")), keeps_unknown=True)
    records = [prepared("items", each, seller=str(seller)) for each in truth_of(sandbox.world, "items", seller)]
    return {row[0]: tuple(row) for row in plan.page(records).rows}


@pytest.mark.parametrize("width", [1, 8])
async def test_what_is_read_is_what_is_there(desk: Desk, sandbox: MercadoLivreSandbox, width: int) -> None:
    """Every item once with its real stock, and every variation with its own code."""
    reader = await desk.read("items", concurrency=width)
    pages = await pages_of(reader)

    variations = [row for page in pages for each in page.nested for row in each.rows]
    assert rows_of(pages) == truth(sandbox)
    assert len(keys_of(*pages)) == ITEMS == await reader.count(since=None, until=None)
    assert len(variations) == sum(
        len(each.variations) for each in sandbox.world.items.values() if each.seller == SELLER
    )
    (shape,) = reader.shape.nested
    place = shape.index("seller_sku")
    own = [each for each in sandbox.world.items.values() if each.seller == SELLER]
    assert {row[0]: row[place] for row in variations} == {kind.id: kind.sku for each in own for kind in each.variations}
    assert [page.is_last for page in pages] == [False, True]
    assert [key for key, _ in await listed(reader)] == sorted(map(str, truth(sandbox)))


async def test_no_more_than_twenty_are_asked_for_at_once(desk: Desk, sandbox: MercadoLivreSandbox) -> None:
    """And none twice, whatever is wanted."""
    reader = await desk.read("items")
    wanted = sorted(map(str, truth(sandbox)))[:45]
    before = sandbox.stats.requests

    page = await reader.fetch([*wanted, *wanted[:30]])

    assert sorted(map(str, keys_of(page))) == wanted
    assert sandbox.stats.requests - before == 3


async def test_a_seller_without_items_is_an_empty_last_page(clock: SteppingClock) -> None:
    """Nothing there is an answer like any other."""
    with MercadoLivreSandbox(records=0, items=0, clock=clock.now) as sandbox:
        desk = desk_of(sandbox, clock)
        reader = await desk.read("items")

        (page,) = await pages_of(reader)

        assert (keys_of(page), page.is_last, await reader.count(since=None, until=None)) == ([], True, 0)
        assert await listed(reader) == []
        await desk.source.aclose()


async def test_at_most_so_many_are_asked_for(desk: Desk) -> None:
    """Who wants seven pays for seven."""
    pages = await pages_of(await desk.read("items"), limit=7)

    assert len(keys_of(*pages)) == 7
    assert desk.progress.requests.sent == 2


async def test_anothers_item_is_not_there(desk: Desk, sandbox: MercadoLivreSandbox) -> None:
    """A multiget shows it to everybody, with a stock that is not the real one."""
    own, foreign = (next(iter(truth(sandbox, seller))) for seller in (SELLER, OTHER))
    reader = await desk.read("items")

    page = await reader.fetch([str(foreign), str(own), "MLB1"])

    assert keys_of(page) == [own]
    assert await reader.existing([str(foreign), str(own), "MLB1"]) == {own}


@pytest.mark.full
@pytest.mark.parametrize("fault", ["reset=1:1", "truncate=1:1", "error_502=1:1", "throttled=1:1", "html=1:1"])
@pytest.mark.parametrize("step", [0, 1, 2])
async def test_a_step_of_the_scan_whose_answer_was_lost_is_missed(
    desk: Desk, sandbox: MercadoLivreSandbox, fault: str, step: int
) -> None:
    """It is gone, and whoever asks again gets the next: the total tells, and all is scanned again."""
    reader = await desk.read("items")
    sandbox._control._acts["spoil"] = lambda _: sandbox.faults.add(f"{fault}@items/search")
    sandbox._control.perform({"do": "spoil", "after": step, "on": "items/search"})

    pages = await pages_of(reader)

    assert rows_of(pages) == truth(sandbox)
    assert len(keys_of(*pages)) == ITEMS


async def test_items_come_go_and_close_while_they_are_listed(desk: Desk, sandbox: MercadoLivreSandbox) -> None:
    """Those that were there all the time are read, each once; one that went is not."""
    known = sorted(map(str, truth(sandbox)))
    for number, key in enumerate(known[::29], start=1):
        sandbox._control.perform({"do": "remove_item", "id": key, "after": number, "on": "items"})
        closed = {"do": "update_item", "id": known[number], "values": {"status": "closed"}}
        sandbox._control.perform({**closed, "after": number, "on": "items"})

    pages = await pages_of(await desk.read("items"))

    assert set(truth(sandbox)) <= set(keys_of(*pages))
    assert len(keys_of(*pages)) == len(set(keys_of(*pages)))


@pytest.mark.full
async def test_a_price_that_an_item_does_not_tell_is_asked_for(desk: Desk, sandbox: MercadoLivreSandbox) -> None:
    """Of each such item its sale price; also where only prices are wanted."""
    sandbox.faults.add("price_removed=1")
    whole, reader = await desk.read("items"), await desk.read("items", fields=("original_price",))
    keys = [str(key) for key in sorted(map(str, truth(sandbox)))[:5]]
    place = whole.shape.index("price")
    expected = {key: truth(sandbox)[key][place] for key in keys}

    rows = (await whole.fetch(keys)).rows
    narrow = [cells(reader.shape, row) for row in (await reader.fetch(keys)).rows]

    original = {key: truth(sandbox)[key][whole.shape.index("original_price")] for key in keys}
    assert {row[0]: row[place] for row in rows} == expected
    assert {row["id"]: row["original_price"] for row in narrow} == original


async def test_only_what_was_named_is_sent(server: ScriptedServer, clock: SteppingClock) -> None:
    """And what decides whose an item is, and what its seller calls it, wherever that stands."""
    asked = Spoken(lambda path, query: http(multi(query)))
    server.overrides = asked
    desk = Desk(server.url, clock, StandIn(lambda: "APP_USR-token", clock))
    reader = await desk.read("items", fields=("seller_sku", "status"))

    page = await reader.fetch(["MLB1"])

    assert "attributes=attributes%2Cid%2Cseller_custom_field%2Cseller_id%2Cstatus%2Cvariations" in asked.asked[-1]
    assert cells(reader.shape, page.rows[0]) == {"id": "MLB1", "seller_sku": "OLD-1", "status": "active"}
    await desk.source.aclose()


def item(key: str, **more: object) -> dict[str, Any]:
    """Return an item as a multiget tells of it."""
    told = {"id": key, "seller_id": SELLER, "price": 1.5, "status": "active", "seller_custom_field": "OLD-1"}
    return {"code": 200, "body": {**told, **more}}


def multi(query: Mapping[str, str], **odd: object) -> list[object]:
    """Return the answer to a multiget, with odd parts by key."""
    return [odd.get(key, item(key)) for key in query["ids"].split(",")]


async def told_by(server: ScriptedServer, clock: SteppingClock, say: Any) -> Desk:  # noqa: ANN401  see ``Spoken``
    """Return an account at a server that says what a test wrote."""
    server.overrides = Spoken(say)
    return Desk(server.url, clock, StandIn(lambda: "APP_USR-token", clock))


async def test_an_item_that_is_not_there_is_no_reason_to_stop(server: ScriptedServer, clock: SteppingClock) -> None:
    """Each answer has a code of its own."""
    gone = {"code": 404, "body": {"message": "no", "error": "not_found", "status": 404, "cause": []}}
    listed = ids("MLB1", "MLB3", total=2, scroll=None)

    def say(path: str, query: Mapping[str, str]) -> Reply:
        return listed if path.endswith("search") else http(multi(query, MLB2=gone))

    desk = await told_by(server, clock, say)
    reader = await desk.read("items")

    page = await reader.fetch(["MLB1", "MLB2", "MLB3"])
    assert (keys_of(page), page.unseen) == (["MLB1", "MLB3"], [])
    assert await reader.existing(["MLB1", "MLB2", "MLB3"]) == {"MLB1", "MLB3"}
    await desk.source.aclose()


@pytest.mark.parametrize("code", [400, 401, 403, 410])
async def test_an_item_that_is_refused_waits_and_is_not_gone(
    server: ScriptedServer, clock: SteppingClock, code: int
) -> None:
    """Only a 404 says that there is none; the others are read."""
    refused = {"code": code, "body": {"message": "no", "error": "x", "status": code, "cause": []}}
    desk = await told_by(server, clock, lambda path, query: http(multi(query, MLB2=refused)))
    reader = await desk.read("items")

    page = await reader.fetch(["MLB1", "MLB2", "MLB3"])

    assert (keys_of(page), [each.key for each in page.unseen]) == (["MLB1", "MLB3"], ["MLB2"])
    assert f"answered {code}" in page.unseen[0].reason
    assert await reader.existing(["MLB1", "MLB2", "MLB3"]) == {"MLB1", "MLB2", "MLB3"}
    await desk.source.aclose()


@pytest.mark.parametrize(
    ("message", "count", "error"), [("no", 5, AccessRefused), ("Invalid scopes", 1, PolicyRefused)]
)
async def test_a_refusal_of_all_items_or_about_the_application_ends_the_run(
    server: ScriptedServer, clock: SteppingClock, message: str, count: int, error: type[ComportaError]
) -> None:
    """It is us then, and nothing waits in quarantine for it."""
    refused = {"code": 403, "body": {"message": message, "status": 403}}
    told = {True: ids(*"abcde"[:count], total=count, scroll=None), False: http([refused] * count)}
    desk = await told_by(server, clock, lambda path, query: told[path.endswith("search")])

    with pytest.raises(error) as raised:
        await pages_of(await desk.read("items"))
    assert "application" in raised.value.next_step
    await desk.source.aclose()


async def test_items_looked_at_alone_and_all_refused_wait(server: ScriptedServer, clock: SteppingClock) -> None:
    """They may be those that are refused for good: the reader cannot tell."""
    desk = await told_by(server, clock, lambda path, query: http([{"code": 403, "body": {"status": 403}}] * 5))
    page = await (await desk.read("items")).fetch(["MLB1", "MLB2", "MLB3", "MLB4", "MLB5"])

    assert [each.code for each in page.unseen] == [AccessRefused.code] * 5
    await desk.source.aclose()


@pytest.mark.parametrize("is_listed_later", [True, False])
async def test_an_item_that_is_listed_and_not_found_waits_unless_it_went(
    server: ScriptedServer, clock: SteppingClock, is_listed_later: bool
) -> None:
    """Looked at twice, and the list once more: it stops no run, and is not passed over either."""
    lists = [ids("MLB1", "MLB2", total=2, scroll=None)]
    lists.append(lists[0] if is_listed_later else ids("MLB1", total=1, scroll=None))
    gone = {"code": 404, "body": {"message": "no", "error": "not_found", "status": 404, "cause": []}}

    def say(path: str, query: Mapping[str, str]) -> Reply:
        return lists.pop(0) if path.endswith("search") else http(multi(query, MLB2=gone))

    desk = await told_by(server, clock, say)
    pages = await pages_of(await desk.read("items"))

    assert (keys_of(*pages), [page.is_last for page in pages]) == (["MLB1"], [False, True])
    assert [each.key for page in pages for each in page.rejected] == ["MLB2"][: int(is_listed_later)]
    await desk.source.aclose()


@pytest.mark.parametrize("code", [500, 503])
async def test_an_item_that_fails_for_ever_waits_and_the_others_go_on(
    server: ScriptedServer, clock: SteppingClock, code: int
) -> None:
    """Tried again, then asked for by itself; nobody says that it is gone."""
    failed = {"code": code, "body": {"message": "internal"}}
    desk = await told_by(server, clock, lambda path, query: http(multi(query, MLB2=failed)))
    reader = await desk.read("items")

    page = await reader.fetch(["MLB1", "MLB2", "MLB3"])

    assert keys_of(page) == ["MLB1", "MLB3"]
    assert [(each.key, each.code) for each in page.unseen] == [("MLB2", "CMP-NET-009")]
    assert f"answered {code}" in page.unseen[0].reason
    assert await reader.existing(["MLB1", "MLB2", "MLB3"]) == {"MLB1", "MLB2", "MLB3"}
    await desk.source.aclose()


async def test_an_item_that_is_throttled_waits_its_turn(server: ScriptedServer, clock: SteppingClock) -> None:
    """A 429 inside a 200 is one."""
    answers: list[object] = [{"code": 429, "body": {"message": "too many"}}]

    def say(path: str, query: Mapping[str, str]) -> Reply:
        return http(multi(query, **({"MLB2": answers.pop()} if answers else {})))

    desk = await told_by(server, clock, say)

    page = await (await desk.read("items")).fetch(["MLB1", "MLB2"])

    assert keys_of(page) == ["MLB1", "MLB2"]
    assert sum(clock.slept) >= 1
    await desk.source.aclose()


@pytest.mark.parametrize(
    ("answer", "codes"),
    [
        ({}, [SourceChangedShape.code] * 2),
        ([1], [SourceChangedShape.code] * 2),
        ([item("MLB1")], [SourceChangedShape.code]),
        ([item("MLB1"), item("MLB9")], [SourceTruncated.code] * 2),
        ([item("MLB1"), {"code": 200, "body": None}], [SourceTruncated.code] * 2),
        ([item("MLB1"), item("MLB1")], [SourceTruncated.code] * 2),
        ([item("MLB1"), {"body": item("MLB2")["body"]}], [SourceTruncated.code] * 2),
    ],
)
async def test_an_answer_that_leaves_an_item_out_is_none(
    server: ScriptedServer, clock: SteppingClock, answer: object, codes: list[str]
) -> None:
    """What is not said to be missing is not taken for missing: it would be called deleted."""
    desk = await told_by(server, clock, lambda path, query: http(answer))
    reader = await desk.read("items")

    assert [each.code for each in (await reader.fetch(["MLB1", "MLB2"])).unseen] == codes
    assert await reader.existing(["MLB1", "MLB2"]) == {"MLB1", "MLB2"}
    await desk.source.aclose()


def ids(*keys: str, total: object = None, scroll: object = "next") -> bytes:
    """Return a step of a scan."""
    return http({"results": list(keys), "paging": {"total": total}, "scroll_id": scroll})


@pytest.mark.parametrize("scroll", [None, ""])
async def test_the_end_of_a_scan_is_an_empty_page_or_no_scroll(
    server: ScriptedServer, clock: SteppingClock, scroll: object
) -> None:
    """Which of both is not documented."""
    answers = [ids("MLB1", "MLB2", total=3), ids("MLB3", total=3, scroll=scroll), ids(total=3, scroll=None)]

    desk = await told_by(server, clock, lambda path, query: answers.pop(0))

    assert [key for key, _ in await listed(await desk.read("items"))] == ["MLB1", "MLB2", "MLB3"]
    await desk.source.aclose()


async def test_two_scans_that_bring_the_same_prove_a_total_wrong(server: ScriptedServer, clock: SteppingClock) -> None:
    """The list may count what it does not show."""
    answers = [ids("MLB1", "MLB2", total=9, scroll=None)] * 2
    desk = await told_by(server, clock, lambda path, query: answers.pop())

    assert [key for key, _ in await listed(await desk.read("items"))] == ["MLB1", "MLB2"]
    assert answers == []
    await desk.source.aclose()


async def test_scans_that_never_agree_are_no_success(server: ScriptedServer, clock: SteppingClock) -> None:
    """The run fails with the numbers, and may be tried again."""
    number = iter(range(100))
    desk = await told_by(server, clock, lambda path, query: ids(f"MLB{next(number)}", total=9, scroll=None))

    with pytest.raises(SourceIncomplete, match="1 of 9, 1 of 9, 1 of 9, 1 of 9"):
        await listed(await desk.read("items"))
    await desk.source.aclose()


async def test_a_scroll_that_goes_round_in_circles_ends(server: ScriptedServer, clock: SteppingClock) -> None:
    """The same page for ever is no endless run."""
    desk = await told_by(server, clock, lambda path, query: ids("MLB1", "MLB2", total=2))

    assert [key for key, _ in await listed(await desk.read("items"))] == ["MLB1", "MLB2"]
    await desk.source.aclose()


@pytest.mark.parametrize("answer", [{}, {"results": None}, {"results": [1]}, {"results": [""]}, [], None])
async def test_an_answer_that_is_no_list_of_ids_stops_the_run(
    server: ScriptedServer, clock: SteppingClock, answer: object
) -> None:
    """It is never taken for an empty one, which would be the deletion of everything."""
    desk = await told_by(server, clock, lambda path, query: http(answer))

    with pytest.raises(SourceChangedShape):
        await listed(await desk.read("items"))
    await desk.source.aclose()
