"""Promise 2: nothing that was committed at the source is missing after the window that covers it."""

import random
import signal
import sys

import pytest
from tests.acceptance.company import STREAMS, Company, all_differences, differences
from tests.acceptance.conftest import Open, SourceTime
from tests.acceptance.databases import Json
from tests.acceptance.project import Project, told, until

pytestmark = pytest.mark.timeout(60)  # processes start, and the machine may be busy

ORDERS = "sale.order"
OVERLAP_MINUTES = 10
"""The default."""
SEEDS_QUICK, SEEDS_FULL, SEEDS_DEEP = 1, 12, 40
RECORDS = 40


@pytest.fixture
def standing(open_company: Open, source_time: SourceTime) -> Company:
    """A company whose clock the test moves."""
    return open_company(records=RECORDS, clock=source_time)


@pytest.fixture
def at_work(new_project: Project, standing: Company) -> Project:
    """A project of that company, loaded once."""
    new_project.configure({"matriz": standing.url})
    new_project.bring()
    return new_project


class Clerks:
    """People who begin transactions, let them lie, and commit them, as the dice fall."""

    def __init__(self, company: Company, clock: SourceTime, dice: random.Random) -> None:
        self.company = company
        self.clock = clock
        self.dice = dice
        self.begun: dict[int, float] = {}
        self._free = list(range(1, RECORDS + 1))  # a row of an open transaction is locked for the others
        self._minutes = 0.0

    def begin(self) -> None:
        """Create an order or change an old one, in a transaction that stays open."""
        number = self.company.act("begin")
        line = [0, 0, {"product_id": 1, "product_uom_qty": self.dice.randint(1, 9)}]
        values: dict[str, Json] = {"client_order_ref": f"PC-{number}", "order_line": [line]}
        if self.dice.random() < 0.5:
            self.company.act("create", model=ORDERS, values={"partner_id": 5, **values}, transaction=number)
        else:
            known = self._free.pop(self.dice.randrange(len(self._free)))
            self.company.act("write", model=ORDERS, ids=[known], values=values, transaction=number)
        self.begun[number] = self._minutes

    def pass_time(self, minutes: float) -> None:
        """Let time pass."""
        self.clock.advance(minutes=minutes)
        self._minutes += minutes

    def commit_older_than(self, minutes: float) -> None:
        """Commit what has been open for so long."""
        for number in [number for number, began in self.begun.items() if self._minutes - began >= minutes]:
            self.company.act("commit", transaction=number)
            del self.begun[number]

    def go_home(self) -> None:
        """Give up what is still open."""
        for number in self.begun:
            self.company.act("rollback", transaction=number)


def a_day_at_the_office(project: Project, company: Company, clock: SourceTime, seed: int) -> list[str]:
    """Sync every few minutes while transactions of up to the overlap are open; return what was ever missing."""
    dice = random.Random(seed)
    clerks = Clerks(company, clock, dice)
    missing: list[str] = []
    for _ in range(8):
        for _ in range(dice.randrange(3)):
            clerks.begin()
        step = dice.uniform(0.5, OVERLAP_MINUTES / 2)
        clerks.pass_time(step)
        # One that lies on until the next look is then still younger than the overlap.
        clerks.commit_older_than(dice.choice([0, OVERLAP_MINUTES / 2]))
        project.bring("matriz/sale.order", "matriz/sale.order.line")
        missing += [f"seed {seed}: {each}" for each in differences(company, project.database, ORDERS)]
        missing += [f"seed {seed}: {each}" for each in differences(company, project.database, "sale.order.line")]
    clerks.go_home()
    return missing


@pytest.mark.full
@pytest.mark.parametrize("seed", range(SEEDS_QUICK))
def test_a_commit_within_the_overlap_is_never_missing(
    at_work: Project, standing: Company, source_time: SourceTime, seed: int
) -> None:
    """After each sync, every committed row is here, although some were stamped long before they were seen."""
    assert a_day_at_the_office(at_work, standing, source_time, seed) == []


@pytest.mark.full
@pytest.mark.timeout(300)
def test_a_commit_within_the_overlap_is_never_missing_whatever_the_seed(
    at_work: Project, standing: Company, source_time: SourceTime, chaos_seed: int, *, is_deep: bool
) -> None:
    """The same for many more days, one after the other."""
    seeds = range(chaos_seed, chaos_seed + (SEEDS_DEEP if is_deep else SEEDS_FULL))
    days = [a_day_at_the_office(at_work, standing, source_time, seed) for seed in seeds]

    assert [each for day in days for each in day] == []


