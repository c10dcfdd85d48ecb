"""Promises 1, 2 and 4 through deploys: servers that follow one another, or are killed, on one database."""

import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from itertools import pairwise

import psycopg
import pytest
from tests.acceptance.company import differences
from tests.acceptance.conftest import Open, each_database
from tests.acceptance.databases import Json
from tests.acceptance.project import COMMAND, Project, until

from comporta.core.instant import parse_instant

pytestmark = [
    pytest.mark.full,
    pytest.mark.timeout(400),
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM that a process can answer"),
]
LEASE_S, REAPER_S, STOP_S, SLACK_S = 3, 10, 10, 4
DATABASE_ERRORS = (sqlite3.Error, psycopg.Error)
EVERY = {"sale.order": {"every": "2s"}, "sale.order.line": {"every": "3s"}}
RUNS = "SELECT scope, state, started_at, finished_at FROM cmp_run WHERE started_at IS NOT NULL ORDER BY started_at"


@contextmanager
def serving(project: Project, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """Start a server on a free port; whatever is left of it at the end is killed."""
    line = [*COMMAND, "serve", "--port", "0", *arguments]
    with subprocess.Popen(
        line, cwd=project.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, encoding="utf-8"
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def stop(process: "subprocess.Popen[str]") -> float:
    """Ask a server to end, as at a deploy, and return how long it took."""
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=STOP_S)
    return time.monotonic() - began


def configure(project: Project, url: str) -> None:
    """Write settings under which two streams are due every few seconds."""
    account = {"url": url, "page_size": 50, "streams": EVERY}
    project.configure({"matriz": account}, margin="1s", lease=f"{LEASE_S}s", reconcile="1h")


def overlapping(project: Project) -> list[str]:
    """Return the streams of which two runs were under way at once."""
    spans: dict[str, list[tuple[datetime, datetime]]] = {}
    for scope, _, started, finished in project.ask(RUNS):
        spans.setdefault(scope, []).append((parsed(started), parsed(finished or started)))
    return [scope for scope, each in spans.items() for one, two in pairwise(sorted(each)) if two[0] < one[1]]


def parsed(value: Json) -> datetime:
    """Return an instant, which SQLite keeps as a text."""
    return parse_instant(value) if isinstance(value, str) else value


def begun(project: Project) -> int:
    """Return how many runs have begun."""
    return int(project.value("SELECT count(*) FROM cmp_run WHERE started_at IS NOT NULL"))


@each_database
def test_servers_that_follow_one_another_lose_and_double_nothing(
    open_company: Open, new_project: Project, deploy_seconds: float
) -> None:
    """The new one begins before the old one ends, again and again, while people work."""
    company = open_company(records=400)
    configure(new_project, company.url)
    company.act("start_activity", rate=5)
    stops: list[float] = []
    deadline = time.monotonic() + deploy_seconds
    with ExitStack() as stack:
        present = stack.enter_context(serving(new_project))
        while time.monotonic() < deadline:
            before = begun(new_project) if stops else 0
            until(lambda before=before: _has_begun(new_project, before + 3), "runs begin")  # type: ignore[misc]  # a lambda with a default
            following = stack.enter_context(serving(new_project))
            until(lambda: _servers(new_project) > len(stops) + 1, "the next server is there")
            stops.append(stop(present))
            present = following
        company.act("stop_activity")
        stops.append(stop(present))
    done = new_project.command("sync", *(f"matriz/{stream}" for stream in EVERY))
    for stream in EVERY:  # which finds what was deleted
        new_project.reconcile(stream)
    apart = [each for stream in EVERY for each in differences(company, new_project.database, stream)]

    assert done.code == 0, done.errors
    assert len(stops) > 3
    assert max(stops) < STOP_S
    assert "lost" not in {state for _, state, _, _ in new_project.ask(RUNS)}
    assert overlapping(new_project) == []
    assert apart == []


@each_database
def test_after_a_kill_another_server_goes_on_within_lease_and_reaping(open_company: Open, new_project: Project) -> None:
    """Two are at work; the one whose run hangs is killed without a word."""
    company, project = open_company(records=400), new_project
    configure(project, company.url)
    running = "SELECT instance FROM cmp_run WHERE state = 'running' AND stream = 'sale.order'"
    with serving(project) as one, serving(project) as other:
        until(lambda: _servers(project) == 2, "both are there")
        until(lambda: _has_begun(project, 4), "runs begin")
        company.hang("sale.order/search_read")
        holder = until(lambda: project.value(running), "a run hangs")
        victim = one if holder.endswith(f":{one.pid}") else other
        victim.kill()
        killed, count = time.monotonic(), begun(project)
        company.release()
        lost = "SELECT count(*) FROM cmp_run WHERE state = 'lost' AND stream = 'sale.order'"
        until(lambda: project.value(lost), "its run is lost")
        until(lambda: _has_begun(project, count + 1), "another goes on")
        took = time.monotonic() - killed

    assert took < LEASE_S + REAPER_S + SLACK_S


def _has_begun(project: Project, count: int) -> bool:
    return _there(project) and begun(project) >= count


def _servers(project: Project) -> int:
    """Return how many servers were ever seen."""
    return int(project.value("SELECT count(*) FROM cmp_instance")) if _there(project) else 0


def _there(project: Project) -> bool:
    """Say whether the first server has made its tables."""
    try:
        project.value("SELECT count(*) FROM cmp_instance")
    except DATABASE_ERRORS:
        return False
    return True
