"""Promise 8 for Mercado Livre: sales of one seller and products of another at the same instant, and fifty sellers."""

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import accumulate

import pytest
from tests.acceptance.conftest import MakeProject, each_database
from tests.acceptance.market import FIRST_SELLER, Market, account, items_apart, orders_apart
from tests.acceptance.project import Project, told

from comporta.core.instant import parse_instant
from comporta.sandbox.mercadolivre import MercadoLivreSandbox

pytestmark = [pytest.mark.full, pytest.mark.timeout(240)]
PATIENCE_S, WORKERS = 200, 10


@pytest.fixture
def market() -> Iterator[Market]:
    """Two sellers, each with more orders than fit on a few pages."""
    with MercadoLivreSandbox(records=400, items=300) as sandbox:
        yield Market(sandbox.url)


def overlap(*runs: dict[str, str]) -> bool:
    """Say whether all of the runs were under way at some instant."""
    began = max(parse_instant(run["started_at"]) for run in runs)
    return began < min(parse_instant(run["finished_at"]) for run in runs)


def peak(runs: list[dict[str, str]]) -> int:
    """Return how many runs were under way at once, at most."""
    edges = [(parse_instant(run["started_at"]), 1) for run in runs]
    edges += [(parse_instant(run["finished_at"]), -1) for run in runs]
    return max(accumulate(step for _, step in sorted(edges)))


@each_database
def test_sales_of_one_seller_and_products_of_another_are_synced_side_by_side(
    market: Market, new_project: Project
) -> None:
    """Two people click at the same instant; neither waits, and both have what their seller has."""
    one, other = FIRST_SELLER, FIRST_SELLER + 1
    accounts = {f"loja{each}": account(market.url, each, new_project.folder) for each in (one, other)}
    new_project.configure(accounts, margin="1s")
    market.fault("latency", 100)
    with ExitStack() as stack:
        asked = [f"loja{one}/orders", f"loja{other}/items"]
        both = [stack.enter_context(new_project.started("sync", each)) for each in asked]
        ended = [told(process, PATIENCE_S) for process in both]

    sales, products = ended[0].run("orders"), ended[1].run("items")
    assert [each.code for each in ended] == [0, 0]
    assert overlap(sales, products)
    assert sales["counts"]["read"] == sales["counts"]["inserted"] > 300
    assert orders_apart(market, new_project.database, f"loja{one}", one) == []
    assert items_apart(market, new_project.database, f"loja{other}", other) == []


def test_fifty_sellers_are_synced_side_by_side(make_project: MakeProject) -> None:
    """As many at once as there are workers, sales in every second account and products in the others."""
    project = make_project("fifty", "sqlite")
    sellers = range(FIRST_SELLER, FIRST_SELLER + 50)
    with MercadoLivreSandbox(records=30, items=30, sellers=50, faults=["latency=50"]) as sandbox:
        market = Market(sandbox.url)
        accounts = {f"loja{each}": account(market.url, each, project.folder) for each in sellers}
        project.configure(accounts, margin="1s", workers=WORKERS)
        asked = [f"loja{each}/{'orders' if each % 2 else 'items'}" for each in sellers]
        with project.started("sync", *asked) as process:
            done = told(process, PATIENCE_S)
        apart = [
            difference
            for each in sellers
            for look in (orders_apart if each % 2 else items_apart,)
            for difference in look(market, project.database, f"loja{each}", each)
        ]

    runs = [run for run in done.document["runs"] if run["stream"] in {"orders", "items"}]
    assert done.code == 0, done.errors
    assert len(runs) == 50
    assert peak(runs) == WORKERS
    assert apart == []
