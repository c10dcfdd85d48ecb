"""Orders as they are searched: no row lost, none twice, no claim that the pages do not prove."""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest
from tests.sources.mercadolivre_desk import (
    OTHER,
    SELLER,
    Desk,
    Spoken,
    StandIn,
    desk_of,
    keys_of,
    listed,
    orders_of,
    pages_of,
    rows_of,
)
from tests.sources.scripted import ScriptedServer, SteppingClock, http

from comporta.core.instant import instant_text
from comporta.errors import AccessRefused, FilterIgnored, RecordAbsent
from comporta.sandbox.mercadolivre import MercadoLivreSandbox
from comporta.sources.mercadolivre_values import instant_of

RECORDS = 150


@pytest.fixture
def sandbox(clock: SteppingClock) -> Iterator[MercadoLivreSandbox]:
    """Return two sellers for whom nobody works."""
    with MercadoLivreSandbox(records=RECORDS, items=10, clock=clock.now) as running:
        yield running


@pytest.fixture
async def desk(sandbox: MercadoLivreSandbox, clock: SteppingClock) -> AsyncIterator[Desk]:
    """Return the first of them, in small pages."""
    desk = desk_of(sandbox, clock, page_size=10)
    yield desk
    await desk.source.aclose()


@pytest.mark.full
@pytest.mark.parametrize("width", [1, 4, 8])
async def test_what_is_read_is_what_is_there(desk: Desk, sandbox: MercadoLivreSandbox, width: int) -> None:
    """Every order once, with every value; the pages prove it and the total agrees."""
    reader = await desk.read(concurrency=width)
    before = await reader.count(since=None, until=None)

    pages = await pages_of(reader)

    assert rows_of(pages) == orders_of(sandbox)
    assert len(keys_of(*pages)) == len(orders_of(sandbox)) == before
    assert reader.is_unbroken
    assert [page.is_last for page in pages] == [False] * (len(pages) - 1) + [True]


@pytest.mark.full
@pytest.mark.parametrize("form", ["on", "off", "inclusive"])
@pytest.mark.parametrize("minutes", [0, 1, 30, 59])
async def test_a_window_holds_all_that_was_changed_in_it(
    desk: Desk, sandbox: MercadoLivreSandbox, form: str, minutes: int
) -> None:
    """However the filter is cut off, and wherever in its hour the window begins and ends."""
    if form != "on":
        sandbox.faults.add(f"hour_truncation={form}")
    reader = await desk.read()
    place = reader.shape.index("last_updated")
    stamps = {key: str(row[place]) for key, row in orders_of(sandbox).items()}
    since = instant_of(sorted(stamps.values())[40])
    until = instant_of(sorted(stamps.values())[90])
    assert since is not None
    assert until is not None
    since, until = (each.replace(minute=minutes, second=0) for each in (since, until))
    within = {key for key, stamp in stamps.items() if instant_text(since) <= stamp < instant_text(until)}

    found = keys_of(*await pages_of(reader, since, until))

    assert within <= set(found)
    assert len(found) == len(set(found)) < len(stamps)
    assert {key for key, _ in await listed(reader, since, until)} == within


async def test_what_is_indexed_after_the_end_is_in_the_window_by_its_stamp(
    desk: Desk, sandbox: MercadoLivreSandbox
) -> None:
    """The search goes by a stamp some seconds later: an order of 13:59:58 is found from 14:00:03 on."""
    order = sandbox.world.orders_of(SELLER)[0]
    end = sandbox.clock.now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=5)
    ms = int(end.timestamp() * 1000)
    sandbox.world.change_order(order.id, is_stamped=False, status="paid", updated=ms - 2000, indexed=ms + 3000)
    reader = await desk.read()

    found = keys_of(*await pages_of(reader, end - timedelta(hours=1), end))

    assert order.id in found
    assert [key for key, _ in await listed(reader, end - timedelta(hours=1), end)] == [order.id]


