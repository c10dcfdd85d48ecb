"""Shipments and packs, which have no list: each asked for by its key, and what is no record said for what it is."""

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
from tests.sources.scripted import Reply, ScriptedServer, SteppingClock, http, page

from comporta.core.record import Row, Value
from comporta.errors import (
    AccessRefused,
    ComportaError,
    RecordAbsent,
    SourceAnsweredPage,
    SourceBadGateway,
    SourceChangedShape,
    SourceRefused,
    SourceTruncated,
)
from comporta.ports.source import StreamRequest
from comporta.sandbox.mercadolivre import MercadoLivreSandbox
from comporta.sandbox.mercadolivre_routes import truth_of
from comporta.sources.mercadolivre_rows import Plan, prepared
from comporta.sources.mercadolivre_shape import table_for


@pytest.fixture
def sandbox(clock: SteppingClock) -> Iterator[MercadoLivreSandbox]:
    """Return two sellers for whom nobody works."""
    with MercadoLivreSandbox(records=60, items=10, clock=clock.now) as running:
        yield running


@pytest.fixture
async def desk(sandbox: MercadoLivreSandbox, clock: SteppingClock) -> AsyncIterator[Desk]:
    """Return the first of them."""
    desk = desk_of(sandbox, clock)
    yield desk
    await desk.source.aclose()


def truth(sandbox: MercadoLivreSandbox, stream: str, seller: int = SELLER) -> dict[Value, Row]:
    """Return every record as a row."""
    plan = Plan(table_for(StreamRequest(stream)), keeps_unknown=True)
    records = [prepared(stream, each, seller=str(seller)) for each in truth_of(sandbox.world, stream, seller)]
    return {row[0]: tuple(row) for row in plan.page(records).rows}


@pytest.mark.parametrize("stream", ["shipments", "packs"])
async def test_what_is_fetched_is_what_is_there(desk: Desk, sandbox: MercadoLivreSandbox, stream: str) -> None:
    """Each in its new form, shipments with their costs; another seller's, and what does not exist, is left out."""
    known = truth(sandbox, stream)
    foreign = list(truth(sandbox, stream, OTHER))[:2]

    found = rows_of([await (await desk.read(stream)).fetch([*map(int, map(str, known)), *map(str, foreign), 7])])

    assert found == known
    assert known


async def test_the_sellers_freight_comes_from_the_costs(desk: Desk, sandbox: MercadoLivreSandbox) -> None:
    """And not from the shipment, which says that it costs nothing."""
    reader = await desk.read("shipments")
    known = truth(sandbox, "shipments")
    paid = next(each for each in sandbox.world.shipments.values() if each.id in known and each.cost)

    (row,) = (await reader.fetch([paid.id])).rows

    assert cells(reader.shape, row)["sender_cost"] == pytest.approx(paid.cost / 100)


async def test_there_is_no_list(desk: Desk) -> None:
    """Nothing to count, to page or to compare; and what is not shown any more is not called deleted."""
    reader = await desk.read("packs")

    (empty,) = await pages_of(reader)

    assert (keys_of(empty), empty.is_last) == ([], True)
    assert await reader.count(since=None, until=None) is None
    assert await listed(reader) == []
    assert await reader.existing([1, 2]) == {1, 2}


async def test_nothing_yet_is_no_record(desk: Desk, sandbox: MercadoLivreSandbox) -> None:
    """204 is said of a shipment that is being made: it is looked for again later."""
    sandbox.faults.add("shipment_204=1")
    known = next(iter(truth(sandbox, "shipments")))

    found = await (await desk.read("shipments")).fetch([int(str(known))])

    assert keys_of(found) == []
    assert [(each.key, each.code) for each in found.unseen] == [(str(known), RecordAbsent.code)]


async def told_by(server: ScriptedServer, clock: SteppingClock, answers: Mapping[str, Reply]) -> Desk:
    """Return an account at a server that answers these paths, and 404 to others."""

    def say(path: str, query: Mapping[str, str]) -> Reply:
        return answers.get(path, http({"message": "Shipment not found", "error": "not_found"}, status=404))

    server.overrides = Spoken(say)
    return Desk(server.url, clock, StandIn(lambda: "APP_USR-token", clock))


SHIPMENT: Mapping[str, Any] = {"id": 5, "status": "shipped", "last_updated": "2026-03-02T10:00:00.000-04:00"}


COSTLY = frozenset({"costs", "gross_amount", "receiver_cost", "sender_cost"})
SAID_NOTHING = http({"status": 403, "error": "access_denied", "message": "forbidden"}, status=403)


