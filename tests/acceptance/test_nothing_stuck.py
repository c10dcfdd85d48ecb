"""Promise 4: dead, hung or over its deadline, a run ends by itself, with the reason, and is tried again."""

import fcntl
import signal

import pytest
from tests.acceptance.company import Company, differences
from tests.acceptance.project import Project, until
from tests.acceptance.serving import serving

pytestmark = [pytest.mark.full, pytest.mark.timeout(60)]  # processes start and are killed

ORDERS = "sale.order"
PIPE_MIN = 4096
"""The least that a pipe holds."""


def test_a_killed_run_is_called_lost_and_the_next_goes_on_after_its_last_batch(
    new_project: Project, company: Company
) -> None:
    """After kill -9 in the middle of a load the next command waits no longer than the lease, and reads no row twice."""
    new_project.configure({"matriz": {"url": company.url, "page_size": 10}}, lease="1s")
    company.fault("latency", 100, label="sale.order/search_read")
    with new_project.started("sync", "matriz/sale.order") as process:
        until(lambda: new_project.value("SELECT read >= 20 FROM cmp_pass"), "two pages are committed")
        process.kill()
        process.communicate()
    company.heal()
    done = new_project.command("sync", "matriz/sale.order", "--wait")

    runs = new_project.ask("SELECT state, read, error FROM cmp_run WHERE read > 0 ORDER BY started_at")
    assert done.code == 0
    assert [state for state, _, _ in runs] == ["lost", "succeeded"]
    assert "CMP-RUN-006" in runs[0][2]
    assert sum(read for _, read, _ in runs) == 60
    assert differences(company, new_project.database, ORDERS) == []


@pytest.mark.parametrize(
    ("setting", "code"), [({"stall_timeout": "1s"}, "CMP-RUN-003"), ({}, "CMP-RUN-004")], ids=["hung", "overdue"]
)
def test_a_run_that_hangs_ends_by_itself_and_is_tried_again(
    new_project: Project, company: Company, setting: dict[str, str], code: str
) -> None:
    """The page that never comes ends the run as timed out, with the reason; the next attempt succeeds."""
    account = {"url": company.url} if setting else {"url": company.url, "timeout": "1s"}
    new_project.configure({"matriz": account}, lease="1s", **setting)
    company.fault("slow_page", 60, label="sale.order/search_read")
    done = new_project.command("sync", "matriz/sale.order")

    hung, again = done.runs(ORDERS)[0], done.runs(ORDERS)[-1]
    assert (hung["state"], hung["error"]["code"]) == ("timed_out", code)
    assert (again["state"], again["trigger"], again["attempt"]) == ("succeeded", "retry", 2)
    assert done.code == 0
    assert differences(company, new_project.database, ORDERS) == []


def test_a_server_whose_log_nobody_reads_works_on_and_ends(
    new_project: Project, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after Ctrl+S in a terminal, or behind a collector that hangs. What it said at first can still be read."""
    monkeypatch.setenv("COMPORTA_LOG", "debug")
    new_project.configure({"matriz": {"url": company.url, "page_size": 2}})
    with serving(new_project, "--run-now") as server:
        assert server.process.stderr is not None
        fcntl.fcntl(server.process.stderr, fcntl.F_SETPIPE_SZ, PIPE_MIN)
        until(lambda: ended(new_project) >= 5, "every stream was synced")
        status, _ = server.ask("GET", "/health/ready")
        server.process.send_signal(signal.SIGTERM)
        code = server.process.wait(timeout=10)
        log = server.process.stderr.read()

    assert (status, code) == (200, 0)
    assert "server_started" in log
    assert "server_stopped" not in log
    assert new_project.value("SELECT count(*) FROM cmp_run WHERE state <> 'succeeded'") == 0
    assert differences(company, new_project.database, ORDERS) == []


def ended(project: Project) -> int:
    """Return how many runs ended well."""
    return int(project.value("SELECT count(*) FROM cmp_run WHERE state = 'succeeded'"))
