"""What every reader promises, asked of one that pages by offset, beside what ``test_reader_every`` asks of all.

Pages come in the order of the list, not of the keys; a window is asked for by whole days; no stream has a
domain. All else holds as for any other.
"""

from collections.abc import AsyncIterator, Iterator

import pytest
from tests.conformance.readers import COUNT, PAGE, OffsetDesk
from tests.conformance.test_reader import keys, keys_of, listed, pages_of

from comporta.sandbox.activecampaign import ActiveCampaignSandbox
from comporta.testing import FakeClock


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
async def desk(sandbox: ActiveCampaignSandbox, clock: FakeClock) -> AsyncIterator[OffsetDesk]:
    """Its readers."""
    desk = OffsetDesk(sandbox, clock)
    yield desk
    await desk.source.aclose()


@pytest.mark.parametrize("stream", ["deals", "contacts", "dealCustomFieldData"])
async def test_every_record_comes_once_and_the_last_page_says_so(desk: OffsetDesk, stream: str) -> None:
    """No page is above its size; pages, listing and, where there is one, count agree."""
    reader = await desk.read(stream)

    pages = await pages_of(reader)

    assert sorted(map(int, keys_of(pages))) == desk.ids(stream)
    assert max(len(page.rows) for page in pages) <= PAGE
    assert [page.is_last for page in pages] == [False] * (len(pages) - 1) + [True]
    assert [key for key, _ in await listed(reader)] == desk.ids(stream)
    assert await reader.count(since=None, until=None) in {len(desk.ids(stream)), None}


@pytest.mark.parametrize("limit", [1, 3, PAGE, 100])
async def test_a_page_may_be_asked_smaller(desk: OffsetDesk, limit: int) -> None:
    """The limit bounds a page, and never makes it larger than the account allows; nothing is lost by it."""
    reader = await desk.read()
    await reader.count(since=None, until=None)

    pages = [page async for page in reader.pages(since=None, until=None, after=None, limit=limit)]

    assert len(pages[0].rows) == min(limit, PAGE)
    assert max(len(page.rows) for page in pages) <= min(limit, PAGE)
    assert sorted(map(int, keys_of(pages))) == desk.ids()


async def test_a_deleted_record_is_nowhere(desk: OffsetDesk) -> None:
    """Not in pages, count, listing or fetch, and a direct look does not find it."""
    desk.sandbox.world.delete("deals", 3)
    reader = await desk.read()

    assert await reader.existing([2, 3, 4]) == {2, 4}
    assert keys_of([await reader.fetch([2, 3, 4])]) == [2, 4]
    assert 3 not in await keys(reader)
    assert 3 not in dict(await listed(reader))
