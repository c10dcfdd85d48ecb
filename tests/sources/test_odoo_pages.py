"""How pages of Odoo records are asked for and what is believed of the answers."""

from datetime import UTC, datetime

import pytest
from tests.sources.conftest import Connect
from tests.sources.scripted import RECORD, ScriptedServer

from comporta.core.record import Page
from comporta.ports.progress import Progress
from comporta.ports.source import StreamRequest
from comporta.sources.odoo_reader import OdooReader

SINCE = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


async def open_reader(
    server: ScriptedServer, connect: Connect, progress: Progress, *, domain: tuple[object, ...] = (), **settings: object
) -> OdooReader:
    """Return a reader of sale.order."""
    source = connect(server.url, **{"protocol": server.protocol, **settings})
    return await source.read(StreamRequest("sale.order", domain=domain), progress)


async def read_all(reader: OdooReader, since: datetime | None = None, after: str | None = None) -> list[Page]:
    """Return all pages."""
    return [page async for page in reader.pages(since=since, until=None, after=after)]


def record(key: int, **changes: object) -> dict[str, object]:
    """Return a record with this id."""
    return {**RECORD, "id": key, **changes}


@pytest.mark.parametrize("protocol", ["jsonrpc", "xmlrpc", "json2"])
async def test_a_record_becomes_a_canonical_row(
    server: ScriptedServer, connect: Connect, progress: Progress, protocol: str
) -> None:
    """False is null, stamps are ISO, links are ids, lists are JSON: over every protocol."""
    server.protocol, server.version = protocol, "19.0"
    reader = await open_reader(server, connect, progress)
    server.say([RECORD], [])

    pages = await read_all(reader)

    columns = [column.name for column in reader.shape.columns]
    assert columns == ["id", "amount_total", "locked", "name", "partner_id", "tag_ids", "validity_date", "write_date"]
    expected = (7, 12.5, False, "S00007", 3, "[1,2]", None, "2026-03-01T10:00:00.000000Z")
    assert pages == [Page([expected], (), {}, position="7", is_last=True)]
