"""More orders than a search shows: read in parts, and where a single hour has too many, by scroll."""

from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.sources.mercadolivre_desk import SELLER, Desk, desk_of, keys_of, listed, orders_of, pages_of, rows_of
from tests.sources.scripted import SteppingClock

from comporta.core.record import Row
from comporta.errors import FilterIgnored, SourceIncomplete
from comporta.sandbox.mercadolivre import MercadoLivreSandbox
from comporta.sandbox.mercadolivre_search import OrderSearch
from comporta.sources import mercadolivre_hours, mercadolivre_orders

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


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a search show a hundred orders only, and be split early enough."""
    monkeypatch.setattr(mercadolivre_orders, "CAP", 100)
    monkeypatch.setattr(mercadolivre_orders, "SPLIT_AT", 90)
    monkeypatch.setattr(mercadolivre_hours, "PART", 50)


def crowd(sandbox: MercadoLivreSandbox, count: int) -> datetime:
    """Let so many orders have changed within one hour; return its beginning."""
    begin = sandbox.clock.now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=20)
    ms = int(begin.timestamp() * 1000)
    for place, order in enumerate(sandbox.world.orders_of(SELLER)[:count]):
        updated = ms + place * 1000
        sandbox.world.change_order(order.id, is_stamped=False, status="paid", updated=updated, indexed=updated + 2000)
    return begin


@pytest.mark.usefixtures("small")
async def test_a_window_with_more_than_a_search_shows_is_read_in_parts(
    desk: Desk, sandbox: MercadoLivreSandbox
) -> None:
    """From the oldest to the newest, each order once; positions never go back."""
    sandbox.faults.add("cap=100")
    reader = await desk.read(concurrency=4)

    pages = await pages_of(reader)

    positions = [page.position or "" for page in pages]
    assert rows_of(pages) == orders_of(sandbox)
    assert len(keys_of(*pages)) == len(orders_of(sandbox))
    assert reader.is_unbroken
    assert positions == sorted(positions)
    assert len(set(positions)) > 2


@pytest.mark.full
@pytest.mark.parametrize("lie", ["0", "0.3", "0.7", "3", "100"])
@pytest.mark.usefixtures("small")
async def test_a_total_that_lies_costs_no_order(desk: Desk, sandbox: MercadoLivreSandbox, lie: str) -> None:
    """Too low, it seems to fit into one search, which then ends at what a search shows: that is not the end."""
    sandbox.faults.add("cap=100")
    sandbox.faults.add(f"lying_total={lie}")
    reader = await desk.read()

    pages = await pages_of(reader)

    assert rows_of(pages) == orders_of(sandbox)
    assert len(keys_of(*pages)) == len(orders_of(sandbox))


async def test_less_is_shown_than_was_documented(desk: Desk, sandbox: MercadoLivreSandbox) -> None:
    """The search is split until what it shows is enough."""
    sandbox.faults.add("cap=40")

    reader = await desk.read()

    assert rows_of(await pages_of(reader)) == orders_of(sandbox)


@pytest.mark.full
@pytest.mark.parametrize("lie", [None, "0.1"])
@pytest.mark.usefixtures("small")
async def test_an_hour_with_more_than_a_search_shows_is_scanned(
    desk: Desk, sandbox: MercadoLivreSandbox, lie: str | None
) -> None:
    """One answer leads to the next; the pages prove nothing then, so counts and listings have to."""
    crowd(sandbox, 120)
    sandbox.faults.add("cap=100")
    if lie:
        sandbox.faults.add(f"lying_total={lie}")
    reader = await desk.read()

    pages = await pages_of(reader)

    assert rows_of(pages) == orders_of(sandbox)
    assert not reader.is_unbroken
    assert {key for key, _ in await listed(reader)} == set(orders_of(sandbox))


@pytest.mark.usefixtures("small")
async def test_a_scan_names_no_limit_beside_its_scroll(desk: Desk, sandbox: MercadoLivreSandbox) -> None:
    """Nor an order or an offset, which it has not: a page of the vendor's says that they cause errors."""
    crowd(sandbox, 120)
    sandbox.faults.add("scroll_limit=1")

    assert rows_of(await pages_of(await desk.read())) == orders_of(sandbox)


