"""What an ActiveCampaign account says that it should not: for ever the same page, totals without end, half a record."""

import socket
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.sources.crm import open_crm
from tests.sources.scripted import Reply, ScriptedServer, SteppingClock, http, page

from comporta.errors import FilterIgnored, SourceBadGateway, SourceChangedShape, SourceUnavailable, UnconfirmedEmpty
from comporta.ports.progress import Progress
from comporta.ports.source import StreamRequest
from comporta.sources.activecampaign import ActiveCampaignSource
from comporta.sources.activecampaign_config import TIMEOUT
from comporta.sources.activecampaign_reader import ActiveCampaignReader

SIZE = 20
STAMP = "2026-03-01T08:00:00-06:00"


class Always(dict[str, Reply]):
    """The same answer whatever is asked."""

    def __init__(self, answer: Reply) -> None:
        super().__init__()
        self._answer = answer

    def __contains__(self, path: object) -> bool:
        return True

    def __getitem__(self, path: str) -> Reply:
        return self._answer


@pytest.fixture
async def source(server: ScriptedServer, clock: SteppingClock) -> AsyncIterator[ActiveCampaignSource]:
    """Return an account at a server that says what a test wrote."""
    async with open_crm(server.url, clock, key="s3cret-key", page_size=SIZE) as source:
        yield source


@pytest.fixture
async def deals(source: ActiveCampaignSource, clock: SteppingClock) -> ActiveCampaignReader:
    """Return the reader of its deals."""
    return await source.read(StreamRequest("deals"), Progress(clock))


def said(count: int, **more: object) -> bytes:
    """Return a page of so many deals."""
    stamps = {"cdate": STAMP, "mdate": STAMP}
    return http({"deals": [{"id": str(number), "title": "", **stamps} for number in range(1, count + 1)], **more})


@pytest.mark.parametrize("meta", [{}, {"meta": {"total": "45"}}])
async def test_a_page_that_comes_for_ever_ends_the_run(
    deals: ActiveCampaignReader, server: ScriptedServer, meta: dict[str, Any]
) -> None:
    """A proxy that drops the offset: each answer is a sign of life, so nothing else would ever end it."""
    server.overrides = Always(said(SIZE, **meta))

    with pytest.raises(FilterIgnored, match="none but the 20 records") as caught:
        [page async for page in deals.pages(since=None, until=None, after=None)]
    assert len(server.received) < 20
    assert "`comporta sync crm/deals --full`" in caught.value.next_step


@pytest.mark.parametrize("answer", [page("404 Not Found", status=404), http("Not Found", status=404)])
async def test_a_404_of_somebody_else_says_of_no_record_that_it_is_gone(
    source: ActiveCampaignSource, server: ScriptedServer, clock: SteppingClock, answer: bytes
) -> None:
    """A maintenance page, or a proxy that lost its way: who took it for the API's would delete what lives."""
    server.overrides = Always(answer)
    deals = await source.read(StreamRequest("deals"), Progress(clock))
    values = await source.read(StreamRequest("dealCustomFieldData"), Progress(clock))

    assert await deals.existing([3, 4]) == {3, 4}
    assert [each.key for each in (await values.fetch_children([3, 4])).unseen] == ["3", "4"]


async def test_another_record_than_the_one_asked_for_is_not_written_in_its_place(
    deals: ActiveCampaignReader, server: ScriptedServer
) -> None:
    """It waits in quarantine with what was said, and is not taken for gone."""
    server.overrides = Always(http({"deal": {"id": "4", "mdate": STAMP, "cdate": STAMP, "title": "another"}}))

    found = await deals.fetch([3])

    assert (list(found.rows), [each.key for each in found.unseen]) == ([], ["3"])
    assert await deals.existing([3]) == {3}