async def test_the_hour_that_is_not_over_is_read(
    desk: Desk, sandbox: MercadoLivreSandbox, clock: SteppingClock
) -> None:
    """What changed a minute ago lies in a window that ends now."""
    clock.advance(timedelta(minutes=25))
    known = sandbox.world.orders_of(SELLER)[3].id
    sandbox.world.change_order(known, status="paid")
    clock.advance(timedelta(minutes=1))
    reader = await desk.read()

    assert known in keys_of(*await pages_of(reader, clock.now() - timedelta(hours=1), clock.now()))
    assert known in keys_of(*await pages_of(reader, clock.now() - timedelta(minutes=10), None))


@pytest.mark.parametrize("fault", ["ignore_filter=1", "ignore_filter=1:1"])
async def test_a_filter_that_is_ignored_is_noticed(
    desk: Desk, sandbox: MercadoLivreSandbox, clock: SteppingClock, fault: str
) -> None:
    """By rows that no reading of it lets through; in pages and in a listing."""
    reader, since = await desk.read(), clock.now() - timedelta(days=30)
    sandbox.faults.add(f"{fault}@orders/search")
    with pytest.raises(FilterIgnored, match=r"expected {'order.date_last_updated.from'"):
        await pages_of(reader, since)
    sandbox.faults.clear()
    sandbox.faults.add(f"{fault}@orders/search")

    with pytest.raises(FilterIgnored):
        await listed(reader, since)


@pytest.mark.full
@pytest.mark.parametrize("width", [1, 4, 8])
@pytest.mark.parametrize("seed", range(6))
async def test_orders_that_change_come_and_hide_while_we_read_lose_no_other(
    clock: SteppingClock, width: int, seed: int
) -> None:
    """What nobody touched is read, once; of what somebody did, the next window has it."""
    with MercadoLivreSandbox(records=120, sellers=1, items=5, seed=seed, clock=clock.now) as sandbox:
        before = orders_of(sandbox)
        known = [each.id for each in sandbox.world.orders_of(SELLER) if each.id in before]
        for number in range(1, 14):
            picked = known[(number * 37 + seed * 11) % len(known)]
            for act in (
                {"do": "update_order", "id": picked, "values": {"status": "partially_refunded"}},
                {"do": "create_order", "seller": SELLER},
                {"do": "cancel_order", "id": known[(number * 53 + seed) % len(known)]},
            ):
                sandbox._control.perform({**act, "after": number, "on": "orders/search"})
        desk = desk_of(sandbox, clock, page_size=10)
        reader = await desk.read(concurrency=width)
        pages = await pages_of(reader)
        after = orders_of(sandbox, hidden=True)
        untouched = {key for key, row in before.items() if after[key] == row}
        since = clock.now() - timedelta(hours=1)

        found = keys_of(*pages)
        later = rows_of(await pages_of(await desk.read(), since))

        assert untouched <= set(found)
        assert len(found) == len(set(found))
        assert rows_of(pages) | later == rows_of(pages) | orders_of(sandbox)
        await desk.source.aclose()


@pytest.mark.full
async def test_a_page_may_be_asked_smaller(desk: Desk, sandbox: MercadoLivreSandbox) -> None:
    """Also a single order, where no pages overlap."""
    for limit in (1, 3, 100):
        reader = await desk.read()
        pages = await pages_of(reader, limit=limit)
        assert max(len(page.rows) for page in pages) == min(limit, 10)
        assert rows_of(pages) == orders_of(sandbox)


async def test_orders_are_read_by_key_whether_shown_or_not(desk: Desk, sandbox: MercadoLivreSandbox) -> None:
    """A cancelled one too; one that does not exist or is another seller's is not there. Only the first is gone."""
    reader = await desk.read()
    cancelled = next(each.id for each in sandbox.world.orders_of(SELLER) if each.status == "cancelled")
    foreign = sandbox.world.orders_of(OTHER)[0].id
    known = sandbox.world.orders_of(SELLER)[0].id

    page = await reader.fetch([cancelled, foreign, known, 7])

    assert set(keys_of(page)) == {cancelled, known}
    assert rows_of([page])[cancelled] == orders_of(sandbox, hidden=True)[cancelled]
    assert await reader.existing([cancelled, foreign, known, 7]) == {cancelled, foreign, known}


