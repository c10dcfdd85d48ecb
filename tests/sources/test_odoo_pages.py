"""How pages of Odoo records are asked for and what is believed of the answers."""

import asyncio
import socket
from datetime import UTC, datetime, timedelta

import pytest
from tests.sources.conftest import Connect
from tests.sources.scripted import RECORD, ScriptedServer, SteppingClock

from comporta.core.record import Page
from comporta.errors import FilterIgnored, SourceChangedShape, SourceIncomplete, UnconfirmedEmpty
from comporta.ports.progress import Progress
from comporta.ports.source import StreamRequest
from comporta.sources.odoo_reader import CLOCK_FRESH_S, OdooReader

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


async def test_the_first_load_sends_no_stamp_filter(
    server: ScriptedServer, connect: Connect, progress: Progress
) -> None:
    """Without a lower bound rows without a stamp come too."""
    reader = await open_reader(server, connect, progress)
    server.say([record(7, write_date=False)], [])

    pages = await read_all(reader)

    assert server.calls[-2][1]["domain"] == []
    assert pages[0].rows[0][-1] is None


async def test_a_page_asks_for_exactly_what_it_needs(
    server: ScriptedServer, connect: Connect, progress: Progress
) -> None:
    """Fixed lower bound, ids above the last, order by id, bare links, archived rows, UTC, one language."""
    domain = ("|", ("state", "=", "sale"), ("state", "=", "done"))
    reader = await open_reader(server, connect, progress, domain=domain, companies=(1, 2), page_size=2)
    server.say([record(7), record(9)], [record(10)], [])

    pages = await read_all(reader, since=SINCE.replace(microsecond=900), after="3")

    asked = [call for call in server.calls if call[0] == "search_read"]
    states = ["|", ["state", "=", "sale"], ["state", "=", "done"]]
    bound = ["write_date", ">=", "2026-03-01 09:30:00"]
    assert asked[0][1] == {
        "domain": ["&", ["id", ">", 3], "&", bound, *states],
        "fields": [column.field for column in reader.shape.columns],
        "limit": 2,
        "order": "id",
        "load": False,
        "context": {"active_test": False, "tz": "UTC", "lang": "en_US", "allowed_company_ids": [1, 2]},
    }
    assert asked[1][1]["domain"][1] == ["id", ">", 9]
    assert [(page.position, page.is_last) for page in pages] == [("9", False), ("10", True)]


async def test_bounds_are_rounded_outward(server: ScriptedServer, connect: Connect, progress: Progress) -> None:
    """Odoo compares whole seconds: the lower bound goes down, the upper one up."""
    reader = await open_reader(server, connect, progress)
    server.say([], [])
    until = datetime(2026, 3, 1, 10, 0, 0, 1, tzinfo=UTC)

    pages = [page async for page in reader.pages(since=SINCE, until=until, after=None)]

    assert server.calls[-1][1]["domain"] == [
        "&",
        ["write_date", ">=", "2026-03-01 09:30:00"],
        ["write_date", "<", "2026-03-01 10:00:01"],
    ]
    assert pages == [Page([], (), {}, position=None, is_last=True)]


async def test_a_short_page_is_not_the_end_if_rows_follow(
    server: ScriptedServer, connect: Connect, progress: Progress
) -> None:
    """A server may cut pages below the limit; only an empty search after the last id ends the pass."""
    reader = await open_reader(server, connect, progress, page_size=5)
    server.say([record(7)], [8], [record(8), record(9)], [])

    pages = await read_all(reader)

    assert [[row[0] for row in page.rows] for page in pages] == [[7], [8, 9]]
    assert [page.is_last for page in pages] == [False, True]
    assert server.calls[-1][0] == "search"
    assert server.calls[-1][1]["limit"] == 1


async def test_an_empty_page_that_a_search_contradicts_is_asked_again(
    server: ScriptedServer, connect: Connect, progress: Progress
) -> None:
    """Once may be chance: the second answer counts."""
    reader = await open_reader(server, connect, progress)
    server.say([], [7], [record(7)], [])

    pages = await read_all(reader)

    assert [row[0] for page in pages for row in page.rows] == [7]


async def test_an_empty_page_that_is_contradicted_twice_fails(
    server: ScriptedServer, connect: Connect, progress: Progress
) -> None:
    """Nothing is claimed that the source's own search denies."""
    reader = await open_reader(server, connect, progress)
    server.say([], [7], [], [7])

    with pytest.raises(UnconfirmedEmpty, match="the first page answered no rows, twice; expected id 7"):
        await read_all(reader)


