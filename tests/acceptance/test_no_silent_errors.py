"""Promise 7: every failure of a source has a code, what was seen and the next step; none is called success."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.acceptance.company import STREAMS, Company, differences
from tests.acceptance.conftest import MakeProject, Open
from tests.acceptance.databases import Json
from tests.acceptance.project import Project, Told, told

pytestmark = pytest.mark.timeout(60)  # processes start, and the machine may be busy

ORDERS, LINES = "sale.order", "sale.order.line"


def assert_told(run: dict[str, Json], code: str, *seen: str) -> None:
    """A failed run says its code, what was seen, the next step and where to read about it."""
    error = run["error"]

    assert (run["state"], error["code"]) == ("failed", code)
    assert [text for text in seen if text not in error["message"]] == []
    assert len(error["next_step"]) > len("Try again.")
    assert error["docs"].endswith(code.lower())


@pytest.mark.full
def test_a_wrong_key_is_told_as_such_and_is_not_tried_again(project: Project) -> None:
    """Every stream fails with the same code, once, and the key itself is not shown."""
    (project.folder / "key").write_text("not-the-key", encoding="utf-8")
    done = project.command("sync")

    assert (done.code, done.document["ok"], len(done.runs())) == (1, False, len(STREAMS))
    for run in done.runs():
        assert_told(run, "CMP-AUTH-001", "matriz")
        assert "api_key" in run["error"]["next_step"]
    assert "not-the-key" not in str(done)


@pytest.mark.parametrize(
    "protocol", ["jsonrpc", *(pytest.param(name, marks=pytest.mark.full) for name in ("xmlrpc", "json2"))]
)
def test_an_unknown_database_is_told_as_such(new_project: Project, company: Company, protocol: str) -> None:
    """The name that was set and does not exist stands in the message."""
    new_project.configure({"matriz": {"url": company.url, "database": "nowhere", "protocol": protocol}})
    done = new_project.command("sync", "matriz/sale.order")

    assert done.code == 1
    if protocol == "json2":
        # JSON-2 answers a wrong database as it answers a wrong key.
        assert done.run(ORDERS)["error"]["code"].startswith("CMP-AUTH-")
    else:
        assert_told(done.run(ORDERS), "CMP-AUTH-003", "nowhere")


@pytest.mark.full
def test_a_model_that_may_not_be_read_fails_alone(project: Project, company: Company) -> None:
    """The other four streams are brought up to date; the exit code says partly."""
    company.fault("deny_model", LINES)
    done = project.command("sync")

    states = {run["stream"]: run["state"] for run in done.runs()}
    assert (done.code, done.document["ok"]) == (3, False)
    assert states == {**dict.fromkeys(STREAMS, "succeeded"), LINES: "failed"}
    assert_told(done.run(LINES), "CMP-AUTH-002", LINES)
    assert differences(company, project.database, ORDERS) == []


@pytest.mark.full
def test_a_bad_gateway_in_the_middle_is_asked_again_and_forgotten(new_project: Project, company: Company) -> None:
    """Two pages answer 502 once: the run succeeds, says that it asked again, and misses nothing."""
    new_project.configure({"matriz": {"url": company.url, "page_size": 20}})
    company.fault("error_502", times=2, label="sale.order/search_read")
    done = new_project.command("sync", "matriz/sale.order")

    run = done.run(ORDERS)
    assert (done.code, run["state"], run["requests"]["retried"]) == (0, "succeeded", 2)
    assert company.struck("error_502") == 2
    assert differences(company, new_project.database, ORDERS) == []


FOUR_ATTEMPTS_S = 120
"""Up to 28 seconds of pauses between attempts, up to four more within each."""
FAULTS = {
    # fault, its value, the calls it spoils: the code that every attempt must end with
    ("error_502", None, "sale.order/search_read"): "CMP-NET-003",
    ("json_garbage", None, "sale.order/search_read"): "CMP-NET-004",
    ("truncate", None, "sale.order/search_read"): "CMP-NET-004",
    ("truncate_clean", None, "sale.order/search_read"): "CMP-NET-004",
    ("html", None, "sale.order/search_read"): "CMP-NET-005",
    ("empty_page", None, "sale.order/search"): "CMP-SRC-006",
    ("shrinking_total", "0.1", "sale.order/search_count"): "CMP-SRC-007",
}


@pytest.mark.full
@pytest.mark.timeout(300)
def test_a_source_that_goes_on_failing_is_never_success_and_claims_nothing(
    open_company: Open, make_project: MakeProject, way: str
) -> None:
    """Whatever it answers wrongly, every attempt fails with its own code, and no source time is covered."""
    companies = {f"a{place}": open_company() for place, _ in enumerate(FAULTS)}
    for (name, value, label), company in zip(FAULTS, companies.values(), strict=True):
        company.fault(name, value, label=label)
    projects = {}
    for name, company in companies.items():
        projects[name] = make_project(name, way)
        projects[name].configure({"matriz": company.url})

    def fail(project: Project) -> Told:
        with project.started("sync", "matriz/sale.order") as process:
            return told(process, patience_s=FOUR_ATTEMPTS_S)

    with ThreadPoolExecutor(len(projects)) as pool:
        ended = dict(zip(FAULTS.items(), pool.map(fail, projects.values()), strict=True))

    codes = {
        fault: {(run["error"] or {"code": run["state"]})["code"] for run in done.runs()}
        for (fault, _), done in ended.items()
    }
    assert codes == {fault: {code} for fault, code in FAULTS.items()}
    for (_, code), done in ended.items():
        assert (done.code, done.document["ok"]) == (1, False)
        for run in done.runs():
            assert_told(run, code, ORDERS)
    for project in projects.values():
        assert project.ask("SELECT * FROM cmp_coverage") == []
        assert project.ask("SELECT * FROM cmp_run WHERE state IN ('running', 'succeeded')") == []
