"""Promise 8: a slow, dead or refused account delays no other."""

from datetime import datetime
from functools import partial
from typing import Any

import pytest
from tests.acceptance.company import STREAMS, all_differences, table_of
from tests.acceptance.conftest import MakeProject, Open
from tests.acceptance.project import Project, told, until

from comporta.core.instant import parse_instant
from comporta.sandbox.activecampaign import ActiveCampaignSandbox

pytestmark = pytest.mark.timeout(60)  # processes start, and the machine may be busy


@pytest.mark.full
def test_a_hanging_account_and_a_refused_one_delay_no_third(open_company: Open, new_project: Project) -> None:
    """While one account hangs in its first page and another may not log in, the third finishes."""
    slow, refused, fine = open_company(), open_company(), open_company()
    slow.fault("slow_page", 60, label="sale.order/search_read")
    refused.fault("wrong_login")
    new_project.configure({"slow": slow.url, "refused": refused.url, "fine": fine.url})
    ended = "SELECT count(*) FROM cmp_run WHERE account = ? AND state = ?"
    with new_project.started("sync") as process:
        until(lambda: new_project.value(ended, "fine", "succeeded") == len(STREAMS), "the third account finishes")
        hanging = new_project.ask("SELECT stream FROM cmp_run WHERE account = 'slow' AND state = 'running'")
        still_at_work = process.poll() is None
        until(lambda: new_project.value(ended, "refused", "failed") == len(STREAMS), "the second account is told off")

    assert hanging == [("sale.order",)]
    assert still_at_work
    assert all_differences(fine, new_project.database, "fine") == []


@pytest.mark.full
@pytest.mark.timeout(180)
def test_seven_healthy_accounts_finish_as_if_the_three_that_are_not_were_absent(
    open_company: Open, make_project: MakeProject, way: str
) -> None:
    """One hangs for ever, one has a wrong key, one is throttled to zero; each ends with an error of its own.

    What the healthy take is waiting for their source, as in reality, so the ratio is not that of a busy processor.
    """
    healthy = {f"fine{number}": open_company(records=20) for number in range(7)}
    for company in healthy.values():
        company.fault("latency", 150)
    urls: dict[str, Any] = {name: company.url for name, company in healthy.items()}
    alone, together = make_project("alone", way), make_project("together", way)
    alone.configure(urls)
    assert alone.command("sync").code == 0
    hanging, refused, throttled = open_company(records=20), open_company(records=20), open_company(records=20)
    hanging.fault("hang", 1)
    refused.fault("wrong_login")
    throttled.fault("http_429", 1)
    bad: dict[str, Any] = {
        "hanging": {"url": hanging.url, "stall_timeout": "4s"},
        "refused": refused.url,
        "throttled": throttled.url,
    }
    together.configure(bad | urls)
    with together.started("sync") as process:
        ends = {name: until(partial(end_of, together, name), f"{name} ends", patience_s=60) for name in bad}
        until(lambda: len(finished(together)) == len(healthy) * len(STREAMS), "the healthy are done", patience_s=60)
        still_at_work = process.poll() is None

    assert still_at_work
    assert ends["hanging"] == ("timed_out", "CMP-RUN-003")
    assert ends["refused"] == ("failed", "CMP-AUTH-001")
    assert ends["throttled"] == ("failed", "CMP-NET-006")
    assert all(all_differences(company, together.database, name) == [] for name, company in healthy.items())
    ratio = took_s(together) / took_s(alone)
    assert ratio <= 1.3, f"{took_s(together):.1f} s, {took_s(alone):.1f} s alone"


