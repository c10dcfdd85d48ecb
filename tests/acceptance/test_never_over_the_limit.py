"""Promise 6: never more requests than the account allows, and hardly fewer while there is work.

Four processes share one budget, on every database; a server that takes five requests in *any* second looks on.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from tests.acceptance.company import Company, differences
from tests.acceptance.conftest import MakeProject, each_database
from tests.acceptance.project import Project, until
from tests.acceptance.strict_server import StrictServer, shares_used

from comporta.sandbox.odoo import OdooSandbox
from comporta.sandbox.stats import Stats

pytestmark = [pytest.mark.full, pytest.mark.timeout(240)]
alone = pytest.mark.alone

LIMIT, ORDERS = 20, 100
USED_MIN, LOADED_MIN = 0.97, 0.9
"""What a budget uses of its limit by its design, and what is left of that where others keep the machine busy."""
PER_SECOND, PROCESSES, REQUESTS = 5, 4, 300
USER = Path(__file__).with_name("budget_user.py")


class TimedStats(Stats):
    """The server's own count of requests, with the instant at which each arrived."""

    def __init__(self) -> None:
        super().__init__()
        self.arrived: list[float] = []

    def enter(self) -> None:
        self.arrived.append(time.monotonic())
        super().enter()


@pytest.fixture
def timed() -> Iterator[tuple[Company, TimedStats]]:
    """A company whose server notes when each request arrives."""
    sandbox, stats = OdooSandbox(records=ORDERS), TimedStats()
    sandbox.stats = sandbox._server.stats = sandbox._control.stats = stats
    with sandbox:
        yield Company(sandbox.url), stats


@alone
def test_the_limit_is_never_passed_and_used_to_97_percent(
    new_project: Project, timed: tuple[Company, TimedStats]
) -> None:
    """Of a hundred pages of one order each, the twentieth after any other comes a second later, and hardly more."""
    company, stats = timed
    new_project.configure({"matriz": {"url": company.url, "page_size": 1, "limit": f"{LIMIT}/1s"}})
    done = new_project.command("sync", "matriz/sale.order")

    apart = [later - first for first, later in zip(stats.arrived, stats.arrived[LIMIT:], strict=False)]
    assert done.code == 0
    assert all(earlier <= later for earlier, later in pairwise(stats.arrived))
    # What leaves a second apart arrives a little closer where the first had to connect, or the machine is busy.
    assert min(apart) > 0.9
    usual, over_all = shares_used(stats.arrived, LIMIT)
    assert (usual >= USED_MIN, over_all >= LOADED_MIN) == (True, True), (usual, over_all)
    assert differences(company, new_project.database, "sale.order") == []


def use(config: Path, *servers: StrictServer, requests: int, mutant: str = "") -> None:
    """Send so many requests to each server from four processes that share a budget for each; all begin together.

    A mutant is stopped as soon as a server noticed.
    """
    urls, share = [server.url for server in servers], requests // PROCESSES
    job = {"config": str(config), "urls": urls, "limit": PER_SECOND, "requests": share, "mutant": mutant}
    with ExitStack() as stack:
        line = [sys.executable, str(USER), json.dumps(job)]
        users = [stack.enter_context(started(line)) for _ in range(PROCESSES)]
        assert [user.stdout and user.stdout.readline() for user in users] == ["ready\n"] * PROCESSES
        for user in users:
            assert user.stdin is not None
            user.stdin.write("go\n")
            user.stdin.flush()
        if mutant:
            until(lambda: any(server.too_early for server in servers), "a request that came too early")
            return
        ended = [user.communicate(timeout=10 + 2 * requests / PER_SECOND) for user in users]
    assert [user.returncode for user in users] == [0] * PROCESSES, [errors for _, errors in ended]


@contextmanager
def started(line: list[str]) -> Iterator["subprocess.Popen[str]"]:
    """Start a process that is spoken with; whatever is left of it at the end is killed."""
    pipe = subprocess.PIPE
    with subprocess.Popen(line, stdin=pipe, stdout=pipe, stderr=pipe, encoding="utf-8") as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def requests_sent(request: pytest.FixtureRequest) -> int:
    """How many requests are sent: 300, or as many as ``--budget-requests`` says, in multiples of sixteen."""
    told: int = request.config.getoption("--budget-requests")
    return told - told % 16


@alone
@each_database
@pytest.mark.timeout(4_000)
def test_processes_that_share_a_budget_keep_it_in_any_second(new_project: Project, requests_sent: int) -> None:
    """Zero refusals and 97 % used, whatever the latency: at 800 ms each stream alone would use a quarter."""
    new_project.configure({})
    with ExitStack() as stack:
        servers = [stack.enter_context(StrictServer(PER_SECOND, latency_s=each)) for each in (0.0, 0.2, 0.8)]
        use(new_project.config, *servers, requests=requests_sent)

    assert [len(server.arrived) for server in servers] == [requests_sent] * 3
    assert [server.too_early for server in servers] == [[], [], []]
    shares = [shares_used(server.arrived, PER_SECOND) for server in servers]
    assert [(usual >= USED_MIN, over_all >= LOADED_MIN) for usual, over_all in shares] == [(True, True)] * 3, shares


@pytest.mark.parametrize("mutant", ["early", "alone", "fixed"])
def test_a_budget_with_a_fault_is_found_out(make_project: MakeProject, mutant: str) -> None:
    """A stamp that is not made when the request leaves, a log that is not shared, windows that stand still."""
    project = make_project("project", "sqlite")
    project.configure({})
    with StrictServer(PER_SECOND) as server:
        use(project.config, server, requests=48, mutant=mutant)

    assert server.too_early != []


@alone
def test_where_others_use_two_of_five_it_settles_at_three(make_project: MakeProject) -> None:
    """With Retry-After and without. The first refusals are those of two bursts, each later one a try for more.

    A minute sees the first bursts (of five requests in flight at most two are too many, and each process may have had
    one more under way) and a try after 30 s, refused at its first or second request. What is decided does
    not depend on the database that keeps it.
    """
    project = make_project("project", "sqlite")
    project.configure({})
    with ExitStack() as stack:
        wishes = (None, "1")
        servers = [stack.enter_context(StrictServer(PER_SECOND, others=2, retry_after=each)) for each in wishes]
        use(project.config, *servers, requests=REQUESTS * 3 // 5)

    settled = [[at for at in server.arrived if at > server.arrived[0] + 10] for server in servers]
    rates = [len(each) / (each[-1] - each[0]) for each in settled]
    assert [server.too_early for server in servers if len(server.too_early) > 8] == []
    assert min(rates) >= 0.9 * (PER_SECOND - 2), (rates, [each.too_early for each in servers])
