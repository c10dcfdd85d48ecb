"""The Odoo source against the simulator: three protocols, releases 16 and 19, and its faults."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.sources.conftest import Connect

from comporta.core.record import ColumnType, Page
from comporta.errors import (
    AccessRefused,
    ComportaError,
    FilterIgnored,
    LoginRefused,
    RateLimited,
    SourceAnsweredPage,
    SourceBadGateway,
    SourceTruncated,
    UnconfirmedEmpty,
    UnknownField,
    UnknownStream,
)
from comporta.errors_odoo import UnknownDatabase
from comporta.ports.progress import Progress
from comporta.ports.source import StreamRequest
from comporta.sandbox.odoo import OdooSandbox
from comporta.sandbox.odoo_truth import records
from comporta.sources.odoo_reader import OdooReader
from comporta.sources.odoo_streams import DEFAULT_STREAMS

SPEECHES = [("json2", 19), (None, 18)]
"""What the quick check speaks."""
MORE_SPEECHES = [("jsonrpc", 16), ("xmlrpc", 16), ("jsonrpc", 19), ("xmlrpc", 19), (None, 17)]
VERSIONS = sorted({version for _, version in SPEECHES + MORE_SPEECHES})


@pytest.fixture(
    params=[*SPEECHES, *(pytest.param(each, marks=pytest.mark.full) for each in MORE_SPEECHES)],
    ids=[f"{protocol}-{version}" for protocol, version in SPEECHES + MORE_SPEECHES],
)
def speech(request: pytest.FixtureRequest) -> tuple[str | None, int]:
    """Return a protocol and a release that speaks it."""
    pair: tuple[str | None, int] = request.param
    return pair


@pytest.fixture(scope="module")
def releases() -> Iterator[dict[int, OdooSandbox]]:
    """Return a simulator of each release, for all tests that change nothing in its company."""
    with ExitStack() as stack:
        yield {version: stack.enter_context(OdooSandbox(records=60, version=version)) for version in VERSIONS}


@pytest.fixture
def sandbox(releases: dict[int, OdooSandbox], speech: tuple[str | None, int]) -> Iterator[OdooSandbox]:
    """Return a running simulator of that release; what goes wrong there ends with the test."""
    yield releases[speech[1]]
    releases[speech[1]].faults.clear()


class Desk:
    """Readers of one simulator over one protocol."""

    def __init__(self, sandbox: OdooSandbox, connect: Connect, progress: Progress, protocol: str | None) -> None:
        self.sandbox = sandbox
        self.settings: dict[str, Any] = {"protocol": protocol, "api_key": "demo", "page_size": 25}
        self._connect = connect
        self._progress = progress

    async def open(self, stream: str, domain: tuple[object, ...] = (), **settings: object) -> OdooReader:
        source = self._connect(self.sandbox.url, **{**self.settings, **settings})
        return await source.read(StreamRequest(stream, domain=domain), self._progress)


@pytest.fixture
def desk(sandbox: OdooSandbox, connect: Connect, progress: Progress, speech: tuple[str | None, int]) -> Desk:
    """Return what opens readers."""
    return Desk(sandbox, connect, progress, speech[0])


@pytest.fixture
def own_desk(connect: Connect, progress: Progress, speech: tuple[str | None, int]) -> Iterator[Desk]:
    """Return what opens readers of a company that the test may change."""
    with OdooSandbox(records=60, version=speech[1]) as running:
        yield Desk(running, connect, progress, speech[0])


async def pages_of(reader: OdooReader, since: datetime | None = None, until: datetime | None = None) -> list[Page]:
    """Read all pages."""
    return [page async for page in reader.pages(since=since, until=until, after=None)]


async def ids_of(reader: OdooReader, since: datetime | None = None, until: datetime | None = None) -> list[object]:
    """Read all pages and return the ids."""
    return [row[0] for page in await pages_of(reader, since, until) for row in page.rows]


def canonical(kind: ColumnType, value: object) -> object:
    """Return a value of the simulator's truth as a row shows it."""
    if value is None:
        return None
    if kind is ColumnType.TIMESTAMP:
        return str(value).replace(" ", "T") + ".000000Z"
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False) if kind is ColumnType.JSON else value


@pytest.mark.parametrize("stream", DEFAULT_STREAMS)
async def test_what_is_read_is_what_is_committed(desk: Desk, stream: str) -> None:
    """Every record, archived ones too, with every stored value, and the count agrees."""
    reader = await desk.open(stream)

    pages = await pages_of(reader)

    truth = records(desk.sandbox.world, stream)
    columns = reader.shape.columns
    expected = [tuple(canonical(column.type, record[column.field]) for column in columns) for record in truth]
    assert [row for page in pages for row in page.rows] == expected
    assert not any(page.rejected or page.extras for page in pages)
    assert await reader.count(since=None, until=None) == len(truth)
    assert [page.is_last for page in pages] == [False] * (len(pages) - 1) + [True]


