"""What the pages of a seller's orders prove, also over two runs, and what searches hide of cancelled ones."""

from pathlib import Path
from typing import Any

import pytest
from tests.sources.mercadolivre_desk import SELLER
from tests.sources.mercadolivre_shop import open_shop

from comporta.core.run import RunState
from comporta.core.window import Kind
from comporta.sandbox.mercadolivre import MercadoLivreSandbox
from comporta.sandbox.mercadolivre_search import OrderSearch
from comporta.sources import mercadolivre_hours, mercadolivre_orders

SEARCH = "orders/search"


async def test_pages_that_prove_nothing_are_proven_by_a_listing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the last part, too, which nobody asks for anything after its last page."""
    whole = OrderSearch._paged

    def turned(self: OrderSearch, seller: int, query: dict[str, str], limit: int, label: str) -> dict[str, Any]:
        told = whole(self, seller, query, limit, label)
        told["results"] = told["results"][:: -1 if int(query.get("offset", 0)) % 2 else 1]
        return told

    monkeypatch.setattr(OrderSearch, "_paged", turned)
    with MercadoLivreSandbox(records=60, items=8, sellers=1, faults=["lying_total=0.9"]) as sandbox:
        async with open_shop(tmp_path, sandbox) as shop:
            run = await shop.run()
            steps = [line.step for _, _, line in await shop.store.log(run.id)]

            assert run.error is None
            assert "window_verified" in steps
            assert shop.differences() == []


async def test_a_first_load_in_parts_that_was_cut_off_is_not_listed_from_its_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parts before the one it was in were proven by the run that read them, and nothing of them is asked again."""
    monkeypatch.setattr(mercadolivre_orders, "CAP", 40)
    monkeypatch.setattr(mercadolivre_orders, "SPLIT_AT", 36)
    monkeypatch.setattr(mercadolivre_hours, "PART", 20)
    with MercadoLivreSandbox(records=200, items=8, sellers=1) as sandbox:
        async with open_shop(tmp_path, sandbox) as shop:
            shop.width = 1
            shop.later(20, SEARCH, do="stop")
            cut = await shop.run()
            before = sandbox.stats.requests
            run = await shop.run()
            steps = [line.step for _, _, line in await shop.store.log(run.id)]

            assert (cut.state, run.state) == (RunState.INTERRUPTED, RunState.SUCCEEDED)
            assert cut.counts.read > 50
            assert "window_verified" not in steps
            assert sandbox.stats.requests - before < 40
            assert shop.differences() == []


async def test_what_is_paid_back_of_a_cancelled_order_is_found_by_the_comparison(tmp_path: Path) -> None:
    """Searches hide it, and nobody was told."""
    with MercadoLivreSandbox(records=60, items=8, sellers=1) as sandbox:
        async with open_shop(tmp_path, sandbox) as shop:
            await shop.run()
            one, other = [each.id for each in sandbox.world.orders_of(SELLER) if each.status == "paid"][-2:]
            sandbox.world.change_order(one, status="cancelled")
            await shop.run(kind=Kind.RECONCILE)
            sandbox.world.change_order(one, tags=("not_paid", "paid_back"))
            sandbox.world.change_order(other, status="cancelled")
            await shop.run()
            before = shop.differences()
            run = await shop.run(kind=Kind.RECONCILE)

            assert len(before) > 0
            assert (run.error, run.counts.updated) == (None, 2)
            assert shop.differences() == []