@pytest.mark.parametrize(
    ("costs", "untold"),
    [
        (http({}, status=404), {5: COSTLY}),
        (http(b"", status=204), {5: COSTLY}),
        (SAID_NOTHING, {5: COSTLY}),
        (http({}), {5: COSTLY}),
        (http({"message": "try later", "status": 200}), {5: COSTLY}),
        (http({"senders": []}), {}),
    ],
)
async def test_a_shipment_without_costs_is_a_shipment(
    server: ScriptedServer, clock: SteppingClock, costs: Reply, untold: Mapping[int, frozenset[str]]
) -> None:
    """What it costs is null then; that nothing was said of it is said, so that nobody takes it for the truth."""
    desk = await told_by(server, clock, {"/shipments/5": http(SHIPMENT), "/shipments/5/costs": costs})
    reader = await desk.read("shipments")

    found = await reader.fetch([5])
    (row,) = found.rows

    assert cells(reader.shape, row)["sender_cost"] is None
    assert found.untold == untold
    assert not found.extras
    assert all(each.headers["x-format-new"] == "true" for each in server.received)
    await desk.source.aclose()


POLICY = http({"status": 403, "code": "PA_UNAUTHORIZED_RESULT_FROM_POLICIES", "blocked_by": "PolicyAgent"}, status=403)
REFUSED = http({"status": 403, "error": "access_denied", "message": "forbidden", "code": "FORBIDDEN"}, status=403)


async def test_a_missing_permission_is_no_missing_record(server: ScriptedServer, clock: SteppingClock) -> None:
    """One refusal is another seller's record; but if the application lacks the right, the run ends and says so."""
    desk = await told_by(server, clock, {"/shipments/5": POLICY, "/shipments/6": REFUSED})
    reader = await desk.read("shipments")

    refused = await reader.fetch([6, 7])
    assert keys_of(refused) == []
    assert [(each.key, each.code) for each in refused.unseen] == [("6", AccessRefused.code), ("7", RecordAbsent.code)]
    with pytest.raises(AccessRefused) as caught:
        await reader.fetch([5])
    await desk.source.aclose()

    assert "functional permission" in caught.value.next_step


async def test_refusals_of_many_are_handed_on(server: ScriptedServer, clock: SteppingClock) -> None:
    """Whether it is us, the reader cannot tell: they may have been refused before, and for good."""
    refused = {f"/packs/{key}": REFUSED for key in range(1, 6)}
    desk = await told_by(server, clock, {**refused, "/packs/6": http({**SHIPMENT, "id": 6})})
    reader = await desk.read("packs")

    assert keys_of(await reader.fetch([1, 2, 3, 4, 5, 6])) == [6]
    assert [each.code for each in (await reader.fetch([1, 2, 3, 4, 5])).unseen] == [AccessRefused.code] * 5
    await desk.source.aclose()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (http([]), SourceChangedShape),
        (http("7"), SourceChangedShape),
        (http({"status": "shipped"}), SourceChangedShape),
        (http({**SHIPMENT, "id": 7}), SourceChangedShape),
        (page("Not Found", status=404), SourceRefused),
        (page("Welcome"), SourceAnsweredPage),
        (http({}, status=400), SourceRefused),
        (http({}, status=410), SourceRefused),
        (http({}, status=500), SourceBadGateway),
        (http(b'{"id": 5, "sta'), SourceTruncated),
    ],
)
async def test_what_is_no_record_is_not_taken_for_a_missing_one(
    server: ScriptedServer, clock: SteppingClock, answer: Reply, error: type[ComportaError]
) -> None:
    """A proxy's page with 404, another shape, a failure: said for what it is, and the others are read."""
    desk = await told_by(server, clock, {"/packs/5": answer, "/packs/6": http({**SHIPMENT, "id": 6})})

    page = await (await desk.read("packs")).fetch([5, 6])

    assert (keys_of(page), [(each.key, each.code) for each in page.unseen]) == ([6], [("5", error.code)])
    await desk.source.aclose()


async def test_another_record_than_was_asked_for_is_none(server: ScriptedServer, clock: SteppingClock) -> None:
    """A cache that mixes answers up would write one record under the guise of another."""
    desk = await told_by(server, clock, {"/packs/5": http({**SHIPMENT, "id": 6})})

    page = await (await desk.read("packs")).fetch([5])

    assert keys_of(page) == []
    assert "id 5 answered the record 6" in page.unseen[0].reason
    await desk.source.aclose()
