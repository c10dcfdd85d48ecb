"""What a reader by key promises beside what every reader does (``test_reader_every``): of the fake and of the real one.

The fake passes the same suite as the real thing, or it is not a fake.
"""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest
from tests.conformance.readers import COUNT, LINES, ORDERS, PAGE, FakeScene, OdooScene, Scene

from comporta.core.instant import parse_instant
from comporta.core.record import Key, Page
from comporta.errors import FilterIgnored, UnconfirmedEmpty
from comporta.ports.source import Reader
from comporta.sandbox.odoo import OdooSandbox
from comporta.testing import FakeClock


@pytest.fixture(params=["fake", "odoo"])
async def scene(request: pytest.FixtureRequest) -> AsyncIterator[Scene]:
    """Return a source in which people work."""
    if request.param == "fake":
        yield FakeScene()
        return
    clock = FakeClock()
    with OdooSandbox(records=COUNT, clock=clock.now) as sandbox:
        odoo = OdooScene(sandbox, clock)
        yield odoo
        await odoo.source.aclose()


async def pages_of(
    reader: Reader, since: datetime | None = None, until: datetime | None = None, after: str | None = None
) -> list[Page]:
    """Read all pages."""
    return [page async for page in reader.pages(since=since, until=until, after=after)]


def keys_of(pages: list[Page]) -> list[Key]:
    """Return the keys of all rows, in the order they came."""
    return [key for page in pages for row in page.rows if isinstance(key := row[0], int)]


async def keys(reader: Reader, since: datetime | None = None, until: datetime | None = None) -> list[Key]:
    """Read all pages and return the keys."""
    return keys_of(await pages_of(reader, since, until))


async def listed(
    reader: Reader, since: datetime | None = None, until: datetime | None = None
) -> list[tuple[Key, str | None]]:
    """Return the whole listing."""
    return [pair async for part in reader.listing(since=since, until=until) for pair in part]


async def test_the_shape_names_key_and_stamp(scene: Scene) -> None:
    """The key is a column, the stamp is one too, and children point to their parents."""
    orders, lines = (await scene.read()).shape, (await scene.read(LINES)).shape

    assert orders.columns[orders.index(orders.key)].name == "id"
    assert orders.stamp == "write_date"
    assert (lines.parent, lines.parent_stream) == ("order_id", ORDERS)


async def test_pages_come_by_key_and_the_last_says_so(scene: Scene) -> None:
    """Every record once, in order of its key, no page above its size, and one last page."""
    pages = await pages_of(await scene.read())

    assert keys_of(pages) == list(scene.stamps())
    assert max(len(page.rows) for page in pages) == PAGE
    assert [page.is_last for page in pages] == [False] * (len(pages) - 1) + [True]


async def test_rows_bear_the_sources_stamp(scene: Scene) -> None:
    """In canonical form, in the column that the shape calls the stamp."""
    reader = await scene.read()
    place = reader.shape.index("write_date")

    pages = await pages_of(reader)

    assert {row[0]: row[place] for page in pages for row in page.rows} == scene.stamps()


async def test_a_window_is_half_open(scene: Scene) -> None:
    """Its lower bound is in, its upper one out; pages, count and listing agree about it."""
    stamps = sorted(scene.stamps().values())
    low, high = stamps[5], stamps[30]
    since, until = parse_instant(low), parse_instant(high)
    within = {key: stamp for key, stamp in scene.stamps().items() if low <= stamp < high}
    reader = await scene.read()

    found = await keys(reader, since, until)

    assert found == list(within)
    assert await listed(reader, since, until) == list(within.items())
    assert await reader.count(since=since, until=until) == len(within)


@pytest.mark.parametrize("after", range(4))
async def test_another_reader_goes_on_after_any_position(scene: Scene, after: int) -> None:
    """What follows a page's position is exactly the rest."""
    pages = await pages_of(await scene.read())

    rest = await pages_of(await scene.read(), after=pages[after].position)

    assert keys_of(pages[: after + 1]) + keys_of(rest) == list(scene.stamps())


async def test_nothing_follows_the_last_position(scene: Scene) -> None:
    """A pass that had read everything goes on with one empty last page, at the same position."""
    *_, last = await pages_of(await scene.read())

    (page,) = await pages_of(await scene.read(), after=last.position)

    assert (list(page.rows), page.is_last, page.position) == ([], True, last.position)


async def test_a_listing_is_complete_and_by_key(scene: Scene) -> None:
    """Key and stamp of every record."""
    assert await listed(await scene.read()) == list(scene.stamps().items())


async def test_a_domain_narrows_all_but_existence(scene: Scene) -> None:
    """Pages, count, listing, fetch and buckets know it; whether a key lives is another question."""
    reader = await scene.read(domain=(("state", "=", "draft"),))
    everything = list(scene.stamps())
    chosen = await keys(reader)

    fetched = await reader.fetch(everything)

    buckets = await reader.buckets(until=await reader.clock() + timedelta(hours=2))
    assert 0 < len(chosen) < len(everything)
    assert keys_of([fetched]) == chosen
    assert [key for key, _ in await listed(reader)] == chosen
    assert await reader.count(since=None, until=None) == len(chosen)
    assert sum(bucket.rows for bucket in buckets) == len(chosen)
    assert await reader.existing(everything) == set(everything)


async def test_a_deleted_record_is_nowhere(scene: Scene) -> None:
    """Not in pages, count, listing or fetch, and a direct look does not find it."""
    scene.remove(3)
    reader = await scene.read()

    alive = await reader.existing([2, 3, 4])

    assert alive == {2, 4}
    assert keys_of([await reader.fetch([2, 3, 4])]) == [2, 4]
    assert 3 not in await keys(reader)
    assert 3 not in dict(await listed(reader))
    assert await reader.count(since=None, until=None) == COUNT - 1