async def test_a_smaller_limit_makes_smaller_pages(
    server: ScriptedServer, connect: Connect, progress: Progress
) -> None:
    """The reader's limit bounds the page; it cannot exceed the account's page size."""
    reader = await open_reader(server, connect, progress, page_size=10)
    server.say([], [], [], [])

    for limit in (3, 50):
        _ = [page async for page in reader.pages(since=None, until=None, after=None, limit=limit)]

    assert [call[1]["limit"] for call in server.calls if call[0] == "search_read"] == [3, 10]


@pytest.mark.parametrize(
    ("records", "words"),
    [
        ([record(3)], "answered id 3; expected ids above 3"),
        ([record(5), record(5)], "answered id 5 after id 5; expected ids that rise"),
        ([record(6), record(5)], "answered id 5 after id 6; expected ids that rise"),
        ([record(4), record(5), record(6)], "answered 3 records; expected at most the 2 asked"),
        (
            [record(4, write_date="2026-03-01 09:29:59")],
            "answered id 4 with write_date 2026-03-01T09:29:59.000000Z; expected 2026-03-01T09:30:00.000000Z <= ",
        ),
        ([record(4), record(5, write_date=False)], "answered id 5 with write_date None"),
    ],
)
async def test_rows_that_the_filter_excludes_stop_the_run(
    server: ScriptedServer, connect: Connect, progress: Progress, *, records: list[object], words: str
) -> None:
    """A module or proxy that changes the query must not make a window look complete."""
    reader = await open_reader(server, connect, progress, page_size=2)
    server.say(records)

    with pytest.raises(FilterIgnored) as caught:
        await read_all(reader, since=SINCE, after="3")

    assert f"odoo/matriz sale.order: page after id 3 {words}" in caught.value.message


async def test_a_row_on_the_lower_bound_is_within(server: ScriptedServer, connect: Connect, progress: Progress) -> None:
    """The lower bound is included; stamps are cut to seconds, so that a row may stand exactly on it."""
    reader = await open_reader(server, connect, progress)
    server.say([record(4, write_date="2026-03-01 09:30:00")], [])

    pages = await read_all(reader, since=SINCE.replace(microsecond=1))

    assert [row[0] for page in pages for row in page.rows] == [4]


async def test_rows_stamped_after_the_upper_bound_stop_the_run(
    server: ScriptedServer, connect: Connect, progress: Progress
) -> None:
    """The upper bound is excluded, to the second."""
    reader = await open_reader(server, connect, progress)
    server.say([RECORD])
    until = datetime(2026, 3, 1, 10, tzinfo=UTC)

    with pytest.raises(FilterIgnored, match=r"expected write_date < 2026-03-01T10:00:00\.000000Z"):
        _ = [page async for page in reader.pages(since=None, until=until, after=None)]


async def test_a_rejected_record_keeps_its_place(server: ScriptedServer, connect: Connect, progress: Progress) -> None:
    """A page that ends with a record nobody can store goes on after it."""
    reader = await open_reader(server, connect, progress)
    server.say([record(7), record(8, write_date="never")], [])

    (page,) = await read_all(reader)

    assert [row[0] for row in page.rows] == [7]
    assert [rejected.key for rejected in page.rejected] == ["8"]
    assert (page.position, page.is_last) == ("8", True)


async def test_a_model_without_write_date_has_no_stamp(
    server: ScriptedServer, connect: Connect, progress: Progress
) -> None:
    """Views of the database have none; they are read whole."""
    server.fields = {"id": {"type": "integer"}, "name": {"type": "char"}}
    reader = await open_reader(server, connect, progress)
    server.say([{"id": 1, "name": "x"}], [])

    pages = await read_all(reader, since=SINCE)

    assert reader.shape.stamp is None
    assert server.calls[-2][1]["domain"] == []
    assert [page.rows for page in pages] == [[(1, "x")]]
    assert await reader.buckets(until=SINCE) == []


async def test_a_missing_date_header_is_said(
    server: ScriptedServer, connect: Connect, progress: Progress, clock: SteppingClock
) -> None:
    """Without the source's clock no window can be closed."""
    reader = await open_reader(server, connect, progress)
    clock.advance(timedelta(seconds=CLOCK_FRESH_S + 1))
    server.overrides["context_get"] = (
        b'HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{"result": {}'.replace(b": 13", b": 14") + b"}"
    )

    with pytest.raises(SourceChangedShape, match="no Date header"):
        await reader.clock()