@pytest.mark.full
@pytest.mark.timeout(180)
def test_seven_healthy_accounts_of_activecampaign_have_all_of_their_limits(make_project: MakeProject) -> None:
    """Beside one that hangs, one with a wrong key and one throttled to zero.

    They keep below the vendor's five a second, so that a busy machine's haste costs nobody a pause.
    """
    with ActiveCampaignSandbox(records=100, faults=("hang=1@hanging", "throttled=1@throttled")) as crm:
        healthy = [f"fine{number}" for number in range(7)]
        usual: dict[str, Any] = {"source": "activecampaign", "api_key": "file:key", "page_size": 10, "limit": "4/1s"}
        accounts: dict[str, Any] = {name: usual | {"url": f"{crm.url}/{name}"} for name in healthy}
        alone, together = make_project("alone", "sqlite"), make_project("together", "sqlite")
        alone.configure(accounts)
        assert alone.command("sync", *(f"{name}/deals" for name in healthy)).code == 0
        bad = {name: usual | {"url": f"{crm.url}/{name}"} for name in ("hanging", "refused", "throttled")}
        bad["hanging"]["stall_timeout"] = "4s"
        bad["refused"]["api_key"] = "file:wrong"
        (together.folder / "wrong").write_text("nonsense", encoding="utf-8")
        together.configure(bad | accounts)
        with together.started("sync", *(f"{name}/deals" for name in (*bad, *healthy))) as process:
            ends = {name: until(partial(end_of, together, name), f"{name} ends", patience_s=60) for name in bad}
            until(lambda: len(finished(together)) == len(healthy), "the healthy are done", patience_s=60)
            still_at_work = process.poll() is None

    assert still_at_work
    codes = {"hanging": "CMP-RUN-003", "refused": "CMP-AUTH-001", "throttled": "CMP-NET-006"}
    assert {name: (end or ("", ""))[1] for name, end in ends.items()} == codes
    assert together.value("SELECT count(*) FROM activecampaign_deals") == 7 * 100
    ratio = took_s(together) / took_s(alone)
    assert ratio <= 1.3, f"{took_s(together):.1f} s, {took_s(alone):.1f} s alone"


@pytest.mark.full
def test_two_people_sync_two_streams_of_two_accounts_at_the_same_instant(
    open_company: Open, new_project: Project
) -> None:
    """Two processes: sales here and products there run at once, while neither has anything but its first page."""
    sales, stock = open_company(), open_company()
    sales.hang("sale.order/search_read")
    stock.hang("product.product/search_read")
    new_project.configure({"sales": sales.url, "stock": stock.url})
    running = "SELECT account, stream FROM cmp_run WHERE state = 'running' ORDER BY account"
    with (
        new_project.started("sync", "sales/sale.order") as first,
        new_project.started("sync", "stock/product.product") as second,
    ):
        both = until(lambda: len(new_project.ask(running)) == 2 and new_project.ask(running), "both run")
        sales.release()
        stock.release()
        done = [told(first), told(second)]

    assert both == [("sales", "sale.order"), ("stock", "product.product")]
    assert [each.code for each in done] == [0, 0]
    for account, company, stream in (("sales", sales, "sale.order"), ("stock", stock, "product.product")):
        count = f"SELECT count(*) FROM {table_of(stream)} WHERE account = ?"
        assert new_project.value(count, account) == len(company.truth(stream))


def end_of(project: Project, account: str) -> tuple[str, str] | None:
    """Return how the first run of an account ended, if it has: its state and the code of its error."""
    query = (
        "SELECT state, error FROM cmp_run WHERE account = ? AND state NOT IN ('queued', 'running') ORDER BY queued_at"
    )
    for state, error in project.ask(query, account):
        return state, error.partition("CMP-")[1] + error.partition("CMP-")[2][:8].rstrip('"')
    return None


def finished(project: Project) -> list[tuple[datetime, datetime]]:
    """Return when the runs of the healthy accounts began and ended."""
    query = "SELECT started_at, finished_at FROM cmp_run WHERE account LIKE 'fine%' AND state = 'succeeded'"
    return [(parse_instant(start), parse_instant(end)) for start, end in project.ask(query)]


def took_s(project: Project) -> float:
    """Return the seconds from the first start to the last end of the healthy."""
    runs = finished(project)
    return (max(end for _, end in runs) - min(start for start, _ in runs)).total_seconds()
