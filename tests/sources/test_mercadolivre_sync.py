"""A seller from the API into the database, while people work and runs are stopped: every row is the source's then."""

from pathlib import Path
from random import Random

import pytest
from tests.sources.mercadolivre_desk import SELLER
from tests.sources.mercadolivre_shop import Shop, agreed, hours_ago, open_shop

from comporta.core.instant import instant_text
from comporta.core.run import RunState
from comporta.core.window import Kind
from comporta.sandbox.mercadolivre import MercadoLivreSandbox
from comporta.sources import mercadolivre_hours, mercadolivre_orders

ENDED = {RunState.SUCCEEDED, RunState.INTERRUPTED}
SEARCH, ITEMS = "orders/search", "items"


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a search show forty orders only, and be split early enough."""
    monkeypatch.setattr(mercadolivre_orders, "CAP", 40)
    monkeypatch.setattr(mercadolivre_orders, "SPLIT_AT", 36)
    monkeypatch.setattr(mercadolivre_hours, "PART", 20)


def unrest(shop: Shop, rng: Random, *, acts: int, within: int) -> None:
    """Let orders come, change and be cancelled between any two answers of a search."""
    known = [each.id for each in shop.sandbox.world.orders_of(SELLER)]
    for _ in range(acts):
        after, picked = rng.randrange(1, within), rng.choice(known)
        act = rng.choice(("create_order", "update_order", "update_order", "cancel_order", "step"))
        values = {"status": rng.choice(("paid", "partially_refunded")), "tags": [f"t{rng.randrange(99)}"]}
        facts = {"create_order": {"seller": SELLER}, "step": {"times": 2}}.get(act, {"id": picked})
        shop.later(after, SEARCH, do=act, **facts, **({"values": values} if act == "update_order" else {}))


@pytest.mark.full
@pytest.mark.parametrize("width", [1, 4, 8])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.usefixtures("small")
async def test_whatever_happens_between_two_answers_the_rows_are_the_sources_at_last(
    tmp_path: Path, seed: int, width: int
) -> None:
    """Three runs among drift, two of them stopped somewhere; one more when all is quiet, and one comparison."""
    rng = Random(seed * 10 + width)
    with MercadoLivreSandbox(records=90, items=8, sellers=1, seed=seed, faults=["cap=40"]) as sandbox:
        async with open_shop(tmp_path, sandbox) as shop:
            shop.width = width
            for turn in range(3):
                unrest(shop, rng, acts=12, within=20)
                if turn < 2:
                    shop.later(rng.randrange(3, 20), SEARCH, do="stop")
                await shop.run()
            sandbox._control._waiting.clear()
            rest = [await shop.run(), await shop.run(kind=Kind.RECONCILE)]

            assert [run.error for run in rest] == [None, None]
            assert [run.error for run in shop.runs if run.state not in ENDED] == []
            assert all(map(agreed, shop.runs))
            assert shop.differences() == []
            again = await shop.run()
            assert again.counts.inserted + again.counts.updated == 0


@pytest.mark.full
@pytest.mark.usefixtures("small")
async def test_a_first_load_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    """Part by part: what was read is not read again, but for the part it was in."""
    with MercadoLivreSandbox(records=200, items=8, sellers=1) as sandbox:
        async with open_shop(tmp_path, sandbox) as shop:
            shop.width = 1
            shop.later(20, SEARCH, do="stop")
            first = await shop.run()
            sandbox.people.step(20)
            second = await shop.run()

            await shop.run(kind=Kind.RECONCILE)
            assert (first.state, second.state) == (RunState.INTERRUPTED, RunState.SUCCEEDED)
            assert first.counts.read > 50
            assert second.counts.read < 200 - first.counts.read + 50
            assert shop.differences() == []


@pytest.mark.full
async def test_read_is_how_many_there_are(tmp_path: Path) -> None:
    """In a pass that nobody disturbs: each record once, and all of them new, then none."""
    with MercadoLivreSandbox(records=120, items=30, sellers=1) as sandbox:
        async with open_shop(tmp_path, sandbox) as shop:
            first = {stream: await shop.run(stream) for stream in ("orders", "items")}
            again = {stream: await shop.run(stream) for stream in ("orders", "items")}

            assert first["items"].counts.read == first["items"].counts.inserted == 30
            assert again["items"].counts.unchanged == again["items"].counts.read == 30
            shown = [each for each in sandbox.world.orders_of(SELLER) if each.status != "cancelled"]
            assert first["orders"].counts.read == first["orders"].counts.inserted == len(shown)
            assert again["orders"].counts.updated == again["orders"].counts.inserted == 0
            assert shop.differences() == shop.differences("items") == []


@pytest.mark.parametrize("truncation", ["on", "off", "inclusive"])
async def test_a_window_that_was_asked_for_is_whole(tmp_path: Path, truncation: str) -> None:
    """From any minute to any minute, and to the present: nothing else is claimed."""
    faults = [] if truncation == "on" else [f"hour_truncation={truncation}"]
    with MercadoLivreSandbox(records=120, items=8, sellers=1, faults=faults) as sandbox:
        async with open_shop(tmp_path, sandbox) as shop:
            sandbox.people.step(30)
            since, until = hours_ago(24 * 60), hours_ago(24 * 20)
            run = await shop.run(kind=Kind.MANUAL, since=since, until=until)
            now = await shop.run(kind=Kind.MANUAL, since=until)

            assert [run.error, now.error] == [None, None]
            covered = (await shop.store.coverage("loja/orders")).intervals
            assert len(covered) == 1
            there = {
                each.id
                for each in sandbox.world.orders_of(SELLER)
                if each.updated >= since.timestamp() * 1000 and each.status != "cancelled"
            }
            assert there <= {key for (key,) in shop.query("SELECT id FROM mercadolivre_orders")}


async def test_a_filter_that_is_ignored_claims_nothing(tmp_path: Path) -> None:
    """The run fails with what was asked and what came, and the next one asks for the same."""
    with MercadoLivreSandbox(records=60, items=8, sellers=1) as sandbox:
        async with open_shop(tmp_path, sandbox) as shop:
            await shop.run()
            before = await shop.store.coverage("loja/orders")
            sandbox.faults.add("ignore_filter=1")
            failed = await shop.run()

            assert failed.state is RunState.FAILED
            assert failed.error is not None
            assert failed.error["code"] == "CMP-SRC-004"
            assert await shop.store.coverage("loja/orders") == before


async def test_a_trial_writes_nothing_and_a_part_claims_nothing(tmp_path: Path) -> None:
    """A dry run counts what it would do; so many records are so many."""
    with MercadoLivreSandbox(records=60, items=8, sellers=1) as sandbox:
        async with open_shop(tmp_path, sandbox) as shop:
            part = await shop.run(max_records=7)
            trial = await shop.run(dry_run=True)

            assert (part.counts.inserted, trial.counts.unchanged) == (7, 7)
            assert trial.counts.inserted == trial.counts.read - 7 > 30
            assert len(shop.query("SELECT id FROM mercadolivre_orders")) == 7
            assert (await shop.store.coverage("loja/orders")).intervals == ()


@pytest.mark.parametrize("is_stamped", [True, False])
async def test_a_shipment_that_an_order_names_late_is_fetched_then(tmp_path: Path, *, is_stamped: bool) -> None:
    """The order comes first, without one. Where its stamp does not move, the comparison of orders finds it."""
    with MercadoLivreSandbox(records=12, items=8, sellers=1) as sandbox:
        async with open_shop(tmp_path, sandbox) as shop:
            (known, *_) = sandbox._control.perform({"do": "create_order", "seller": SELLER, "ship": False})
            await shop.run()
            await shop.run("shipments")
            early = shop.differences("shipments")
            order = sandbox.world.orders[known]
            late = sandbox._control.perform({"do": "ship_order", "id": known, "stamp": is_stamped})
            missing = shop.differences("shipments")
            await shop.run(kind=Kind.INCREMENTAL if is_stamped else Kind.RECONCILE)
            await shop.run("shipments")

            assert (order.shipment, early, len(missing)) == (None, [], 1)
            assert shop.query(f"SELECT id FROM mercadolivre_shipments WHERE id = {late}") == [(late,)]
            assert (shop.differences(), shop.differences("shipments")) == ([], [])


@pytest.mark.full
async def test_a_cancelled_order_that_is_hidden_is_found_by_comparing(tmp_path: Path) -> None:
    """No search shows it any more; each open order that is not listed is looked at by its key."""
    with MercadoLivreSandbox(records=60, items=8, sellers=1) as sandbox:
        async with open_shop(tmp_path, sandbox) as shop:
            await shop.run()
            gone = [each.id for each in sandbox.world.orders_of(SELLER) if each.status == "paid"][:5]
            for known in gone:
                sandbox._control.perform({"do": "cancel_order", "id": known})
            await shop.run()
            missed = shop.differences()
            compared = await shop.run(kind=Kind.RECONCILE)

            assert len({text.split()[1].rstrip(":") for text in missed if text.startswith("orders ")}) == 5
            assert compared.counts.updated == 5
            assert shop.differences() == []


@pytest.mark.full
@pytest.mark.parametrize("fault", ["reset=1:2", "error_502=1:2", "truncate=1:1"])
async def test_items_that_come_go_and_lose_variations_are_the_sources_at_last(tmp_path: Path, fault: str) -> None:
    """While they are listed, with answers lost on the way; one more run when all is quiet."""
    with MercadoLivreSandbox(records=2, items=230, sellers=1) as sandbox:
        async with open_shop(tmp_path, sandbox) as shop:
            await shop.run("items")
            known = [each.id for each in sandbox.world.items.values()]
            varied = next(each for each in sandbox.world.items.values() if each.variations)
            sandbox.world.change_item(varied.id, variations=varied.variations[:1])
            for number, key in enumerate(known[::31], start=1):
                if key != varied.id:
                    shop.later(number, ITEMS, do="remove_item", id=key)
            shop.later(2, ITEMS, do="update_item", id=known[1], values={"status": "closed"})
            sandbox.faults.add(f"{fault}@items/search")
            during, after = await shop.run("items"), await shop.run("items")

            assert (during.error, after.error) == (None, None)
            assert shop.differences("items") == []
            marked = shop.query("SELECT count(*) FROM mercadolivre_items WHERE _cmp_deleted_at IS NOT NULL")
            assert marked[0][0] == len([key for key in known[::31] if key != varied.id])


@pytest.mark.full
@pytest.mark.timeout(400)
async def test_more_orders_than_a_search_shows_are_read_whole_while_they_change(
    tmp_path: Path, *, is_deep: bool
) -> None:
    """Above 10,000, with ``--deep`` 40,000; a single hour above that too, and fifty changes a second all the while."""
    orders = 40_000 if is_deep else 13_000
    with MercadoLivreSandbox(records=orders, items=40, sellers=1) as sandbox:
        hour = int(hours_ago(24 * 50).replace(minute=0, second=0, microsecond=0).timestamp() * 1000)
        shown = [each.id for each in sandbox.world.orders_of(SELLER) if each.status != "cancelled"]
        for place, known in enumerate(shown[:11_000]):
            stamps = (hour + place * 300, hour + place * 300 + 2_000)
            sandbox.world.change_order(known, is_stamped=False, updated=stamps[0] // 1000 * 1000, indexed=stamps[1])
        async with open_shop(tmp_path, sandbox) as shop:
            shop.page_size, shop.batch_rows_max = 50, 2_000
            sandbox.people.start(50)
            first = await shop.run()
            sandbox.people.stop()
            rest = [await shop.run(), await shop.run(kind=Kind.RECONCILE)]
            people = sandbox.people.changes

            assert [run.error for run in (first, *rest)] == [None] * 3
            assert all(map(agreed, shop.runs))
            assert first.counts.read > orders * 0.92
            assert first.counts.read - first.counts.inserted < 200
            assert people > 100
            assert shop.differences() == []


@pytest.mark.parametrize("is_listed", [True, False])
async def test_an_item_that_is_not_found_is_deleted_once_it_is_listed_no_more(
    tmp_path: Path, *, is_listed: bool
) -> None:
    """However often a notification had it looked for in vain; and it waits in quarantine as long as it is listed."""
    with MercadoLivreSandbox(records=1, items=8, sellers=1) as sandbox:
        async with open_shop(tmp_path, sandbox) as shop:
            key = next(iter(sandbox.world.shelves[SELLER].items))
            await shop.run("items")
            sandbox.faults.add(f"multiget_code=404@{key}")
            if not is_listed:
                sandbox.world.remove_item(key)
            last = [{"scope": "loja/items", "parent": key, "told_at": None}]
            shop.database.write(lambda session: session.each("hint", last)).result()
            shop.database.write(lambda session: session.connection.execute("UPDATE cmp_hint SET tries = 9")).result()
            await shop.run("items", Kind.NOTIFICATION)
            gone = shop.query("SELECT id FROM mercadolivre_items WHERE _cmp_deleted_at IS NOT NULL")
            await shop.run("items")
            waiting = shop.query("SELECT key FROM cmp_quarantine")
            await shop.run("items", Kind.QUARANTINE)

            assert gone == [(key,)][int(is_listed) :]
            assert waiting == shop.query("SELECT key FROM cmp_quarantine") == [(key,)][: int(is_listed)]


async def test_what_is_told_of_an_item_that_a_sweep_could_not_read_is_looked_at(tmp_path: Path) -> None:
    """The instant is covered, for the item waits in quarantine; the item is not here for that."""
    with MercadoLivreSandbox(records=1, items=8, sellers=1) as sandbox:
        async with open_shop(tmp_path, sandbox) as shop:
            key = next(iter(sandbox.world.shelves[SELLER].items))
            await shop.run("items")
            told = [{"scope": "loja/items", "parent": key, "told_at": instant_text(hours_ago(0.1))}]
            shop.database.write(lambda session: session.each("hint", told)).result()
            sandbox.faults.add(f"multiget_code=404@{key}")
            swept = await shop.run("items")
            sandbox.faults.clear()
            sandbox.world.change_item(key, stock=777)
            looked = await shop.run("items", Kind.NOTIFICATION)

            assert (swept.state, swept.counts.read, swept.counts.rejected) == (RunState.SUCCEEDED, 8, 1)
            assert looked.counts.read == 1
            assert shop.differences("items") == []
            assert shop.query("SELECT count(*) FROM cmp_quarantine") == [(0,)]


@pytest.mark.full
async def test_what_is_told_of_an_item_that_fails_is_looked_for_until_it_answers(tmp_path: Path) -> None:
    """As of orders: an outage makes nobody forget what was told, and a made-up item that is refused waits nowhere."""
    with MercadoLivreSandbox(records=1, items=8, sellers=1) as sandbox:
        async with open_shop(tmp_path, sandbox) as shop:
            key = next(iter(sandbox.world.shelves[SELLER].items))
            await shop.run("items")
            told = [{"scope": "loja/items", "parent": each, "told_at": None} for each in (key, "MLB1")]
            shop.database.write(lambda session: session.each("hint", told)).result()
            sandbox.world.change_item(key, stock=777)
            sandbox.faults.add(f"multiget_code=500@{key}")
            sandbox.faults.add("multiget_code=403@MLB1")
            failed = await shop.run("items", Kind.NOTIFICATION)
            waiting = shop.query("SELECT key, code FROM cmp_quarantine")
            left = shop.query("SELECT parent, tries FROM cmp_hint ORDER BY parent")
            sandbox.faults.clear()
            shop.database.write(lambda session: session.run("wake_hints", {"scope": "loja/items"})).result()
            looked = await shop.run("items", Kind.NOTIFICATION)

            assert (failed.error, looked.counts.updated) == (None, 1)
            assert waiting == [(key, "CMP-NET-009")]
            assert left == sorted([(key, 1), ("MLB1", 1)])
            assert shop.query("SELECT count(*) FROM cmp_quarantine") == [(0,)]
            assert shop.differences("items") == []


@pytest.mark.parametrize("code", [204, 403, 404])
async def test_a_price_that_is_not_told_leaves_the_one_that_is_known(tmp_path: Path, code: int) -> None:
    """One odd answer empties no column, nor holds up the others; of what is closed there may be no price any more."""
    with MercadoLivreSandbox(records=1, items=6, sellers=1, faults=["price_removed=1"]) as sandbox:
        async with open_shop(tmp_path, sandbox) as shop:
            one, two = list(sandbox.world.shelves[SELLER].items)[:2]
            query = "SELECT id, price FROM mercadolivre_items WHERE status IN ('active', 'paused') ORDER BY id"
            await shop.run("items")
            known = shop.query(query)
            sandbox.faults.add(f"price_code={code}:1@{one}")
            retried = await shop.run("items")
            sandbox.faults.add(f"price_code={code}")
            sandbox.world.change_item(two, status="closed")
            sandbox.world.change_item(one, stock=777)
            without = await shop.run("items")
            warned = shop.query("SELECT run FROM cmp_log WHERE step = 'prices_missing'")

            assert (retried.counts.unchanged, without.counts.unchanged, without.counts.updated) == (6, 4, 2)
            assert shop.query(f"SELECT available_quantity FROM mercadolivre_items WHERE id = '{one}'") == [(777,)]
            assert shop.query(query) == [row for row in known if row[0] != two]
            assert shop.query(f"SELECT status, price FROM mercadolivre_items WHERE id = '{two}'") == [("closed", None)]
            assert warned == [(without.id,)]


async def test_a_first_load_that_is_read_from_its_start_once_more_is_not_listed_besides(tmp_path: Path) -> None:
    """A shop of few orders is one part, so nothing of it is left out: what the second run reads proves itself."""
    with MercadoLivreSandbox(records=200, items=8, sellers=1) as sandbox:
        async with open_shop(tmp_path, sandbox) as shop:
            shop.later(12, "/orders/search", do="stop")
            cut = await shop.run()
            before = sandbox.stats.requests
            run = await shop.run()
            steps = [line.step for _, _, line in await shop.store.log(run.id)]

            assert (cut.state, run.state) == (RunState.INTERRUPTED, RunState.SUCCEEDED)
            assert cut.counts.read > 0
            assert "window_verified" not in steps
            assert sandbox.stats.requests - before < 30
            assert shop.differences() == []