@pytest.mark.parametrize("protocol", ["jsonrpc", "xmlrpc", "json2"])
async def test_the_clock_is_the_servers(
    server: ScriptedServer, connect: Connect, progress: Progress, protocol: str
) -> None:
    """The Date of the answer, aware and in UTC."""
    server.protocol, server.version = protocol, "19.0"
    reader = await open_reader(server, connect, progress)

    now = await reader.clock()

    assert now == datetime(2026, 11, 22, 12, 0, 5, tzinfo=UTC)
    assert now.tzinfo is UTC


async def test_the_clock_comes_with_the_description(
    server: ScriptedServer, connect: Connect, progress: Progress, clock: SteppingClock
) -> None:
    """It costs no call of its own while it is fresh; afterwards the server is asked."""
    reader = await open_reader(server, connect, progress)
    before = len(server.calls)

    first = await reader.clock()
    asked_at_first = len(server.calls) - before
    clock.advance(timedelta(seconds=CLOCK_FRESH_S + 1))
    later = await reader.clock()

    assert first == later == datetime(2026, 11, 22, 12, 0, 5, tzinfo=UTC)
    assert asked_at_first == 0
    assert server.calls[-1][0] == "context_get"


async def test_existence_is_searched_and_the_rest_is_counted(
    server: ScriptedServer, connect: Connect, progress: Progress
) -> None:
    """A search that came back short would look like deletes; a count of what is missing shows it."""
    reader = await open_reader(server, connect, progress)
    server.say([1, 3], 1)

    with pytest.raises(SourceIncomplete, match="found 2 of 3 ids, and a count 1 of the 1 others"):
        await reader.existing([1, 2, 3])

    assert server.calls[-1] == ("search_count", {"domain": [["id", "in", [2]]], "context": reader._session.context})


async def test_records_by_id_are_asked_again_after_a_short_answer(
    server: ScriptedServer, connect: Connect, progress: Progress
) -> None:
    """What a cut answer leaves out is fetched; what does not exist is not asked for twice."""
    reader = await open_reader(server, connect, progress)
    server.say([record(1)], [2], [record(2)], [])

    page = await reader.fetch([3, 2, 1, 1])

    assert [row[0] for row in page.rows] == [1, 2]
    assert server.calls[-1][1]["domain"] == ["&", ["id", ">", 2], ["id", "in", [1, 2, 3]]]


async def test_a_full_answer_by_id_is_one_request(server: ScriptedServer, connect: Connect, progress: Progress) -> None:
    """Nothing can follow the greatest id that was asked for."""
    reader = await open_reader(server, connect, progress)
    server.say([record(1, name=5), record(2)])

    page = await reader.fetch([1, 2])

    assert [row[0] for row in page.rows] == [1, 2]
    assert page.extras == {0: '{"name":5}'}


@pytest.mark.parametrize("ask", ["fetch", "existing"])
async def test_ids_that_were_not_asked_for_stop_the_run(
    server: ScriptedServer, connect: Connect, progress: Progress, ask: str
) -> None:
    """A filter that is ignored would repair the wrong rows, or prove the wrong ones alive."""
    reader = await open_reader(server, connect, progress)
    server.say([4] if ask == "existing" else [record(4)])

    with pytest.raises(FilterIgnored, match="answered id 4, which was not asked for"):
        await (reader.existing([1]) if ask == "existing" else reader.fetch([1]))


async def test_children_of_others_stop_the_run(server: ScriptedServer, connect: Connect, progress: Progress) -> None:
    """As above: the lines must be lines of the orders asked for."""
    server.fields["order_id"] = {"type": "many2one"}
    source = connect(server.url, protocol="jsonrpc")
    reader = await source.read(StreamRequest("sale.order.line"), progress)
    server.say([record(1, order_id=9)], [])

    with pytest.raises(FilterIgnored, match="the children of 1 parents answered id 9"):
        await reader.fetch_children([8])


async def test_a_cancelled_read_leaves_the_source_usable(
    server: ScriptedServer, connect: Connect, progress: Progress
) -> None:
    """A run that is stopped in the middle of an answer costs a connection and nothing else."""
    reader = await open_reader(server, connect, progress)
    arrived = asyncio.Event()
    loop = asyncio.get_running_loop()

    def hang(connection: socket.socket) -> None:
        loop.call_soon_threadsafe(arrived.set)
        connection.recv(1)

    server.overrides["search_read"] = hang
    task = asyncio.create_task(read_all(reader))
    await arrived.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    server.overrides.clear()
    server.say([RECORD], [])

    pages = await read_all(reader)

    assert [row[0] for page in pages for row in page.rows] == [7]