async def test_a_contact_is_the_same_alone_and_in_a_list(
    source: ActiveCampaignSource, server: ScriptedServer, clock: SteppingClock
) -> None:
    """One field has two names; beside its row none of them is left over."""
    contacts = await source.read(StreamRequest("contacts"), Progress(clock))
    told = {"id": "1", "udate": STAMP}
    server.overrides = Always(http({"contacts": [{**told, "email_domain": "example.com"}], "meta": {"total": "1"}}))
    (listed,) = [page async for page in contacts.pages(since=None, until=None, after=None)]
    server.overrides = Always(http({"contact": {**told, "emailDomain": "example.com"}}))

    alone = await contacts.fetch([1])

    assert (list(alone.rows), alone.extras) == (list(listed.rows), {})
    assert listed.rows[0][contacts.shape.index("email_domain")] == "example.com"


async def test_a_page_of_more_records_than_were_asked_for_ends_the_run(
    deals: ActiveCampaignReader, server: ScriptedServer
) -> None:
    """Whoever drops the limit drops the offset too, and pages would not meet where they should."""
    server.overrides = Always(said(SIZE + 1))

    with pytest.raises(FilterIgnored, match="at most the 20 asked"):
        await deals.count(since=None, until=None)


class Overcounted(Always):
    """A list of so many contacts, deals or pipelines, whose total is always higher."""

    def __init__(self, count: int) -> None:
        super().__init__(b"")
        self._count = count

    def __getitem__(self, path: str) -> Reply:
        stream, asked = path.partition("?")[0].rpartition("/")[2], parse_qs(urlsplit(path).query)
        after = int(asked.get("id_greater", asked.get("offset", ["0"]))[0])
        records = [
            {"id": str(each), "udate": STAMP, "mdate": STAMP, "cdate": STAMP} for each in range(1, 1 + self._count)
        ]
        return http({stream: records[after : after + SIZE], "meta": {"total": str(self._count * 2)}})


@pytest.mark.parametrize("stream", ["dealGroups", "contacts", "deals"])
@pytest.mark.parametrize("count", [1, 2, 50])
async def test_a_list_is_believed_where_its_own_last_page_shows_that_the_total_lies(
    source: ActiveCampaignSource, server: ScriptedServer, clock: SteppingClock, stream: str, count: int
) -> None:
    """One pipeline of two by the total, or contacts up to the last id: there is none behind."""
    server.overrides = Overcounted(count)
    reader = await source.read(StreamRequest(stream), Progress(clock))

    await reader.count(since=None, until=None)
    pages = [page async for page in reader.pages(since=None, until=None, after=None)]

    assert sum(len(page.rows) for page in pages) == count
    assert pages[-1].is_last


class Stumbling(Overcounted):
    """Such a list, of which the first answers lack every record."""

    def __init__(self, count: int, *, empty: int) -> None:
        super().__init__(count)
        self._empty = empty

    def __getitem__(self, path: str) -> Reply:
        self._empty -= 1
        return super().__getitem__(path) if self._empty < 0 else said(0, meta={"total": str(self._count * 2)})


@pytest.mark.parametrize("empty", range(1, 5))
async def test_a_list_that_is_there_a_moment_later_was_not_empty(
    deals: ActiveCampaignReader, server: ScriptedServer, empty: int
) -> None:
    """Though its total lies: it is read, or the run fails."""
    server.overrides = Stumbling(3, empty=empty)
    rows = None
    try:
        await deals.count(since=None, until=None)
        rows = [row async for page in deals.pages(since=None, until=None, after=None) for row in page.rows]
    except UnconfirmedEmpty:
        pass

    assert rows is None or len(rows) == 3


class Filtered(Always):
    """A list of so many deals that is there as a whole, or is not, and always empty where a filter is asked for."""

    def __init__(self, count: int, *, whole: bool) -> None:
        super().__init__(b"")
        self._count = count
        self._whole = whole

    def __getitem__(self, path: str) -> Reply:
        offset = int(parse_qs(urlsplit(path).query).get("offset", ["0"])[0])
        is_shown = self._whole and "filters" not in path
        return said(self._count - offset if is_shown else 0, meta={"total": str(self._count)})


