"""Promise 3, of notifications: what people change is here soon, however oddly it is told, without anybody's sync."""

import pytest
from tests.acceptance.market import Market, account, items_apart, orders_apart
from tests.acceptance.project import Project, until
from tests.acceptance.serving import HOOK, serving
from tests.acceptance.test_notifications_missed import PATIENCE_S, SELLERS, at_rest, end

from comporta.sandbox.mercadolivre import MercadoLivreSandbox

pytestmark = [pytest.mark.full, pytest.mark.timeout(240)]
CHANGES = 150
SYNCS = "SELECT count(*) FROM cmp_run WHERE trigger <> 'notification' AND stream = 'orders'"
ODD = ("duplicate_notifications=1", "odd_notifications=1", "unknown_topics=1", "shuffled_notifications=1")


@pytest.mark.parametrize("way", ["sqlite"], indirect=True)
def test_what_people_change_is_here_however_it_is_told(new_project: Project) -> None:
    """Twice, misspelt, out of order, with topics nobody knows, and of orders that are not found at first."""
    with MercadoLivreSandbox(records=60, items=40, faults=[*ODD, "just_notified_404=1"]) as sandbox:
        market = Market(sandbox.url)
        seldom = {"streams": {"orders": {"every": "7d"}}}  # whatever the time: no tick may do what is told
        accounts = {f"loja{each}": {**account(market.url, each, new_project.folder), **seldom} for each in SELLERS}
        new_project.configure(accounts, margin="1s")
        with serving(new_project) as server:
            at_rest(new_project)
            syncs_before = new_project.value(SYNCS)
            market.act("subscribe", url=f"{server.url}{HOOK}")
            market.act("step", times=CHANGES)
            until(lambda: is_told(market), "everything is told", patience_s=PATIENCE_S)
            at_rest(new_project)
            syncs = new_project.value(SYNCS)
            end(server)
        counts = market.stats()["notices"]
        apart = [orders_apart(market, new_project.database, f"loja{each}", each) for each in SELLERS]
        apart += [items_apart(market, new_project.database, f"loja{each}", each) for each in SELLERS]

    assert apart == [[], [], [], []]
    assert (counts["dropped"], syncs) == (0, syncs_before)
    assert new_project.value("SELECT count(*) FROM cmp_notification WHERE state = 'kept'") >= 1


def is_told(market: Market) -> bool:
    """Say whether every notification was taken."""
    counts = market.stats()["notices"]
    return counts["told"] > CHANGES // 2 and not counts["waiting"] and not counts["in_hand"]
