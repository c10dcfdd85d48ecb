"""Promise 2, of notifications: after a day of downtime everything is as at the source, and no order was read twice.

The simulator's clock stands a day behind ours and is moved on, so that a day passes in a minute.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import pytest
from tests.acceptance.conftest import each_database
from tests.acceptance.databases import Json
from tests.acceptance.market import FIRST_SELLER, Market, account, orders_apart
from tests.acceptance.project import Project, until
from tests.acceptance.serving import HOOK, Serving, serving

from comporta.sandbox.mercadolivre import MercadoLivreSandbox
from comporta.sandbox.reality import real_now

pytestmark = [pytest.mark.full, pytest.mark.timeout(500)]
FEW, MISSED, HOURS = 200, 5_000, 24
SELLERS = (FIRST_SELLER, FIRST_SELLER + 1)
BEHIND = timedelta(days=1, hours=1)
PATIENCE_S = 200.0
UNDONE = (
    "SELECT 'notifications', count(*) FROM cmp_notification WHERE state = 'waiting'"
    " UNION ALL SELECT 'hints', count(*) FROM cmp_hint"
    " UNION ALL SELECT 'runs', count(*) FROM cmp_run WHERE state IN ('queued', 'running')"
)


@contextmanager
def opened(orders: int) -> Iterator[Market]:
    """Open two sellers, yesterday."""

    def yesterday() -> datetime:
        return real_now() - BEHIND

    with MercadoLivreSandbox(records=orders, items=20, clock=yesterday) as sandbox:
        yield Market(sandbox.url)


@each_database
def test_after_a_day_of_downtime_each_order_is_read_once(new_project: Project, chaos_seed: int) -> None:
    """The window answers all that was missed, but for orders that searches hide: those are read by their id, once."""
    with opened(FEW // 5) as market:
        day_of_downtime(market, new_project, FEW, chaos_seed)


@pytest.mark.parametrize("way", ["sqlite"], indirect=True)
def test_five_thousand_missed_notifications_are_no_different(new_project: Project, chaos_seed: int) -> None:
    """A hundred pages of what could not be delivered."""
    with opened(MISSED // 5) as market:
        day_of_downtime(market, new_project, MISSED, chaos_seed)


def day_of_downtime(market: Market, new_project: Project, missed: int, chaos_seed: int) -> None:
    """Serve, be down for a day, serve again, and compare."""
    accounts = {f"loja{each}": account(market.url, each, new_project.folder) for each in SELLERS}
    new_project.configure(accounts, margin="1s")
    with serving(new_project) as server:
        at_rest(new_project)
        market.act("subscribe", url=f"{server.url}{HOOK}", retry_s=0, disable_after=10 * missed)
        hear_at_once(market, new_project)
        end(server)
    before = fetched(market)

    hidden = a_day_passes(market, missed, random.Random(chaos_seed))
    with serving(new_project) as server:
        at_rest(new_project)
        end(server)

    after = {key: times - before.get(key, 0) for key, times in fetched(market).items() if times != before.get(key)}
    told = new_project.value("SELECT sum(times) FROM cmp_notification WHERE topic = 'orders_v2'")
    assert told >= missed
    assert [orders_apart(market, new_project.database, f"loja{each}", each) for each in SELLERS] == [[], []]
    assert set(after) <= hidden
    assert set(after.values()) <= {1}


def hear_at_once(market: Market, project: Project) -> None:
    """Change an order, and see it here without anybody's sync."""
    key = next(key for key, each in market.records("orders", FIRST_SELLER).items() if each["status"] == "paid")
    market.act("clock", advance_s=60)
    market.act("update_order", id=key, values={"status": "partially_refunded"})
    query = "SELECT status FROM mercadolivre_orders WHERE id = ?"
    until(lambda: project.value(query, int(key)) == "partially_refunded", "the change is here")
    until(lambda: project.ask("SELECT 1 FROM cmp_run WHERE trigger = 'notification' AND state = 'succeeded'"), "a run")


def a_day_passes(market: Market, missed: int, dice: random.Random) -> set[str]:
    """Let orders change, some of them several times, while nobody listens; return those that searches hide then."""
    keys = [key for each in SELLERS for key in market.records("orders", each)]
    for hour in range(HOURS):
        market.act("clock", advance_s=3_600)
        for key in dice.choices(keys, k=missed // HOURS + 1):
            market.act("update_order", id=key, values={"tags": ["paid", f"hour{hour}"]})
        market.act("cancel_order", id=dice.choice(keys))
        market.act("create_order", seller=dice.choice(SELLERS))
    market.act("clock", advance_s=1_800)

    def dropped() -> bool:
        counts: dict[str, Json] = market.stats()["notices"]
        return counts["dropped"] >= missed and not counts["waiting"] and not counts["in_hand"]

    until(dropped, "every notification is given up", patience_s=PATIENCE_S)
    return {
        key
        for each in SELLERS
        for key, record in market.records("orders", each).items()
        if record["status"] == "cancelled"
    }


def at_rest(project: Project) -> None:
    """Wait until every stream is covered, and nothing is left to be done."""

    def is_done() -> bool:
        covered = project.value("SELECT count(DISTINCT scope) FROM cmp_coverage")
        return covered == 4 * len(SELLERS) and not any(count for _, count in project.ask(UNDONE))

    until(is_done, "everything is done", patience_s=PATIENCE_S)


def end(server: Serving) -> None:
    """Tell a server to end, and see that it ends well."""
    server.process.terminate()
    left, log = server.process.communicate(timeout=20)
    assert (server.process.returncode, left) == (0, ""), log


def fetched(market: Market) -> dict[str, int]:
    """Return how often each order was read by its id."""
    counts: dict[str, int] = market.stats()["fetched_orders"]
    return counts
