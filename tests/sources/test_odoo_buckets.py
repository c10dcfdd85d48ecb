"""Sums by the hour, whatever the release calls the method and wherever it puts the bounds."""

from datetime import UTC, datetime

import pytest
from tests.sources.conftest import Connect
from tests.sources.scripted import RECORD, ScriptedServer, failure

from comporta.core.record import Bucket
from comporta.errors import SourceChangedShape
from comporta.errors_odoo import ProtocolUnsupported
from comporta.ports.progress import Progress
from comporta.ports.source import StreamRequest
from comporta.sources.odoo_reader import OdooReader

UNTIL = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
TEN, ELEVEN = Bucket("2026-03-01T10", 2, 30), Bucket("2026-03-01T11", 1, 7)
NO_METHOD = ("builtins.AttributeError", "The method 'sale.order.read_group' does not exist")
NO_NEWER = ("builtins.AttributeError", "The method 'sale.order.formatted_read_group' does not exist")
TOO_BIG = ("OverflowError", "int exceeds XML-RPC limits")


def bounds(low: str, high: str) -> list[object]:
    """Return the condition of one hour."""
    return ["&", ["write_date", ">=", low], ["write_date", "<", high]]


def group(hour: str, rows: int, total: int, **where: object) -> dict[str, object]:
    """Return a group as ``read_group`` answers it, labelled in some language."""
    return {"write_date:hour": f"{hour}:00 01 mar", "__count": rows, "ids": total, **where}


BY_RANGE = [
    group("11", 1, 7, __range={"write_date:hour": {"from": "2026-03-01 11:00:00", "to": "2026-03-01 12:00:00"}}),
    group("10", 2, 30, __range={"write_date:hour": {"from": "2026-03-01 10:00:00", "to": "2026-03-01 11:00:00"}}),
    {"write_date:hour": False, "__count": 4, "ids": 99, "__range": {"write_date:hour": False}},
]
BY_DOMAIN = [
    group("07", 2, 30, __domain=bounds("2026-03-01 10:00:00", "2026-03-01 11:00:00")),
    group("08", 1, 7, __domain=bounds("2026-03-01 11:00:00", "2026-03-01 12:00:00")),
]
NEWER = [
    {"write_date:hour": ["2026-03-01 10:00:00", "10:00 01 mar"], "__count": 2, "id:sum": 30},
    {"write_date:hour": ["2026-03-01 11:00:00", "11:00 01 mar"], "__count": 1, "id:sum": 7.0},
]


@pytest.fixture
async def reader(server: ScriptedServer, connect: Connect, progress: Progress) -> OdooReader:
    """Return a reader of sale.order."""
    return await connect(server.url).read(StreamRequest("sale.order"), progress)


@pytest.mark.parametrize("groups", [BY_RANGE, BY_DOMAIN], ids=["range", "domain"])
async def test_the_hour_is_read_from_the_bounds(
    server: ScriptedServer, reader: OdooReader, groups: list[object]
) -> None:
    """Never from the label; rows without a stamp are in no hour; hours come in order."""
    server.say(groups)

    buckets = await reader.buckets(until=UNTIL)

    assert buckets == [TEN, ELEVEN]
    asked = server.calls[-1][1]
    assert asked["domain"] == [["write_date", "<", "2026-03-01 12:00:00"]]
    assert (asked["fields"], asked["groupby"], asked["lazy"]) == (["ids:sum(id)"], ["write_date:hour"], False)
    assert asked["context"]["tz"] == "UTC"


async def test_a_release_without_read_group_has_the_newer_method(server: ScriptedServer, reader: OdooReader) -> None:
    """The fallback asks for the same figures under their new names."""
    server.fail(*NO_METHOD)
    server.say(NEWER)

    buckets = await reader.buckets(until=UNTIL)

    assert buckets == [TEN, ELEVEN]


@pytest.mark.parametrize("first", [NO_METHOD, TOO_BIG], ids=["no method", "too big"])
async def test_a_server_that_cannot_group_is_listed(
    server: ScriptedServer, reader: OdooReader, first: tuple[str, str]
) -> None:
    """The same sums are made here, from ids and stamps, of whole hours only."""
    server.fail(*first)
    server.fail(*NO_NEWER)
    stamps = {7: "2026-03-01 11:59:59", 10: "2026-03-01 10:00:00", 20: "2026-03-01 10:59:59"}
    server.say([{"id": key, "write_date": stamp} for key, stamp in stamps.items()], [])

    buckets = await reader.buckets(until=UNTIL)

    assert buckets == [TEN, ELEVEN]
    assert server.calls[-2][1]["domain"] == [["write_date", "<", "2026-03-01 12:00:00"]]


@pytest.mark.parametrize(
    "odd",
    [
        group("10", 2, 30),
        group("10", 2, 30, __range={"write_date:hour": {"from": "10:00"}}),
        {**BY_RANGE[0], "ids": None},
        {**BY_RANGE[0], "ids": 1.5},
        {**BY_RANGE[0], "__count": "2"},
    ],
)
async def test_a_group_that_cannot_be_read_is_said(
    server: ScriptedServer, reader: OdooReader, odd: dict[str, object]
) -> None:
    """A sum that is guessed would hide or invent a difference."""
    server.say([odd])

    with pytest.raises(SourceChangedShape, match="the sums by hour answered"):
        await reader.buckets(until=UNTIL)


async def test_an_integer_too_big_for_xmlrpc_says_what_helps(
    server: ScriptedServer, connect: Connect, progress: Progress
) -> None:
    """The other protocols carry it."""
    server.protocol = "xmlrpc"
    reader = await connect(server.url, protocol="xmlrpc").read(StreamRequest("sale.order"), progress)
    server.script = [failure("xmlrpc", *TOO_BIG)]

    with pytest.raises(ProtocolUnsupported) as caught:
        await anext(reader.pages(since=None, until=None, after=None))

    assert "jsonrpc" in caught.value.next_step


async def test_a_listing_goes_on_and_keeps_what_cannot_be_read(server: ScriptedServer, reader: OdooReader) -> None:
    """A stamp that nobody can read is listed as unknown, so that its id is not taken for deleted."""
    rows = [{"id": 1, "write_date": RECORD["write_date"]}, {"id": 2, "write_date": "?"}]
    server.say(rows, [3], [{"id": 3, "write_date": False}], [])

    listed = [pair async for chunk in reader.listing(since=None, until=None) for pair in chunk]

    assert listed == [(1, "2026-03-01T10:00:00.000000Z"), (2, None), (3, None)]
