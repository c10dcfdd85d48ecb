"""Promise 6: never more requests than the account allows, and hardly fewer while there is work.

As far as one process goes: budgets that several processes share are not in this release.
"""

import time
from collections.abc import Iterator
from itertools import pairwise
from statistics import mean

import pytest
from tests.acceptance.company import Company, differences
from tests.acceptance.project import Project

from comporta.sandbox.odoo import OdooSandbox
from comporta.sandbox.stats import Stats

pytestmark = [pytest.mark.full, pytest.mark.alone, pytest.mark.timeout(120)]

LIMIT, ORDERS = 20, 100
USED_MIN = 0.97


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
    assert 1 / mean(apart) >= USED_MIN
    assert differences(company, new_project.database, "sale.order") == []
