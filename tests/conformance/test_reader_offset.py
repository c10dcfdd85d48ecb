"""What every reader promises, asked of one that pages by offset: the suite of ``test_reader`` as far as it applies.

Pages come in the order of the list, not of the keys; a window is asked for by whole days; no stream has a
domain. All else holds as for any other.
"""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from random import Random
from zoneinfo import ZoneInfo

import pytest
from tests.conformance.readers import COUNT, PAGE
from tests.conformance.test_reader import keys, keys_of, listed, pages_of

from comporta.coordination.budgets import SharedBudgets
from comporta.errors import SourceUnavailable, UnknownStream
from comporta.ports.progress import Progress
from comporta.ports.source import Reader, StreamRequest
from comporta.sandbox.activecampaign import ActiveCampaignSandbox
from comporta.sources.activecampaign import ActiveCampaignSource
from comporta.sources.activecampaign_config import ActiveCampaignConfig
from comporta.testing import FakeClock, MemoryLog

ZONE = ZoneInfo("UTC")


class Desk:
    """A simulated account and its readers."""

    def __init__(self, sandbox: ActiveCampaignSandbox, clock: FakeClock) -> None:
        self.sandbox = sandbox
        self.clock = clock
        self.progress = Progress(clock)
        config = ActiveCampaignConfig(sandbox.url, "demo", ZONE, page_size=PAGE, rate=(1_000, timedelta(seconds=1)))
        budgets = SharedBudgets(MemoryLog(clock), clock)
        self.source = ActiveCampaignSource(config, account="crm", clock=clock, budgets=budgets, dice=Random(1))

    async def read(self, stream: str = "deals", fields: tuple[str, ...] | None = None) -> Reader:
        """Return a reader of the stream."""
        return await self.source.read(StreamRequest(stream, fields), self.progress)

    def ids(self, stream: str = "deals") -> list[int]:
        """Return the ids that the source has, in order."""
        return sorted(self.sandbox.world.tables[stream])


@pytest.fixture
def clock() -> FakeClock:
    """A clock that jumps when everybody waits."""
    return FakeClock()


@pytest.fixture
def sandbox(clock: FakeClock) -> Iterator[ActiveCampaignSandbox]:
    """A small account in which nobody works."""
    with ActiveCampaignSandbox(records=COUNT, limit=1_000_000, zone="UTC", clock=clock.now) as running:
        yield running


@pytest.fixture
async def desk(sandbox: ActiveCampaignSandbox, clock: FakeClock) -> AsyncIterator[Desk]:
    """Its readers."""
    desk = Desk(sandbox, clock)
    yield desk
    await desk.source.aclose()


@pytest.mark.parametrize("stream", ["deals", "contacts", "dealCustomFieldData"])
async def test_every_record_comes_once_and_the_last_page_says_so(desk: Desk, stream: str) -> None:
    """No page is above its size; pages, listing and, where there is one, count agree."""
    reader = await desk.read(stream)

    pages = await pages_of(reader)

    assert sorted(map(int, keys_of(pages))) == desk.ids(stream)
    assert max(len(page.rows) for page in pages) <= PAGE
    assert [page.is_last for page in pages] == [False] * (len(pages) - 1) + [True]
    assert [key for key, _ in await listed(reader)] == desk.ids(stream)
    assert await reader.count(since=None, until=None) in {len(desk.ids(stream)), None}


async def test_an_empty_window_is_one_empty_last_page(desk: Desk) -> None:
    """Nothing there is an answer like any other."""
    reader = await desk.read()
    later = await reader.clock() + timedelta(days=3)

    (page,) = await pages_of(reader, since=later)

    assert (list(page.rows), page.is_last, page.position) == ([], True, None)
    assert await reader.count(since=later, until=None) == 0
    assert await listed(reader, since=later) == []


@pytest.mark.parametrize("limit", [1, 3, PAGE, 100])
async def test_a_page_may_be_asked_smaller(desk: Desk, limit: int) -> None:
    """The limit bounds a page, and never makes it larger than the account allows; nothing is lost by it."""
    reader = await desk.read()
    await reader.count(since=None, until=None)

    pages = [page async for page in reader.pages(since=None, until=None, after=None, limit=limit)]

    assert len(pages[0].rows) == min(limit, PAGE)
    assert max(len(page.rows) for page in pages) <= min(limit, PAGE)
    assert sorted(map(int, keys_of(pages))) == desk.ids()


async def test_a_deleted_record_is_nowhere(desk: Desk) -> None:
    """Not in pages, count, listing or fetch, and a direct look does not find it."""
    desk.sandbox.world.delete("deals", 3)
    reader = await desk.read()

    assert await reader.existing([2, 3, 4]) == {2, 4}
    assert keys_of([await reader.fetch([2, 3, 4])]) == [2, 4]
    assert 3 not in await keys(reader)
    assert 3 not in dict(await listed(reader))


async def test_a_change_is_stamped_with_the_sources_clock(desk: Desk, clock: FakeClock) -> None:
    """What is written now lies in a window that begins now."""
    reader = await desk.read()
    clock.advance(timedelta(minutes=5))
    now = await reader.clock()
    clock.advance(timedelta(seconds=1))
    desk.sandbox.world.update("deals", 7, {"title": "changed"})

    assert 7 in await keys(reader, since=now)
    assert [key for key, _ in await listed(reader, since=now)] == [7]


async def test_buckets_hold_every_stamped_record_of_the_hours_that_are_over(desk: Desk) -> None:
    """Rows and sum of keys by hour, in order."""
    reader = await desk.read()

    buckets = await reader.buckets(until=await reader.clock() + timedelta(hours=1))

    assert sum(bucket.rows for bucket in buckets) == COUNT
    assert sum(bucket.key_sum for bucket in buckets) == sum(desk.ids())
    assert [bucket.hour for bucket in buckets] == sorted({bucket.hour for bucket in buckets})


async def test_a_source_that_stays_broken_is_unavailable(desk: Desk) -> None:
    """With the error that says: it may work later, unchanged."""
    reader = await desk.read()
    desk.sandbox.faults.add("error_502=1")

    with pytest.raises(SourceUnavailable):
        await keys(reader)


async def test_a_stream_that_is_not_there_is_named(desk: Desk) -> None:
    """Asking for it says which."""
    with pytest.raises(UnknownStream, match="no such"):
        await desk.read("no such")


async def test_the_same_question_has_the_same_fingerprint(desk: Desk) -> None:
    """Query and identity are equal for two readers of one stream, and the query differs with the fields."""
    first, second, narrowed = await desk.read(), await desk.read(), await desk.read(fields=("title",))

    assert (first.query, first.identity) == (second.query, second.identity)
    assert narrowed.query != first.query


async def test_the_clock_is_the_sources(desk: Desk, clock: FakeClock) -> None:
    """It moves with the source's time, in whole seconds or finer."""
    reader = await desk.read()
    before = await reader.clock()
    clock.advance(timedelta(hours=1))

    assert await reader.clock() - before == timedelta(hours=1)