@pytest.mark.full
@pytest.mark.parametrize("fault", ["reset=1:1", "truncate=1:2", "error_502=1:1", "throttled=1:1"])
@pytest.mark.usefixtures("small")
async def test_a_step_of_a_scan_whose_answer_was_lost_is_missed(
    desk: Desk, sandbox: MercadoLivreSandbox, fault: str
) -> None:
    """It is gone, and whoever asks again gets the next: the total tells, and all is scanned again."""
    crowd(sandbox, 120)
    reader = await desk.read()
    found: set[object] = set()
    async for page in reader.pages(since=None, until=None, after=None):
        found |= set(keys_of(page))
        if len(found) == 50:
            sandbox.faults.add(f"{fault}@orders/search")

    assert found == set(orders_of(sandbox))


@pytest.mark.full
@pytest.mark.usefixtures("small")
async def test_a_scroll_that_ends_before_its_time_is_begun_anew(
    desk: Desk, sandbox: MercadoLivreSandbox, clock: SteppingClock
) -> None:
    """It is good for some minutes, and whoever reads may be slower."""
    crowd(sandbox, 120)
    reader = await desk.read()
    found: list[object] = []
    async for page in reader.pages(since=None, until=None, after=None):
        found += keys_of(page)
        if 45 <= len(found) < 55:
            clock.advance(timedelta(minutes=6))

    assert sorted(map(str, found)) == sorted(map(str, orders_of(sandbox)))


@pytest.mark.usefixtures("small")
async def test_a_scroll_that_always_ends_too_early_is_no_success(
    desk: Desk, sandbox: MercadoLivreSandbox, clock: SteppingClock
) -> None:
    """After a few scans the run fails with the numbers, and may be tried again."""
    crowd(sandbox, 120)
    reader = await desk.read()
    scrolls = sandbox._api._router.__self__.search.scrolls  # type: ignore[attr-defined]  # reached from outside
    step = scrolls.step

    def slow(*told: Any) -> Any:  # noqa: ANN401  whatever a step answers
        answer = step(*told)
        clock.advance(timedelta(minutes=6))
        return answer

    scrolls.step = slow

    with pytest.raises(SourceIncomplete, match=r"4 scans brought .* of 120"):
        await pages_of(reader)


@pytest.mark.usefixtures("small")
async def test_a_scan_that_ignores_its_hour_is_noticed(desk: Desk, sandbox: MercadoLivreSandbox) -> None:
    """By orders of other hours."""
    crowd(sandbox, 120)
    sandbox.faults.add("scan_ignores_filters=1")

    with pytest.raises(FilterIgnored):
        await pages_of(await desk.read())


@pytest.mark.full
@pytest.mark.usefixtures("small")
async def test_another_run_goes_on_at_the_part_it_was_in(desk: Desk, sandbox: MercadoLivreSandbox) -> None:
    """With what changed meanwhile: a changed order is in the newest part, which is read last."""
    reader = await desk.read()
    found: dict[object, Row] = {}
    position = None
    async for page in reader.pages(since=None, until=None, after=None):
        found |= {row[0]: tuple(row) for row in page.rows}
        position = page.position
        if len(found) > 90:
            break
    for order in sandbox.world.orders_of(SELLER)[::7]:
        if order.status != "cancelled":
            sandbox.world.change_order(order.id, status="partially_refunded")
    again = await desk.read()

    rest = await pages_of(again, after=position)

    assert position is not None
    assert found | rows_of(rest) == orders_of(sandbox)
    assert len(rows_of(rest)) < len(orders_of(sandbox))
    assert again.is_unbroken