@pytest.mark.full
@pytest.mark.parametrize("exact", [False, True])
def test_a_commit_later_than_the_overlap_is_found_by_the_next_reconciliation(
    at_work: Project, standing: Company, source_time: SourceTime, exact: bool
) -> None:
    """Ten transactions of an hour are unseen by the syncs meanwhile, and each is repaired."""
    clerks = Clerks(standing, source_time, random.Random(4))
    for _ in range(10):
        clerks.begin()
        clerks.pass_time(1)
    at_work.bring()
    clerks.pass_time(60)
    at_work.bring()
    clerks.commit_older_than(0)
    at_work.bring()
    unseen = differences(standing, at_work.database, ORDERS)
    found = [at_work.reconcile(stream, exact=exact) for stream in ("sale.order", "sale.order.line")]

    assert len({each.split()[1] for each in unseen}) == 10
    assert sum(each["missing"] + each["different"] for each in found) >= 20
    assert all_differences(standing, at_work.database) == []


@pytest.mark.full
def test_a_late_change_within_its_rows_old_hour_is_found_too(
    at_work: Project, standing: Company, source_time: SourceTime
) -> None:
    """Count and sum of ids of the hour stay the same; the usual reconciliation compares every stamp."""
    source_time.advance(minutes=5)
    standing.act("write", model=ORDERS, ids=[1], values={"client_order_ref": "seen"})
    at_work.bring("matriz/sale.order")
    source_time.advance(minutes=5)
    number = standing.act("begin")
    standing.act("write", model=ORDERS, ids=[1], values={"client_order_ref": "late"}, transaction=number)
    source_time.advance(minutes=40)
    at_work.bring("matriz/sale.order")
    standing.act("commit", transaction=number)
    source_time.advance(hours=3)
    at_work.bring("matriz/sale.order")
    first, second = at_work.reconcile(ORDERS), at_work.reconcile(ORDERS)

    assert (first["different"], second["different"]) == (1, 0)
    assert differences(standing, at_work.database, ORDERS) == []


@pytest.mark.full
def test_after_a_week_of_downtime_the_next_run_covers_all_of_it(
    at_work: Project, standing: Company, source_time: SourceTime
) -> None:
    """Missed runs change only the length of the next window; of a week of work nothing is missing."""
    before = at_work.value("SELECT max(until) FROM cmp_coverage WHERE scope = 'matriz/sale.order'")
    for _ in range(7 * 4):
        source_time.advance(hours=6)
        standing.act("step", times=5)
    standing.act("finish")
    done = at_work.command("sync")

    since = done.runs(ORDERS)[0]["window"]["since"]
    living = [each for each in all_differences(standing, at_work.database) if "gone at the source" not in each]
    assert (done.code, living) == (0, [])
    assert since < before
    assert at_work.ask("SELECT scope FROM cmp_coverage GROUP BY 1 HAVING count(*) > 1") == []
    for stream in STREAMS:
        at_work.reconcile(stream)
    assert all_differences(standing, at_work.database) == []


@pytest.fixture
def long_load(open_company: Open, new_project: Project) -> Company:
    """A first load of sixty pages, each of which takes its time."""
    company = open_company(records=600)
    company.fault("latency", 60, label="sale.order/search_read")
    new_project.configure({"matriz": {"url": company.url, "page_size": 10}})
    return company


@pytest.mark.full
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to speak of")
def test_a_deploy_in_a_first_load_is_handed_over_and_the_next_run_goes_on(
    long_load: Company, new_project: Project
) -> None:
    """SIGTERM ends it as interrupted, and the next run asks only for what was not committed, with the same bounds."""
    with new_project.started("sync", "matriz/sale.order") as process:
        where = "SELECT position FROM cmp_pass WHERE CAST(position AS INTEGER) > 30"
        until(lambda: new_project.value(where), "three pages are committed")
        process.send_signal(signal.SIGTERM)
        first = told(process, patience_s=10)
    long_load.heal()
    second = new_project.command("sync", "matriz/sale.order")

    one, two = first.run(ORDERS), second.runs(ORDERS)[0]
    assert (one["state"], one["error"]["code"], two["state"]) == ("interrupted", "CMP-RUN-005", "succeeded")
    assert first.code != 0
    assert second.code == 0
    assert two["window"] == one["window"]
    for count in ("read", "inserted"):
        assert one["counts"][count] + two["counts"][count] == 600
    assert 30 < one["counts"]["read"] < 600
    # Sixty full pages, the empty one after them, the list of keys that ends a resumed pass, and again what was in
    # flight or waited to be written at the signal: one page, or some where the database is slow.
    assert long_load.calls("sale.order/search_read") <= 60 + 1 + 1 + 10
    assert differences(long_load, new_project.database, ORDERS) == []