async def test_a_window_holds_what_was_stamped_in_it(desk: Desk) -> None:
    """The lower bound is in, the upper one is out; count, listing and pages agree."""
    truth = records(desk.sandbox.world, "sale.order")
    stamps = sorted(datetime.fromisoformat(record["write_date"]).replace(tzinfo=UTC) for record in truth)
    since, until = stamps[10], stamps[40]
    reader = await desk.open("sale.order")

    ids = await ids_of(reader, since, until)

    listed = [pair async for chunk in reader.listing(since=since, until=until) for pair in chunk]
    within = {
        record["id"]: record["write_date"].replace(" ", "T") + ".000000Z"
        for record in truth
        if since <= datetime.fromisoformat(record["write_date"]).replace(tzinfo=UTC) < until
    }
    assert ids == list(within)
    assert dict(listed) == within
    assert await reader.count(since=since, until=until) == len(within)


async def test_a_pass_goes_on_after_a_position(desk: Desk) -> None:
    """A later reader that starts after a page's position reads exactly the rest."""
    first = await anext((await desk.open("sale.order")).pages(since=None, until=None, after=None))
    reader = await desk.open("sale.order")

    rest = [row[0] async for page in reader.pages(since=None, until=None, after=first.position) for row in page.rows]

    assert [row[0] for row in first.rows] + rest == await ids_of(reader)


async def test_the_domain_holds_everywhere_but_for_existence(desk: Desk) -> None:
    """A stream's domain narrows pages, count, fetch and buckets; whether an id lives is another question."""
    truth = records(desk.sandbox.world, "sale.order")
    chosen = [record["id"] for record in truth if record["state"] in ("sale", "draft")]
    others = [record["id"] for record in truth if record["id"] not in chosen]
    domain = ("|", ("state", "=", "sale"), ("state", "=", "draft"))
    reader = await desk.open("sale.order", domain)

    fetched = await reader.fetch([*chosen, *others])

    assert [row[0] for row in fetched.rows] == chosen == await ids_of(reader)
    assert await reader.count(since=None, until=None) == len(chosen)
    buckets = await reader.buckets(until=await reader.clock())
    assert sum(bucket.key_sum for bucket in buckets) == sum(chosen)
    assert await reader.existing([*chosen, *others]) == {*chosen, *others}


async def test_deleted_records_are_gone_and_archived_ones_are_not(own_desk: Desk) -> None:
    """Neither fetch nor existence shows a deleted id, and both show an archived one."""
    desk = own_desk
    world = desk.sandbox.world
    reader = await desk.open("sale.order")
    partners = await desk.open("res.partner")
    some = await ids_of(partners)
    archived = int(str(some[-1]))
    world.write("sale.order", [1, 2], {"state": "cancel"})
    world.unlink("sale.order", [1, 2])
    world.write("res.partner", [archived], {"active": False})

    alive = await reader.existing([1, 2, 3])

    assert alive == {3}
    assert [row[0] for row in (await reader.fetch([1, 2, 3])).rows] == [3]
    assert await partners.existing([archived]) == {archived}
    assert archived in await ids_of(partners)


async def test_children_come_complete(desk: Desk) -> None:
    """All lines of the orders asked for, over several pages."""
    lines = records(desk.sandbox.world, "sale.order.line")
    parents = [record["id"] for record in records(desk.sandbox.world, "sale.order")][:30]
    reader = await desk.open("sale.order.line", page_size=7)

    page = await reader.fetch_children(parents)

    assert sorted(int(str(row[0])) for row in page.rows) == [
        line["id"] for line in lines if line["order_id"] in parents
    ]
    assert (await (await desk.open("sale.order")).fetch_children(parents)).rows == []


async def test_buckets_are_whole_hours_before_the_bound(desk: Desk) -> None:
    """Count and sum of ids by hour in UTC, in order; the hour that is not over is left out."""
    reader = await desk.open("sale.order.line")
    until = await reader.clock() - timedelta(hours=30)

    buckets = await reader.buckets(until=until)

    expected: dict[str, tuple[int, int]] = {}
    for line in records(desk.sandbox.world, "sale.order.line"):
        hour = line["write_date"][:13].replace(" ", "T")
        if hour < until.isoformat()[:13]:
            rows, total = expected.get(hour, (0, 0))
            expected[hour] = (rows + 1, total + line["id"])
    assert [(bucket.hour, (bucket.rows, bucket.key_sum)) for bucket in buckets] == sorted(expected.items())