@pytest.mark.usefixtures("small")
async def test_another_run_proves_nothing_where_less_came_in_all_than_is_counted(
    desk: Desk, sandbox: MercadoLivreSandbox
) -> None:
    """Nor where a position does not say that what lies before it was proven, as those of older versions do not."""
    position = [page.position for page in await pages_of(await desk.read()) if page.position][-1]
    instant, _, before = position.partition(" ")
    known = {}
    for after in (position, f"{instant} {int(before) - 1}", f"{instant} 0", instant):
        again = await desk.read()
        await again.count(since=None, until=None)
        await pages_of(again, after=after)
        known[after] = again.is_unbroken

    assert list(known.values()) == [True, False, False, False]


def cut_off(monkeypatch: pytest.MonkeyPatch, *, at: int) -> None:
    """Let a search show so many orders from each end and nothing beyond, while its total says the truth."""
    whole = OrderSearch._paged

    def cut(self: OrderSearch, seller: int, query: dict[str, str], limit: int, label: str) -> dict[str, Any]:
        told = whole(self, seller, query, limit, label)
        told["results"] = told["results"][: max(0, at - told["paging"]["offset"])]
        return told

    monkeypatch.setattr(OrderSearch, "_paged", cut)


@pytest.mark.parametrize("at", [pytest.param(1, marks=pytest.mark.full), 30, 75])
async def test_a_search_that_stops_before_its_end_costs_no_order(
    desk: Desk, sandbox: MercadoLivreSandbox, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """It is read from its other end, and in parts where both ends are not all."""
    cut_off(monkeypatch, at=at)
    reader = await desk.read()

    assert rows_of(await pages_of(reader)) == orders_of(sandbox)
    assert {key for key, _ in await listed(reader)} == set(orders_of(sandbox))


@pytest.mark.usefixtures("small")
async def test_a_source_that_knows_no_scans_is_no_whole_hour(
    desk: Desk, sandbox: MercadoLivreSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It answers the first page again and again, as to any name that it does not know."""
    crowd(sandbox, 120)
    sandbox.faults.add("cap=100")
    whole = OrderSearch.answer

    def answer(self: OrderSearch, seller: int, query: dict[str, str], label: str) -> object:
        known = {name: value for name, value in query.items() if name not in {"search_type", "scroll_id"}}
        return whole(self, seller, known, label)

    monkeypatch.setattr(OrderSearch, "answer", answer)
    reader = await desk.read()

    with pytest.raises(SourceIncomplete, match="10 of 120"):
        await pages_of(reader)


@pytest.mark.parametrize("every", [1, 3])
async def test_orders_that_change_behind_the_reader_split_nothing(
    desk: Desk, sandbox: MercadoLivreSandbox, monkeypatch: pytest.MonkeyPatch, every: int
) -> None:
    """What comes in while a list is read, and a total that counts what is hidden, are no search that is cut off."""
    changing = [order.id for order in sandbox.world.orders_of(SELLER)[:60]]
    sandbox.faults.add("lying_total=1.2")
    asked: list[str | None] = []
    whole = OrderSearch._paged

    def paged(self: OrderSearch, seller: int, query: dict[str, str], limit: int, label: str) -> dict[str, Any]:
        asked.append(query.get("search_type"))
        if changing and len(asked) % every == 0:
            now = int(sandbox.clock.now().timestamp() * 1000)
            sandbox.world.change_order(changing.pop(0), is_stamped=False, status="paid", updated=now, indexed=now)
        return whole(self, seller, query, limit, label)

    monkeypatch.setattr(OrderSearch, "_paged", paged)
    reader = await desk.read()
    since = sandbox.clock.now() - timedelta(days=400)

    found = keys_of(*[page async for page in reader.pages(since=since, until=None, after=None)])

    assert set(found) == set(orders_of(sandbox))
    assert len(asked) < 3 * len(found) / 10
    assert "scan" not in asked