async def test_children_come_complete(scene: Scene) -> None:
    """All lines of the orders asked for, in one page however many; a stream without a parent has none."""
    reader = await scene.read(LINES)
    place = reader.shape.index("order_id")
    parents = list(range(1, 16))
    wanted = [row[0] for page in await pages_of(reader) for row in page.rows if row[place] in parents]

    page = await reader.fetch_children(parents)

    assert sorted(keys_of([page]), key=int) == wanted
    assert len(wanted) > PAGE
    assert list((await (await scene.read()).fetch_children(parents)).rows) == []


async def test_the_lines_of_a_deleted_order_are_gone(scene: Scene) -> None:
    """Asking for its children brings none."""
    scene.remove(3)

    page = await (await scene.read(LINES)).fetch_children([3])

    assert list(page.rows) == []


async def test_buckets_count_whole_hours(scene: Scene) -> None:
    """Rows and sum of keys for every hour that is over at the bound, in order; the running one is left out."""
    reader = await scene.read()
    until = parse_instant(sorted(scene.stamps().values())[30])
    expected: dict[str, list[int]] = {}
    for key, stamp in scene.stamps().items():
        if stamp[:13] < until.isoformat()[:13]:
            expected.setdefault(stamp[:13], []).append(key)

    buckets = await reader.buckets(until=until)

    assert [(bucket.hour, bucket.rows, bucket.key_sum) for bucket in buckets] == [
        (hour, len(found), sum(found)) for hour, found in sorted(expected.items())
    ]


async def test_a_change_is_stamped_with_the_sources_clock(scene: Scene) -> None:
    """What is written now lies in a window that begins now."""
    reader = await scene.read()
    scene.clock.advance(timedelta(minutes=5))
    now = await reader.clock()
    scene.write(7, state="cancel")
    new = scene.create()

    found = await keys(reader, since=now)

    assert found == [7, new]


async def test_a_late_commit_bears_the_stamp_of_its_start(scene: Scene) -> None:
    """Unseen while the transaction is open; then it lies in the past, where no later window looks."""
    reader = await scene.read()
    scene.clock.advance(timedelta(minutes=5))
    began = await reader.clock()
    key, late = scene.begin()
    scene.clock.advance(timedelta(minutes=30))
    unseen = await keys(reader, since=began)
    late.commit()

    found = await keys(reader, since=began)

    assert (unseen, found) == ([], [key])
    assert await keys(reader, since=began + timedelta(seconds=1)) == []


async def test_a_row_inserted_while_reading_comes_or_not_but_never_twice(scene: Scene) -> None:
    """New keys come at the end of the pass that is under way."""
    reader = await scene.read()
    found: list[Key] = []
    async for page in reader.pages(since=None, until=None, after=None):
        if not found:
            scene.create()
        found += keys_of([page])

    assert found == list(scene.stamps())


async def test_a_row_deleted_while_reading_shifts_nothing(scene: Scene) -> None:
    """Pages follow keys, not places: a deletion behind the reader hides no row before it."""
    reader = await scene.read()
    found: list[Key] = []
    async for page in reader.pages(since=None, until=None, after=None):
        if not found:
            scene.remove(2)
        found += keys_of([page])

    assert found == list(range(1, COUNT + 1))


async def test_short_pages_lose_nothing(scene: Scene) -> None:
    """A source that cuts its pages is read to the end."""
    scene.misbehave("short", 2)

    assert await keys(await scene.read()) == list(scene.stamps())


async def test_an_empty_page_before_the_end_is_asked_again(scene: Scene) -> None:
    """Once is a stumble; nothing is lost by it."""
    scene.misbehave("empty", 1)

    assert await keys(await scene.read()) == list(scene.stamps())


async def test_an_empty_page_that_stays_is_no_end(scene: Scene) -> None:
    """Nothing came, twice, but something is there: the reader does not call that the last page."""
    reader = await scene.read()
    scene.misbehave("empty")

    with pytest.raises(UnconfirmedEmpty):
        await keys(reader)


async def test_an_ignored_filter_is_noticed(scene: Scene) -> None:
    """Rows outside the bounds that were asked stop the reading."""
    scene.misbehave("unfiltered")
    reader = await scene.read()
    since = parse_instant(sorted(scene.stamps().values())[-3])

    with pytest.raises(FilterIgnored):
        await keys(reader, since=since)


async def test_the_same_question_has_the_same_fingerprint(scene: Scene) -> None:
    """Query and identity are equal for two readers of one stream, and differ with domain and database."""
    first, second = await scene.read(), await scene.read()
    narrowed = await scene.read(domain=(("state", "=", "draft"),))
    scene.replace_database()
    elsewhere = await scene.read()

    assert (first.query, first.identity) == (second.query, second.identity)
    assert narrowed.query != first.query
    assert elsewhere.identity.unique != first.identity.unique
    assert (elsewhere.identity.url, elsewhere.identity.database) == (first.identity.url, first.identity.database)


async def test_every_request_is_counted(scene: Scene) -> None:
    """Reading four ways costs at least four requests, each on the run's account."""
    reader = await scene.read()
    before = scene.progress.requests.sent

    await keys(reader)
    await reader.count(since=None, until=None)
    await reader.existing([1])
    await reader.fetch([1])

    assert scene.progress.requests.sent - before >= COUNT // PAGE + 3