async def test_currencies_come_with_amounts(desk: Desk) -> None:
    """Id, code, decimals and which one is the company's; not for streams without amounts."""
    (lookup,) = await (await desk.open("sale.order")).lookups()

    assert lookup.shape.table == "odoo_currency"
    assert [column.name for column in lookup.shape.columns] == ["id", "name", "decimal_places", "is_company"]
    assert [row[1] for row in lookup.rows if row[3]] == ["BRL"]
    assert await (await desk.open("res.partner")).lookups() == []


async def test_currencies_are_no_reason_to_fail(desk: Desk) -> None:
    """A login that may not read them reads its orders all the same."""
    desk.sandbox.faults.add("deny_model=res.currency")
    reader = await desk.open("sale.order")

    lookups = await reader.lookups()

    assert lookups == []


async def test_late_commits_are_seen_by_the_hour(own_desk: Desk) -> None:
    """A row that appears with an old stamp shows in the buckets of its hour."""
    desk = own_desk
    reader = await desk.open("sale.order")
    until = await reader.clock() + timedelta(hours=2)
    before = await reader.buckets(until=until)
    late = desk.sandbox.world.begin()
    late.create("sale.order", {"partner_id": 1})
    late.commit()

    after = await reader.buckets(until=until)

    assert sum(bucket.rows for bucket in after) == sum(bucket.rows for bucket in before) + 1


STRUCK: list[tuple[str, type[ComportaError]]] = [
    ("access_error=sale.order", AccessRefused),
    ("missing_model=sale.order", UnknownStream),
    ("html=1", SourceAnsweredPage),
    ("error_502=1", SourceBadGateway),
    ("http_429=1", RateLimited),
    ("reset=1", SourceTruncated),
    ("truncate=1", SourceTruncated),
    ("truncate_clean=1", SourceTruncated),
    ("json_garbage=1", SourceTruncated),
]


@pytest.mark.parametrize(("fault", "error"), STRUCK)
async def test_a_fault_has_its_name(desk: Desk, fault: str, error: type[ComportaError]) -> None:
    """Each fault of the simulator becomes the error that says what to do."""
    reader = await desk.open("sale.order")
    desk.sandbox.faults.add(fault)

    with pytest.raises(error) as caught:
        await pages_of(reader)

    assert type(caught.value) is error
    assert caught.value.message.startswith("odoo/matriz sale.order: the first page")


@pytest.mark.parametrize("fault", ["html=1:2", "error_502=1:2", "reset=1:2", "truncate=1:2", "http_429=1:2"])
async def test_a_passing_fault_is_not_noticed(desk: Desk, progress: Progress, fault: str) -> None:
    """Two bad answers in a row cost two more requests and nothing else."""
    reader = await desk.open("sale.order")
    desk.sandbox.faults.add(fault)

    ids = await ids_of(reader)

    assert len(ids) == 60
    assert progress.requests.retried == 2


async def test_an_ignored_filter_is_noticed(desk: Desk) -> None:
    """Rows outside the window stop the run."""
    reader = await desk.open("sale.order")
    until = await reader.clock() + timedelta(days=1)
    desk.sandbox.faults.add("ignore_filter=1")

    with pytest.raises(FilterIgnored):
        await pages_of(reader, since=await reader.clock(), until=until)


async def test_short_pages_lose_nothing(desk: Desk) -> None:
    """A server that cuts its pages is read to the end."""
    reader = await desk.open("sale.order")
    desk.sandbox.faults.add("short_page=1", label="search_read")

    with pytest.raises(UnconfirmedEmpty):
        await ids_of(reader)
    desk.sandbox.faults.clear()
    desk.sandbox.faults.add("short_page=1:2", label="search_read")

    assert len(await ids_of(reader)) == 60


async def test_an_unknown_field_in_the_domain(desk: Desk) -> None:
    """The server's own words name it."""
    reader = await desk.open("sale.order", (("frete", "=", 1),))

    with pytest.raises(UnknownField, match="frete"):
        await pages_of(reader)


async def test_a_wrong_key(desk: Desk) -> None:
    """Refused at the login, whatever the protocol."""
    with pytest.raises(LoginRefused):
        await desk.open("sale.order", api_key="wrong")


async def test_a_wrong_database(desk: Desk) -> None:
    """Named, whatever the protocol."""
    with pytest.raises(UnknownDatabase, match="elsewhere"):
        await desk.open("sale.order", database="elsewhere")


async def test_another_database_shows_in_the_identity(desk: Desk) -> None:
    """Its uuid is asked for every reader, not remembered with the login."""
    source = desk._connect(desk.sandbox.url, **desk.settings)
    before = await source.read(StreamRequest("sale.order"), desk._progress)
    desk.sandbox.faults.add("other_database=1")

    after = await source.read(StreamRequest("sale.order"), desk._progress)

    assert before.identity.unique != after.identity.unique
