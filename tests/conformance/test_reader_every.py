"""What every reader promises, whatever its source is read by: keys, offsets or hours. Asked of the fake too.

What only some promise, or promise differently, is in ``test_reader`` (by key), ``test_reader_offset`` and
``test_reader_hours``.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import pytest
from tests.conformance.readers import COUNT, ORDERS, PAGE, FakeScene, OdooScene, OffsetDesk, Scene
from tests.conformance.test_reader import keys, listed, pages_of
from tests.sources.mercadolivre_desk import desk_of, orders_of

from comporta.errors import SourceUnavailable, UnknownStream
from comporta.ports.progress import Progress
from comporta.ports.source import Reader, Source, StreamRequest
from comporta.sandbox.activecampaign import ActiveCampaignSandbox
from comporta.sandbox.mercadolivre import MercadoLivreSandbox
from comporta.sandbox.odoo import OdooSandbox
from comporta.testing import FakeClock


@dataclass(frozen=True)
class Place:
    """A source with forty records of a stream; what is there, and what the suite does there."""

    clock: FakeClock
    source: Source
    stream: str
    field: str
    ids: Callable[[], list[int]]
    change: Callable[[], int]
    break_down: Callable[[], object]

    async def read(self, stream: str | None = None, fields: tuple[str, ...] | None = None) -> Reader:
        """Return a reader of the stream, or of another."""
        return await self.source.read(StreamRequest(stream or self.stream, fields), Progress(self.clock))


def place_of(scene: Scene) -> Place:
    """Return the place of a scene of orders."""

    def change() -> int:
        scene.write(7, state="cancel")
        return 7

    return Place(
        scene.clock,
        scene.source,
        ORDERS,
        "state",
        lambda: list(scene.stamps()),
        change,
        lambda: scene.misbehave("broken"),
    )


@contextmanager
def fake(_: FakeClock) -> Iterator[Place]:
    """The fake."""
    yield place_of(FakeScene())


@contextmanager
def odoo(clock: FakeClock) -> Iterator[Place]:
    """By key."""
    with OdooSandbox(records=COUNT, clock=clock.now) as sandbox:
        yield place_of(OdooScene(sandbox, clock))


@contextmanager
def activecampaign(clock: FakeClock) -> Iterator[Place]:
    """By offset."""

    def change() -> int:
        sandbox.world.update("deals", 7, {"title": "changed"})
        return 7

    with ActiveCampaignSandbox(records=COUNT, limit=1_000_000, zone="UTC", clock=clock.now) as sandbox:
        desk = OffsetDesk(sandbox, clock)
        yield Place(clock, desk.source, "deals", "title", desk.ids, change, lambda: sandbox.faults.add("error_502=1"))


@contextmanager
def mercadolivre(clock: FakeClock) -> Iterator[Place]:
    """By hours."""

    def ids() -> list[int]:
        return [int(str(key)) for key in orders_of(sandbox)]

    def change() -> int:
        key = ids()[0]
        sandbox.world.change_order(key, status="partially_refunded")
        return key

    with MercadoLivreSandbox(records=COUNT, sellers=1, items=10, clock=clock.now) as sandbox:
        source = desk_of(sandbox, clock, page_size=PAGE).source
        yield Place(clock, source, "orders", "status", ids, change, lambda: sandbox.faults.add("error_502=1"))


@pytest.fixture(params=[fake, odoo, activecampaign, mercadolivre], ids=lambda made: made.__name__)
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    """A source in which nobody else works."""
    with request.param(FakeClock()) as made:
        yield made
        await made.source.aclose()


async def test_an_empty_window_is_one_empty_last_page(place: Place) -> None:
    """Nothing there is an answer like any other."""
    reader = await place.read()
    later = await reader.clock() + timedelta(days=3)

    (page,) = await pages_of(reader, since=later)

    assert (list(page.rows), page.is_last) == ([], True)
    assert await reader.count(since=later, until=None) == 0
    assert await listed(reader, since=later) == []


@pytest.mark.parametrize("limit", [1, 3, PAGE, 100])
async def test_a_page_may_be_asked_smaller(place: Place, limit: int) -> None:
    """The limit bounds a page, and never makes it larger than the account allows."""
    reader = await place.read()

    first = await anext(reader.pages(since=None, until=None, after=None, limit=limit))

    assert len(first.rows) == min(limit, PAGE)


async def test_a_change_is_stamped_with_the_sources_clock(place: Place) -> None:
    """What is written now lies in a window that begins now, but for the seconds that a stamp is late."""
    reader = await place.read()
    place.clock.advance(timedelta(minutes=5))
    now = await reader.clock()
    place.clock.advance(timedelta(seconds=10))
    key = place.change()

    assert key in map(int, map(str, await keys(reader, since=now)))
    assert [int(each) for each, _ in await listed(reader, since=now)] == [key]


async def test_buckets_hold_every_stamped_record_of_the_hours_that_are_over(place: Place) -> None:
    """Rows and sum of keys by hour, in order."""
    reader = await place.read()

    buckets = await reader.buckets(until=await reader.clock() + timedelta(hours=1))

    assert sum(bucket.rows for bucket in buckets) == len(place.ids())
    assert sum(bucket.key_sum for bucket in buckets) == sum(place.ids())
    assert [bucket.hour for bucket in buckets] == sorted({bucket.hour for bucket in buckets})


async def test_a_source_that_stays_broken_is_unavailable(place: Place) -> None:
    """With the error that says: it may work later, unchanged."""
    reader = await place.read()
    place.break_down()

    with pytest.raises(SourceUnavailable):
        await keys(reader)


async def test_a_stream_that_is_not_there_is_named(place: Place) -> None:
    """Asking for it says which."""
    with pytest.raises(UnknownStream, match=r"no\.such"):
        await place.read("no.such")


async def test_the_same_question_has_the_same_fingerprint(place: Place) -> None:
    """Query and identity are equal for two readers of one stream, and the query differs with the fields."""
    first, second, narrowed = await place.read(), await place.read(), await place.read(fields=(place.field,))

    assert (first.query, first.identity) == (second.query, second.identity)
    assert narrowed.query != first.query


async def test_the_clock_is_the_sources(place: Place) -> None:
    """It moves with the source's time, in whole seconds or finer."""
    reader = await place.read()
    before = await reader.clock()
    place.clock.advance(timedelta(hours=1))

    assert await reader.clock() - before == timedelta(hours=1)