async def test_what_the_account_bought_is_no_order_of_its(server: ScriptedServer, clock: SteppingClock) -> None:
    """A buyer may see an order, and is told of it: it is another seller's, as if there were none."""
    sold = {"id": 5, "last_updated": "2026-11-22T10:00:00Z", "order_items": [{"item": {"id": "MLB1"}}]}
    sold["seller"] = {"id": str(SELLER)}
    bought = {**sold, "id": 6, "seller": {"id": OTHER}, "buyer": {"id": SELLER}}
    server.overrides = Spoken(lambda path, query: http(bought if path.endswith("/6") else sold))
    desk = Desk(server.url, clock, StandIn(lambda: "APP_USR-token", clock))
    reader = await desk.read()

    page = await reader.fetch([5, 6])

    assert (keys_of(page), [(each.key, each.code) for each in page.unseen]) == ([5], [("6", RecordAbsent.code)])
    assert f"of seller {OTHER}" in page.unseen[0].reason
    assert await reader.existing([5, 6]) == {5}
    await desk.source.aclose()


@pytest.mark.parametrize("is_listing", [False, True])
async def test_a_search_that_shows_orders_of_others_is_no_search_of_ours(
    server: ScriptedServer, clock: SteppingClock, is_listing: bool
) -> None:
    """Where the source passes over whose orders are asked for, nothing is written of it."""
    foreign = {"id": 6, "order_items": [{"item": {"id": "MLB1"}}], "seller": {"id": OTHER}}
    server.overrides = Spoken(lambda path, query: http({"results": [foreign], "paging": {"total": 1}}))
    desk = Desk(server.url, clock, StandIn(lambda: "APP_USR-token", clock))
    reader = await desk.read()

    with pytest.raises(FilterIgnored, match=f"of seller {OTHER}"):
        await (listed(reader) if is_listing else pages_of(reader))
    await desk.source.aclose()


async def test_a_right_that_is_missing_is_said(desk: Desk, sandbox: MercadoLivreSandbox) -> None:
    """One refusal is another seller's order; none of many is taken for gone where all are refused."""
    reader = await desk.read()
    sandbox.faults.add("forbidden=1@orders/2")
    keys = [each.id for each in sandbox.world.orders_of(SELLER)[:6]]

    assert keys_of(await reader.fetch(keys[:1])) == []
    assert {each.code for each in (await reader.fetch(keys)).unseen} == {AccessRefused.code}
    with pytest.raises(AccessRefused):
        await reader.existing(keys)


async def test_a_part_of_the_data_is_none(desk: Desk, sandbox: MercadoLivreSandbox) -> None:
    """206 is asked again."""
    sandbox.faults.add("partial_206=1:2")
    known = sandbox.world.orders_of(SELLER)[0].id

    page = await (await desk.read()).fetch([known])

    assert keys_of(page) == [known]
    assert desk.progress.requests.failures == {"orders: one record": 2}


async def test_hours_are_summed_up(desk: Desk, sandbox: MercadoLivreSandbox) -> None:
    """Rows and sum of keys by hour of the stamp, of all that is shown and kept."""
    reader = await desk.read()
    now = await reader.clock()

    buckets = await reader.buckets(until=now + timedelta(hours=1))

    place = reader.shape.index("last_updated")
    hours = sorted({str(row[place])[:13] for row in orders_of(sandbox).values()})
    assert [bucket.hour for bucket in buckets] == hours
    assert sum(bucket.key_sum for bucket in buckets) == sum(int(str(key)) for key in orders_of(sandbox))
