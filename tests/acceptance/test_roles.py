"""Several processes on one database, each with a part of the work: who schedules, who executes, and who has died."""

import signal
from itertools import pairwise

import pytest
from tests.acceptance.conftest import Open, each_database
from tests.acceptance.project import Project, until
from tests.acceptance.serving import serving
from tests.acceptance.test_always_on import LEASE_S, REAPER_S, begun, configure, parsed

pytestmark = [pytest.mark.full, pytest.mark.timeout(120)]
TICKS = "SELECT scheduled_for FROM cmp_run WHERE stream = 'sale.order' AND scheduled_for IS NOT NULL ORDER BY 1"
STATE = "SELECT state FROM cmp_run WHERE id = ?"


def test_a_worker_does_what_a_server_without_workers_is_asked_for(open_company: Open, new_project: Project) -> None:
    """Until there is one, the run waits; the command line says who schedules, and when each stream is due."""
    new_project.configure({"matriz": open_company(records=40).url})
    with serving(new_project, "--no-workers") as server:
        status, told = server.ask("POST", "/api/v1/runs", {"account": "matriz", "stream": "sale.order"})
        (run,) = told["runs"]
        shown = new_project.command("status").document
        waiting = new_project.value(STATE, run["id"])
        with new_project.started("worker") as worker:
            until(lambda: new_project.value(STATE, run["id"]) == "succeeded", "the worker has done it")
            for process in (worker, server.process):
                process.send_signal(signal.SIGTERM)
            codes = [process.wait(timeout=10) for process in (worker, server.process)]

    assert (status, waiting, codes) == (202, "queued", [0, 0])
    assert [bool(each["seen_at"]) for each in shown["schedulers"]] == [True]
    assert all(each["next_run_at"] for each in shown["streams"])


@each_database
def test_of_three_schedulers_one_is_killed_and_each_tick_is_one_run(open_company: Open, new_project: Project) -> None:
    """The others go on as if it had never been there, and none of its ticks comes twice."""
    configure(new_project, open_company(records=40).url)
    with serving(new_project) as first, serving(new_project) as second, serving(new_project) as third:
        until(lambda: begun(new_project) >= 6, "runs begin")
        first.process.kill()
        before = len(new_project.ask(TICKS))
        until(lambda: len(new_project.ask(TICKS)) >= before + 5, "the others go on")
        for server in (second, third):
            server.process.send_signal(signal.SIGTERM)
        codes = [server.process.wait(timeout=10) for server in (second, third)]
    ticks = [parsed(tick) for (tick,) in new_project.ask(TICKS)]

    assert codes == [0, 0]
    assert len(set(ticks)) == len(ticks)
    assert {tick.timestamp() % 2 for tick in ticks} == {ticks[0].timestamp() % 2}
    assert max((later - earlier).total_seconds() for earlier, later in pairwise(ticks)) <= LEASE_S + REAPER_S
