"""Several processes on one database, each with a part of the work: who schedules, who executes, and who has died."""

import signal
from itertools import pairwise
from urllib.request import urlopen

import pytest
from tests.acceptance import test_always_on as always_on
from tests.acceptance.conftest import Open, each_database
from tests.acceptance.project import Project, until
from tests.acceptance.serving import Serving, begun, serving
from tests.acceptance.test_always_on import LEASE_S, REAPER_S, configure, parsed

pytestmark = [pytest.mark.full, pytest.mark.timeout(120)]
TICKS = "SELECT scheduled_for FROM cmp_run WHERE stream = 'sale.order' AND scheduled_for IS NOT NULL ORDER BY 1"
STATE = "SELECT state FROM cmp_run WHERE id = ?"
DONE = "SELECT count(DISTINCT stream) FROM cmp_run WHERE state = 'succeeded'"
STREAMS = 5
LOOKS = (
    ("GET", "/health/live"),
    ("GET", "/health/ready"),
    ("GET", "/api/v1/runs"),
    ("POST", "/hooks/mercadolivre"),
    ("GET", "/openapi.json"),
)


def test_a_worker_does_what_a_server_without_workers_is_asked_for(open_company: Open, new_project: Project) -> None:
    """Until there is one, the run waits; the command line says who schedules, and when each stream is due."""
    new_project.configure({"matriz": open_company(records=40).url})
    with serving(new_project, "--no-workers") as server:
        status, told = server.ask("POST", "/api/v1/runs", {"account": "matriz", "stream": "sale.order"})
        (run,) = told["runs"]
        shown = new_project.command("status").document
        waiting = new_project.value(STATE, run["id"])
        with new_project.started("worker") as worker:
            said = begun(worker)
            until(lambda: new_project.value(STATE, run["id"]) == "succeeded", "the worker has done it")
            for process in (worker, server.process):
                process.send_signal(signal.SIGTERM)
            codes = [process.wait(timeout=10) for process in (worker, server.process)]

    assert (status, waiting, codes) == (202, "queued", [0, 0])
    assert said == {"url": None, "metrics_url": None, "roles": ["workers"]}
    assert [bool(each["seen_at"]) for each in shown["schedulers"]] == [True]
    assert all(each["next_run_at"] for each in shown["streams"])


def lines_of(url: str, wanted: str) -> list[str]:
    """Return the lines of what a process measures that begin with something."""
    with urlopen(url, timeout=20) as answer:
        return [line for line in answer.read().decode().splitlines() if line.startswith(wanted)]


def test_a_worker_lets_monitors_look_where_it_is_told_to(open_company: Open, new_project: Project) -> None:
    """What it did is counted by it alone; nothing but looks is answered there. So with a server without the web."""
    new_project.configure({"matriz": open_company(records=40).url})
    with (
        new_project.started("worker", "--metrics-port", "0") as process,
        new_project.started("serve", "--no-web", "--no-workers", "--metrics-port", "0", "--run-now") as scheduler,
    ):
        worker, other = begun(process), begun(scheduler)
        until(lambda: new_project.value(DONE) == STREAMS, "every stream has been read")
        counted = [lines_of(each["metrics_url"], "comporta_runs_total{") for each in (worker, other)]
        alive = [lines_of(each["metrics_url"], "comporta_schedulers ") for each in (worker, other)]
        server = Serving(process, worker["metrics_url"].removesuffix("/metrics"))
        answers = [server.ask(*asked)[0] for asked in LOOKS]
        for each in (process, scheduler):
            each.send_signal(signal.SIGTERM)
        codes = [each.wait(timeout=10) for each in (process, scheduler)]

    assert ([len(lines) for lines in counted], counted[1]) == ([STREAMS, 0], [])
    assert alive == [["comporta_schedulers 1.0"]] * 2
    assert answers == [200, 200, 404, 404, 404]
    assert (worker["url"], worker["roles"], other["url"], other["roles"]) == (None, ["workers"], None, ["scheduler"])
    assert codes == [0, 0]


@each_database
def test_of_three_schedulers_one_is_killed_and_each_tick_is_one_run(open_company: Open, new_project: Project) -> None:
    """The others go on as if it had never been there, and none of its ticks comes twice."""
    configure(new_project, open_company(records=40).url)
    with serving(new_project) as first, serving(new_project) as second, serving(new_project) as third:
        until(lambda: always_on.begun(new_project) >= 6, "runs begin")
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