@pytest.mark.parametrize("whole", [True, False], ids=["but the whole list is there", "as is the whole list"])
async def test_an_empty_answer_is_not_believed_where_the_total_is_right(
    deals: ActiveCampaignReader, server: ScriptedServer, clock: SteppingClock, *, whole: bool
) -> None:
    """All deals changed in the window, and it is answered without one: nothing shows that the total lies."""
    server.overrides = Filtered(3, whole=whole)
    since = datetime(2026, 2, 20, tzinfo=UTC)

    await deals.count(since=since, until=None)
    with pytest.raises(UnconfirmedEmpty, match="total says 3"):
        [page async for page in deals.pages(since=since, until=None, after=None)]


@pytest.mark.parametrize("ids", [range(1, SIZE + 1), range(SIZE, 0, -1), [*range(1, SIZE), SIZE - 1]])
async def test_contacts_whose_ids_do_not_rise_end_the_run(
    source: ActiveCampaignSource, server: ScriptedServer, clock: SteppingClock, ids: Sequence[int]
) -> None:
    """A server that does not know ``id_greater``, or the order, would be read for ever, or cut short."""
    server.overrides = Always(http({"contacts": [{"id": str(each), "udate": STAMP} for each in ids]}))
    contacts = await source.read(StreamRequest("contacts"), Progress(clock))

    with pytest.raises(FilterIgnored, match="ids that rise"):
        [page async for page in contacts.pages(since=None, until=None, after=None)]

    assert len(server.received) <= 2


@pytest.mark.parametrize("odd", [{"deals": "not for s3cret-key"}, {"deals": [{"id": "s3cret-key"}]}])
async def test_a_key_that_comes_back_in_data_is_not_said(
    deals: ActiveCampaignReader, server: ScriptedServer, odd: object
) -> None:
    """Messages quote what is odd, and are stored with the run."""
    server.overrides = Always(http(odd))

    with pytest.raises(SourceChangedShape, match=r"\*\*\*") as caught:
        await deals.count(since=None, until=None)

    assert "s3cret" not in f"{caught.value} {caught.value.message}"


@pytest.mark.parametrize("total", ["9" * 30, "9" * 5_000, 10**30, "-1", "abc", [3], None])
async def test_a_total_that_no_list_can_have_is_none(
    deals: ActiveCampaignReader, server: ScriptedServer, total: object
) -> None:
    """It is a hint, and this one is none."""
    server.overrides = Always(said(3, meta={"total": total}))

    assert await deals.count(since=None, until=None) is None


@pytest.mark.parametrize(("count", "limited"), [(None, {0}), ("0", set())])
async def test_an_account_that_is_asked_for_alone_empties_no_count(
    source: ActiveCampaignSource, server: ScriptedServer, clock: SteppingClock, count: object, limited: set[int]
) -> None:
    """Lists count its deals and contacts; where a single answer does not, it is a part of the row only."""
    server.overrides = Always(http({"account": {"id": "1", "name": "A", "contactCount": count, "dealCount": count}}))
    accounts = await source.read(StreamRequest("accounts"), Progress(clock))

    assert (await accounts.fetch([1])).limited == limited


async def test_a_server_that_hangs_is_asked_five_times(
    server: ScriptedServer, source: ActiveCampaignSource, clock: SteppingClock
) -> None:
    """As one that fails at once, though each of them takes as long as an answer is waited for."""

    def silent(connection: socket.socket) -> None:
        clock.advance(TIMEOUT)
        connection.sendall(http("", status=504))

    server.overrides = Always(silent)
    progress = Progress(clock)
    reader = await source.read(StreamRequest("deals"), progress)

    with pytest.raises(SourceBadGateway):
        await reader.count(since=None, until=None)

    assert progress.requests.sent == 5


@pytest.mark.parametrize("answer", [http({"message": "Internal Server Error"}, status=500), b""], ids=["500", "reset"])
async def test_nobody_is_sent_to_a_log_that_only_the_vendor_has(
    server: ScriptedServer, deals: ActiveCampaignReader, answer: bytes
) -> None:
    """A service that is in trouble is not the user's server; it is tried again, and that is all there is to do."""
    server.overrides = Always(answer)

    with pytest.raises(SourceUnavailable) as caught:
        await deals.count(since=None, until=None)

    assert "is yours" in caught.value.next_step
