"""Promise 1: never two runs of one stream of one account write, whatever crashes, pauses or restarts."""

import os
import signal
import sys
from subprocess import Popen

import pytest
from tests.acceptance.audit import begin_audit, broken_claims
from tests.acceptance.company import Company, all_differences
from tests.acceptance.conftest import only_postgres
from tests.acceptance.project import Project, running, told, until
from tests.acceptance.worker import worker

pytestmark = pytest.mark.timeout(60)  # processes start, and the machine may be busy

STREAM = "matriz/sale.order"
PAGES = "sale.order/search_read"
WAITING = "SELECT id FROM cmp_run WHERE state = 'queued'"
HELD = "SELECT holder FROM cmp_scope WHERE scope = ? AND holder IS NOT NULL"
posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGSTOP")


def holder_while_hanging(project: Project, company: Company, process: "Popen[str]") -> str:
    """Wait until a process holds the stream and waits for a page that hangs; return its run."""
    until(lambda: company.struck("slow_page"), f"{process.pid} asks for the page that hangs")
    return str(project.value(HELD, STREAM))


@pytest.mark.full
def test_of_two_equal_commands_one_runs_and_the_other_says_who_holds_the_lease(
    project: Project, company: Company
) -> None:
    """The second names the run, the process and the instant since when, exits 4, and writes nothing."""
    company.hang(PAGES)
    with project.started("sync", STREAM) as first:
        holder = holder_while_hanging(project, company, first)
        since = project.value("SELECT started_at FROM cmp_run WHERE id = ?", holder)
        second = project.command("sync", STREAM)
        company.release()
        one = told(first)

    refused = second.run("sale.order")
    assert (one.code, one.run("sale.order")["id"], one.run("sale.order")["state"]) == (0, holder, "succeeded")
    assert (second.code, second.document["ok"]) == (4, False)
    assert (refused["state"], refused["error"]["code"]) == ("skipped", "CMP-BUSY-001")
    assert holder in refused["error"]["message"]
    assert since in refused["error"]["message"]
    assert f":{first.pid}" in refused["error"]["message"]
    assert "--wait" in refused["error"]["next_step"]
    assert refused["counts"]["read"] == 0


@pytest.mark.full
def test_with_wait_the_second_command_waits_and_then_succeeds(project: Project, company: Company) -> None:
    """It starts when the first has ended, and not before."""
    company.hang(PAGES)
    with project.started("sync", STREAM) as first:
        holder_while_hanging(project, company, first)
        with project.started("sync", STREAM, "--wait") as second:
            until(lambda: project.value(WAITING), "the second waits")
            company.release()
            one, two = told(first), told(second)

    before, after = one.runs("sale.order")[0], two.run("sale.order")
    assert (one.code, two.code) == (0, 0)
    assert (before["state"], after["state"]) == ("succeeded", "succeeded")
    assert after["started_at"] >= before["finished_at"]
    assert after["epoch"] > before["epoch"]


@pytest.mark.full
def test_who_does_not_wait_takes_nothing_from_who_waits(project: Project, company: Company) -> None:
    """Of three equal commands one works, one waits, and the third, which joins the waiting run, only goes away."""
    company.hang(PAGES)
    with project.started("sync", STREAM) as first:
        holder_while_hanging(project, company, first)
        with project.started("sync", STREAM, "--wait") as second:
            until(lambda: project.value(WAITING), "the second waits")
            third = project.command("sync", STREAM)
            company.release()
            one, two = told(first), told(second)

    assert (third.code, third.run("sale.order")["error"]["code"]) == (4, "CMP-BUSY-001")
    assert (one.code, two.code) == (0, 0)
    assert two.run("sale.order")["state"] == "succeeded"


def wake_after_a_takeover(project: Project, company: Company, mutant: str) -> str:
    """Stop a worker in the middle of a page, let another finish, change rows, wake it; return the run it had.

    What it then has in hand are old versions of rows, and a whole pass overwrites whatever the stamp says.
    """
    project.configure({"matriz": {"url": company.url, "page_size": 10}}, lease="1s")
    project.bring()
    begin_audit(project.database)
    pages = company.calls(PAGES)
    company.hang(PAGES)
    with running(worker(project, "full", once=True, mutant=mutant), project.folder) as stopped:
        run = holder_while_hanging(project, company, stopped)
        stopped.send_signal(signal.SIGSTOP)
        company.release()
        until(lambda: company.calls(PAGES) > pages, "the page that hung is answered")
        company.act("write", model="sale.order", ids=list(range(1, 11)), values={"client_order_ref": "new"})
        successor = project.command("sync", STREAM, "--full", "--wait")
        stopped.send_signal(signal.SIGCONT)
        stopped.communicate(timeout=30)

    assert successor.code == 0
    return run


@pytest.mark.full
@posix
def test_a_stopped_process_that_wakes_after_its_successor_writes_nothing(project: Project, company: Company) -> None:
    """Its epoch is older than the table's last commit, so the fence lets nothing of it through."""
    run = wake_after_a_takeover(project, company, "sound")

    assert broken_claims(project.database, is_at_rest=True) == []
    assert project.value("SELECT state FROM cmp_run WHERE id = ?", run) == "lost"
    assert project.ask("SELECT r.epoch < s.epoch FROM cmp_run r JOIN cmp_scope s USING (scope) WHERE id = ?", run) == [
        (1,)
    ]
    assert all_differences(company, project.database) == []


@pytest.mark.full
@posix
def test_the_history_shows_a_stopped_process_that_writes_because_nothing_fences_it(
    project: Project, company: Company
) -> None:
    """The same story with the epoch taken out of the fence: the checker of this file is not blind."""
    run = wake_after_a_takeover(project, company, "no-fence")

    claims = " ".join(broken_claims(project.database))
    assert "a row was written by a run that did not hold its scope" in claims
    assert "a row was written by a run after it was called lost" in claims
    assert run in claims
    assert all_differences(company, project.database) != []


def is_stopped(process: "Popen[str]") -> bool:
    """Tell whether a process has stopped since this was last asked."""
    pid, status = os.waitpid(process.pid, os.WNOHANG | os.WUNTRACED)
    return pid != 0 and os.WIFSTOPPED(status)


@pytest.mark.full
@posix
@only_postgres
def test_a_process_stopped_between_fence_and_commit_keeps_nobody_out(project: Project, company: Company) -> None:
    """It has locked the row of its scope; the server ends it, takes its batch back, and a successor goes on."""
    project.configure({"matriz": {"url": company.url, "page_size": 10}}, lease="1s")
    project.bring()
    begin_audit(project.database)
    company.act("write", model="sale.order", ids=list(range(1, 11)), values={"client_order_ref": "new"})
    with running(worker(project, "full", STREAM, once=True, stop_at="after_fence"), project.folder) as stopped:
        until(lambda: is_stopped(stopped), "the worker stops itself before COMMIT")
        run = project.value(HELD, STREAM)
        successor = project.command("sync", STREAM, "--full", "--wait")
        stopped.send_signal(signal.SIGCONT)
        stopped.communicate(timeout=30)

    assert successor.code == 0
    assert successor.runs("sale.order")[-1]["counts"]["updated"] == 10
    assert project.value("SELECT state FROM cmp_run WHERE id = ?", run) == "lost"
    assert project.value("SELECT count(*) FROM audit_row WHERE run = ?", run) == 0
    assert broken_claims(project.database, is_at_rest=True) == []
    assert all_differences(company, project.database) == []
